// What the tests of crashes have in common: a script, agents, and looks at what they left.
import fs from 'node:fs'
import path from 'node:path'
import { buildDir } from './daemon.mjs'

export const crashPreload = path.join(buildDir, 'tests/fixtures/crash_preload.so')
export const badAgent = path.join(buildDir, 'tests/fixtures/agent')

// A script with one route from Todo; options and route are Lua for the two tables.
export const routes = ({ options = '', route = '', backend = 'athanore.json_file "board.json"', args = '' } = {}) => `
local athanore = require "athanore"
local dispatcher = athanore.dispatcher {
  command = "./agent.sh", poll_interval = 0.1, max_concurrent_agents = 5,
  queue_backend = ${backend},
  ${options}
}
dispatcher:route {
  queue_name = "Todo", args = { ${args} },
  ${route}
  prompt = function(task_id) return task_id end,
}
return dispatcher
`

// A board with tasks "1" to "n" in Todo, and empty queues.
export const board = (n, ...queues) => ({
  queues: Object.fromEntries([
    ['Todo', Array.from({ length: n }, (_, i) => ({ id: String(i + 1), name: `task ${i + 1}` }))],
    ...['In Progress', 'Done', 'Dead', ...queues].map((name) => [name, []]),
  ]),
})

// Makes the daemon die at its n-th call: see tests/fixtures/crash_preload.c.
export const crashing = (settings) => ({
  LD_PRELOAD: crashPreload,
  ASAN_OPTIONS: 'verify_asan_link_order=0',
  ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [`CRASH_${name.toUpperCase()}`, String(value)])),
})

export const linesOf = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean) : [])

// How often each task was run, by what the agents appended to the file: { "1": 2 }.
export function tally(lines) {
  const counts = {}
  for (const line of lines) counts[line] = (counts[line] ?? 0) + 1
  return counts
}

// { "1": times, …, "n": times }
export const each = (n, value) => Object.fromEntries(Array.from({ length: n }, (_, i) => [String(i + 1), value]))

export const taskOf = (d, id) => Object.values(d.board().queues).flat().find((task) => task.id === id)
export const commentsOf = (d, id) => (taskOf(d, id).comments ?? []).map((comment) => comment.text)
export const outputOf = (run, stream = 'stdout') =>
  run.events.filter((event) => event.type === 'output' && event.stream === stream).map((event) => event.text)

export const inQueue = (d, queue) => d.board().queues[queue].length

export function startedOf(run) {
  try {
    return JSON.parse(fs.readFileSync(path.join(run.dir, 'started'), 'utf8'))
  } catch {
    return {} // not yet
  }
}

// Where agents can be put into cgroups: a folder of the unified hierarchy that we may write to.
export function haveCgroups() {
  const place = /^0::(.*)$/m.exec(fs.readFileSync('/proc/self/cgroup', 'utf8'))?.[1]
  const mount = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n').find((line) => line.includes(' - cgroup2 '))
  if (place === undefined || !mount) return false
  try {
    fs.accessSync(path.join(mount.split(' ')[4], place), fs.constants.W_OK)
    return true
  } catch {
    return false
  }
}

// Numbers that are the same each time for one seed.
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

// ---- An adapter in Lua that keeps its tasks in tasks.json and fails as it is told to.

export const ledgerBoard = (n) =>
  Array.from({ length: n }, (_, i) => ({ id: String(i + 1), name: `task ${i + 1}`, queue: 'Todo', comments: [] }))

// A file "fault-OP" holds "KIND TIMES": so many calls of the operation fail with an error of that kind. With
// "late" before the kind they do their work first. Each call is written to the file "calls".
export const ledger = `
local athanore = require "athanore"
local M = { name = "ledger", identity = "ledger" }

local function read(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

local function write(path, text, mode)
  local file <close> = assert(io.open(path, mode or "w"))
  assert(file:write(text))
end

local function load() return athanore.json.decode(read "tasks.json") end

local function save(tasks)
  write("tasks.json.new", athanore.json.encode(tasks))
  assert(os.rename("tasks.json.new", "tasks.json"))
end

local function find(tasks, id)
  for _, task in ipairs(tasks) do if task.id == id then return task end end
end

local function fault(op)
  local text = read("fault-" .. op) or ""
  local late = text:match "^late " or ""
  local kind, times = text:sub(#late + 1):match "^([%a_]+) (%d+)"
  if not kind or times == "0" then return end
  write("fault-" .. op, ("%s%s %d"):format(late, kind, times - 1))
  return athanore.error(kind, "the ledger is " .. kind), late ~= ""
end

local function operation(op, work)
  M[op] = function(_, ...)
    local err, late = fault(op)
    write("calls", op .. (err and (late and " late" or " fails") or "") .. "\\n", "a")
    if err and not late then return nil, err end
    local result, failure = work(...)
    if err then return nil, err end
    return result, failure
  end
end

local function missing(id) return nil, athanore.error("not_found", "there is no task " .. id) end

local function change(id, fn)
  local tasks = load()
  local task = find(tasks, id)
  if not task then return missing(id) end
  fn(task)
  save(tasks)
  return task
end

operation("get_ready_tasks", function(queues)
  local ready, wanted = athanore.json.array(), {}
  for _, name in ipairs(queues) do wanted[name] = true end
  for _, task in ipairs(load()) do if wanted[task.queue] then ready[#ready + 1] = task end end
  return ready
end)
operation("get_task", function(id)
  local task = find(load(), id)
  if not task then return missing(id) end
  return task
end)
operation("move_task", function(id, queue) return change(id, function(task) task.queue = queue end) end)
operation("update_task", function(id) return change(id, function() end) end)
operation("add_comment", function(id, text)
  return change(id, function(task)
    task.comments[#task.comments + 1] = { text = text, author = "bot", created_at = os.date "!%Y-%m-%dT%H:%M:%SZ" }
  end)
end)
operation("create_task", function() return nil, athanore.error("unsupported", "no") end)
operation("get_queue", function(name) return { name = name, task_count = 0 } end)
operation("list_queues", function() return athanore.json.array() end)
operation("create_queue", function() return nil, athanore.error("unsupported", "no") end)
M.update_queue, M.delete_queue = M.create_queue, M.create_queue
return M
`
