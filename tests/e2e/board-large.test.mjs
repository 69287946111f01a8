// Many tasks on one board: all done, each once, and the daemon answers all the while.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { makeDir, patience, startDaemon, test } from './lib/daemon.mjs'
import { assertEachRanOnce, conflicts, ids, readBoard, repeatedly, runModule, script, tasks } from './lib/boards.mjs'

// Sorted latencies in milliseconds of GET /healthz, again and again while fn runs.
async function latenciesDuring(d, fn) {
  const probe = repeatedly(async () => {
    const before = performance.now()
    assert.equal((await d.get('/healthz')).status, 200)
    return performance.now() - before
  }, 2)
  await fn()
  const all = await probe.stop()
  return all.sort((a, b) => a - b)
}

const worst = (sorted) => sorted.at(-1)
const median = (sorted) => sorted[sorted.length >> 1]

// A folder in memory where there is one: syncing some ten thousand files is the disk's time, not ours.
function fastDir(t) {
  makeDir(t) // its end, and with it the daemon's, comes before that of this one
  if (!fs.existsSync('/dev/shm')) return makeDir(t)
  const dir = fs.mkdtempSync('/dev/shm/athanore-')
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }))
  return dir
}

test('two thousand tasks, thirty-two at a time', { timeout: 300000 * patience }, async (t) => {
  const count = 2000
  const d = await startDaemon(t, {
    dir: fastDir(t),
    routes: script({ max_concurrent_agents: 32, poll_interval: 1 }),
    board: { queues: { Todo: tasks(1, count), Doing: [], Done: [] } },
    logLevel: 'info',
  })
  const latencies = await latenciesDuring(d, () => d.until(() => d.board().queues.Done.length === count, { timeout: 240000, interval: 100 }))
  const text = readBoard(d)
  await d.until(async () => (await d.get('/agents')).body.agents.length === 0)
  assert.equal(readBoard(d), text)
  const all = tasks(1, count).map(({ id }) => id)
  assert.deepEqual(ids(d).sort(), all.toSorted())
  assertEachRanOnce(d, all)
  assert.ok(d.runs().every(({ exit }) => exit.exit_code === 0))
  assert.deepEqual(conflicts(d.dir), [])
  assert.ok(worst(latencies) < 2000 * patience, `an answer took ${worst(latencies)} ms`)
  assert.equal(await d.stop(), 0)
  assert.deepEqual(fs.readdirSync(d.dir).sort(), ['.athanore', 'board.json', 'board.json.lock', 'routes.lua'])
})

test('a board of a hundred thousand tasks does not hold up the daemon', { timeout: 300000 * patience }, async (t) => {
  const count = 100000
  const rest = tasks(1001, count, { description: 'Some words on what is to be done, about as many as people write.', labels: ['a', 'b'], comments: [] })
  const d = await startDaemon(t, {
    routes: script({ route: { queue_name: 'Elsewhere' } }),
    board: JSON.stringify({ queues: { Todo: tasks(1, 10), Doing: [], Done: [], Rest: rest } }),
    logLevel: 'info',
  })
  await d.until(async () => (await d.get('/tasks/1')).status === 200)
  const idle = await latenciesDuring(d, async () => {
    for (let i = 0; i < 300; i++) await d.get('/tasks/1')
  })
  const busy = await latenciesDuring(d, async () => {
    for (let n = 1; n <= 10; n++) {
      const begun = performance.now()
      assert.equal((await d.post(`/tasks/${n}/move`, { target_queue: 'Done' })).status, 200)
      assert.ok(performance.now() - begun < 10000 * patience)
      assert.equal((await d.post(`/tasks/${count - n}/comments`, { comment: 'c' })).status, 201)
    }
  })
  // Another program rewrites it all: read again, beside the loop.
  const reread = await latenciesDuring(d, async () => {
    const edited = await runModule(d.dir, `
import fs from 'node:fs'
const board = JSON.parse(fs.readFileSync('board.json', 'utf8'))
board.queues.Todo.push({ id: 'outside', name: 'n' })
fs.writeFileSync('.editor', JSON.stringify(board))
fs.renameSync('.editor', 'board.json')`)
    assert.equal(edited.code, 0, edited.stderr)
    await d.until(async () => (await d.get('/tasks/outside')).status === 200)
  })
  const report = `idle ${median(idle)} … ${worst(idle)}, writing ${median(busy)} … ${worst(busy)}, reading ${median(reread)} … ${worst(reread)} ms`
  t.diagnostic(report)
  for (const latencies of [busy, reread]) assert.ok(worst(latencies) < 2000 * patience, report)
  assert.ok(median(busy) < 50 * Math.max(median(idle), 1), report)
  assert.equal(d.board().queues.Done.length, 10)
  assert.equal(ids(d).length, rest.length + 11)
})

test('tasks of a board of a hundred thousand are run', { timeout: 300000 * patience }, async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_concurrent_agents: 8 }),
    board: JSON.stringify({ queues: { Todo: tasks(1, 40), Doing: [], Done: [], Rest: tasks(1001, 100000) } }),
    logLevel: 'info',
  })
  await d.until(() => d.board().queues.Done.length === 40, { timeout: 120000, interval: 200 })
  assertEachRanOnce(d, tasks(1, 40).map(({ id }) => id))
})
