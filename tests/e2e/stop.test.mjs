// Stopping: each way of on_shutdown, a second signal, claims in flight, exit codes; nothing is left running.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { alive, athanore, makeDir, markedPids, startDaemon, test, writeFiles } from './lib/daemon.mjs'
import { agent, board, comments, lua, notes, said, script } from './lib/script.mjs'

const queues = { Todo: ['1'], 'In Progress': [], Done: [] }

// What runs with the daemon's mark, the test's own process apart.
function processes(d) {
  return markedPids(d.context.id)
}

function start(t, options, body, more = {}) {
  return startDaemon(t, {
    routes: script(options, [{ queue_name: 'Todo', ...more.route }], more.script),
    board: more.board ?? board(queues),
    files: { agent: agent(body) },
  })
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`"cancel" ends the agents and puts their tasks back (${signal})`, async (t) => {
    const d = await start(t, { max_retries: 1, dead_letter_queue: 'Done' }, 'setsid sleep 1000 &\nnote "$ATHANORE_ATTEMPT"\nawait never', {
      board: board({ ...queues, Todo: ['1', '2'] }),
    })
    await d.until(() => notes(d).length === 2)
    assert.equal(await d.stop(signal), 0)
    assert.deepEqual(d.where(), { 1: 'Todo', 2: 'Todo' })
    for (const id of ['1', '2']) assert.deepEqual(said(d, id), ['Agent stopped: athanore is shutting down. Moving back to source queue.'])
    assert.deepEqual(processes(d), [])
    assert.equal(d.runs()[0].exit.reason, 'shutdown')
    // No attempt was counted.
    await d.start()
    await d.until(() => notes(d).length === 4)
    assert.deepEqual(notes(d), ['1', '1', '1', '1'])
    assert.equal((await d.get('/tasks/1')).body.retry_count, 0)
  })
}

test('an agent that is stopped has five seconds, and then none', async (t) => {
  const d = await start(t, {}, 'trap "" TERM\nnote x\nawait never')
  await d.until(() => notes(d).length === 1)
  const begun = Date.now()
  assert.equal(await d.stop(), 0)
  assert.ok(Date.now() - begun >= 4900, `${Date.now() - begun} ms`)
  assert.deepEqual(d.where(), { 1: 'Todo' })
  assert.deepEqual(processes(d), [])
})

test('a task that was moved by its agent is not put back by a stop', async (t) => {
  const d = await start(t, {}, 'move Done\nnote x\nawait never')
  await d.until(() => notes(d).length === 1)
  assert.equal(await d.stop(), 0)
  assert.deepEqual(d.where(), { 1: 'Done' })
  assert.deepEqual(said(d, '1'), ['Agent stopped: athanore is shutting down.'])
})

test('"detach" leaves the agents to the next daemon', async (t) => {
  const d = await start(t, { on_shutdown: 'detach' }, 'note $$\nawait go\nget "$task" >/dev/null\nmove Done')
  const pid = await d.until(() => Number(notes(d)[0]))
  const url = d.url
  const begun = Date.now()
  assert.equal(await d.stop(), 0)
  assert.ok(Date.now() - begun < 5000)
  assert.ok(alive(pid))
  assert.deepEqual(d.where(), { 1: 'In Progress' })
  assert.deepEqual(comments(d, '1'), [])
  await d.start()
  assert.equal(d.url, url, 'the port is kept')
  assert.equal((await d.get('/agents')).body.agents[0].task_id, '1')
  writeFiles(d.dir, { go: '' })
  await d.untilLog('run ended: success')
  assert.deepEqual(d.where(), { 1: 'Done' })
  assert.equal(notes(d).length, 1)
})

test('an agent that ends while no daemon is there is finished by the next one', async (t) => {
  const d = await start(t, { on_shutdown: 'detach', dead_letter_queue: 'Done' }, 'note $$\nawait go\nexit 4')
  const pid = await d.until(() => Number(notes(d)[0]))
  assert.equal(await d.stop(), 0)
  writeFiles(d.dir, { go: '' })
  await d.until(() => !alive(pid) && d.runs()[0].exit)
  await d.start()
  await d.until(() => d.where()[1] === 'Done')
  assert.deepEqual(comments(d, '1'), ['Agent failed: exit code 4.', 'Max retries (0) exhausted. Moving to dead-letter queue.'])
})

test('"drain" waits for the agents and begins none', async (t) => {
  const d = await start(t, { on_shutdown: 'drain', max_concurrent_agents: 1 }, 'note "$ATHANORE_TASK_ID"\nawait go\nmove Done', {
    board: board({ ...queues, Todo: ['1', '2'] }),
  })
  await d.until(() => notes(d).length === 1)
  process.kill(d.pid, 'SIGTERM')
  await d.untilLog('waiting for the agents')
  assert.equal((await d.get('/status')).body.state, 'stopping')
  writeFiles(d.dir, { go: '' })
  assert.equal(await d.exitCode(), 0)
  assert.deepEqual(d.where(), { 1: 'Done', 2: 'Todo' })
  assert.deepEqual(notes(d), ['1'])
  assert.deepEqual([comments(d, '1'), comments(d, '2')], [[], []])
})

test('a second signal ends the agents at once', async (t) => {
  const d = await start(t, { on_shutdown: 'drain' }, 'note x\nawait never')
  await d.until(() => notes(d).length === 1)
  process.kill(d.pid, 'SIGTERM')
  await d.untilLog('waiting for the agents')
  assert.ok(!d.exit)
  assert.equal(await d.stop('SIGTERM'), 0)
  assert.deepEqual(d.where(), { 1: 'Todo' })
  assert.deepEqual(said(d, '1'), ['Agent stopped: athanore is shutting down. Moving back to source queue.'])
  assert.deepEqual(processes(d), [])
})

// An agent adapter whose before() lasts until the file "go" is there, so that a claim is in flight.
const slowClaim = {
  script: {
    head: `local agent = athanore.subprocess {}
function agent.before()
  io.open("claiming", "w"):close()
  while not io.open("go") do athanore.sleep(0.02) end
end`,
  },
  route: { agent: lua('agent') },
}

async function stopDuringClaim(t, mode) {
  const d = await start(t, { on_shutdown: mode }, 'note x\nawait end\nmove Done', slowClaim)
  await d.until(() => d.where()[1] === 'In Progress' && fs.existsSync(d.file('claiming')))
  process.kill(d.pid, 'SIGTERM')
  await d.untilLog('stopping')
  assert.ok(!d.exit)
  writeFiles(d.dir, { go: '' })
  return d
}

test('a claim in flight is undone by "cancel"', async (t) => {
  const d = await stopDuringClaim(t, 'cancel')
  assert.equal(await d.exitCode(), 0)
  assert.deepEqual(d.where(), { 1: 'Todo' })
  assert.deepEqual(notes(d), [])
  assert.deepEqual(processes(d), [])
})

test('a claim in flight becomes an agent that "detach" leaves, without delay', async (t) => {
  const d = await stopDuringClaim(t, 'detach')
  const begun = Date.now()
  assert.equal(await d.exitCode(), 0)
  assert.ok(Date.now() - begun < 5000, `it took ${Date.now() - begun} ms`)
  await d.start()
  writeFiles(d.dir, { end: '' })
  await d.until(() => d.where()[1] === 'Done')
  assert.deepEqual(notes(d), ['x'])
})

test('a claim in flight is waited for by "drain"', async (t) => {
  const d = await stopDuringClaim(t, 'drain')
  await d.until(() => notes(d).length === 1)
  writeFiles(d.dir, { end: '' })
  assert.equal(await d.exitCode(), 0)
  assert.deepEqual(d.where(), { 1: 'Done' })
})

test('steps that the backend does not take end the stop after stop_timeout and are done at the next start', async (t) => {
  const d = await start(t, { stop_timeout: 0.3 }, 'note x\nawait never')
  await d.until(() => notes(d).length === 1)
  const whole = JSON.stringify(d.board())
  writeFiles(d.dir, { 'board.json': '{"queues": broken' })
  await d.until(async () => (await d.get('/status')).body.queue.error)
  assert.equal(await d.stop(), 0)
  assert.ok(d.log.some((record) => /go on at the next start/.test(record.message)))
  assert.deepEqual(processes(d), [])
  writeFiles(d.dir, { 'board.json': whole })
  await d.start()
  await d.until(() => said(d, '1').length === 1)
  await d.until(() => notes(d).length === 2)
})

test('the daemon is gone by kill -9, its agent is not, and the next daemon takes it up', async (t) => {
  const d = await start(t, {}, 'note x\nawait go\nmove Done')
  await d.until(() => notes(d).length === 1)
  await d.kill9()
  assert.ok(processes(d).length > 0)
  await d.start()
  assert.equal((await d.get('/agents')).body.agents.length, 1)
  writeFiles(d.dir, { go: '' })
  await d.untilLog('run ended: success')
  assert.equal(notes(d).length, 1)
})

test('an idle daemon stops at once', async (t) => {
  const d = await start(t, { poll_interval: 3600 }, ':', { board: board({ Todo: [], 'In Progress': [] }) })
  const begun = Date.now()
  assert.equal(await d.stop(), 0)
  assert.ok(Date.now() - begun < 3000)
  assert.equal(d.log.at(-1).message, 'stopped')
})

test('exit code 1, and why: no script, a port that is taken, a folder that is in use', async (t) => {
  const none = await athanore(t, ['none.lua'])
  assert.equal(none.code, 1)
  assert.match(none.stderr, /none\.lua.*(No such file|not found|cannot)/i)

  const d = await start(t, {}, ':')
  const routes = script({}, [{ queue_name: 'Todo' }])
  const cwd = makeDir(t)
  writeFiles(cwd, { 'routes.lua': routes, 'board.json': board(queues) })
  const port = new URL(d.url).port
  const taken = await athanore(t, ['--port', port, 'routes.lua'], { cwd })
  assert.equal(taken.code, 1)
  assert.match(taken.stderr, new RegExp(`port ${port} .*is taken`))

  const second = await athanore(t, ['--port', '0', 'routes.lua'], { cwd: d.dir })
  assert.equal(second.code, 1)
  assert.match(second.stderr, new RegExp(`process ${d.pid} `))

  // The same board under another script: the lock of the board.
  writeFiles(d.dir, { 'other.lua': routes })
  const other = await athanore(t, ['--port', '0', 'other.lua'], { cwd: d.dir })
  assert.equal(other.code, 1)
  assert.match(other.stderr, new RegExp(`${d.pid}`))
  assert.match(other.stderr, /board\.json/)
  assert.equal((await d.get('/healthz')).status, 200)
})
