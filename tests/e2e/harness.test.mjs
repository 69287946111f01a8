// The harness itself, with a stand-in for the daemon: its waiting, and that nothing of a test survives it.
import assert from 'node:assert/strict'
import path from 'node:path'
import { test as nodeTest } from 'node:test'
import { alive, athanore, makeDir, markedPids, startDaemon, test, until, writeFiles } from './lib/daemon.mjs'

// Says that it listens, leaves a child in a session of its own, and waits.
const standIn = `#!/bin/sh
echo '{"level":"info","message":"listening on 127.0.0.1:1","url":"http://127.0.0.1:1/"}' >&2
echo 'words' >&2
setsid sleep 1000 &
echo "$! $ATHANORE_TEST_ID" > pids
trap 'exit 7' TERM
while :; do sleep 0.05; done
`

function startStandIn(t, options = {}) {
  const dir = makeDir(t)
  writeFiles(dir, { 'stand-in': standIn })
  return startDaemon(t, { dir, command: path.join(dir, 'stand-in'), ...options })
}

test('it is ready when it says so, and ends with its exit code', async (t) => {
  const d = await startStandIn(t)
  assert.equal(d.url, 'http://127.0.0.1:1')
  await d.until(() => d.log.some((record) => record.raw === 'words'))
  assert.equal(await d.stop(), 7)
})

test('a killed one tells the signal, and starts again', async (t) => {
  const d = await startStandIn(t)
  const first = d.pid
  assert.equal(await d.kill9(), 'SIGKILL')
  await d.start()
  assert.notEqual(d.pid, first)
  assert.equal(await d.stop(), 7)
})

test('waiting in vain tells what for, with the log and the board', async (t) => {
  const d = await startStandIn(t, { board: { queues: { Todo: [{ id: '1', name: 'the task' }] } } })
  await assert.rejects(
    d.until(() => { throw new Error('the reason') }, { timeout: 20, what: 'the impossible' }),
    (error) => ['the impossible', 'the reason', 'listening on', 'the task'].every((part) => error.message.includes(part)),
  )
})

test('waiting ends at once where the daemon has died', async (t) => {
  const d = await startStandIn(t)
  process.kill(d.pid, 'SIGKILL')
  await assert.rejects(d.until(() => false, { timeout: 60000 }), /the daemon has ended.*SIGKILL/)
})

test('until gives back what it waited for', async () => {
  let n = 0
  assert.equal(await until(() => (++n === 3 ? 'there' : undefined)), 'there')
})

test('the board is edited and read', async (t) => {
  const d = await startStandIn(t, { board: { queues: { Todo: [{ id: '1', name: 'x' }], Done: [] } } })
  d.editBoard((board) => { board.queues.Done.push(board.queues.Todo.pop()) })
  assert.deepEqual(d.where(), { 1: 'Done' })
})

test('a command runs to its end', async (t) => {
  const result = await athanore(t, ['-c', 'cat; echo error >&2; exit 3'], { command: '/bin/sh', input: 'input' })
  assert.deepEqual(result, { code: 3, signal: null, stdout: 'input', stderr: 'error\n' })
})

nodeTest('nothing that a test started survives it', async (t) => {
  let daemon, id
  await t.test('starts', async (t) => {
    daemon = await startStandIn(t, { board: {} })
    await until(() => markedPids(daemon.context.id).length >= 2)
    id = daemon.context.id
    daemon.context.passed = true
  })
  assert.equal(alive(daemon.pid), false)
  assert.deepEqual(markedPids(id), [])
})
