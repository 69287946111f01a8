// The life of a task: found, claimed, assigned, worked on through the API, moved on.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { startDaemon, test, writeFiles } from './lib/daemon.mjs'
import { agent, board, comments, lua, notes, said, script, task } from './lib/script.mjs'

const queues = { Todo: ['1'], 'In Progress': [], Done: [] }

function start(t, route, body, more = {}) {
  return startDaemon(t, {
    routes: script(more.options ?? {}, [{ queue_name: 'Todo', ...route }]),
    board: more.board ?? board(queues),
    files: { agent: agent(body), ...more.files },
    env: more.env,
  })
}

function find(d, id) {
  return Object.values(d.board().queues).flat().find((item) => item.id === id)
}

test('a task is claimed, assigned, worked on and moved to Done', async (t) => {
  const d = await start(t, {}, 'note begun\nawait go\nmove Done', { board: board({ ...queues, Todo: [task('1', { assignees: ['ann'] })] }) })
  await d.until(() => notes(d).length === 1)
  assert.deepEqual(d.where(), { 1: 'In Progress' })
  assert.deepEqual(find(d, '1').assignees, ['ann', 'bot'])
  const { agents } = (await d.get('/agents')).body
  assert.equal(agents.length, 1)
  assert.equal(agents[0].task_id, '1')
  assert.equal(agents[0].task_name, 'Task 1')
  assert.ok(agents[0].pid > 0 && agents[0].runtime_seconds >= 0)
  writeFiles(d.dir, { go: '' })
  await d.until(() => d.where()[1] === 'Done')
  await d.until(async () => (await d.get('/agents')).body.agents.length === 0)
  assert.deepEqual(comments(d, '1'), [])
})

test('a task that is assigned to us already is assigned once', async (t) => {
  const d = await start(t, { success_queue: 'Done' }, ':', { board: board({ ...queues, Todo: [task('1', { assignees: ['bot'] })] }) })
  await d.until(() => d.where()[1] === 'Done')
  assert.deepEqual(find(d, '1').assignees, ['bot'])
})

test('in_progress_queue is "In Progress" unless the route names another', async (t) => {
  const d = await startDaemon(t, {
    routes: script({}, [{ queue_name: 'A' }, { queue_name: 'B', in_progress_queue: 'B.Doing' }]),
    board: board({ A: ['a'], B: ['b'], 'In Progress': [], 'B.Doing': [] }),
    files: { agent: agent('note x\nawait never') },
  })
  await d.until(() => notes(d).length === 2)
  assert.deepEqual(d.where(), { a: 'In Progress', b: 'B.Doing' })
})

test('the agent reads, comments on, edits, creates and moves through the API', async (t) => {
  const d = await start(t, {}, `get "$task" > read.json
comment 'half done'
send PATCH "$task" '{"name": "A better name", "description": "as found", "labels": ["bug"]}'
send POST /tasks '{"queue_name": "Done", "name": "Another", "description": "came up"}'
get /queues > queues.json
move Done`, { board: board({ ...queues, Todo: [task('1', { description: 'why', labels: ['x'] })] }) })
  await d.until(() => d.where()[1] === 'Done')
  const read = JSON.parse(fs.readFileSync(d.file('read.json')))
  assert.deepEqual(read, { id: '1', name: 'Task 1', description: 'why', labels: ['x'], assignees: ['bot'], comments: [], tasks: [], queue: 'In Progress', retry_count: 0 })
  const { comments: [comment], ...rest } = find(d, '1')
  assert.equal(comment.text, 'half done')
  assert.equal(comment.author, 'bot')
  assert.deepEqual(rest, { id: '1', name: 'A better name', description: 'as found', labels: ['bug'], assignees: ['bot'], tasks: [] })
  const made = d.board().queues.Done.find((item) => item.name === 'Another')
  assert.equal(made.description, 'came up')
  const listed = JSON.parse(fs.readFileSync(d.file('queues.json'))).queues
  assert.deepEqual(listed.map(({ name, task_count }) => [name, task_count]), [['Todo', 0], ['In Progress', 1], ['Done', 1]])
})

test('a task that an agent creates in a watched queue is worked on at once', async (t) => {
  const d = await start(t, {}, `[ "$ATHANORE_TASK_ID" != 1 ] || send POST /tasks '{"queue_name": "Todo", "name": "Follow-up"}'
move Done`, { options: { poll_interval: 3600 } })
  await d.until(() => d.board().queues.Done.length === 2)
})

test('arguments, prompt, folder and environment of an agent', async (t) => {
  const secrets = { PLANKA_TOKEN: 's', PLANKA_PASSWORD: 's', LINEAR_API_KEY: 's', JIRA_API_TOKEN: 's', ATHANORE_API_TOKEN: 's' }
  const d = await start(t, {
    args: ['--agent', 'engineer', '-p'], env: { MODEL: 'large', EMPTY: '' }, cwd: 'work',
    prompt: lua('function(id, name, task) return ("%s|%s|%s\\n\'\\"$HOME"):format(id, name, task.description) end'),
  }, 'printf "%s\\0" "$@" > ../args\nenv -0 > ../env\npwd > ../pwd\nmove Done', {
    board: board({ ...queues, Todo: [task('1', { description: 'why' })] }),
    files: { 'work/x': '' },
    env: { ...secrets, ANTHROPIC_API_KEY: 'model' },
    options: { command: './agent' },
  })
  await d.until(() => d.where()[1] === 'Done')
  const strings = (name) => fs.readFileSync(d.file(name), 'utf8').split('\0').slice(0, -1)
  assert.deepEqual(strings('args'), ['--agent', 'engineer', '-p', '1|Task 1|why\n\'"$HOME'])
  assert.equal(fs.readFileSync(d.file('pwd'), 'utf8').trim(), fs.realpathSync(d.file('work')))
  const env = Object.fromEntries(strings('env').map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]))
  const [run] = d.runs()
  assert.equal(env.ATHANORE_API, d.url)
  assert.equal(env.ATHANORE_TASK_ID, '1')
  assert.equal(env.ATHANORE_RUN_ID, run.id)
  assert.equal(env.ATHANORE_QUEUE, 'Todo')
  assert.equal(env.ATHANORE_ATTEMPT, '1')
  assert.ok(env.ATHANORE_TOKEN.length >= 32)
  assert.deepEqual([env.MODEL, env.EMPTY, env.ANTHROPIC_API_KEY], ['large', '', 'model'])
  for (const name of Object.keys(secrets)) assert.equal(env[name], undefined, name)
  // What is secret is nowhere on disk.
  for (const name of fs.readdirSync(run.dir)) assert.ok(!fs.readFileSync(path.join(run.dir, name), 'latin1').includes(env.ATHANORE_TOKEN), name)
  assert.ok(!d.log.some((record) => JSON.stringify(record).includes(env.ATHANORE_TOKEN)))
})

test('an agent is started in the folder of the script, from wherever the daemon is', async (t) => {
  const d = await startDaemon(t, {
    name: 'sub/routes',
    routes: script({ queue_backend: lua('athanore.json_file("../board.json")') }, [{ queue_name: 'Todo' }]),
    board: board(queues),
    files: { 'sub/agent': agent('pwd > pwd\nmove Done') },
  })
  await d.until(() => d.where()[1] === 'Done')
  assert.equal(fs.readFileSync(d.file('sub/pwd'), 'utf8').trim(), fs.realpathSync(d.file('sub')))
  assert.ok(fs.existsSync(d.file('sub/.athanore/routes/athanore.db')))
})

test('success leaves the task where it is, or moves it to the success_queue', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ poll_interval: 3600, success_queue: 'Done' }, [
      { queue_name: 'Todo', success_queue: 'Review' }, { queue_name: 'Review' }, { queue_name: 'Stay', success_queue: false },
    ]),
    board: board({ Todo: ['1'], Review: [], Stay: ['2'], 'In Progress': [], Done: [] }),
    files: { agent: agent('note "$ATHANORE_QUEUE"') },
  })
  await d.until(() => d.where()[1] === 'Done')
  await d.until(() => notes(d).length === 3 && d.log.filter((record) => record.message?.startsWith('run ended: success')).length === 3)
  assert.deepEqual(d.where(), { 1: 'Done', 2: 'In Progress' })
  assert.deepEqual([comments(d, '1'), comments(d, '2')], [[], []])
})

test('a success_queue does not undo what the agent, or a person, has moved', async (t) => {
  const d = await start(t, { success_queue: 'Done' }, '[ "$ATHANORE_TASK_ID" = 2 ] || { move Elsewhere; exit; }\nnote x\nawait go', {
    board: board({ ...queues, Todo: ['1', '2'], Elsewhere: [] }),
  })
  await d.until(() => d.where()[1] === 'Elsewhere' && notes(d).length === 1)
  d.editBoard((it) => { it.queues.Elsewhere.push(it.queues['In Progress'].pop()) })
  writeFiles(d.dir, { go: '' })
  await d.until(() => d.log.filter((record) => record.message?.startsWith('run ended: success')).length === 2)
  assert.deepEqual(d.where(), { 1: 'Elsewhere', 2: 'Elsewhere' })
})

test('with require_move an agent that does not move its task has failed', async (t) => {
  const d = await start(t, { require_move: true, max_retries: 1 }, 'note x\n[ "$ATHANORE_ATTEMPT" = 1 ] || move Done')
  await d.until(() => d.where()[1] === 'Done')
  assert.deepEqual(comments(d, '1'), [
    'Agent failed: exit code 0 without moving the task.',
    'Retry 1/1: exit code 0 without moving the task. Moving back to source queue for retry.',
  ])
})

test('with cancel_when_moved an agent whose task is taken away is ended, but not one that moves it itself', async (t) => {
  const d = await start(t, { cancel_when_moved: true }, `note "$ATHANORE_TASK_ID"
[ "$ATHANORE_TASK_ID" = 2 ] && move Done
await go`, { board: board({ ...queues, Todo: ['1', '2', '3'], Later: [] }) })
  await d.until(() => notes(d).length === 3 && d.where()[2] === 'Done')
  d.editBoard((it) => { it.queues.Later.push(...it.queues['In Progress'].filter((item) => item.id === '1'))
    it.queues['In Progress'] = it.queues['In Progress'].filter((item) => item.id !== '1') })
  await d.until(() => said(d, '1').length > 0)
  assert.deepEqual(said(d, '1'), ['Agent stopped: the task was moved out of "In Progress".'])
  assert.equal(d.where()[1], 'Later')
  assert.deepEqual((await d.get('/agents')).body.agents.map((one) => one.task_id).sort(), ['2', '3'])
  writeFiles(d.dir, { go: '' })
  await d.until(async () => (await d.get('/agents')).body.agents.length === 0)
  assert.equal((await d.get('/agents/2')).body.outcome, 'success')
})

test('without it an agent whose task is taken away goes on', async (t) => {
  const d = await start(t, {}, 'note x\nawait go\nnote y', { board: board({ ...queues, Later: [] }) })
  await d.until(() => notes(d).length === 1)
  d.editBoard((it) => { it.queues.Later.push(it.queues['In Progress'].pop()) })
  const polled = Date.now()
  await d.until(async () => Date.parse((await d.get('/status')).body.last_poll_at) > polled)
  writeFiles(d.dir, { go: '' })
  await d.until(() => notes(d).length === 2)
})

test('when(task) decides which tasks are taken', async (t) => {
  const d = await start(t, {
    when: lua('function(task) for _, label in ipairs(task.labels) do if label == "ready" then return true end end end'),
  }, 'move Done', {
    board: board({ ...queues, Todo: ['1', '2', '3', '4', '5', '6', task('7', { labels: ['ready'] })] }), options: { max_concurrent_agents: 1 },
  })
  await d.until(() => d.where()[7] === 'Done')
  for (const id of ['1', '2', '3', '4', '5', '6']) assert.equal(d.where()[id], 'Todo')
  d.editBoard((it) => { it.queues.Todo[2].labels = ['ready'] })
  await d.until(() => d.where()[3] === 'Done')
})

test("max_concurrent limits a route's agents, and leaves the other slots to others", async (t) => {
  const d = await startDaemon(t, {
    routes: script({ max_concurrent_agents: 4 }, [{ queue_name: 'A', max_concurrent: 1, priority: 1 }, { queue_name: 'B' }]),
    board: board({ A: ['a1', 'a2', 'a3'], B: ['b1', 'b2', 'b3', 'b4'], 'In Progress': [], Done: [] }),
    files: { agent: agent('note "$ATHANORE_TASK_ID"\nawait go\nmove Done') },
  })
  await d.until(() => notes(d).length === 4)
  assert.deepEqual(notes(d).sort(), ['a1', 'b1', 'b2', 'b3'])
  assert.equal((await d.get('/routes/A')).body.active_agents, 1)
  assert.equal((await d.get('/routes/A')).body.max_concurrent, 1)
  writeFiles(d.dir, { go: '' })
  await d.until(() => d.board().queues.Done.length === 7)
})

test('DELETE /agents/{id} ends the agent with all its children and leaves the task in progress', async (t) => {
  const d = await start(t, {}, 'setsid sleep 1000 &\necho $! > child\necho words\nawait never', { options: { max_retries: 3 } })
  const child = await d.until(() => Number(notes(d, 'child')[0]))
  assert.equal((await d.del('/agents/1')).status, 202)
  await d.untilLog('run ended')
  assert.throws(() => process.kill(child, 0), /ESRCH/)
  assert.deepEqual(d.where(), { 1: 'In Progress' })
  assert.deepEqual(said(d, '1'), ['Agent cancelled on request; leaving the task in "In Progress".'])
  const again = await d.del('/agents/1')
  assert.equal(again.status, 404)
  assert.equal(again.body.code, 'not_found')
})

test('GET /agents/{id} shows the running agent, then the last run, with its events', async (t) => {
  const d = await start(t, { timeout: 60 }, 'echo "to stdout"\necho "to stderr" >&2\nawait go\nmove Done\nexit 0')
  const live = await d.until(async () => {
    const { body } = await d.get('/agents/1')
    return body.events?.filter((event) => event.type === 'output').length === 2 && body
  })
  assert.equal(live.running, true)
  assert.equal(live.timeout, 60)
  assert.equal(live.outcome, null)
  assert.equal(live.queue_name, 'Todo')
  assert.deepEqual(live.events.filter((event) => event.type === 'output').map(({ stream, text }) => `${stream}: ${text}`).sort(), ['stderr: to stderr', 'stdout: to stdout'])
  writeFiles(d.dir, { go: '' })
  await d.untilLog('run ended')
  const ended = (await d.get('/agents/1')).body
  assert.equal(ended.running, false)
  assert.equal(ended.run_id, live.run_id)
  assert.equal(ended.outcome, 'success')
  assert.equal(ended.exit_code, 0)
  assert.deepEqual(ended.events.map((event) => event.type), ['claimed', 'output', 'output', 'moved', 'ended'])
  assert.equal((await d.get('/agents/none')).status, 404)
})

test('GET /status tells capacity, timing and how many agents there are', async (t) => {
  const d = await start(t, {}, 'note x\nawait never', { options: { max_concurrent_agents: 5, poll_interval: 7 } })
  await d.until(() => notes(d).length === 1)
  const { body } = await d.get('/status')
  assert.deepEqual([body.name, body.state, body.pid], ['athanore', 'running', d.pid])
  assert.deepEqual([body.active_agents, body.max_concurrent_agents, body.free_slots, body.poll_interval], [1, 5, 4, 7])
  assert.equal(body.script, fs.realpathSync(d.file('routes.lua')))
  const next = Date.parse(body.next_poll_at) - Date.parse(body.last_poll_at)
  assert.ok(next > 5000 && next < 10000, `next poll in ${next} ms`)
  assert.deepEqual(body.needs_attention, [])
  assert.equal(body.queue.error, null)
})
