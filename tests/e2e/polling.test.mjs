// Poll intervals, told from what a queue adapter is asked for: it writes each question down.
import assert from 'node:assert/strict'
import { startDaemon, test } from './lib/daemon.mjs'
import { agent, board, lua, notes, script } from './lib/script.mjs'

// An adapter with no tasks that notes the queues of each poll.
const adapter = `local function recorder()
  local M = { name = "recorder", identity = "recorder" }
  function M.get_ready_tasks(_, names)
    local file <close> = assert(io.open("polls", "a"))
    file:write(table.concat(names, ","), "\\n")
    return athanore.json.array()
  end
  function M.get_task() return nil, athanore.error("not_found", "there is none") end
  local function no() return nil, athanore.error("unsupported", "no") end
  for _, name in ipairs { "move_task", "add_comment", "update_task", "create_task", "list_queues", "get_queue",
    "create_queue", "update_queue", "delete_queue" } do M[name] = no end
  return M
end`

function recording(options, routes) {
  return script({ queue_backend: lua('recorder()'), ...options }, routes, { head: adapter })
}

// How often each queue was polled.
function counts(d) {
  const found = {}
  for (const line of notes(d, 'polls')) for (const name of line.split(',')) found[name] = (found[name] ?? 0) + 1
  return found
}

test('all queues are polled at the poll_interval of the dispatcher, at once at the start, and together', async (t) => {
  const d = await startDaemon(t, { routes: recording({ poll_interval: 0.1 }, [{ queue_name: 'A' }, { queue_name: 'B' }]) })
  await d.until(() => counts(d).A >= 10)
  const { A, B } = counts(d)
  assert.ok(Math.abs(A - B) <= A / 3 + 2, `A ${A}, B ${B}`)
  assert.equal(notes(d, 'polls')[0], 'A,B')
})

test('an interval of its own makes a queue be polled more often, or less', async (t) => {
  const d = await startDaemon(t, {
    routes: recording({ poll_interval: 0.5 }, [
      { queue_name: 'High', poll_interval: 0.1 },
      { queue_name: 'Normal' },
      { queue_name: 'Background', poll_interval: 1800 },
    ]),
  })
  await d.until(() => counts(d).High >= 30)
  const { High, Normal, Background } = counts(d)
  assert.equal(Background, 1)
  const ratio = High / Normal
  assert.ok(ratio > 2 && ratio < 8, `High ${High}, Normal ${Normal}`)
  const routes = (await d.get('/routes')).body.routes
  assert.deepEqual(Object.fromEntries(routes.map((route) => [route.queue_name, route.poll_interval])), { High: 0.1, Normal: 0.5, Background: 1800 })
})

test('the shortest interval sets the pace: no queue is starved by a long poll_interval', async (t) => {
  const d = await startDaemon(t, {
    routes: recording({ poll_interval: 3600 }, [{ queue_name: 'Slow' }, { queue_name: 'Quick', poll_interval: 0.05 }]),
  })
  await d.until(() => counts(d).Quick >= 20)
  assert.equal(counts(d).Slow, 1)
  assert.ok(notes(d, 'polls').slice(1).every((line) => line === 'Quick'))
})

test('polls are no more frequent than asked for', async (t) => {
  const d = await startDaemon(t, { routes: recording({ poll_interval: 0.2 }, [{ queue_name: 'A' }]) })
  const start = Date.now()
  const before = counts(d).A ?? 0
  await d.until(() => counts(d).A >= before + 8)
  assert.ok(Date.now() - start >= 7 * 200 * 0.9, `8 polls in ${Date.now() - start} ms`)
})

test('polls of a backend that fails get rarer, the error is told, and it ends', async (t) => {
  const failing = adapter.replace('return athanore.json.array()', `
    if io.open("mended") then return athanore.json.array() end
    return nil, athanore.error("unavailable", "the tracker is away")`)
  const d = await startDaemon(t, {
    routes: script({ queue_backend: lua('recorder()'), poll_interval: 0.01 }, [{ queue_name: 'A' }], { head: failing }),
  })
  await d.until(() => counts(d).A >= 2)
  const status = (await d.get('/status')).body
  assert.match(status.queue.error, /the tracker is away/)
  assert.ok(counts(d).A < 10, `${counts(d).A} polls at an interval of 0.01 s`)
  assert.ok((await d.untilLog(/cannot poll: .*the tracker is away/)).level === 'error')
  const fs = await import('node:fs')
  fs.writeFileSync(d.file('mended'), '')
  await d.untilLog('polling works again')
  assert.equal((await d.get('/status')).body.queue.error, null)
  const again = counts(d).A
  await d.until(() => counts(d).A > again + 10)
})

test('a task that is put on the board is seen at once, however long the interval', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ poll_interval: 3600 }, [{ queue_name: 'Todo' }]),
    board: board({ Todo: [], 'In Progress': [], Done: [] }),
    files: { agent: agent('move Done') },
  })
  await d.until(async () => (await d.get('/status')).body.last_poll_at)
  d.editBoard((it) => { it.queues.Todo.push({ id: '1', name: 'x' }) })
  await d.until(() => d.where()[1] === 'Done')
})

test('a slot that frees up takes the next task at once, however long the interval', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ poll_interval: 3600, max_concurrent_agents: 1, success_queue: 'Done' }, [{ queue_name: 'Todo' }]),
    board: board({ Todo: ['1', '2', '3', '4'], 'In Progress': [], Done: [] }),
    files: { agent: agent('note "$ATHANORE_TASK_ID"') },
  })
  await d.until(() => d.board().queues.Done.length === 4)
  assert.deepEqual(notes(d), ['1', '2', '3', '4'])
})
