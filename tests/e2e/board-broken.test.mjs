// A board that cannot be read or written: said clearly, nothing lost, and over by itself once it is mended.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { atEnd, buildDir, startDaemon, test, writeFiles } from './lib/daemon.mjs'
import { assertEachRanOnce, assertUnavailable, fault, readBoard, runsByTask, script, tasks, waitingAgent } from './lib/boards.mjs'

const goodBoard = () => ({ queues: { Todo: [], Doing: [], Done: [], Other: tasks(1, 3) } })

// Every kind of call is answered while the fault lasts.
async function assertAllRefused(d, pattern) {
  const answers = await Promise.all([
    d.get('/tasks/1'), d.get('/queues'), d.get('/queues/Todo'),
    d.post('/tasks/1/comments', { comment: 'c' }), d.post('/tasks/1/move', { target_queue: 'Done' }),
    d.patch('/tasks/1', { name: 'x' }), d.post('/tasks', { queue_name: 'Todo', name: 'x' }),
  ])
  for (const answer of answers) assertUnavailable(answer, pattern)
}

const breakages = [
  ['half a board', '{\n  "queues": {\n    "Todo": [{"id": "1", "na', /broken: line 3, column \d+/],
  ['a missing comma', '{"queues": {\n "Todo": [{"id": "1"}\n  {"id": "2"}]}}', /broken: line 3, column 3/],
  ['no board', '[1, 2]', /broken: line 1, column 1: .*queues/],
  ['no queues', '{"tasks": []}', /broken: .*"queues"/],
  ['an empty file', '', /broken: line 1, column 1/],
  ['bytes that are no UTF-8', Buffer.from('{"queues": {"Todo": [{"id": "\xff"}]}}', 'latin1'), /broken: line 1, column \d+/],
  ['NUL bytes, as after a power cut', Buffer.alloc(300), /broken: line 1, column 1/],
]

for (const [name, content, pattern] of breakages)
  test(`a board broken by ${name} is named with its place, and taken up again`, async (t) => {
    const d = await startDaemon(t, { routes: script({ poll_interval: 60 }), board: goodBoard() })
    assert.equal((await d.get('/tasks/1')).status, 200)
    assert.equal(await fault(d), null)
    fs.writeFileSync(d.file('board.json'), content)
    await d.until(async () => pattern.test(await fault(d)))
    const record = await d.untilLog((record) => record.level === 'error' && pattern.test(record.message))
    assert.ok(record.message.includes(d.file('board.json')), record.message)
    await assertAllRefused(d, pattern)
    assert.deepEqual(fs.readFileSync(d.file('board.json')), Buffer.from(content), 'a broken file is never written')
    const errors = () => d.log.filter((record) => record.level === 'error' && /broken/.test(record.message)).length
    assert.ok(errors() <= 2, 'a fault is not said again and again')

    const board = goodBoard()
    board.queues.Todo = tasks(11, 12)
    fs.writeFileSync(d.file('board.json'), JSON.stringify(board))
    await d.until(() => d.where()['11'] === 'Done' && d.where()['12'] === 'Done')
    assert.equal(await fault(d), null)
    assert.equal((await d.post('/tasks/1/move', { target_queue: 'Done' })).status, 200)
    assertEachRanOnce(d, ['11', '12'])
  })

test('a board that an editor empties for a moment is no fault', async (t) => {
  const d = await startDaemon(t, { routes: script({ poll_interval: 60 }), board: goodBoard() })
  assert.equal((await d.get('/tasks/1')).status, 200)
  const text = readBoard(d)
  for (let n = 1; n <= 20; n++) {
    const fd = fs.openSync(d.file('board.json'), 'r+')
    fs.ftruncateSync(fd)
    const pending = [d.post('/tasks/1/comments', { comment: `c${n}` }), d.get('/tasks/2')]
    await d.get('/healthz') // so that the daemon has come by in the meantime
    fs.writeSync(fd, n === 1 ? text : d.lastText, 0)
    fs.closeSync(fd)
    assert.deepEqual((await Promise.all(pending)).map((answer) => answer.status), [201, 200])
    d.lastText = readBoard(d)
  }
  const task = d.board().queues.Other.find((task) => task.id === '1')
  assert.deepEqual(task.comments.map((comment) => comment.text), Array.from({ length: 20 }, (_, i) => `c${i + 1}`))
  assert.deepEqual(d.log.filter((record) => record.level === 'error'), [])
})

test('an agent at work outlives a broken board, and its result is kept until it is mended', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ command: './agent.sh' }),
    board: { queues: { Todo: tasks(1, 2), Doing: [], Done: [] } },
    files: { 'agent.sh': waitingAgent },
  })
  await d.until(() => d.where()['1'] === 'Doing' && d.where()['2'] === 'Doing')
  const text = readBoard(d)
  fs.writeFileSync(d.file('board.json'), text.slice(0, 40))
  await d.until(async () => /line \d+, column \d+/.test(await fault(d)))
  fs.writeFileSync(d.file('go'), '')
  await d.until(() => d.runs().every(({ exit }) => exit))
  await d.until(async () => (await d.get('/agents')).body.agents.every((agent) => !agent.running))
  assert.equal(readBoard(d), text.slice(0, 40))
  fs.writeFileSync(d.file('board.json'), text)
  await d.until(() => d.where()['1'] === 'Done' && d.where()['2'] === 'Done')
  assertEachRanOnce(d, ['1', '2'])
})

test('nothing is claimed from a broken board, and each task runs once', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_concurrent_agents: 2, poll_interval: 0.05 }),
    board: { queues: { Todo: tasks(1, 40), Doing: [], Done: [] } },
    logLevel: 'info',
  })
  for (let n = 1; n <= 4; n++) {
    await d.until(() => Object.keys(runsByTask(d)).length >= Math.min(40, n * 5))
    // Opened, read and broken as one write, while the daemon writes too: what is torn is our own word.
    const text = readBoard(d)
    fs.writeFileSync(d.file('.editor'), text.slice(0, -20))
    fs.renameSync(d.file('.editor'), d.file('board.json'))
    await d.until(async () => (await fault(d)) !== null)
    const before = Object.keys(runsByTask(d)).length
    assertUnavailable(await d.post('/tasks/1/comments', { comment: 'c' }), /broken/)
    assert.equal(Object.keys(runsByTask(d)).length, before)
    fs.writeFileSync(d.file('.editor'), text)
    fs.renameSync(d.file('.editor'), d.file('board.json'))
    await d.until(async () => (await fault(d)) === null)
  }
  await d.until(() => tasks(1, 40).every(({ id }) => d.where()[id] === 'Done'), { timeout: 60000 })
  assertEachRanOnce(d, tasks(1, 40).map(({ id }) => id))
})

test('a board that is taken away is missed, and welcome when it is back', async (t) => {
  const d = await startDaemon(t, { routes: script({ poll_interval: 60 }), board: goodBoard() })
  assert.equal((await d.get('/tasks/1')).status, 200)
  fs.renameSync(d.file('board.json'), d.file('elsewhere.json'))
  await d.until(async () => /there is no board .*board\.json/.test(await fault(d)))
  await assertAllRefused(d, /there is no board/)
  assert.ok(!fs.existsSync(d.file('board.json')), 'it is not made again')
  fs.renameSync(d.file('elsewhere.json'), d.file('board.json'))
  await d.until(async () => (await d.get('/tasks/1')).status === 200)
  assert.equal(await fault(d), null)
})

test('a folder or a pipe in the place of the board holds up nothing', async (t) => {
  const d = await startDaemon(t, { routes: script({ poll_interval: 60 }), board: goodBoard() })
  for (const make of [() => fs.mkdirSync(d.file('board.json')), () => execFileSync('mkfifo', [d.file('board.json')])]) {
    fs.rmSync(d.file('board.json'), { recursive: true })
    make()
    await d.until(async () => /board\.json/.test(await fault(d)) && /no regular file/.test(await fault(d)))
    await assertAllRefused(d, /no regular file/)
    assert.equal((await d.get('/healthz')).status, 200)
  }
  fs.rmSync(d.file('board.json'))
  fs.writeFileSync(d.file('board.json'), JSON.stringify(goodBoard()))
  await d.until(async () => (await d.get('/tasks/1')).status === 200)
})

const isRoot = process.getuid() === 0

// A file's mode is nothing to root: the daemon runs as somebody else, from a copy that he can reach.
async function startAsNobody(t, options) {
  const dir = fs.mkdtempSync('/tmp/athanore-') // the tests' own folder may be closed to others
  atEnd(t, () => fs.rmSync(dir, { recursive: true, force: true }))
  const nobody = 65534
  for (const name of ['athanore', 'athanore-supervise']) fs.copyFileSync(path.join(buildDir, name), path.join(dir, name))
  writeFiles(dir, { 'as-nobody': `#!/bin/sh\nexec setpriv --reuid=${nobody} --regid=${nobody} --clear-groups ./athanore "$@"\n` })
  writeFiles(dir, { 'routes.lua': options.routes, 'board.json': options.board })
  for (const name of ['.', ...fs.readdirSync(dir)]) fs.chownSync(path.join(dir, name), nobody, nobody)
  return startDaemon(t, { dir, command: path.join(dir, 'as-nobody') })
}

test('a board that may not be read is named, and taken up again once it may', async (t) => {
  const options = { routes: script({ poll_interval: 1 }), board: goodBoard() }
  const d = await (isRoot ? startAsNobody(t, options) : startDaemon(t, options))
  assert.equal((await d.get('/tasks/1')).status, 200)
  const text = readBoard(d)
  fs.chmodSync(d.file('board.json'), 0)
  await d.until(async () => /Permission denied/.test(await fault(d)))
  await assertAllRefused(d, /Permission denied/)
  if (isRoot) assert.equal(readBoard(d), text)
  fs.chmodSync(d.file('board.json'), 0o644)
  await d.until(async () => (await fault(d)) === null)
  assert.equal((await d.post('/tasks/1/move', { target_queue: 'Todo' })).status, 200)
  await d.until(() => d.where()['1'] === 'Done')
})
