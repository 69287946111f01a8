// Where a board may lie and what may be missing on it: links, odd paths, the lock, no file yet, no such queue.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { athanore, makeDir, startDaemon, test, writeFiles } from './lib/daemon.mjs'
import { assertEachRanOnce, assertUnavailable, fault, script, tasks } from './lib/boards.mjs'

const board = (more = {}) => ({ queues: { Todo: tasks(1, 2), Doing: [], Done: [], ...more } })
const queuesIn = (file) => JSON.parse(fs.readFileSync(file, 'utf8')).queues

for (const [name, file] of [
  ['with blanks and quotes', "a b/it's \"the\" board.json"], ['in Unicode', 'Bücher/板 \u{1f600}.json'],
  ['without an extension', 'board'], ['with dots', './x/../x/./board.json'], ['that is long', `${'d'.repeat(200)}/${'b'.repeat(200)}`],
])
  test(`a path ${name}`, async (t) => {
    const dir = makeDir(t)
    writeFiles(dir, { [file]: board() })
    const d = await startDaemon(t, { dir, routes: script({ board: file }) })
    await d.until(() => queuesIn(d.file(file)).Done.length === 2)
    assertEachRanOnce(d, ['1', '2'])
    assert.equal((await d.get('/status')).body.queue.identity, fs.realpathSync(d.file(file)))
  })

test('a relative path begins at the script, wherever the daemon is started', async (t) => {
  const dir = makeDir(t)
  writeFiles(dir, { 'project/board.json': board(), 'project/routes.lua': script(), 'elsewhere/board.json': board() })
  const result = await athanore(t, ['--once', '--port', '0', '../project/routes.lua'], { cwd: path.join(dir, 'elsewhere') })
  assert.equal(result.code, 0, result.stderr)
  assert.equal(queuesIn(path.join(dir, 'project/board.json')).Done.length, 2)
  assert.equal(queuesIn(path.join(dir, 'elsewhere/board.json')).Done.length, 0)
})

test('a link stays a link: the file that it names is written, also after it is set anew', async (t) => {
  const dir = makeDir(t)
  writeFiles(dir, { 'real/board.json': board(), 'routes.lua': script() })
  fs.symlinkSync('real/board.json', path.join(dir, 'middle.json'))
  fs.symlinkSync(path.join(dir, 'middle.json'), path.join(dir, 'board.json'))
  fs.chmodSync(path.join(dir, 'real/board.json'), 0o640)
  const d = await startDaemon(t, { dir })
  await d.until(() => queuesIn(d.file('real/board.json')).Done.length === 2)
  assert.equal(fs.readlinkSync(d.file('board.json')), d.file('middle.json'))
  assert.equal(fs.statSync(d.file('real/board.json')).mode & 0o777, 0o640, 'the mode is kept')
  assertEachRanOnce(d, ['1', '2'])
})

test('one board, one daemon: the second says who has it', async (t) => {
  const dir = makeDir(t)
  writeFiles(dir, { 'second.lua': script(), 'third.lua': script({ board: 'link.json' }) })
  fs.symlinkSync('board.json', path.join(dir, 'link.json'))
  const d = await startDaemon(t, { dir, routes: script(), board: board() })
  await d.until(() => d.where()['2'] === 'Done')
  for (const name of ['second.lua', 'third.lua']) {
    const result = await athanore(t, ['--once', '--port', '0', name], { cwd: dir })
    assert.equal(result.code, 1, result.stderr)
    assert.match(result.stderr, new RegExp(`board\\.json.* in use by another athanore, process ${d.pid}`))
  }
  await d.kill9()
  const result = await athanore(t, ['--once', '--port', '0', 'second.lua'], { cwd: dir })
  assert.equal(result.code, 0, 'the lock ends with its holder')
})

test('a folder that is not there', async (t) => {
  const dir = makeDir(t)
  writeFiles(dir, { 'routes.lua': script({ board: 'none/board.json' }) })
  const result = await athanore(t, ['--once', '--port', '0', 'routes.lua'], { cwd: dir })
  assert.equal(result.code, 1)
  assert.match(result.stderr, /there is no folder for the board .*none\/board\.json: create /)
})

for (const [name, begin] of [['is not there', () => {}], ['is empty', (file) => fs.writeFileSync(file, '')]])
  test(`a board that ${name} at the start is said, and taken up when it comes`, async (t) => {
    const dir = makeDir(t)
    begin(path.join(dir, 'board.json'))
    const d = await startDaemon(t, { dir, routes: script({ poll_interval: 60 }) })
    await d.until(async () => /board\.json/.test(await fault(d)))
    await d.untilLog((record) => record.level === 'error' && record.message.includes(d.file('board.json')))
    assertUnavailable(await d.get('/tasks/1'), /no board|line 1, column 1/)
    writeFiles(dir, { 'board.json': board() })
    // The next regular poll is a minute away.
    await d.until(() => d.where()['1'] === 'Done' && d.where()['2'] === 'Done')
    assert.equal(await fault(d), null)
    assertEachRanOnce(d, ['1', '2'])
  })

test('the board\'s folder is replaced, as by a checkout', async (t) => {
  const dir = makeDir(t)
  writeFiles(dir, { 'project/board.json': board(), 'next/board.json': { queues: { Todo: tasks(3, 4), Doing: [], Done: [] } } })
  const d = await startDaemon(t, { dir, routes: script({ board: 'project/board.json', poll_interval: 60 }) })
  await d.until(() => queuesIn(d.file('project/board.json')).Done.length === 2)
  fs.renameSync(d.file('project'), d.file('old'))
  fs.renameSync(d.file('next'), d.file('project'))
  await d.until(() => queuesIn(d.file('project/board.json')).Done.length === 2)
  assert.equal(queuesIn(d.file('old/board.json')).Done.length, 2)
  assertEachRanOnce(d, ['1', '2', '3', '4'])
  fs.rmSync(d.file('project'), { recursive: true })
  await d.until(async () => (await fault(d)) !== null)
  writeFiles(dir, { 'project/board.json': board({ Todo: [{ id: '9', name: 'n' }] }) })
  await d.until(() => queuesIn(d.file('project/board.json')).Done.length === 1)
})

// ---- Queues that are not there

const missing = /there is no queue "Nowhere" on the board; there are "Todo", "Doing", "Done"/

test('who moves or creates a task learns whether the task or the queue is missing', async (t) => {
  const d = await startDaemon(t, { routes: script({ route: { queue_name: 'Elsewhere' } }), board: board() })
  for (const [answer, words] of [
    [await d.post('/tasks/1/move', { target_queue: 'Nowhere' }), missing],
    [await d.post('/tasks', { queue_name: 'Nowhere', name: 'n' }), missing],
    [await d.post('/tasks/none/move', { target_queue: 'Done' }), /there is no task "none" on the board/],
    [await d.post('/tasks/none/move', { target_queue: 'Nowhere' }), /there is no task "none" on the board/],
    [await d.post('/tasks/none/comments', { comment: 'c' }), /there is no task "none" on the board/],
    [await d.get('/queues/Nowhere'), missing],
  ]) {
    assert.equal(answer.status, 404, answer.text)
    assert.match(answer.headers['content-type'], /^application\/problem\+json/)
    assert.match(answer.body.detail, words)
  }
  assert.deepEqual(d.where(), { 1: 'Todo', 2: 'Todo' })
})

test('without its in-progress queue a task stays; once that is there it runs', async (t) => {
  const d = await startDaemon(t, { routes: script({ poll_interval: 20, route: { in_progress_queue: 'Nowhere' } }), board: board() })
  await d.untilLog((record) => record.level === 'error' && missing.test(record.message) && record.task_id === '1')
  await d.until(async () => missing.test((await d.get('/routes/Todo')).body.error))
  assert.deepEqual(d.where(), { 1: 'Todo', 2: 'Todo' })
  assert.deepEqual(d.runs(), [])
  assert.equal((await d.get('/status')).body.free_slots, 4)
  d.editBoard((now) => { now.queues.Nowhere = [] })
  // At once, long before the tasks' own backoff is over.
  await d.until(() => d.where()['1'] === 'Done' && d.where()['2'] === 'Done')
  assertEachRanOnce(d, ['1', '2'])
})

test('without its success queue a task waits where it is, and goes there once there is one', async (t) => {
  const d = await startDaemon(t, { routes: script({ route: { success_queue: 'Nowhere' } }), board: board() })
  for (const id of ['1', '2'])
    await d.untilLog((record) => record.level === 'warn' && /"Nowhere": there is no such queue/.test(record.message) && record.task_id === id)
  assert.deepEqual(d.where(), { 1: 'Doing', 2: 'Doing' })
  assertEachRanOnce(d, ['1', '2'])
  d.editBoard((now) => { now.queues.Nowhere = [] })
  await d.until(() => d.where()['1'] === 'Nowhere' && d.where()['2'] === 'Nowhere')
  assertEachRanOnce(d, ['1', '2'])
})

test('a watched queue that is missing holds up no other', async (t) => {
  const routes = script({ poll_interval: 20 }).replace('return dispatcher', `dispatcher:route {
  queue_name = "Later", in_progress_queue = "Doing", success_queue = "Done", prompt = function() return "x" end,
}
return dispatcher`)
  const d = await startDaemon(t, { routes, board: board() })
  await d.until(() => d.where()['1'] === 'Done' && d.where()['2'] === 'Done')
  await d.untilLog(/there is no queue "Later"/)
  d.editBoard((now) => { now.queues.Later = [{ id: '3', name: 'n' }] })
  await d.until(() => d.where()['3'] === 'Done')
})
