// The history of runs: filters, pages, one run, and what was pruned.
import assert from 'node:assert/strict'
import { test, startDaemon, writeFiles } from './lib/daemon.mjs'

const routes = (more = '') => `
local athanore = require "athanore"
local d = athanore.dispatcher {
  command = "./agent.sh", poll_interval = 0.1, max_concurrent_agents = 4, ${more}
  queue_backend = athanore.json_file "board.json",
}
d:route { queue_name = "Todo", in_progress_queue = "Doing", success_queue = "Done", args = {}, prompt = function(id) return id end }
d:route { queue_name = "Other", in_progress_queue = "Doing", success_queue = "Done", args = {}, prompt = function(id) return id end }
return d
`
const agent = '#!/bin/sh\necho "I am on $ATHANORE_TASK_ID"\ncase "$ATHANORE_TASK_ID" in *bad) exit 3;; esac\n'

function board(todo, other = []) {
  const tasks = (ids) => ids.map((id) => ({ id, name: `task ${id}` }))
  return { queues: { Todo: tasks(todo), Other: tasks(other), Doing: [], Done: [] } }
}

async function ids(d, query) {
  const answer = await d.get(`/runs${query}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.body.runs.map((run) => run.task_id)
}

test('runs are listed, the newest first, by what is asked for', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board(['1', '2-bad', '3'], ['4', '5-bad']), files: { 'agent.sh': agent } })
  await d.until(async () => (await ids(d, '?state=done')).length === 5)
  const all = (await d.get('/runs')).body
  assert.equal(all.next_cursor, null)
  const order = all.runs.map((run) => run.run_id)
  assert.deepEqual(order, [...order].sort().reverse())
  assert.deepEqual(await ids(d, '?outcome=failure&queue=Other'), ['5-bad'])
  assert.deepEqual((await ids(d, '?outcome=success')).sort(), ['1', '3', '4'])
  assert.deepEqual((await ids(d, '?queue=Todo')).sort(), ['1', '2-bad', '3'])
  assert.deepEqual(await ids(d, '?task_id=2-bad'), ['2-bad'])
  assert.deepEqual(await ids(d, '?task_id=2-bad&outcome=success'), [])
  assert.deepEqual(await ids(d, '?state=running'), [])
})

test('pages follow one another without a gap', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board(['1', '2', '3', '4', '5']), files: { 'agent.sh': agent } })
  await d.until(async () => (await ids(d, '?state=done')).length === 5)
  const seen = []
  let cursor = ''
  for (let pages = 0; cursor !== null; pages++) {
    assert.ok(pages < 4)
    const { body } = await d.get(`/runs?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
    seen.push(...body.runs.map((run) => run.task_id))
    cursor = body.next_cursor
  }
  assert.deepEqual(seen, await ids(d, ''))
  assert.equal((await d.get('/runs?limit=5')).body.next_cursor, null)
})

test('what is no question is refused', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board([]), files: { 'agent.sh': agent } })
  for (const [query, field] of [['limit=0', 'limit'], ['limit=201', 'limit'], ['limit=x', 'limit'], ['limit=-1', 'limit'], ['cursor=x', 'cursor'],
    ['outcome=good', 'outcome'], ['state=x', 'state'], ['taskid=1', 'taskid'], ['state=done&state=done', 'state']]) {
    const answer = await d.get(`/runs?${query}`)
    assert.equal(answer.status, 422, query)
    assert.equal(answer.body.field, field, query)
  }
  assert.equal((await d.get('/runs?task_id=%zz')).status, 400)
  assert.deepEqual(await ids(d, '?task_id=no%20such+task&limit=200'), [])
  assert.deepEqual((await d.get('/runs')).body, { runs: [], next_cursor: null })
  assert.equal((await d.post('/runs', {})).status, 405)
  assert.equal((await d.request('HEAD', '/runs')).status, 200)
})

test('one run is shown, also behind a restart; a pruned one is gone', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board(['1']), files: { 'agent.sh': agent } })
  await d.until(async () => (await ids(d, '?state=done')).length === 1)
  const [run] = (await d.get('/runs')).body.runs
  assert.deepEqual((await d.get(`/runs/${run.run_id}`)).body, run)
  assert.equal(run.outcome, 'success')
  assert.equal((await d.get('/runs/none')).status, 404)
  assert.equal((await d.get('/runs/29990101-000000-000-00000000')).status, 404)
  const before = (await d.sse('/events', { 'last-event-id': '0' }))
  await d.until(() => before.events.some((event) => event.event === 'done'))
  before.close()
  await d.stop()
  writeFiles(d.dir, { 'routes.lua': routes('history_days = 0.00001,') })
  await d.until(() => Date.now() - Date.parse(run.ended_at) > 1500)
  await d.start()
  await d.until(async () => (await d.get('/runs')).body.runs.length === 0)
  for (const end of ['', '/events']) {
    const answer = await d.get(`/runs/${run.run_id}${end}`)
    assert.equal(answer.status, 410)
    assert.equal(answer.body.code, 'gone')
  }
  assert.equal((await d.get(`/tasks/1/events`, { headers: { 'last-event-id': `${run.run_id}:0` } })).status, 410)
  // The journal has forgotten it too, and an id in what is gone says so.
  const done = before.events.find((event) => event.event === 'done')
  await d.until(async () => (await d.get('/events', { headers: { 'last-event-id': before.events[0].id } })).status === 410, { timeout: 3000 })
  const after = await d.sse('/events', { 'last-event-id': '0' })
  await d.until(() => after.events.some((event) => event.event === 'daemon_started'))
  assert.ok(Number(after.events[0].id) > Number(done.id))
  after.close()
})
