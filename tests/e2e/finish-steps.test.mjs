// Backends and disks that fail while a run begins or ends: each comment comes once, the move happens.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe } from 'node:test'
import { atEnd, makeDir, patience, startDaemon, test } from './lib/daemon.mjs'
import { board, commentsOf, inQueue, ledger, ledgerBoard, linesOf, outputOf, routes } from './lib/scenes.mjs'

// Waits, then fails.
const agent = `#!/bin/sh
echo "$ATHANORE_TASK_ID" >> ran
while [ ! -e go ]; do sleep 0.02; done
echo out
exit 3
`
const comments = ['Agent failed: exit code 3.', 'Max retries (0) exhausted. Moving to dead-letter queue.']
const failing = 'max_retries = 0, dead_letter_queue = "Dead",'

const go = (d) => fs.writeFileSync(d.file('go'), '')
const status = async (d) => (await d.get('/status')).body
const calls = (d) => linesOf(d.file('calls'))

// ---- An adapter that fails

const tasks = (d) => JSON.parse(fs.readFileSync(d.file('tasks.json'), 'utf8'))
const setFault = (d, op, text) => fs.writeFileSync(d.file(`fault-${op}`), text)

async function startLedger(t, faults = {}) {
  const d = await startDaemon(t, {
    routes: routes({ options: failing, backend: 'require("ledger")' }),
    files: {
      'agent.sh': agent,
      'ledger.lua': ledger,
      'tasks.json': ledgerBoard(1),
      ...Object.fromEntries(Object.entries(faults).map(([op, text]) => [`fault-${op}`, text])),
    },
  })
  await d.until(() => linesOf(d.file('ran')).length === 1)
  return d
}

async function assertEndedOnce(d) {
  await d.until(() => tasks(d)[0].queue === 'Dead', { timeout: 30000 })
  await d.untilLog('run ended', { timeout: 30000 })
  assert.deepEqual(tasks(d)[0].comments.map((comment) => comment.text), comments)
  assert.deepEqual(linesOf(d.file('ran')), ['1'])
  assert.deepEqual((await status(d)).needs_attention, [])
}

const faults = [
  ['add_comment', 'unavailable 3'], ['add_comment', 'timeout 3'], ['add_comment', 'internal 1'], ['add_comment', 'rate_limited 2'],
  ['add_comment', 'late unavailable 1'], ['add_comment', 'late timeout 3'],
  ['move_task', 'unavailable 3'], ['move_task', 'timeout 3'], ['move_task', 'late unavailable 1'], ['move_task', 'late timeout 1'],
  ['get_task', 'unavailable 3'], ['get_task', 'timeout 3'],
]

describe('a backend that fails at the end of a run', { concurrency: 6 }, () => {
  for (const [op, text] of faults) {
    test(`${op}: ${text}`, async (t) => {
      const d = await startLedger(t)
      setFault(d, op, text)
      go(d)
      await assertEndedOnce(d)
      assert.ok(calls(d).includes(`${op} ${text.startsWith('late') ? 'late' : 'fails'}`), 'it failed')
    })
    test(`${op}: ${text}, and the daemon is killed`, async (t) => {
      const d = await startLedger(t)
      setFault(d, op, text)
      go(d)
      await d.until(() => calls(d).some((line) => line === `${op} fails` || line === `${op} late`))
      await d.kill9()
      await d.start()
      await assertEndedOnce(d)
    })
  }
})

describe('a backend that fails at a claim', { concurrency: 6 }, () => {
  for (const text of ['unavailable 2', 'timeout 1', 'late unavailable 1', 'late timeout 1']) {
    test(text, async (t) => {
      const d = await startLedger(t, { move_task: text })
      go(d)
      await assertEndedOnce(d)
    })
  }
})

for (const kind of ['forbidden', 'invalid', 'unauthorized']) {
  test(`a move that is ${kind} needs attention, and is made once it can be`, async (t) => {
    const d = await startLedger(t)
    setFault(d, 'move_task', `${kind} 1000`)
    go(d)
    const [item] = await d.until(async () => {
      const list = (await status(d)).needs_attention
      return list.length && list
    })
    assert.equal(item.task_id, '1')
    assert.match(item.message, new RegExp(`cannot move the task to "Dead": .*${kind}`))
    await d.kill9()
    await d.start()
    await d.until(async () => (await status(d)).needs_attention.length === 1)
    fs.rmSync(d.file('fault-move_task'))
    await assertEndedOnce(d)
  })
}

// ---- A board that cannot be used

const breakings = {
  broken: { do: (d) => fs.writeFileSync(d.file('board.json'), '{"queues": {"Todo": [\n oops'), error: /line 2/ },
  gone: { do: (d) => fs.rmSync(d.file('board.json')), error: /board\.json/ },
  'a folder': { do: (d) => { fs.rmSync(d.file('board.json')); fs.mkdirSync(d.file('board.json')) }, error: /board\.json/ },
}

describe('a board that cannot be used when a run ends', { concurrency: 3 }, () => {
  for (const [name, breaking] of Object.entries(breakings)) {
    for (const killed of [false, true]) {
      test(name + (killed ? ', with a daemon that is killed' : ''), async (t) => {
        const d = await startDaemon(t, { routes: routes({ options: failing }), board: board(1), files: { 'agent.sh': agent } })
        await d.until(() => linesOf(d.file('ran')).length === 1)
        const text = fs.readFileSync(d.file('board.json'))
        breaking.do(d)
        assert.match(await d.until(async () => (await status(d)).queue.error), breaking.error)
        go(d)
        await d.untilLog(/cannot (comment on|see where) the task/)
        if (killed) {
          await d.kill9()
          await d.start()
          assert.match(await d.until(async () => (await status(d)).queue.error), breaking.error)
        }
        if (name === 'broken') assert.match(fs.readFileSync(d.file('board.json'), 'utf8'), /oops/)
        fs.rmSync(d.file('board.json'), { recursive: true, force: true })
        fs.writeFileSync(d.file('board.json.mended'), text)
        fs.renameSync(d.file('board.json.mended'), d.file('board.json'))
        await d.until(() => inQueue(d, 'Dead') === 1)
        await d.until(() => commentsOf(d, '1').length === 2)
        await d.untilLog('run ended')
        assert.deepEqual(commentsOf(d, '1'), comments)
        assert.equal((await status(d)).queue.error, null)
      })
    }
  }
})

// ---- A full disk

function mountSmall(t) {
  const mount = path.join(makeDir(t), 'state')
  fs.mkdirSync(mount)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', mount]).status !== 0) return undefined
  atEnd(t, () => spawnSync('umount', ['-l', mount]))
  return mount
}

// Takes what space there is, to the last byte.
function fill(dir) {
  const fd = fs.openSync(path.join(dir, 'filler'), 'w')
  for (let size = 65536; size >= 1; ) {
    try {
      if (fs.writeSync(fd, Buffer.alloc(size)) < size) size >>= 1
    } catch (error) {
      if (error.code !== 'ENOSPC') throw error
      size >>= 1
    }
  }
  fs.closeSync(fd)
}

async function startOnSmallDisk(t, n) {
  const mount = mountSmall(t)
  if (!mount) return t.skip('no tmpfs can be mounted')
  return Object.assign(await startDaemon(t, {
    routes: routes({ options: failing }),
    board: board(n),
    files: { 'agent.sh': agent },
    args: ['--state-dir', mount],
  }), { mount })
}

test('on a full disk nothing is claimed, and it is when there is room', async (t) => {
  const d = await startOnSmallDisk(t, 0)
  if (!d) return
  fill(d.mount)
  d.editBoard((b) => { b.queues.Todo.push({ id: '1', name: 'late' }) })
  const error = await d.until(async () => (await status(d)).storage_error)
  assert.match(error, /athanore\.db/)
  assert.match(error, /full/)
  await d.untilLog((record) => record.level === 'error' && record.message.includes(error))
  const polled = (await status(d)).last_poll_at
  await d.until(async () => (await status(d)).last_poll_at > polled)
  assert.equal(d.where()[1], 'Todo')
  assert.deepEqual(linesOf(d.file('ran')), [])
  assert.equal(d.log.filter((record) => record.level === 'error').length, 1, 'it is said once')
  go(d)
  fs.rmSync(path.join(d.mount, 'filler'))
  await d.until(() => inQueue(d, 'Dead') === 1)
  await d.untilLog('run ended')
  assert.equal((await status(d)).storage_error, null)
  assert.deepEqual(linesOf(d.file('ran')), ['1'])
  assert.deepEqual(commentsOf(d, '1'), comments)
})

test('a run that ends on a full disk is finished when there is room', async (t) => {
  const d = await startOnSmallDisk(t, 1)
  if (!d) return
  await d.until(() => linesOf(d.file('ran')).length === 1)
  fill(d.mount)
  go(d)
  await d.until(async () => (await status(d)).storage_error, { timeout: 20000 })
  fs.rmSync(path.join(d.mount, 'filler'))
  await d.until(() => inQueue(d, 'Dead') === 1, { timeout: 30000 })
  await d.untilLog('run ended')
  assert.deepEqual(linesOf(d.file('ran')), ['1'])
  assert.deepEqual(commentsOf(d, '1'), comments)
})

test('many runs whose backend is away all end when it is back', { timeout: 120000 * patience }, async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ options: failing + 'max_concurrent_agents = 10,', backend: 'require("ledger")' }).replace('max_concurrent_agents = 5,', ''),
    files: { 'agent.sh': agent, 'ledger.lua': ledger, 'tasks.json': ledgerBoard(10) },
  })
  await d.until(() => linesOf(d.file('ran')).length === 10)
  for (const op of ['add_comment', 'move_task', 'get_task', 'get_ready_tasks']) setFault(d, op, 'unavailable 12')
  go(d)
  await d.until(() => tasks(d).every((task) => task.queue === 'Dead'), { timeout: 60000 })
  await d.until(() => d.log.filter((record) => /^run ended/.test(record.message)).length === 10)
  for (const task of tasks(d)) assert.deepEqual(task.comments.map((comment) => comment.text), comments)
  for (const run of d.runs()) assert.deepEqual(outputOf(run), ['out'])
})
