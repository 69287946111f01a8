// A board keeps its text: what nobody changed is on the disk byte for byte as it was.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { makeDir, startDaemon, test } from './lib/daemon.mjs'
import { assertEachRanOnce, ids, readBoard, script, tasks } from './lib/boards.mjs'

// Each is one task's text, as odd as JSON allows.
const odd = {
  integer: '{"id": 7, "name": "integer id", "points": 2.50, "big": 12345678901234567, "huge": 1e400, "tiny": 1E-7, "minus": -0}',
  escapes: '{ "name":"\\u0041\\/\\ud83d\\ude00 \\b\\f\\n\\r\\t\\"\\\\" ,"id":"esc", "k\\u00e9y" : "é 日本 \u{1f600}" }',
  empty: '{"id":"empty","name":"","description":null,"labels":[],"assignees":[ ],"comments":[\n\n],"tasks":[],"extra":{},"more":{ },"nested":[[],[{}]]}',
  spread: '{\n\t\t\t"id"   :   "spread"\t,\n  "unknown":{"a":[1,2.0,3.10,-0.0,1e+2],"b":{"id":"inner"}},\n\n"name":"odd indentation"}',
  last: '{"id": "0012", "name": "a string of digits", "custom": {"z": 1, "a": 2}}',
}

function oddBoard(eol = '\n', bom = '') {
  const text = `{
   "version": 1.0, "zeta": {"nested": [ ]}, "big": 98765432109876543,
 "queues"  :  {
  "Todo": [
      ${odd.integer},
      ${odd.escapes},
\t${odd.empty} ,
      ${odd.spread}
  ],
  "Doing": [ ], "Done":[],
  "Ünïcode \\u00e9 / queue": [ ${odd.last} ]
 },
 "after": [1, 2.50, 1e400],
   "settings": {"color": "\\u0072ed"}
}

`
  return bom + text.replaceAll('\n', eol)
}

const outside = ['   "version": 1.0, "zeta": {"nested": [ ]}, "big": 98765432109876543,', ' "queues"  :  {', '\n "after": [1, 2.50, 1e400],',
  '   "settings": {"color": "\\u0072ed"}\n}\n\n', '"Ünïcode \\u00e9 / queue": [ ']

function assertKept(text, parts, eol = '\n') {
  for (const part of parts) assert.ok(text.includes(part.replaceAll('\n', eol)), `lost: ${part}\n---- from\n${text}`)
}

for (const [name, eol, bom] of [['line feeds', '\n', ''], ['CRLF', '\r\n', ''], ['a byte order mark', '\n', '\ufeff']]) {
  test(`claims and moves keep all of an odd board with ${name}`, async (t) => {
    const before = oddBoard(eol, bom)
    const d = await startDaemon(t, { routes: script(), board: before })
    await d.until(() => JSON.parse(readBoard(d).replace(/^\ufeff/, '')).queues.Done.length === 4)
    const text = readBoard(d)
    assertKept(text, [...Object.values(odd), ...outside], eol)
    assert.equal(text.startsWith('\ufeff'), bom !== '')
    assert.equal(/[^\r]\n/.test(text), eol === '\n', 'line ends are those of the file')
    assertEachRanOnce(d, ['7', 'esc', 'empty', 'spread'])
    assert.equal(await d.stop(), 0)
    assert.equal(readBoard(d), text)
  })
}

test('a board that is only read is not written', async (t) => {
  const before = oddBoard()
  const d = await startDaemon(t, { routes: script({ route: { queue_name: 'Elsewhere' } }), board: before })
  const { ino, mtimeNs } = fs.statSync(d.file('board.json'), { bigint: true })
  for (const id of ['7', 'esc', 'empty', 'spread', '0012']) assert.equal((await d.get(`/tasks/${id}`)).status, 200)
  assert.equal((await d.get('/queues')).body.queues.length, 4)
  assert.equal(await d.stop(), 0)
  const after = fs.statSync(d.file('board.json'), { bigint: true })
  assert.deepEqual([after.ino, after.mtimeNs], [ino, mtimeNs])
  assert.equal(readBoard(d), before)
})

test('comments, updates and moves change what they name and nothing else', async (t) => {
  const d = await startDaemon(t, { routes: script({ route: { queue_name: 'Elsewhere' } }), board: oddBoard() })
  const untouched = [odd.escapes, odd.spread, odd.last, ...outside]

  assert.equal((await d.post('/tasks/empty/comments', { comment: 'one\n"two" \u{1f600}' })).status, 201)
  assertKept(readBoard(d), [...untouched, odd.integer, '"assignees":[ ]', '"extra":{},"more":{ },"nested":[[],[{}]]}',
    '{"id":"empty","name":"","description":null,"labels":[],'])
  assert.equal(d.board().queues.Todo[2].comments[0].text, 'one\n"two" \u{1f600}')

  const updated = await d.patch('/tasks/7', { name: 'new name', labels: ['a', 'é'] })
  assert.equal(updated.status, 200)
  assert.equal(updated.body.id, '7', 'ids are strings in the API')
  assert.deepEqual(updated.body.labels, ['a', 'é'])
  assertKept(readBoard(d), [...untouched, '{"id": 7, "name": "new name", "points": 2.50, "big": 12345678901234567, "huge": 1e400, "tiny": 1E-7, "minus": -0, "labels": ["a", "é"]}'])
  assert.strictEqual(d.board().queues.Todo[0].id, 7, 'and stay integers in the file')

  const moved = await d.post('/tasks/spread/move', { target_queue: 'Ünïcode é / queue' })
  assert.equal(moved.status, 200)
  assert.equal(moved.body.queue, 'Ünïcode é / queue')
  assertKept(readBoard(d), untouched)
  assert.deepEqual(d.board().queues['Ünïcode é / queue'].map((task) => task.id), ['0012', 'spread'])
  assert.deepEqual(ids(d), ['7', 'esc', 'empty', '0012', 'spread'])
})

test('an agent reads, comments on, changes and moves its task', async (t) => {
  const agent = `#!/bin/sh
set -eu
task=$ATHANORE_API/tasks/$ATHANORE_TASK_ID
send() { curl -fsS -H "Authorization: Bearer $ATHANORE_TOKEN" -H 'Content-Type: application/json' "$@"; }
send "$task" > seen.json
send -d '{"comment": "begun"}' "$task/comments"
send -X PATCH -d '{"description": "by the agent", "labels": ["x"]}' "$task"
send -d '{"comment": "ended"}' "$task/comments"
send -d '{"target_queue": "Done"}' "$task/move"
`
  const text = '{"id": 7, "name": "n", "weight": 2.50, "big": 12345678901234567, "list": [ 1,2 ]}'
  const d = await startDaemon(t, {
    routes: script({ command: './agent.sh', route: { success_queue: false } }),
    board: `{"x": 1e400, "queues": {"Todo": [${text}], "Doing": [], "Done": []}}`,
    files: { 'agent.sh': agent },
  })
  await d.until(() => d.runs()[0]?.exit)
  assert.equal(d.runs()[0].exit.exit_code ?? d.runs()[0].exit.code, 0, JSON.stringify(d.runs()[0], null, 1))
  const seen = JSON.parse(fs.readFileSync(d.file('seen.json'), 'utf8'))
  assert.deepEqual([seen.id, seen.queue, seen.retry_count, seen.comments], ['7', 'Doing', 0, []])
  assert.ok(seen.labels.length === 0 && seen.tasks.length === 0)
  const [task] = d.board().queues.Done
  assert.deepEqual(task.comments.map((comment) => comment.text), ['begun', 'ended'])
  assert.deepEqual([task.description, task.labels], ['by the agent', ['x']])
  assertKept(readBoard(d), ['{"x": 1e400, "queues": {"Todo": []', '{"id": 7, "name": "n", "weight": 2.50, "big": 12345678901234567, "list": [ 1,2 ], '])
})

test('a change that could not keep a task is refused, and the task can be moved', async (t) => {
  const twice = '{"id": "twice", "name": "n", "k": 1, "k": 2}'
  const beyond = '{"id": "beyond", "name": "n", "n": 123456789012345678901234567890}'
  const d = await startDaemon(t, {
    routes: script({ route: { queue_name: 'Elsewhere' } }),
    board: `{"queues": {"Todo": [${twice}, ${beyond}], "Done": []}}`,
  })
  const before = readBoard(d)
  for (const [id, why] of [['twice', /"k" stands twice/], ['beyond', /64 bits/]]) {
    const answer = await d.patch(`/tasks/${id}`, { name: 'x' })
    assert.equal(answer.status, 422, answer.text)
    assert.match(answer.headers['content-type'], /^application\/problem\+json/)
    assert.match(answer.body.detail, why)
  }
  assert.equal(readBoard(d), before)
  assert.equal((await d.post('/tasks/twice/move', { target_queue: 'Done' })).status, 200)
  assertKept(readBoard(d), [twice, beyond])
})

test('what a change would not keep is still run, and goes to Done as it is', async (t) => {
  const twice = '{"id": "twice", "name": "n", "k": 1, "k": 2}'
  const beyond = '{"id": "beyond", "name": "n", "n": 123456789012345678901234567890}'
  const d = await startDaemon(t, { routes: script(), board: `{"queues": {"Todo": [${twice}, ${beyond}], "Doing": [], "Done": []}}` })
  await d.until(() => d.board().queues.Done.length === 2)
  assert.equal(readBoard(d).includes(twice) && readBoard(d).includes(beyond), true, readBoard(d))
  assertEachRanOnce(d, ['twice', 'beyond'])
})

// What each layout makes of a comment and a new task: the file's own way goes on.
test('new tasks and comments are laid out as their neighbours are', async (t) => {
  const board = { queues: { Todo: [{ id: 1, name: 'a', comments: [] }], Doing: [], Done: [] } }
  for (const indent of [0, 2, 4, '\t', 1]) {
    const d = await startDaemon(t, { dir: makeDir(t), routes: script({ route: { queue_name: 'Elsewhere' } }), board: JSON.stringify(board, null, indent) })
    const added = await d.post('/tasks', { queue_name: 'Todo', name: 'b' })
    assert.equal(added.status, 201, added.text)
    assert.equal(added.body.id, '2')
    assert.equal((await d.post('/tasks/1/comments', { comment: 'c' })).status, 201)
    const text = readBoard(d)
    assert.deepEqual(d.board().queues.Todo.map((task) => task.id), [1, 2])
    assert.equal(text, JSON.stringify(d.board(), null, indent).replaceAll('[]', text.includes('[]') ? '[]' : '[ ]'))
    await d.stop()
  }
})

const KIB = 1024

// A board of one large task between small ones, exactly `size` bytes long.
function boardOfSize(size) {
  const make = (fill) => JSON.stringify({ queues: { Todo: [...tasks(1, 2), { id: 'large', name: 'l', fill }, ...tasks(3, 4)], Doing: [], Done: [] } })
  return make('x'.repeat(size - make('').length))
}

test('boards of all sizes stay whole when their tasks move', async (t) => {
  const d = await startDaemon(t, { routes: script({ route: { queue_name: 'Elsewhere' } }), board: boardOfSize(1000) })
  for (const border of [32 * KIB, 64 * KIB, 1024 * KIB])
    for (let size = border - 8; size <= border + 8; size++) {
      const board = boardOfSize(size)
      assert.equal(board.length, size)
      fs.writeFileSync(d.file('next.json'), board)
      fs.renameSync(d.file('next.json'), d.file('board.json'))
      for (const [id, queue] of [['large', 'Doing'], ['2', 'Done'], ['large', 'Done']]) {
        const answer = await d.post(`/tasks/${id}/move`, { target_queue: queue })
        assert.equal(answer.status, 200, `${size}: ${answer.text.slice(0, 300)}`)
        assert.deepEqual(ids(d).sort(), ['1', '2', '3', '4', 'large'], `${size}: ${id} to ${queue}`)
        assert.equal(d.where()[id], queue)
      }
      assert.equal(d.board().queues.Done.at(-1).fill, JSON.parse(board).queues.Todo[2].fill)
    }
})
