// Scripts that fail, loop or eat memory; agent adapters; queue adapters in Lua; the folder of the state.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { patience, rss, startDaemon, test, writeFiles } from './lib/daemon.mjs'
import { agent, board, comments, lua, notes, script } from './lib/script.mjs'

const queues = { Todo: ['1'], 'In Progress': [], Done: [] }

// The line of the script that holds the text.
function lineOf(d, text) {
  return fs.readFileSync(d.file('routes.lua'), 'utf8').split('\n').findIndex((line) => line.includes(text)) + 1
}

const bad = {
  'raises an error': ['error("no such customer")', /no such customer/],
  'calls nil': ['local t = nil; return t.x', /attempt to index a nil value/],
  'returns a number': ['return 42', /must return a string, got number/],
  'returns nothing': ['return', /must return a string, got nil/],
  'loops for ever': ['while true do end', /stopped after/],
  'loops for ever within pcall': ['while true do pcall(function() while true do end end) end', /stopped after/],
  'eats memory': ['local s = "x"; while true do s = s .. s end', /not enough memory/],
  'eats memory in small pieces': ['local t = {}; while true do t[#t + 1] = { #t } end', /not enough memory|stopped after/],
}

for (const [what, [code, message]] of Object.entries(bad)) {
  test(`a prompt that ${what}: the task stays, file and line are told, other routes go on`, async (t) => {
    const d = await startDaemon(t, {
      routes: script({ max_retries: 3, dead_letter_queue: 'Done' }, [
        { queue_name: 'Todo', priority: 1, prompt: lua(`function(id)\n  ${code}\nend`) },
        { queue_name: 'Other', priority: 2 },
      ]),
      board: board({ ...queues, Other: ['o1', 'o2'] }),
      files: { agent: agent('move Done') },
    })
    const line = code.includes('return') && /must return/.test(message.source) ? lineOf(d, 'function(id)') : lineOf(d, code)
    const where = new RegExp(`routes\\.lua:${line}: `)
    const record = await d.untilLog((one) => one.level === 'error' && one.task_id === '1')
    assert.match(record.message, message)
    assert.match(record.message, where)
    assert.match(record.message, /the task stays in Todo/)
    const { body } = await d.get('/routes/Todo')
    assert.match(body.error, message)
    assert.match(body.error, where)
    assert.ok(Date.parse(body.error_at) > 0)
    await d.until(() => d.where().o1 === 'Done' && d.where().o2 === 'Done', { timeout: 20000 })
    assert.equal((await d.get('/routes/Other')).body.error, null)
    assert.equal(d.where()[1], 'Todo')
    assert.deepEqual(comments(d, '1'), [])
    assert.deepEqual(d.runs().filter((run) => run.run?.task_id === '1'), [])
    assert.ok(rss(d.pid) < 400e6 * patience, `${rss(d.pid)} bytes`)
    assert.equal((await d.get('/healthz')).status, 200)
  })
}

test('a prompt that fails is tried again, less and less often, and then taken', async (t) => {
  const d = await startDaemon(t, {
    routes: script({}, [{
      queue_name: 'Todo',
      prompt: lua(`function()
  io.open("tries", "a"):write("x\\n"):close()
  if not io.open("fixed") then error("not yet") end
  return "go"
end`),
    }]),
    board: board(queues),
    files: { agent: agent('move Done') },
  })
  await d.until(() => notes(d, 'tries').length >= 3)
  writeFiles(d.dir, { fixed: '' })
  await d.until(() => d.where()[1] === 'Done')
  assert.ok(notes(d, 'tries').length < 12, `${notes(d, 'tries').length} tries`)
  const { error, error_at: at } = (await d.get('/routes/Todo')).body // the last one
  assert.match(error, /not yet/)
  assert.ok(Date.parse(at) < Date.now())
})

test('a when() that raises is told like a prompt that does', async (t) => {
  const d = await startDaemon(t, {
    routes: script({}, [{ queue_name: 'Todo', when: lua('function(task)\n  return task.missing.field\nend') }]),
    board: board(queues),
  })
  await d.until(async () => /routes\.lua:\d+: .*field 'missing'/.test((await d.get('/routes/Todo')).body.error))
  assert.equal(d.where()[1], 'Todo')
})

test('an agent adapter: command, env, cwd and stdin of its own, before, outcome and after', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ command: '' }, [{ queue_name: 'Todo', agent: lua('agent') }], {
      head: `local agent = athanore.subprocess {}
local function note(text) local file <close> = io.open("notes", "a"); file:write(text, "\\n") end
function agent.command(run)
  return { "./special", run.task.id, run.task.name, run.route.queue_name }, { MODEL = "large" }, "work", "in: " .. run.prompt
end
function agent.before(run) note("before " .. run.task_id .. " " .. run.attempt) end
function agent.outcome(run, exit)
  note("outcome " .. exit.exit_code .. " " .. exit.reason .. " " .. exit.outcome)
  if exit.exit_code == 75 then return "success" end
end
function agent.after(run, outcome) note("after " .. run.task_id .. " " .. outcome) end`,
    }),
    board: board(queues),
    files: { special: '#!/bin/sh\nprintf "%s\\n" "$@" "$MODEL" "$(cat)" "$(basename "$PWD")" > ../seen\nexit 75', 'work/x': '' },
  })
  await d.untilLog('run ended: success')
  assert.deepEqual(notes(d, 'seen'), ['1', 'Task 1', 'Todo', 'large', 'in: 1: Task 1', 'work'])
  assert.deepEqual(notes(d), ['before 1 1', 'outcome 75 exit failure', 'after 1 success'])
  assert.deepEqual(comments(d, '1'), [])
  assert.equal((await d.get('/agents/1')).body.outcome, 'success')
})

test('an outcome may be a failure, with an error that is told', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ default_agent: lua('athanore.subprocess { outcome = function() return { outcome = "failure", error = "it gave up" } end }') },
      [{ queue_name: 'Todo', max_retries: 1 }]),
    board: board(queues),
    files: { agent: agent('[ "$ATHANORE_ATTEMPT" = 1 ] || move Done') },
  })
  await d.until(() => d.where()[1] === 'Done')
  assert.deepEqual(comments(d, '1').slice(0, 2), ['Agent failed: it gave up.', 'Retry 1/1: it gave up. Moving back to source queue for retry.'])
})

test('before() that fails is a failure of the run, and the others do not end the daemon', async (t) => {
  const d = await startDaemon(t, {
    routes: script({}, [{ queue_name: 'A', agent: lua('first') }, { queue_name: 'B', agent: lua('second') }], {
      head: `local first = athanore.subprocess { before = function() error("no workspace") end }
local second = athanore.subprocess { outcome = function() error("bad outcome") end, after = function() error("bad after") end }`,
    }),
    board: board({ ...queues, Todo: [], A: ['a'], B: ['b'] }),
    files: { agent: agent('move Done') },
  })
  await d.until(() => d.where().b === 'Done' && comments(d, 'a').length > 0)
  assert.match(comments(d, 'a')[0], /^Agent could not be started: .*routes\.lua:\d+: no workspace/)
  await d.untilLog(/routes\.lua:\d+: bad outcome.*the exit code decides/s)
  await d.untilLog(/routes\.lua:\d+: bad after/)
  await d.until(async () => (await d.get('/agents/b')).body.outcome === 'success')
})

test('prompt_via stdin and file carry long prompts, and those that begin with a dash', async (t) => {
  const d = await startDaemon(t, {
    routes: script({}, [
      { queue_name: 'Stdin', args: ['x'], agent: lua('athanore.subprocess { prompt_via = "stdin" }'), prompt: lua('long') },
      { queue_name: 'File', args: ['x'], agent: lua('athanore.subprocess { prompt_via = "file" }'), prompt: lua('long') },
      { queue_name: 'Long', prompt: lua('function() return long():sub(2) end') },
      { queue_name: 'Dash', prompt: lua('function() return "--rm" end') },
    ], { head: 'local function long() return "-" .. ("word "):rep(200000) end' }),
    board: board({ Stdin: ['s'], File: ['f'], Long: ['l'], Dash: ['d'], 'In Progress': [], Done: [] }),
    files: { agent: agent('echo "$#" >> "count.$ATHANORE_TASK_ID"\nif [ "$ATHANORE_QUEUE" = File ]; then cat "$2"; else cat; fi | wc -c > "bytes.$ATHANORE_TASK_ID"\nmove Done') },
  })
  await d.until(() => d.where().s === 'Done' && d.where().f === 'Done')
  for (const id of ['s', 'f']) assert.equal(Number(notes(d, `bytes.${id}`)[0]), 1000001)
  assert.deepEqual([notes(d, 'count.s'), notes(d, 'count.f')], [['1'], ['2']])
  await d.until(async () => /has 1000000 bytes.*prompt_via = "stdin"/.test((await d.get('/routes/Long')).body.error))
  await d.until(async () => /begins with '-'.*prompt_via = "stdin"/.test((await d.get('/routes/Dash')).body.error))
  assert.deepEqual([d.where().l, d.where().d], ['Long', 'Dash'])
})

test("agents have an empty standard input, not the daemon's", async (t) => {
  const d = await startDaemon(t, { routes: script({}, [{ queue_name: 'Todo' }]), board: board(queues), files: { agent: agent('cat > input\nmove Done') } })
  await d.until(() => d.where()[1] === 'Done')
  assert.equal(fs.readFileSync(d.file('input'), 'utf8'), '')
})

// A queue adapter in memory: the whole protocol.
const memory = `local function memory(tasks)
  local M, null = { name = "memory", identity = "memory" }, athanore.json.null
  local function find(id)
    for _, task in ipairs(tasks) do if task.id == id then return task end end
    return nil, athanore.error("not_found", "no task " .. id)
  end
  local function note(...) local file <close> = io.open("calls", "a"); file:write(table.concat({ ... }, " "), "\\n") end
  function M:get_ready_tasks(names)
    athanore.sleep(0.01)
    local list = athanore.json.array()
    for _, task in ipairs(tasks) do for _, name in ipairs(names) do if task.queue == name then list[#list + 1] = task end end end
    return list
  end
  function M:get_task(id) return find(id) end
  function M:move_task(id, target) local task, err = find(id); if not task then return nil, err end; note("move", id, target); task.queue = target; return task end
  function M:add_comment(id, text) note("comment", id, text); return true end
  function M:update_task(id, fields)
    local task = find(id)
    for key, value in pairs(fields) do task[key] = value ~= null and value or nil end
    if fields.assignees then note("assign", id, table.concat(fields.assignees, ",")) end
    return task
  end
  function M:create_task(queue, name, description)
    tasks[#tasks + 1] = { id = tostring(#tasks + 1), queue = queue, name = name, description = description }
    return tasks[#tasks]
  end
  function M:list_queues() return { { name = "Todo", task_count = #tasks } } end
  function M:get_queue(name) return { name = name, task_count = 0 } end
  local function no() return nil, athanore.error("unsupported", "queues are fixed") end
  M.create_queue, M.update_queue, M.delete_queue = no, no, no
  function M:authenticated_user() return "lua-bot" end
  return M
end`

test('a queue adapter in Lua: found, claimed, assigned, retried, moved', async (t) => {
  const backend = lua('{ create_adapter = function() return memory { { id = "1", queue = "Todo", name = "first" } } end }')
  const d = await startDaemon(t, {
    routes: script({ queue_backend: backend, max_retries: 1 }, [{ queue_name: 'Todo', success_queue: 'Done' }], { head: memory }),
    files: { agent: agent('comment hello\n[ "$ATHANORE_ATTEMPT" = 2 ]') },
  })
  await d.until(() => notes(d, 'calls').at(-1) === 'move 1 Done')
  assert.deepEqual(notes(d, 'calls').filter((line) => line !== ''), [
    'move 1 In Progress', 'assign 1 lua-bot', 'comment 1 hello', 'comment 1 Agent failed: exit code 1.',
    'comment 1 Retry 1/1: exit code 1. Moving back to source queue for retry.', 'move 1 Todo',
    'move 1 In Progress', 'comment 1 hello', 'move 1 Done',
  ])
  assert.equal((await d.get('/tasks/1')).body.queue, 'Done')
  assert.equal((await d.get('/tasks/9')).status, 404)
})

test('claim_task decides who has the task: false is somebody else', async (t) => {
  const backend = lua('claiming()')
  const d = await startDaemon(t, {
    routes: script({ queue_backend: backend }, [{ queue_name: 'Todo' }], {
      head: `${memory}
local function claiming()
  local M = memory { { id = "1", queue = "Todo", name = "theirs" }, { id = "2", queue = "Todo", name = "ours" } }
  function M:claim_task(id, from, to)
    if id == "1" then return false end
    local task = self:get_task(id)
    if task.queue ~= from then return false end
    task.queue = to
    return true
  end
  return M
end`,
    }),
    files: { agent: agent('note "$ATHANORE_TASK_ID"\nmove Done') },
  })
  await d.untilLog('run ended: success')
  await d.until(() => d.log.filter((record) => record.message === 'somebody else was faster').length >= 2)
  assert.deepEqual(notes(d), ['2'])
})

test('an adapter that fails is named with file and line, and the API answers with its kind of error', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ queue_backend: lua('broken()') }, [{ queue_name: 'Todo' }], {
      head: `${memory}
local function broken()
  local M = memory {}
  function M:get_task(id)
    if id == "bug" then local x = nil; return x.y end
    return nil, athanore.error(id, "as asked for")
  end
  return M
end`,
    }),
  })
  const statuses = { not_found: 404, conflict: 409, invalid: 422, forbidden: 502, unauthorized: 502, rate_limited: 503, unavailable: 503, timeout: 504, unsupported: 501 }
  for (const [code, status] of Object.entries(statuses)) {
    const answer = await d.get(`/tasks/${code}`)
    assert.deepEqual([answer.status, answer.body.code, answer.body.detail.includes('as asked for')], [status, code, true], answer.text)
  }
  const answer = await d.get('/tasks/bug')
  assert.equal(answer.status, 500)
  assert.match(answer.body.detail, new RegExp(`routes\\.lua:${lineOf(d, 'return x.y')}: .*nil value`))
  await d.untilLog((record) => record.level === 'error' && /routes\.lua:\d+: .*nil value/.test(record.message))
})

test('the state is beside the script, private, and in nobody’s git', async (t) => {
  const d = await startDaemon(t, { routes: script({}, [{ queue_name: 'Todo' }]), board: board(queues), files: { agent: agent('move Done') }, name: 'work' })
  await d.until(() => d.where()[1] === 'Done')
  assert.equal(fs.readFileSync(d.file('.athanore/work/.gitignore'), 'utf8'), '*\n')
  assert.equal(fs.statSync(d.stateDir).mode & 0o777, 0o700)
  const [run] = d.runs()
  assert.equal(fs.statSync(run.dir).mode & 0o777, 0o700)
  assert.equal(fs.readFileSync(`${run.dir}/prompt.txt`, 'utf8'), '1: Task 1')
})

test('state_dir is relative to the script, and --state-dir to where the command is given', async (t) => {
  for (const [options, args, where] of [[{ state_dir: 'here' }, [], 'here'], [{ state_dir: 'here' }, ['--state-dir', 'there'], 'there']]) {
    const d = await startDaemon(t, { routes: script(options, [{ queue_name: 'Todo' }]), board: board({ Todo: [] }), args })
    assert.ok(fs.existsSync(d.file(`${where}/athanore.db`)), where)
    assert.ok(!fs.existsSync(d.file('.athanore')))
  }
})
