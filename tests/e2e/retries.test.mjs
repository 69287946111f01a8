// Retries and dead-letter queues: what is retried, how often, what the task is told, where it ends.
import assert from 'node:assert/strict'
import { startDaemon, test, writeFiles } from './lib/daemon.mjs'
import { agent, board, comments, notes, said, script } from './lib/script.mjs'

const queues = { Todo: ['1'], 'In Progress': [], Done: [], Failed: [] }
const failing = { agent: agent('note "$ATHANORE_TASK_ID $ATHANORE_ATTEMPT"\nexit 3') }

// Runs until nothing is left to do.
async function runOnce(t, options, route = {}, files = failing, queuesOfBoard = queues) {
  const d = await startDaemon(t, {
    routes: script(options, [{ queue_name: 'Todo', ...route }]),
    board: board(queuesOfBoard),
    files,
    args: ['--once'],
    ready: false,
  })
  assert.equal(await d.exitCode(), 0)
  return d
}

function start(t, options, body) {
  return startDaemon(t, { routes: script(options, [{ queue_name: 'Todo' }]), board: board(queues), files: { agent: agent(body) } })
}

test('a failure is retried max_retries times and then left in place', async (t) => {
  const d = await runOnce(t, { max_retries: 2 })
  assert.deepEqual(notes(d), ['1 1', '1 2', '1 3'])
  assert.deepEqual(comments(d, '1'), [
    'Agent failed: exit code 3.',
    'Retry 1/2: exit code 3. Moving back to source queue for retry.',
    'Agent failed: exit code 3.',
    'Retry 2/2: exit code 3. Moving back to source queue for retry.',
    'Agent failed: exit code 3.',
    'Max retries (2) exhausted. No dead-letter queue configured; leaving in place.',
  ])
  assert.deepEqual(d.where(), { 1: 'In Progress' })
})

test('with a dead-letter queue it goes there, and is not taken up from there', async (t) => {
  const d = await runOnce(t, { max_retries: 1, dead_letter_queue: 'Failed' })
  assert.deepEqual(notes(d), ['1 1', '1 2'])
  assert.deepEqual(comments(d, '1').slice(-2), ['Agent failed: exit code 3.', 'Max retries (1) exhausted. Moving to dead-letter queue.'])
  assert.deepEqual(d.where(), { 1: 'Failed' })
})

test('a timeout is retried, and the comment says so', async (t) => {
  const files = { agent: agent('note x\nexec sleep 100') }
  const d = await runOnce(t, { max_retries: 3, agent_timeout: 0.1 }, { max_retries: 3 }, files)
  assert.equal(notes(d).length, 4)
  const retries = said(d, '1').filter((text) => text.startsWith('Retry'))
  assert.deepEqual(retries, [1, 2, 3].map((n) => `Retry ${n}/3: timed out. Moving back to source queue for retry.`))
  assert.deepEqual(said(d, '1').slice(-2), ['Agent timed out after 0.1 seconds.', 'Max retries (3) exhausted. No dead-letter queue configured; leaving in place.'])
})

test('a signal is a failure too', async (t) => {
  const d = await runOnce(t, { max_retries: 1 }, {}, { agent: agent('kill -KILL $$') })
  assert.equal(comments(d, '1')[1], 'Retry 1/1: killed by signal 9 (Killed). Moving back to source queue for retry.')
})

test('a command that cannot be started is a failure that is explained', async (t) => {
  const d = await runOnce(t, { max_retries: 1, command: './missing' })
  assert.match(comments(d, '1')[0], /^Agent could not be started: .*missing.*No such file or directory/)
  assert.equal(comments(d, '1')[1], 'Retry 1/1: could not be started. Moving back to source queue for retry.')
})

test('without max_retries nothing is retried', async (t) => {
  const d = await runOnce(t, {})
  assert.deepEqual(notes(d), ['1 1'])
  assert.deepEqual(comments(d, '1'), ['Agent failed: exit code 3.'])
  assert.deepEqual(d.where(), { 1: 'In Progress' })
})

test('with max_retries = 0 and a dead-letter queue the first failure goes there', async (t) => {
  const d = await runOnce(t, { dead_letter_queue: 'Failed' })
  assert.deepEqual(notes(d), ['1 1'])
  assert.equal(comments(d, '1').at(-1), 'Max retries (0) exhausted. Moving to dead-letter queue.')
  assert.deepEqual(d.where(), { 1: 'Failed' })
})

test('the last lines of stderr are told, and cannot end the quote', async (t) => {
  const files = { agent: agent('for i in $(seq 1 100); do echo "line $i" >&2; done; echo \'```\' >&2; echo "the reason" >&2; exit 1') }
  const d = await runOnce(t, {}, {}, files)
  const text = comments(d, '1')[0]
  assert.match(text, /^Agent failed: exit code 1\.\n\nLast lines of stderr:\n\n````\n/)
  assert.match(text, /\nline 100\n```\nthe reason\n````$/)
  assert.doesNotMatch(text, /line 1\n/)
})

test("a route's settings are used in place of the dispatcher's, false and 0 too", async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_retries: 1, dead_letter_queue: 'Failed', max_concurrent_agents: 9 }, [
      { queue_name: 'Critical', max_retries: 2, dead_letter_queue: 'Critical.Failed' },
      { queue_name: 'Best Effort', max_retries: 0 },
      { queue_name: 'Normal' },
      { queue_name: 'In Place', dead_letter_queue: false },
    ]),
    board: board({
      Critical: ['c'], 'Best Effort': ['b'], Normal: ['n'], 'In Place': ['i'], 'In Progress': [], Failed: [], 'Critical.Failed': [],
    }),
    files: failing,
    args: ['--once'],
    ready: false,
  })
  assert.equal(await d.exitCode(), 0)
  assert.deepEqual(d.where(), { c: 'Critical.Failed', b: 'Failed', n: 'Failed', i: 'In Progress' })
  const runs = (id) => notes(d).filter((line) => line.startsWith(`${id} `)).length
  assert.deepEqual(['c', 'b', 'n', 'i'].map(runs), [3, 1, 2, 2])
  assert.equal(comments(d, 'i').at(-1), 'Max retries (1) exhausted. No dead-letter queue configured; leaving in place.')
})

test('a success resets the count', async (t) => {
  const d = await start(t, { max_retries: 2 }, 'note x\n[ "$ATHANORE_ATTEMPT" = 2 ]\nmove Done')
  await d.untilLog('run ended: success')
  assert.equal(notes(d).length, 2)
  assert.equal((await d.get('/tasks/1')).body.retry_count, 0)
  await d.restart()
  assert.equal((await d.get('/tasks/1')).body.retry_count, 0)
})

test('the count is told by the API, and a person who puts the task back resets it', async (t) => {
  const files = { agent: agent('get "$task" | grep -o \'"retry_count":[0-9]*\' >> counts\nif [ -e fixed ]; then move Done; else exit 1; fi') }
  const d = await startDaemon(t, {
    routes: script({ max_retries: 2 }, [{ queue_name: 'Todo' }]), board: board(queues), files,
  })
  await d.until(() => notes(d, 'counts').length === 3 && comments(d, '1').length === 6)
  assert.deepEqual(notes(d, 'counts'), [0, 1, 2].map((n) => `"retry_count":${n}`))
  await d.until(async () => (await d.get('/tasks/1')).body.retry_count === 2)
  writeFiles(d.dir, { fixed: '' })
  d.editBoard((it) => { it.queues.Todo.push(it.queues['In Progress'].pop()) })
  await d.until(() => d.where()[1] === 'Done')
  await d.until(async () => (await d.get('/tasks/1')).body.retry_count === 0)
})

test('a task that a person puts back has all its retries again', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_retries: 1, dead_letter_queue: 'Failed' }, [{ queue_name: 'Todo' }]), board: board(queues), files: failing,
  })
  await d.until(() => d.where()[1] === 'Failed')
  d.editBoard((it) => { it.queues.Todo.push(it.queues.Failed.pop()) })
  await d.until(() => notes(d).length === 4 && d.where()[1] === 'Failed')
  assert.deepEqual(notes(d), ['1 1', '1 2', '1 1', '1 2'])
})

test('a retry waits for the next poll of its queue', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_retries: 5 }, [{ queue_name: 'Slow', poll_interval: 3600 }, { queue_name: 'Todo', poll_interval: 0.5 }]),
    board: board({ Slow: ['s'], ...queues }),
    files: failing,
  })
  await d.until(() => notes(d).filter((line) => line.startsWith('1 ')).length >= 3)
  assert.deepEqual(notes(d).filter((line) => line.startsWith('s ')), ['s 1'])
  assert.equal(d.where().s, 'Slow')
  const starts = d.log.filter((record) => record.message === 'agent started' && record.task_id === '1').map((record) => Date.parse(record.time))
  for (let i = 1; i < 3; i++) assert.ok(starts[i] - starts[i - 1] > 300, `retried after ${starts[i] - starts[i - 1]} ms`)
})

test('with retry_backoff it waits that long, and twice as long the next time', async (t) => {
  const d = await runOnce(t, { max_retries: 3, retry_backoff: 0.3, poll_interval: 0.05 })
  const times = (message) => d.log.filter((record) => record.message?.startsWith(message)).map((record) => Date.parse(record.time))
  const [starts, ends] = [times('agent started'), times('run ended')]
  assert.equal(starts.length, 4)
  const waits = [0, 1, 2].map((i) => starts[i + 1] - ends[i])
  for (const [i, wanted] of [300, 600, 1200].entries()) assert.ok(waits[i] >= wanted * 0.9, `waits: ${waits}`)
  assert.ok(waits[2] > waits[0] * 1.5, `waits: ${waits}`)
})

test('a retry with backoff is not kept waiting by a long poll_interval', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_retries: 1, retry_backoff: 0.1, poll_interval: 3600 }, [{ queue_name: 'Todo' }]), board: board(queues), files: failing,
  })
  await d.until(() => notes(d).length === 2)
})

test('a cancellation is not retried', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_retries: 3, dead_letter_queue: 'Failed' }, [{ queue_name: 'Todo' }]),
    board: board(queues),
    files: { agent: agent('note x\nawait never') },
  })
  await d.until(() => notes(d).length === 1)
  assert.equal((await d.del('/agents/1')).status, 202)
  await d.untilLog('run ended')
  assert.deepEqual(said(d, '1'), ['Agent cancelled on request; leaving the task in "In Progress".'])
  assert.deepEqual(d.where(), { 1: 'In Progress' })
  assert.equal((await d.get('/tasks/1')).body.retry_count, 0)
})

test('a shutdown is no attempt: the next start goes on with the same one', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_retries: 1 }, [{ queue_name: 'Todo' }]),
    board: board(queues),
    files: { agent: agent('note "$ATHANORE_ATTEMPT"\n[ "$ATHANORE_ATTEMPT" = 1 ] && exit 1\nawait never') },
  })
  await d.until(() => notes(d).length === 2)
  assert.equal(await d.stop(), 0)
  assert.deepEqual(d.where(), { 1: 'Todo' })
  await d.start()
  await d.until(() => notes(d).length === 3)
  assert.deepEqual(notes(d), ['1', '2', '2'])
  assert.equal((await d.get('/tasks/1')).body.retry_count, 1)
})

test('the count survives a restart', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_retries: 2, retry_backoff: 0.5 }, [{ queue_name: 'Todo' }]), board: board(queues), files: failing,
  })
  await d.untilLog('run ended')
  await d.kill9()
  await d.start()
  await d.until(() => notes(d).length === 3 && comments(d, '1').length === 6)
  assert.deepEqual(notes(d), ['1 1', '1 2', '1 3'])
  assert.equal(comments(d, '1').at(-1), 'Max retries (2) exhausted. No dead-letter queue configured; leaving in place.')
})

test('a failed task that was moved by its agent is commented on and stays where it is', async (t) => {
  const d = await runOnce(t, { max_retries: 2, dead_letter_queue: 'Failed' }, {}, { agent: agent('move Done\nexit 1') })
  assert.deepEqual(d.where(), { 1: 'Done' })
  assert.deepEqual(comments(d, '1'), ['Agent failed: exit code 1.'])
})

test('a dead-letter queue that is not there needs attention, and is used once it is', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ dead_letter_queue: 'Graveyard' }, [{ queue_name: 'Todo' }]), board: board(queues), files: failing,
  })
  const [found] = await d.until(async () => {
    const list = (await d.get('/status')).body.needs_attention
    return list.length > 0 && list
  })
  assert.equal(found.task_id, '1')
  assert.match(found.message, /Graveyard/)
  d.editBoard((it) => { it.queues.Graveyard = [] })
  await d.until(() => d.where()[1] === 'Graveyard')
  await d.until(async () => (await d.get('/status')).body.needs_attention.length === 0)
})
