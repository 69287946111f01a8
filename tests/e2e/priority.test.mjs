// Route priority: which queue is served first where slots are few.
import assert from 'node:assert/strict'
import { startDaemon, test, writeFiles } from './lib/daemon.mjs'
import { agent, board, notes, script } from './lib/script.mjs'

const inOrder = { agent: agent('note "$ATHANORE_TASK_ID"\nmove "${1:-Done}"') }

// Runs a board with one slot; the ids in the order in which their agents ran.
async function order(t, routes, queues, options = {}) {
  const d = await startDaemon(t, {
    routes: script({ max_concurrent_agents: 1, ...options }, routes),
    board: board({ ...queues, 'In Progress': [], Done: [] }),
    files: inOrder,
    args: ['--once'],
    ready: false,
  })
  assert.equal(await d.exitCode(), 0)
  assert.ok(Object.values(d.where()).every((queue) => queue === 'Done'), JSON.stringify(d.where()))
  return notes(d)
}

test('the lower number is served first, whatever the order of the routes and of the board', async (t) => {
  const routes = [
    { queue_name: 'Todo', priority: 3, args: ['Done'] },
    { queue_name: 'QA', priority: 1, args: ['Done'] },
    { queue_name: 'Engineering', priority: 2, args: ['Done'] },
  ]
  const found = await order(t, routes, { Todo: ['t1', 't2'], Engineering: ['e1', 'e2'], QA: ['q1', 'q2'] })
  assert.deepEqual(found, ['q1', 'q2', 'e1', 'e2', 't1', 't2'])
})

test('numbers may be negative and fractions', async (t) => {
  const routes = [
    { queue_name: 'A', priority: 0.5, args: ['Done'] },
    { queue_name: 'B', priority: 0, args: ['Done'] },
    { queue_name: 'C', priority: -1, args: ['Done'] },
    { queue_name: 'D', priority: 0.25, args: ['Done'] },
  ]
  assert.deepEqual(await order(t, routes, { A: ['a'], B: ['b'], C: ['c'], D: ['d'] }), ['c', 'b', 'd', 'a'])
})

test('without priorities the order of registration counts, and a priority comes before all of them', async (t) => {
  const routes = [
    { queue_name: 'First', args: ['Done'] },
    { queue_name: 'Second', args: ['Done'] },
    { queue_name: 'Last', priority: 1000, args: ['Done'] },
  ]
  assert.deepEqual(await order(t, routes, { Second: ['s'], Last: ['l'], First: ['f'] }), ['l', 'f', 's'])
})

test('the order of registration decides between equal priorities', async (t) => {
  const routes = [
    { queue_name: 'B', priority: 1, args: ['Done'] },
    { queue_name: 'A', priority: 1, args: ['Done'] },
  ]
  assert.deepEqual(await order(t, routes, { A: ['a1', 'a2'], B: ['b1', 'b2'] }), ['b1', 'b2', 'a1', 'a2'])
})

test('a task flows through the whole pipeline before the next one is begun', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_concurrent_agents: 1, poll_interval: 30 }, [
      { queue_name: 'Todo', priority: 3, args: ['Engineering'] },
      { queue_name: 'Engineering', priority: 2, args: ['QA'] },
      { queue_name: 'QA', priority: 1, args: ['Done'] },
    ]),
    board: board({ Todo: ['1', '2', '3'], Engineering: [], QA: [], 'In Progress': [], Done: [] }),
    files: { agent: agent('note "$ATHANORE_TASK_ID $ATHANORE_QUEUE"\nmove "$1"') },
  })
  await d.until(() => d.board().queues.Done.length === 3)
  const stages = ['Todo', 'Engineering', 'QA']
  assert.deepEqual(notes(d), ['1', '2', '3'].flatMap((id) => stages.map((stage) => `${id} ${stage}`)))
})

test('never more agents than max_concurrent_agents, and as many as that where there is work', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_concurrent_agents: 3 }, [{ queue_name: 'A', priority: 1 }, { queue_name: 'B', priority: 2 }]),
    board: board({ A: ['a1', 'a2'], B: ['b1', 'b2', 'b3', 'b4'], 'In Progress': [], Done: [] }),
    files: {
      agent: agent('mkdir "run.$ATHANORE_TASK_ID"\nnote "$(ls -d run.* | wc -l)"\nawait "go.$ATHANORE_TASK_ID"\nrmdir "run.$ATHANORE_TASK_ID"\nmove Done'),
    },
  })
  await d.until(() => d.board().queues['In Progress'].length === 3 && notes(d).length === 3)
  assert.deepEqual(Object.keys(d.where()).filter((id) => d.where()[id] === 'In Progress').sort(), ['a1', 'a2', 'b1'])
  const status = (await d.get('/status')).body
  assert.equal(status.active_agents, 3)
  assert.equal(status.free_slots, 0)
  // A slot that is free again goes to the lowest number that is there then.
  d.editBoard((it) => { it.queues.A.push({ id: 'a3', name: 'late' }) })
  writeFiles(d.dir, { 'go.b1': '' })
  await d.until(() => d.where().a3 === 'In Progress' && notes(d).length === 4)
  assert.equal(d.where().b2, 'B')
  writeFiles(d.dir, Object.fromEntries(['a1', 'a2', 'a3', 'b2', 'b3', 'b4'].map((id) => [`go.${id}`, ''])))
  await d.until(() => d.board().queues.Done.length === 7)
  assert.equal(Math.max(...notes(d).map(Number)), 3)
})
