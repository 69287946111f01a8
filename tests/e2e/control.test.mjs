// Pausing, polling, retrying, explaining, and what watches the daemon: readyz and metrics.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { startDaemon, test } from './lib/daemon.mjs'

// Waits for the file "go" if its prompt says so, fails if it says so.
const agent = `#!/bin/sh
echo "$ATHANORE_TASK_ID" >> "$(dirname "$0")/ran"
case "$1" in *wait*) while [ ! -e "$(dirname "$0")/go" ]; do sleep 0.05; done ;; esac
case "$1" in *fail*) [ -e "$(dirname "$0")/mended" ] || exit 3 ;; esac
`
const routes = ({ options = '', route = '', prompt = 'return task.description or "x"', more = '' } = {}) => `
local athanore = require "athanore"
local d = athanore.dispatcher {
  command = "./agent", poll_interval = 0.2, queue_backend = athanore.json_file "board.json", ${options}
}
d:route { queue_name = "Todo", in_progress_queue = "Doing", success_queue = "Done",
  prompt = function(id, name, task) ${prompt} end, ${route} }
${more}
return d
`
const task = (id, description = 'x') => ({ id, name: `Task ${id}`, description })
const board = (queues = {}) => ({ queues: { Todo: [], Doing: [], Dead: [], Other: [], Done: [], ...queues } })
const start = (t, { board: queues, ...options } = {}) =>
  startDaemon(t, { routes: routes(options), board: board(queues), files: { agent } })
const ran = (d) => (fs.existsSync(d.file('ran')) ? fs.readFileSync(d.file('ran'), 'utf8').trim().split('\n') : [])
const add = (d, queue, ...tasks) => d.editBoard((b) => { b.queues[queue].push(...tasks) })
const go = (d) => fs.writeFileSync(d.file('go'), '')
const explain = async (d, id) => {
  const answer = await d.get(`/tasks/${id}/explain`)
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.body.task_id, id)
  assert.match(answer.body.sentence, /^Task .*\.$/s)
  return answer.body
}
const codes = async (d, id) => (await explain(d, id)).reasons.map((reason) => reason.code)
const reason = async (d, id, code) => (await explain(d, id)).reasons.find((item) => item.code === code)
const polled = (d) => d.until(async () => (await d.get('/status')).body.last_poll_at)

test('all routes are paused across a restart, and resumed', async (t) => {
  const d = await start(t)
  const paused = await d.post('/pause')
  assert.deepEqual([paused.status, paused.body], [200, { paused: true, paused_routes: [] }])
  add(d, 'Todo', task('1'))
  assert.deepEqual(await codes(d, '1'), ['paused'])
  assert.equal((await d.post('/poll')).body.routes.length, 0)
  await d.restart({ signal: 'SIGKILL' })
  const status = (await d.get('/status')).body
  assert.deepEqual([status.paused, status.paused_routes], [true, []])
  assert.equal((await d.get('/routes/Todo')).body.paused, true)
  assert.equal((await d.get('/readyz')).status, 200)
  assert.equal((await reason(d, '1', 'paused')).all, true)
  assert.deepEqual(ran(d), [])
  assert.equal((await d.post('/resume', {})).body.paused, false)
  await d.until(() => d.where()['1'] === 'Done')
  await d.restart()
  assert.equal((await d.get('/status')).body.paused, false)
})

test('one route is paused, and the others go on', async (t) => {
  const d = await start(t, { more: 'd:route { queue_name = "Other", success_queue = "Done", in_progress_queue = "Doing", prompt = function() return "x" end }' })
  const paused = await d.post('/pause', { queue_name: 'Todo' })
  assert.deepEqual(paused.body, { paused: false, paused_routes: ['Todo'] })
  assert.deepEqual((await d.post('/pause', { queue_name: 'Todo' })).body.paused_routes, ['Todo'])
  add(d, 'Todo', task('1'))
  add(d, 'Other', task('2'))
  await d.until(() => d.where()['2'] === 'Done')
  await d.restart()
  assert.deepEqual((await d.get('/routes')).body.routes.map((r) => [r.queue_name, r.paused]), [['Todo', true], ['Other', false]])
  assert.deepEqual((await d.get('/status')).body.paused_routes, ['Todo'])
  assert.equal((await reason(d, '1', 'paused')).all, false)
  assert.deepEqual(ran(d), ['2'])
  assert.deepEqual((await d.post('/resume', { queue_name: 'Todo' })).body, { paused: false, paused_routes: [] })
  await d.until(() => d.where()['1'] === 'Done')
  assert.equal((await d.post('/pause', { queue_name: 'None' })).status, 404)
  assert.equal((await d.post('/pause', { queue: 'Todo' })).status, 422)
  assert.equal((await d.post('/pause', '{')).status, 400)
})

test('a pause lets go of what is being prepared, and leaves agents alone', async (t) => {
  const d = await start(t, {
    prompt: 'if id == "2" then athanore.sleep(0.4) end return task.description', board: { Todo: [task('1', 'wait')] },
  })
  await d.until(() => ran(d).length === 1)
  add(d, 'Todo', task('2'))
  await d.until(async () => (await codes(d, '2')).includes('claiming'))
  await d.post('/pause')
  await d.until(async () => (await codes(d, '2')).includes('paused'))
  assert.equal(d.where()['2'], 'Todo')
  go(d)
  await d.until(() => d.where()['1'] === 'Done')
  assert.deepEqual(ran(d), ['1'])
  await d.post('/resume')
  await d.until(() => d.where()['2'] === 'Done')
})

test('a poll can be asked for', async (t) => {
  const queue = `{ get_ready_tasks = function() polls = (polls or 0) + 1; local f = io.open("polls", "a"); f:write("x"); f:close(); return {} end, `
    + ['get_task', 'move_task', 'add_comment', 'update_task', 'create_task', 'list_queues', 'get_queue', 'create_queue', 'update_queue', 'delete_queue']
      .map((name) => `${name} = function() return nil, athanore.error("not_found", "none") end`).join(', ') + ' }'
  const d = await startDaemon(t, { files: { agent }, routes: routes({ options: 'poll_interval = 600' }).replace('poll_interval = 0.2, ', '').replace('athanore.json_file "board.json"', queue) })
  const polls = () => (fs.existsSync(d.file('polls')) ? fs.readFileSync(d.file('polls'), 'utf8').length : 0)
  await d.until(() => polls() === 1)
  const answer = await d.post('/poll')
  assert.deepEqual([answer.status, answer.body], [202, { status: 'polling', routes: ['Todo'] }])
  await d.until(() => polls() === 2)
})

test('a task whose retries are used up is tried anew', async (t) => {
  const d = await start(t, { options: 'max_retries = 1', board: { Todo: [task('1', 'fail')] } })
  await d.until(async () => d.where()['1'] === 'Doing' && (await codes(d, '1')).includes('retries_used_up'))
  const why = await reason(d, '1', 'retries_used_up')
  assert.deepEqual([why.max_retries, why.outcome], [1, 'failure'])
  assert.match((await explain(d, '1')).sentence, /retries are used up \(1 of 1\).*no route watches its queue, "Doing"/)
  assert.equal(ran(d).length, 2)
  fs.writeFileSync(d.file('mended'), '')
  const answer = await d.post('/tasks/1/retry')
  assert.deepEqual([answer.status, answer.body], [200, { task_id: '1', queue_name: 'Todo', moved: true, retry_count: 0 }])
  await d.until(() => d.where()['1'] === 'Done')
  assert.equal((await d.get('/tasks/1')).body.retry_count, 0)
  const journal = () => fs.readFileSync(path.join(d.stateDir, 'events.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
  const back = () => journal().filter(({ type, run_id: run, target_queue: target }) => type === 'moved' && !run && target === 'Todo')
  await d.until(() => back().length === 1)
  assert.equal(back()[0].task_id, '1')
})

test('a task comes back from the dead-letter queue, its count reset', async (t) => {
  const d = await start(t, { options: 'max_retries = 1, dead_letter_queue = "Dead"', board: { Todo: [task('1', 'fail')] } })
  await d.until(() => d.where()['1'] === 'Dead')
  await d.until(async () => (await codes(d, '1')).includes('retries_used_up'))
  assert.equal((await d.post('/tasks/1/retry')).body.moved, true)
  await d.until(() => d.where()['1'] === 'Dead' && ran(d).length === 4)
  fs.writeFileSync(d.file('mended'), '')
  await d.until(async () => (await d.post('/tasks/1/retry')).status === 200)
  await d.until(() => d.where()['1'] === 'Done')
})

test('a retry does not wait, nor moves what it should not', async (t) => {
  const d = await start(t, {
    options: 'max_retries = 3, retry_backoff = 600',
    more: 'd:route { queue_name = "Other", in_progress_queue = "Doing", prompt = function() return "x" end }',
    board: { Todo: [task('1', 'fail'), task('2', 'wait')], Done: [task('3')], Doing: [task('4')] },
  })
  await d.until(async () => (await codes(d, '1')).includes('backing_off'))
  assert.equal((await d.get('/tasks/1')).body.retry_count, 1)
  assert.ok(Date.parse((await reason(d, '1', 'backing_off')).until) > Date.now() + 500e3)
  fs.writeFileSync(d.file('mended'), '')
  assert.deepEqual((await d.post('/tasks/1/retry')).body, { task_id: '1', queue_name: 'Todo', moved: false, retry_count: 0 })
  await d.until(() => d.where()['1'] === 'Done')
  await d.until(() => ran(d).includes('2'))
  const busy = await d.post('/tasks/2/retry')
  assert.equal(busy.status, 409)
  assert.match(busy.body.detail, /is at work/)
  assert.equal((await d.post('/tasks/3/retry')).body.moved, false)
  assert.equal(d.where()['3'], 'Done')
  const unclear = await d.post('/tasks/4/retry')
  assert.equal(unclear.status, 409)
  assert.match(unclear.body.detail, /"Todo" and "Other"/)
  assert.equal((await d.post('/tasks/none/retry')).status, 404)
})

test('explain tells who is on a task and who holds the slots', async (t) => {
  const d = await start(t, {
    options: 'max_concurrent_agents = 1', board: { Todo: [task('1', 'wait'), task('2')], Other: [task('3')] },
  })
  await d.until(() => ran(d).length === 1)
  const run = await d.until(() => reason(d, '1', 'running'))
  assert.equal(run.state, 'running')
  assert.match((await explain(d, '1')).sentence, new RegExp(`run ${run.run_id} is on it`))
  const full = await reason(d, '2', 'slots_full')
  assert.deepEqual(full.held_by, [{ run_id: run.run_id, task_id: '1', queue_name: 'Todo' }])
  assert.deepEqual(await codes(d, '3'), ['no_route'])
  assert.equal((await d.get('/tasks/none/explain')).status, 404)
  go(d)
  await d.until(() => d.where()['2'] === 'Done')
  await d.until(async () => (await codes(d, '2'))[0] === 'no_route')
  assert.equal(await d.stop(), 0)
})

test('questions under way are answered when the daemon stops', async (t) => {
  const d = await start(t, { route: 'when = function() athanore.sleep(20) return true end', board: { Todo: [task('1')] } })
  await d.post('/pause')
  const asked = Array.from({ length: 5 }, () => d.get('/tasks/1/explain'))
  const changes = Array.from({ length: 5 }, (_, i) => d.post('/pause', { queue_name: 'Todo' }).then((answer) => [i, answer.status]))
  await d.until(() => d.log.filter((record) => /routes: paused|Todo: paused/.test(record.message)).length >= 2)
  assert.equal(await d.stop(), 0)
  for (const answer of await Promise.all(asked)) assert.equal(answer.status, 503)
  await Promise.all(changes)
})

test('explain asks when, and tells of max_concurrent and of failed prompts', async (t) => {
  const d = await start(t, {
    prompt: 'if id == "bad" then error("no such thing") end return task.description',
    route: 'max_concurrent = 1, when = function(task) if task.id == "odd" then error("odd one") end return task.id ~= "no" end',
    board: { Todo: [task('no'), task('odd'), task('bad')] },
  })
  await d.until(async () => (await codes(d, 'no')).includes('when_said_no'))
  const odd = await d.until(() => reason(d, 'odd', 'when_failed'))
  assert.match(odd.error, /routes\.lua:\d+: odd one/)
  const bad = await d.until(() => reason(d, 'bad', 'prompt_failed'))
  assert.match(bad.error, /routes\.lua:\d+: no such thing/)
  assert.ok(Date.parse(bad.until))
  add(d, 'Todo', task('1', 'wait'), task('2'))
  await d.until(() => ran(d).length === 1)
  const full = await d.until(() => reason(d, '2', 'route_full'))
  assert.deepEqual([full.max_concurrent, full.held_by.map((holder) => holder.task_id)], [1, ['1']])
  go(d)
})

for (const [name, options, route] of [['all', 'max_concurrent_agents = 1', ''], ['a route', '', 'max_concurrent = 1,']]) {
  test(`tasks that are not ready and share one slot of ${name} are not polled without end`, async (t) => {
    const d = await start(t, {
      options: options, route: `${route} poll_interval = 600, when = function(task) return task.id == "last" end`,
      board: { Todo: [task('1'), task('2'), task('3'), task('last')] },
    })
    await d.until(() => d.where().last === 'Done')
    for (let i = 0; i < 20; i++) await d.get('/tasks/1/explain')
    const polls = Number(/^athanore_polls_total (\d+)$/m.exec((await d.get('/metrics')).text)[1])
    assert.ok(polls < 20, `${polls} polls`)
  })
}

test('a task that waits for its next try does not make the others be polled without end', async (t) => {
  const d = await start(t, {
    prompt: 'error("bad")', route: 'poll_interval = 600, when = function(task) return task.id == "bad" end',
    board: { Todo: [task('bad'), task('no')] },
  })
  await d.until(() => reason(d, 'bad', 'prompt_failed'))
  await d.post('/poll')
  for (let i = 0; i < 20; i++) await d.get('/tasks/no/explain')
  const polls = Number(/^athanore_polls_total (\d+)$/m.exec((await d.get('/metrics')).text)[1])
  assert.ok(polls < 10, `${polls} polls`)
})

test('explain tells when the next poll is', async (t) => {
  const d = await start(t, { route: 'poll_interval = 600' })
  await polled(d)
  fs.writeFileSync(d.file('gate'), '')
  // A task that a poll did not see: of a script whose `when` has changed its mind.
  await d.stop()
  fs.writeFileSync(d.file('routes.lua'), routes({
    route: 'poll_interval = 600, when = function() local f = io.open("gate"); if f then f:close() end; return f == nil end',
  }))
  add(d, 'Todo', task('1'))
  await d.start()
  await d.until(async () => (await codes(d, '1')).includes('when_said_no'))
  await d.until(async () => (await d.get('/metrics')).text.match(/^athanore_polls_total [1-9]/m))
  fs.rmSync(d.file('gate'))
  const next = await d.until(() => reason(d, '1', 'waiting_for_poll'))
  assert.ok(Date.parse(next.at) > Date.now() + 300e3)
  await d.post('/poll')
  await d.until(() => d.where()['1'] === 'Done')
})

test('a broken board makes it not ready, and explain says so', async (t) => {
  const d = await start(t, { board: { Todo: [] } })
  await d.until(async () => (await d.get('/readyz')).status === 200)
  assert.deepEqual((await d.get('/readyz')).body, { status: 'ready' })
  const good = fs.readFileSync(d.file('board.json'))
  fs.writeFileSync(d.file('board.json'), '{"queues": ')
  const answer = await d.until(async () => {
    const got = await d.get('/readyz')
    return got.status === 503 && got
  })
  assert.match(answer.headers['content-type'], /problem\+json/)
  assert.deepEqual(answer.body.reasons.map((item) => item.code), ['backend_unavailable'])
  assert.match(answer.body.reasons[0].message, /board\.json/)
  assert.deepEqual(await codes(d, '1'), ['backend_unavailable'])
  assert.match((await d.get('/metrics')).text, /^athanore_ready 0$/m)
  fs.writeFileSync(d.file('board.json'), good)
  await d.until(async () => (await d.get('/readyz')).status === 200)
})

test('metrics are what Prometheus reads', async (t) => {
  const queue = 'To "do"\\n\\\\'
  const d = await startDaemon(t, {
    files: { agent },
    routes: routes({ options: 'max_retries = 1' }).replace('"Todo"', `"${queue.replaceAll('"', '\\"')}"`),
    board: board({ 'To "do"\n\\': [task('1'), task('2', 'fail')] }),
  })
  await d.until(() => d.where()['1'] === 'Done')
  await d.until(async () => /outcome="failure"\} 2$/m.test((await d.get('/metrics')).text))
  await d.until(async () => /^athanore_slots_used 0$/m.test((await d.get('/metrics')).text))
  await d.get('/nothing')
  const answer = await d.get('/metrics')
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  const samples = new Map()
  const types = new Map()
  assert.ok(answer.text.endsWith('\n'))
  for (const line of answer.text.trimEnd().split('\n')) {
    const comment = /^# (HELP|TYPE) (\w+) (.+)$/.exec(line)
    if (comment) {
      if (comment[1] === 'TYPE') types.set(comment[2], comment[3])
      continue
    }
    const sample = /^(\w+)(\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (-?[\d.e+]+)$/.exec(line)
    assert.ok(sample, `no sample: ${line}`)
    assert.ok(types.has(sample[1].replace(/_(sum|count)$/, '')), `no type: ${line}`)
    const key = sample[1] + (sample[2] ?? '')
    assert.ok(!samples.has(key), `twice: ${key}`)
    samples.set(key, Number(sample[3]))
  }
  const label = 'queue="To \\"do\\"\\n\\\\"'
  assert.equal(samples.get(`athanore_runs_total{${label},outcome="success"}`), 1)
  assert.equal(samples.get(`athanore_runs_total{${label},outcome="failure"}`), 2)
  assert.equal(samples.get(`athanore_retries_total{${label}}`), 1)
  assert.equal(samples.get(`athanore_run_duration_seconds_count{${label}}`), 3)
  assert.ok(samples.get(`athanore_run_duration_seconds_sum{${label}}`) > 0)
  assert.equal(samples.get('athanore_slots'), 3)
  assert.equal(samples.get('athanore_slots_used'), 0)
  assert.equal(samples.get('athanore_http_requests_total{status="404"}'), 1)
  assert.ok(samples.get('athanore_http_requests_total{status="200"}') >= 1)
  assert.ok(samples.get('athanore_polls_total') >= 1)
  assert.equal(samples.get('athanore_poll_errors_total'), 0)
  assert.equal(types.get('athanore_runs_total'), 'counter')
  assert.equal(await d.stop(), 0)
  assert.ok([...samples.keys()].some((key) => /^athanore_build_info\{version="\d/.test(key)))
})

test('--once ends although all is paused', async (t) => {
  const d = await start(t, { board: { Todo: [task('1')] } })
  await d.until(() => d.where()['1'] === 'Done')
  await d.post('/pause')
  await d.stop()
  add(d, 'Todo', task('2'))
  await d.start({ args: ['--once'] })
  assert.equal(await d.exitCode(), 0)
  assert.equal(d.where()['2'], 'Todo')
})
