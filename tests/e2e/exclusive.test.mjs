// Two that want the same: one daemon for a state folder and for a board, one run for a task.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { athanore, makeDir, startDaemon, test } from './lib/daemon.mjs'
import { board, inQueue, ledger, ledgerBoard, linesOf, routes, tally } from './lib/scenes.mjs'

const waiting = `#!/bin/sh
echo "begin $ATHANORE_TASK_ID" >> ran
while [ ! -e "go-$ATHANORE_ATTEMPT" ] && [ ! -e go ]; do sleep 0.02; done
echo "end $ATHANORE_TASK_ID" >> ran
exit \${EXIT:-0}
`

const go = (d, name = 'go') => fs.writeFileSync(d.file(name), '')
const ran = (d) => linesOf(d.file('ran'))

// As a person does: a task that is as it was before the claim is taken for the work of a program that
// had not seen it yet.
const moveBack = (d) => d.editBoard((b) => {
  b.queues.Todo.push({ ...b.queues['In Progress'].pop(), description: 'once more' })
})

// No task was begun while it ran already.
function assertNeverTwiceAtOnce(lines) {
  const open = new Set()
  for (const line of lines) {
    const [what, id] = line.split(' ')
    assert.equal(open.has(id), what === 'end', lines.join(', '))
    if (what === 'begin') open.add(id)
    else open.delete(id)
  }
}

test('the second daemon on a state folder says who holds it, and ends', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board(0), files: { 'agent.sh': waiting } })
  const result = await athanore(t, ['--port', '0', 'routes.lua'], { cwd: d.dir })
  assert.equal(result.code, 1)
  assert.match(result.stderr, new RegExp(`process ${d.pid} is running with the state folder ${d.stateDir} already`))
  assert.equal((await d.get('/healthz')).status, 200)
})

test('the state folder of a daemon that was killed is free', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board(0), files: { 'agent.sh': waiting } })
  await d.kill9()
  await d.start()
})

// The same board by another name too: a link is no other board.
for (const [name, link] of [['by its name', false], ['by a link', true]]) {
  test(`the second daemon on a board, ${name}, says who holds it, and ends`, async (t) => {
    const d = await startDaemon(t, { routes: routes(), board: board(0), files: { 'agent.sh': waiting } })
    const dir = makeDir(t)
    const file = link ? path.join(dir, 'board.json') : d.file('board.json')
    if (link) fs.symlinkSync(d.file('board.json'), file)
    fs.writeFileSync(path.join(dir, 'other.lua'), routes({ backend: `athanore.json_file "${file}"` }).replace('./agent.sh', '/bin/true'))
    const result = await athanore(t, ['--port', '0', 'other.lua'], { cwd: dir })
    assert.equal(result.code, 1, result.stderr)
    assert.match(result.stderr, new RegExp(`process ${d.pid}\\b`))
    assert.match(result.stderr, /board\.json/)
    assert.equal((await d.get('/healthz')).status, 200)
  })
}

test('two daemons on one board that start at once: one of them works', async (t) => {
  const dir = makeDir(t)
  const files = { 'agent.sh': waiting, 'other.lua': routes({ route: 'success_queue = "Done",' }) }
  const one = await startDaemon(t, { dir, files, routes: routes({ route: 'success_queue = "Done",' }), board: board(3), ready: false })
  const two = await startDaemon(t, { dir, name: 'other', ready: false })
  one.wanted = two.wanted = true
  go(one)
  await one.until(() => one.exit || two.exit)
  const [loser, winner] = one.exit ? [one, two] : [two, one]
  assert.equal(loser.exit.code, 1)
  await winner.until(() => inQueue(winner, 'Done') === 3)
  assert.deepEqual(tally(ran(winner)), tally([1, 2, 3].flatMap((id) => [`begin ${id}`, `end ${id}`])))
  assert.equal(winner.exit, undefined)
})

test('a task that is moved back to its queue while its agent runs is not run twice at once', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ route: 'success_queue = "Done",' }),
    board: board(1),
    files: { 'agent.sh': waiting },
  })
  await d.until(() => d.where()[1] === 'In Progress' && ran(d).length === 1)
  moveBack(d)
  // Two polls that have begun after the edit.
  const polled = async () => (await d.get('/status')).body.last_poll_at
  for (let i = 0; i < 2; i++) {
    const before = await polled()
    await d.until(async () => (await polled()) > before)
  }
  assert.deepEqual(ran(d), ['begin 1'])
  assert.equal(d.where()[1], 'Todo')
  go(d)
  // It stands where a person put it: a new run.
  await d.until(() => inQueue(d, 'Done') === 1)
  assert.deepEqual(ran(d), ['begin 1', 'end 1', 'begin 1', 'end 1'])
})

test('the same, with a daemon that is killed meanwhile', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ route: 'success_queue = "Done",' }),
    board: board(1),
    files: { 'agent.sh': waiting },
  })
  await d.until(() => d.where()[1] === 'In Progress' && ran(d).length === 1)
  await d.kill9()
  moveBack(d)
  await d.start()
  await d.untilLog('taken up again')
  const first = (await d.get('/status')).body.last_poll_at
  await d.until(async () => (await d.get('/status')).body.last_poll_at > first)
  assert.deepEqual(ran(d), ['begin 1'])
  go(d)
  await d.until(() => inQueue(d, 'Done') === 1)
  assertNeverTwiceAtOnce(ran(d))
})

test('a task that fails after it was moved back is left where it is', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ options: 'max_retries = 1, dead_letter_queue = "Dead", retry_backoff = 3600,' }),
    board: board(1),
    files: { 'agent.sh': waiting },
    env: { EXIT: '5' },
  })
  await d.until(() => d.where()[1] === 'In Progress' && ran(d).length === 1)
  d.editBoard((b) => { b.queues.Done.push(b.queues['In Progress'].pop()) })
  go(d)
  await d.untilLog('run ended')
  assert.equal(d.where()[1], 'Done')
  assert.deepEqual(ran(d), ['begin 1', 'end 1'])
})

test('of two tasks with one id the first is run, and the other is named', async (t) => {
  const twins = board(1)
  twins.queues.Todo.push({ id: '1', name: 'twin' })
  const d = await startDaemon(t, {
    routes: routes({ route: 'success_queue = "Done",' }),
    board: twins,
    files: { 'agent.sh': waiting, go: '' },
  })
  await d.untilLog(/the id "?1"? stands twice/)
  await d.until(() => inQueue(d, 'Done') === 1)
  assert.deepEqual(d.board().queues.Todo, [{ id: '1', name: 'twin' }])
  assert.equal(d.board().queues.Done[0].name, 'task 1')
  d.editBoard((b) => { b.queues.Todo[0].id = '2' })
  await d.until(() => inQueue(d, 'Done') === 2)
  assertNeverTwiceAtOnce(ran(d))
  assert.deepEqual(tally(ran(d)), { 'begin 1': 1, 'end 1': 1, 'begin 2': 1, 'end 2': 1 })
})

test('a twin that appears while the agent runs waits for its end', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ route: 'success_queue = "Done",' }),
    board: board(1),
    files: { 'agent.sh': waiting },
  })
  await d.until(() => d.where()[1] === 'In Progress' && ran(d).length === 1)
  d.editBoard((b) => { b.queues.Todo.push({ id: '1', name: 'twin' }) })
  await d.untilLog(/the id "?1"? stands twice/)
  const polled = (await d.get('/status')).body.last_poll_at
  await d.until(async () => (await d.get('/status')).body.last_poll_at > polled)
  assert.deepEqual(ran(d), ['begin 1'])
  go(d)
  await d.until(() => inQueue(d, 'Done') === 1)
  assertNeverTwiceAtOnce(ran(d))
})

test('an adapter that names a task twice gets it run once', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({
      backend: 'require("twins")',
      route: 'success_queue = "Done",',
    }),
    files: {
      'agent.sh': waiting,
      'ledger.lua': ledger,
      'tasks.json': ledgerBoard(1),
      'twins.lua': `
local adapter = require "ledger"
local get_ready_tasks = adapter.get_ready_tasks
function adapter.get_ready_tasks(self, queues)
  local ready = get_ready_tasks(self, queues)
  if ready[1] then ready[2] = ready[1] end
  return ready
end
return adapter`,
    },
  })
  await d.until(() => ran(d).length > 0)
  const polled = (await d.get('/status')).body.last_poll_at
  await d.until(async () => (await d.get('/status')).body.last_poll_at > polled)
  assert.deepEqual(ran(d), ['begin 1'])
  assert.equal((await d.get('/status')).body.active_agents, 1)
  go(d)
  await d.untilLog('run ended')
  assert.deepEqual(ran(d), ['begin 1', 'end 1'])
})
