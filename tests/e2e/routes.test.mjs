// Routes made, changed and deleted through the API of a whole daemon.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { startDaemon, test } from './lib/daemon.mjs'

// Writes its arguments to ran.jsonl, and waits for the file that its last argument names after "wait".
const agent = `#!/bin/sh
printf '%s\\n' "$ATHANORE_TASK_ID|$ATHANORE_QUEUE|$*" >> "$(dirname "$0")/ran"
case "$*" in *wait*) while [ ! -e "$(dirname "$0")/go" ]; do sleep 0.05; done ;; esac
`
const routes = ({ options = '', route = '', more = '' } = {}) => `
local athanore = require "athanore"
local d = athanore.dispatcher {
  command = "./agent", poll_interval = 0.2, agent_timeout = 50, enable_queue_management = true,
  queue_backend = athanore.json_file "board.json", ${options}
}
d:route { queue_name = "Todo", in_progress_queue = "Doing", success_queue = "Done", args = { "script" },
  prompt = function(id) return "from the script" end, ${route} }
${more}
return d
`
const task = (id, extra = {}) => ({ id, name: `Task ${id}`, description: null, ...extra })
const board = (queues = {}) => ({ queues: { Todo: [], Doing: [], Other: [], 'Other WIP': [], Done: [], ...queues } })
const start = (t, { board: queues, ...options } = {}) =>
  startDaemon(t, { routes: routes(options), board: board(queues), files: { agent } })
const ran = (d) => (fs.existsSync(d.file('ran')) ? fs.readFileSync(d.file('ran'), 'utf8').trim().split('\n') : [])
const add = (d, queue, ...tasks) => d.editBoard((b) => { b.queues[queue].push(...tasks) })
const otherRoute = { queue_name: 'Other', in_progress_queue: 'Other WIP', success_queue: 'Done', prompt: 'Do {{task.id}}' }

test('a route made through the API runs agents on the prompt of its template', async (t) => {
  const d = await start(t, { board: { Other: [task('7', { name: 'a {{task.id}} b', description: 'the\nrest' })] } })
  const made = await d.post('/routes', {
    ...otherRoute, args: ['--flag'], prompt: '{{{{ {{task.id}}: {{ task.name }} / {{task.description}}', priority: 2, max_retries: 3,
  })
  assert.equal(made.status, 201, made.text)
  assert.equal(made.headers.location, '/routes/Other')
  const { source, until, priority, max_retries: retries, timeout, poll_interval: interval, agent: name } = made.body
  assert.deepEqual({ source, until, priority, retries, timeout, interval, name },
    { source: 'api', until: null, priority: 2, retries: 3, timeout: 50, interval: 0.2, name: 'subprocess' })
  await d.until(() => d.where()['7'] === 'Done')
  assert.deepEqual(fs.readFileSync(d.file('ran'), 'utf8'), '7|Other|--flag {{ 7: a {{task.id}} b / the\nrest\n')
  const list = (await d.get('/routes')).body.routes
  assert.deepEqual(list.map((route) => [route.queue_name, route.source]), [['Other', 'api'], ['Todo', 'script']])
  assert.deepEqual((await d.get('/routes/Other')).body.prompt, '{{{{ {{task.id}}: {{ task.name }} / {{task.description}}')
})

test('it survives a restart and kill -9, with its changes, and can be deleted for good', async (t) => {
  const d = await start(t)
  assert.equal((await d.post('/routes', otherRoute)).status, 201)
  const changed = await d.patch('/routes/Other', { timeout: 7, priority: 1, prompt: 'Now {{task.id}}' })
  assert.equal(changed.status, 200, changed.text)
  assert.equal(changed.body.until, null)
  assert.equal(changed.body.timeout, 7)
  await d.kill9()
  await d.start()
  const route = (await d.get('/routes/Other')).body
  assert.deepEqual([route.source, route.timeout, route.priority, route.prompt], ['api', 7, 1, 'Now {{task.id}}'])
  add(d, 'Other', task('1'))
  await d.until(() => d.where()['1'] === 'Done')
  assert.deepEqual(ran(d), ['1|Other|Now 1'])
  assert.equal((await d.patch('/routes/Other', { timeout: null, priority: null })).body.timeout, null)
  const deleted = await d.del('/routes/Other')
  assert.deepEqual([deleted.status, deleted.body], [200, { queue_name: 'Other', source: 'api', until: null }])
  assert.equal((await d.get('/routes/Other')).status, 404)
  await d.restart()
  assert.equal((await d.get('/routes/Other')).status, 404)
})

test('changes of a route of the script hold until the restart, and say so', async (t) => {
  const d = await start(t)
  assert.deepEqual([(await d.get('/routes/Todo')).body].map((r) => [r.source, r.until, r.prompt]), [['script', null, null]])
  const changed = await d.patch('/routes/Todo', { args: ['changed'], prompt: 'template {{task.name}}', max_concurrent: 1 })
  assert.deepEqual([changed.status, changed.body.until, changed.body.source], [200, 'reload', 'script'])
  add(d, 'Todo', task('1'))
  await d.until(() => d.where()['1'] === 'Done')
  assert.deepEqual(ran(d), ['1|Todo|changed template Task 1'])
  assert.equal((await d.patch('/routes/Todo', { prompt: null })).body.prompt, null)
  add(d, 'Todo', task('2'))
  await d.until(() => d.where()['2'] === 'Done')
  assert.equal(ran(d)[1], '2|Todo|changed from the script')
  const deleted = await d.del('/routes/Todo')
  assert.deepEqual([deleted.status, deleted.body], [200, { queue_name: 'Todo', source: 'script', until: 'reload' }])
  assert.deepEqual((await d.get('/routes')).body.routes, [])
  assert.equal(await d.stop(), 0)
  await d.start()
  const route = (await d.get('/routes/Todo')).body
  assert.deepEqual([route.args, route.until, route.max_concurrent], [['script'], null, null])
})

test('runs under way are not touched', async (t) => {
  const d = await start(t)
  assert.equal((await d.post('/routes', { ...otherRoute, prompt: 'wait', max_concurrent: 1 })).status, 201)
  add(d, 'Other', task('1'), task('2'))
  await d.until(() => ran(d).length === 1)
  assert.equal((await d.patch('/routes/Other', { success_queue: 'Todo', in_progress_queue: 'Elsewhere' })).status, 200)
  assert.equal((await d.del('/routes/Other')).status, 200)
  assert.equal((await d.get('/agents')).body.agents.length, 1)
  // Made anew while its run goes on: that one still counts.
  assert.equal((await d.post('/routes', { ...otherRoute, max_concurrent: 1 })).body.active_agents, 1)
  assert.equal(ran(d).length, 1)
  fs.writeFileSync(d.file('go'), '')
  await d.until(() => d.where()['1'] === 'Done' && d.where()['2'] === 'Done')
  assert.deepEqual(ran(d), ['1|Other|wait', '2|Other|Do 2'])
  await d.until(async () => (await d.get('/routes/Other')).body.active_agents === 0)
  assert.equal(await d.stop(), 0)
})

test('a claim whose route changes while its script thinks is made anew', async (t) => {
  const slow = 'prompt = function() athanore.sleep(0.5) return "slow" end'
  const d = await startDaemon(t, {
    routes: routes().replace(/prompt = function.*?end,/, `${slow},`), board: board({ Todo: [task('1')] }), files: { agent },
  })
  for (let i = 0; i < 3; i++) assert.equal((await d.patch('/routes/Todo', { in_progress_queue: 'Other WIP', args: [`n${i}`] })).status, 200)
  assert.equal((await d.patch('/routes/Todo', { prompt: 'wait' })).status, 200)
  await d.until(() => d.where()['1'] === 'Other WIP')
  await d.until(() => ran(d).length > 0)
  fs.writeFileSync(d.file('go'), '')
  await d.until(() => d.where()['1'] === 'Done')
  assert.deepEqual(ran(d), ['1|Todo|n2 wait'])
})

test('a route deleted while its script thinks takes nothing', async (t) => {
  const d = await startDaemon(t, {
    routes: routes().replace(/prompt = function.*?end,/, 'prompt = function() athanore.sleep(0.3) return "x" end,'),
    board: board({ Todo: [task('1'), task('2')] }),
    files: { agent },
  })
  await d.until(async () => (await d.get('/status')).body.last_poll_at)
  assert.equal((await d.del('/routes/Todo')).status, 200)
  assert.equal((await d.post('/routes', otherRoute)).status, 201)
  add(d, 'Other', task('3'))
  await d.until(() => d.where()['3'] === 'Done')
  assert.deepEqual(d.where(), { 1: 'Todo', 2: 'Todo', 3: 'Done' })
  assert.deepEqual(ran(d), ['3|Other|Do 3'])
})

test('routes come, change and go while tasks of one poll wait for the slot', async (t) => {
  const more = 'd:route { queue_name = "Other", in_progress_queue = "Other WIP", success_queue = "Done", prompt = function() return "old" end }'
  const d = await startDaemon(t, {
    routes: routes({ options: 'max_concurrent_agents = 1', more }).replace(/prompt = function.*?end,/, 'prompt = function() athanore.sleep(40) end,'),
    board: board({ Todo: [task('1'), task('2')], Other: [task('3'), task('4')] }),
    files: { agent },
  })
  await d.until(async () => (await d.get('/tasks/1/explain')).body.reasons[0].code === 'claiming')
  assert.equal((await d.post('/routes', { ...otherRoute, queue_name: 'First', priority: 1 })).status, 201)
  assert.equal((await d.patch('/routes/Other', { prompt: 'new' })).status, 200)
  assert.equal((await d.del('/routes/Todo')).status, 200)
  await d.until(() => d.where()['3'] === 'Done' && d.where()['4'] === 'Done')
  assert.deepEqual(d.where(), { 1: 'Todo', 2: 'Todo', 3: 'Done', 4: 'Done' })
  assert.equal((await d.post('/routes', { ...otherRoute, queue_name: 'Todo' })).status, 201)
  await d.until(() => d.where()['1'] === 'Done' && d.where()['2'] === 'Done')
  assert.deepEqual(ran(d), ['3|Other|new', '4|Other|new', '1|Todo|Do 1', '2|Todo|Do 2'])
})

test('what makes no route is refused, and the field named', async (t) => {
  const d = await start(t)
  const bad = [
    [{ queue_name: undefined }, 422, 'queue_name', /missing/],
    [{ queue_name: '' }, 422, 'queue_name', /empty/],
    [{ queue_name: 5 }, 422, 'queue_name', /string/],
    [{ prompt: undefined }, 422, 'prompt', /missing/],
    [{ prompt: null }, 422, 'prompt', /missing/],
    [{ prompt: 'x {{task.nmae}}' }, 422, 'prompt', /there is no \{\{task.nmae\}\}.*\{\{task.name\}\}/],
    [{ prompt: 'x {{task.name' }, 422, 'prompt', /not closed/],
    [{ prompt: ['x'] }, 422, 'prompt', /string/],
    [{ prompt: 'a\u0000b' }, 422, 'prompt', /NUL/],
    [{ args: 'x' }, 422, 'args', /list/],
    [{ args: [1] }, 422, 'args', /list of strings/],
    [{ timeout: -1 }, 422, 'timeout', /at least 0/],
    [{ timeout: '5' }, 422, 'timeout', /number of seconds \(or null\), got a string/],
    [{ poll_interval: 0 }, 422, 'poll_interval', /above 0/],
    [{ poll_interval: null }, 422, 'poll_interval', /got null/],
    [{ poll_interval: 1e9 }, 422, 'poll_interval', /at most/],
    [{ max_retries: 1.5 }, 422, 'max_retries', /whole/],
    [{ max_retries: 1e9 }, 422, 'max_retries', /at most/],
    [{ priority: 'high' }, 422, 'priority', /number/],
    [{ require_move: 1 }, 422, 'require_move', /true or false/],
    [{ agent: 'claude' }, 422, 'agent', /script only/],
    [{ when: 'x' }, 422, 'when', /script only/],
    [{ pirority: 1 }, 422, 'pirority', /did you mean "priority"/],
    [{ in_progress_queue: 'Other' }, 422, 'in_progress_queue', /queue that the route watches/],
    [{ dead_letter_queue: 'Other' }, 422, 'dead_letter_queue', /for ever/],
    [{ success_queue: 'Other WIP' }, 422, 'success_queue', /stay where they are/],
    [{ in_progress_queue: 'Todo' }, 409, 'in_progress_queue', /watched by the route of line/],
    [{ queue_name: 'Doing' }, 409, 'queue_name', /in_progress_queue of the route of queue 'Todo'/],
    [{ queue_name: 'Todo' }, 409, 'queue_name', /has a route already/],
    [{ command: '/bin/sh' }, 403, 'command', /api_token/],
    [{ env: { A: '1' } }, 403, 'env', /api_token/],
    [{ cwd: '/' }, 403, 'cwd', /api_token/],
  ]
  for (const [change, status, field, detail] of bad) {
    const answer = await d.post('/routes', { ...otherRoute, ...change })
    assert.equal(answer.status, status, `${JSON.stringify(change)}: ${answer.text}`)
    assert.equal(answer.body.field, field, answer.text)
    assert.match(answer.body.detail, detail)
  }
  assert.equal((await d.patch('/routes/None', { timeout: 1 })).status, 404)
  assert.equal((await d.del('/routes/None')).status, 404)
  assert.equal((await d.patch('/routes/Todo', {})).status, 422)
  assert.equal((await d.patch('/routes/Todo', { queue_name: 'Other' })).body.field, 'queue_name')
  assert.equal((await d.patch('/routes/Todo', { in_progress_queue: 'Todo' })).status, 422)
  assert.equal((await d.patch('/routes/Todo', { command: 'x' })).status, 403)
  const list = (await d.get('/routes')).body.routes
  assert.deepEqual(list.map((route) => [route.queue_name, route.in_progress_queue, route.until]), [['Todo', 'Doing', null]])
})

test('with an api_token it may set command, env and cwd', async (t) => {
  const d = await start(t, { options: 'api_token = "secret"', board: { Other: [task('1')] } })
  const made = await d.post('/routes', {
    ...otherRoute, command: ['/bin/sh', '-c'], env: { WORD: 'hello', N: 3 }, cwd: '/tmp',
    prompt: `echo "$WORD $N $(pwd)" > ${d.file('out')}`,
  }, { headers: { authorization: 'Bearer secret' } })
  assert.equal(made.status, 201, made.text)
  assert.deepEqual(made.body.env, ['WORD', 'N'])
  await d.until(() => d.where()['1'] === 'Done')
  assert.equal(fs.readFileSync(d.file('out'), 'utf8'), 'hello 3 /tmp\n')
})

test('of parallel requests for one queue one makes the route', async (t) => {
  const d = await start(t)
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => d.post('/routes', { ...otherRoute, timeout: i + 1 })))
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, ...Array(11).fill(409)])
  const made = answers.find((answer) => answer.status === 201).body
  assert.equal((await d.get('/routes/Other')).body.timeout, made.timeout)
  await d.restart()
  assert.equal((await d.get('/routes/Other')).body.timeout, made.timeout)
})

test('a stored route that the script has come to contradict is not used, and can be deleted', async (t) => {
  const d = await start(t)
  assert.equal((await d.post('/routes', otherRoute)).status, 201)
  await d.stop()
  const more = 'd:route { queue_name = "Other", prompt = function() return "s" end }'
  fs.writeFileSync(d.file('routes.lua'), routes({ more }))
  await d.start()
  assert.equal((await d.get('/routes/Other')).body.source, 'script')
  const inactive = (await d.get('/status')).body.inactive_routes
  assert.equal(inactive.length, 1)
  assert.equal(inactive[0].queue_name, 'Other')
  assert.match(inactive[0].error, /has a route already/)
  await d.stop()
  fs.writeFileSync(d.file('routes.lua'), routes())
  await d.start()
  assert.equal((await d.get('/routes/Other')).body.source, 'api')
  await d.stop()
  fs.writeFileSync(d.file('routes.lua'), routes({ more }))
  await d.start()
  assert.deepEqual((await d.del('/routes/Other')).body, { queue_name: 'Other', source: 'api', until: null })
  assert.deepEqual((await d.get('/status')).body.inactive_routes, [])
  assert.equal((await d.get('/routes/Other')).body.source, 'script')
})

test('names in paths may hold anything', async (t) => {
  const d = await start(t)
  for (const name of ['My Project.Board.To do', 'a/b', '100% Füße 火', '%2F']) {
    const made = await d.post('/routes', { ...otherRoute, queue_name: name })
    assert.equal(made.status, 201)
    assert.equal((await d.get(made.headers.location)).body.queue_name, name)
    assert.equal((await d.patch(`/routes/${encodeURIComponent(name)}`, { timeout: 3 })).body.timeout, 3)
    assert.equal((await d.del(`/routes/${encodeURIComponent(name)}`)).status, 200)
  }
})
