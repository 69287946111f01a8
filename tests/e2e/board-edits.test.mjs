// Other programs change the board while the daemon works on it: nothing of either is lost.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { startDaemon, test, until } from './lib/daemon.mjs'
import { assertEachRanOnce, conflicts, ids, runModule, runsByTask, runShell, script, tasks, waitingAgent } from './lib/boards.mjs'

const EDITS = 50
const TASKS = 60

// Ends once all tasks are Done; whatever the daemon could not merge would lie beside the board.
async function assertAllDone(d, extra = []) {
  const all = [...tasks(1, TASKS).map((task) => task.id), ...extra]
  await d.until(() => all.every((id) => d.where()[id] === 'Done'), { timeout: 60000 })
  assert.deepEqual(ids(d).sort(), [...all].sort(), 'each task is on the board once')
  assertEachRanOnce(d, all)
  assert.deepEqual(conflicts(d.dir), [])
}

function startBusy(t, more = {}) {
  return startDaemon(t, {
    routes: script({ poll_interval: 0.05, max_concurrent_agents: 2 }),
    board: { note: 0, queues: { Todo: tasks(1, TASKS), Doing: [], Done: [] } },
    logLevel: 'info',
    ...more,
  })
}

// A program that adds task o1 … oN to Todo, and a note; write(text) is how it writes.
function editor(write) {
  return `
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
const read = async () => {
  for (;;) {
    try { return JSON.parse(fs.readFileSync('board.json', 'utf8')) } catch { await sleep(1) }
  }
}
for (let n = 1; n <= ${EDITS}; n++) {
  const board = await read()
  board.note = n
  board.queues.Todo.push({ id: 'o' + n, name: 'outside ' + n, edit: [n, { unknown: n }] })
  const text = JSON.stringify(board, null, 2) + '\\n'
  ${write}
  // Until it is seen to be there the next one is not begun, as people do.
  const deadline = Date.now() + 20000
  for (;;) {
    const now = await read()
    if (Object.values(now.queues).flat().some((task) => task.id === 'o' + n)) break
    if (Date.now() > deadline) throw new Error('edit ' + n + ' was lost')
    await sleep(2)
  }
}
`
}

const outsideIds = Array.from({ length: EDITS }, (_, i) => `o${i + 1}`)

for (const [name, write] of [
  ['renames a new file into place', `fs.writeFileSync('.editor.tmp', text); fs.renameSync('.editor.tmp', 'board.json')`],
  ['writes the file in place', `fs.writeFileSync('board.json', text)`],
])
  test(`fifty edits by a program that ${name}`, async (t) => {
    const d = await startBusy(t)
    const result = await runModule(d.dir, editor(write))
    assert.equal(result.code, 0, result.stderr)
    await assertAllDone(d, outsideIds)
    assert.equal(d.board().note, EDITS)
    for (const task of d.board().queues.Done.filter((task) => task.id.startsWith('o')))
      assert.deepEqual(task.edit, [Number(task.id.slice(1)), { unknown: Number(task.id.slice(1)) }])
  })

test('fifty edits by sed -i', async (t) => {
  const d = await startBusy(t, {
    board: `{\n"note": 0,\n"queues": {"Todo": [\n${tasks(1, TASKS).map((task) => JSON.stringify(task)).join(',\n')}\n], "Doing": [], "Done": []}}\n`,
  })
  const result = await runShell(d.dir, `
n=0
while [ $n -lt ${EDITS} ]; do
  n=$((n + 1))
  sed -i "s/^\\"note\\": [0-9]*,/\\"note\\": $n,/" board.json
  until grep -q "^\\"note\\": $n," board.json; do :; done
done`)
  assert.equal(result.code, 0, result.stderr)
  await assertAllDone(d)
  assert.equal(d.board().note, EDITS)
})

test('fifty edits by jq', async (t) => {
  const d = await startBusy(t)
  const result = await runShell(d.dir, `
n=0
while [ $n -lt ${EDITS} ]; do
  n=$((n + 1))
  jq ".note = $n | .queues.Todo += [{id: \\"o$n\\", name: \\"outside\\"}]" board.json > board.tmp
  mv board.tmp board.json
  until jq -e "[.queues[][] | select(.id == \\"o$n\\")] | length == 1" board.json > /dev/null; do :; done
done`)
  assert.equal(result.code, 0, result.stderr)
  await assertAllDone(d, outsideIds)
  assert.equal(d.board().note, EDITS)
})

// Reads the board, waits until it has changed under it, and writes what it had read with a task more.
const staleEditor = (write) => `
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
const text = fs.readFileSync('board.json', 'utf8')
const board = JSON.parse(text)
fs.writeFileSync('has-read', '')
while (fs.readFileSync('board.json', 'utf8') === text) await sleep(1)
board.queues.Other.push({ id: 'stale', name: 'kept' })
const changed = JSON.stringify(board)
${write}
`

for (const [name, write] of [
  ['renames', `fs.writeFileSync('.editor.tmp', changed); fs.renameSync('.editor.tmp', 'board.json')`],
  ['writes in place', `fs.writeFileSync('board.json', changed)`],
])
  test(`a program that read before our claim and ${name} after it undoes nothing`, async (t) => {
    const d = await startDaemon(t, {
      routes: script({ command: './agent.sh', poll_interval: 30 }),
      board: { queues: { Todo: [], Doing: [], Done: [], Other: [{ id: '1', name: 'n' }] } },
      files: { 'agent.sh': waitingAgent },
    })
    // The claim follows this move at once: the editor reads between, or before both.
    const edited = runModule(d.dir, staleEditor(write))
    await until(() => fs.existsSync(d.file('has-read')))
    assert.equal((await d.post('/tasks/1/move', { target_queue: 'Todo' })).status, 200)
    assert.equal((await edited).code, 0)
    await d.until(() => d.where()['1'] === 'Doing' && d.where().stale === 'Other')
    fs.writeFileSync(d.file('go'), '')
    await d.until(() => d.where()['1'] === 'Done')
    assert.deepEqual(runsByTask(d), { 1: 1 })
    assert.deepEqual(ids(d).sort(), ['1', 'stale'])
    assert.deepEqual(conflicts(d.dir), [])
  })

test('a program that holds the file open over our change writes into what was replaced, and it is merged', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ poll_interval: 30 }),
    board: { queues: { Todo: [], Doing: [], Done: [], Other: [{ id: '1', name: 'n' }] } },
  })
  const fd = fs.openSync(d.file('board.json'), 'r+')
  const read = JSON.parse(fs.readFileSync(fd, 'utf8'))
  assert.equal((await d.post('/tasks/1/move', { target_queue: 'Todo' })).status, 200)
  read.queues.Other.push({ id: 'late', name: 'kept' })
  const text = Buffer.from(JSON.stringify(read))
  fs.ftruncateSync(fd)
  fs.writeSync(fd, text, 0, text.length, 0)
  fs.closeSync(fd)
  await d.until(() => d.where()['1'] === 'Done' && d.where().late === 'Other')
  await d.until(() => fs.readdirSync(d.dir).filter((name) => name.includes('board.json')).length === 2)
  assert.deepEqual(runsByTask(d), { 1: 1 })
})

test('a program that writes slowly, in pieces, is waited for', async (t) => {
  const d = await startBusy(t)
  for (let n = 1; n <= 10; n++) {
    const board = d.board()
    board.queues.Done.push({ id: `o${n}`, name: 'outside' })
    const text = JSON.stringify(board)
    const fd = fs.openSync(d.file('board.json'), 'w')
    for (let at = 0; at < text.length; at += Math.ceil(text.length / 4)) {
      fs.writeSync(fd, text.slice(at, at + Math.ceil(text.length / 4)))
      assert.equal((await d.get('/healthz')).status, 200)
    }
    fs.closeSync(fd)
    await d.until(async () => (await d.get(`/tasks/o${n}`)).status === 200)
  }
  const outside = Array.from({ length: 10 }, (_, i) => `o${i + 1}`)
  await d.until(() => tasks(1, TASKS).every(({ id }) => d.where()[id] === 'Done'), { timeout: 60000 })
  assertEachRanOnce(d, tasks(1, TASKS).map(({ id }) => id))
  assert.deepEqual(ids(d).sort(), [...tasks(1, TASKS).map(({ id }) => id), ...outside].sort())
  assert.deepEqual(d.log.filter((record) => record.level === 'error'), [])
})

// Reads, lets the daemon work on, and writes what it had read: again and again, while agents comment.
test('twenty stale writes undo no claim, no comment and no move', async (t) => {
  const agent = `#!/bin/sh
set -eu
curl -fsS -H "Authorization: Bearer $ATHANORE_TOKEN" -H 'Content-Type: application/json' -d '{"comment": "once"}' "$ATHANORE_API/tasks/$ATHANORE_TASK_ID/comments"
`
  const d = await startBusy(t, { routes: script({ command: './agent.sh', poll_interval: 0.05, max_concurrent_agents: 2 }), files: { 'agent.sh': agent } })
  const result = await runModule(d.dir, `
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
for (let n = 1; n <= 20; n++) {
  const text = fs.readFileSync('board.json', 'utf8')
  const board = JSON.parse(text)
  let seen = text
  // Three changes of the daemon's, or its work is done.
  for (let changes = 0; changes < 3;) {
    const now = fs.readFileSync('board.json', 'utf8')
    if (now !== seen) changes++
    seen = now
    if (JSON.parse(now).queues.Done.length >= ${TASKS}) break
    await sleep(1)
  }
  board.queues.Other ??= []
  board.queues.Other.push({ id: 'o' + n, name: 'outside' })
  fs.writeFileSync('.editor', JSON.stringify(board, null, 1))
  fs.renameSync('.editor', 'board.json')
  // The next one builds upon it.
  while (!fs.readFileSync('board.json', 'utf8').includes('"o' + n + '"')) await sleep(1)
}`)
  assert.equal(result.code, 0, result.stderr)
  await d.until(() => tasks(1, TASKS).every(({ id }) => d.where()[id] === 'Done'), { timeout: 60000 })
  assertEachRanOnce(d, tasks(1, TASKS).map(({ id }) => id))
  const { queues } = d.board()
  assert.deepEqual(queues.Other.map((task) => task.id), Array.from({ length: 20 }, (_, i) => `o${i + 1}`))
  for (const task of queues.Done) assert.deepEqual(task.comments.map((comment) => comment.text), ['once'], `task ${task.id}`)
  assert.deepEqual(conflicts(d.dir), [])
})

test('who takes a task back on purpose has it back', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ route: { queue_name: 'Elsewhere' } }),
    board: { queues: { Todo: [{ id: '1', name: 'n' }, { id: '2', name: 'n' }], Done: [] } },
  })
  assert.equal((await d.post('/tasks/1/move', { target_queue: 'Done' })).status, 200)
  assert.equal((await d.post('/tasks/2/move', { target_queue: 'Done' })).status, 200)
  d.editBoard((board) => { board.queues.Todo.push(...board.queues.Done.splice(0, 1)) })
  await d.until(async () => (await d.get('/tasks/1')).body.queue === 'Todo')
  assert.equal((await d.get('/tasks/2')).body.queue, 'Done')
})

test('deleted, renamed and new tasks of others are seen at once', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ poll_interval: 60 }),
    board: { queues: { Todo: [], Doing: [], Done: [], Later: tasks(1, 3) } },
  })
  d.editBoard((board) => { board.queues.Later.splice(1, 1) })
  await d.until(async () => (await d.get('/tasks/2')).status === 404)
  d.editBoard((board) => { board.queues.Later[0].name = 'renamed' })
  await d.until(async () => (await d.get('/tasks/1')).body.name === 'renamed')
  // Ready at once, though the next poll is a minute away.
  d.editBoard((board) => { board.queues.Todo.push({ id: 'new', name: 'n' }) })
  await d.until(() => d.where().new === 'Done')
  assertEachRanOnce(d, ['new'])
})
