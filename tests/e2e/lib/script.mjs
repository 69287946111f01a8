// Writes scripts and agents for the tests.
//
//   routes: script({ max_retries: 2 }, [{ queue_name: 'Todo', args: ['x'] }])
//   files: { agent: agent('move Done') }
//
// A script made here runs ./agent with ARGS and the prompt "TASK_ID: TASK_NAME", polls every 0.1 s and takes part in
// the board as "bot", unless its options say otherwise.
import fs from 'node:fs'

// Lua code as a value, where a string would be quoted.
export function lua(code) {
  return { lua: code }
}

// A JavaScript value as Lua writes it.
export function toLua(value) {
  if (value === null || value === undefined) return 'nil'
  if (typeof value === 'string') return `"${value.replace(/[\\"\n]/g, '\\$&')}"`
  if (Array.isArray(value)) return `{ ${value.map(toLua).join(', ')} }`
  if (typeof value !== 'object') return String(value)
  if (typeof value.lua === 'string') return value.lua
  return `{ ${Object.entries(value).map(([key, item]) => `["${key}"] = ${toLua(item)}`).join(', ')} }`
}

const prompt = lua('function(id, name) return id .. ": " .. name end')

export function script(options, routes, { head = '', tail = 'return dispatcher' } = {}) {
  const backend = lua('athanore.json_file("board.json", { user = "bot" })')
  const all = { command: './agent', poll_interval: 0.1, queue_backend: backend, ...options }
  const lines = routes.map((route) => `dispatcher:route ${toLua({ prompt, ...route })}`)
  return ['local athanore = require "athanore"', head, `local dispatcher = athanore.dispatcher ${toLua(all)}`, ...lines, tail, ''].join('\n')
}

// What agents need of the API, in sh: get PATH, send METHOD PATH JSON, comment TEXT, move QUEUE; the path of their own
// task in $task; and await FILE, note WORD (a line in the file "notes").
const agentHead = `#!/bin/sh
set -eu
task=/tasks/$ATHANORE_TASK_ID
get() { curl -fsS --retry 5 --retry-connrefused -H "Authorization: Bearer $ATHANORE_TOKEN" "$ATHANORE_API$1"; }
send() { curl -fsS --retry 5 --retry-connrefused -H "Authorization: Bearer $ATHANORE_TOKEN" -H 'Content-Type: application/json' \\
  -X "$1" -d "$3" "$ATHANORE_API$2" >/dev/null; }
comment() { send POST "$task/comments" "{\\"comment\\": \\"$1\\"}"; }
move() { send POST "$task/move" "{\\"target_queue\\": \\"$1\\"}"; }
await() { until [ -e "$1" ]; do sleep 0.02; done; }
note() { echo "$1" >> notes; }
`

export function agent(body) {
  return `${agentHead}${body}\n`
}

// A task of a board; ids are strings.
export function task(id, more = {}) {
  return { id: String(id), name: `Task ${id}`, description: null, labels: [], assignees: [], comments: [], tasks: [], ...more }
}

// A board: { Todo: ['1', '2'], Done: [] } with ids in place of tasks.
export function board(queues) {
  const entries = Object.entries(queues).map(([name, tasks]) => [name, tasks.map((item) => (typeof item === 'object' ? item : task(item)))])
  return { queues: Object.fromEntries(entries) }
}

// The texts of a task's comments, oldest first.
export function comments(daemon, id) {
  const found = Object.values(daemon.board().queues).flat().find((item) => item.id === String(id))
  return found.comments.map((comment) => comment.text)
}

// The lines that agents have noted.
export function notes(daemon, name = 'notes') {
  try {
    return readLines(daemon.file(name))
  } catch {
    return []
  }
}

function readLines(file) {
  return fs.readFileSync(file, 'utf8').split('\n').filter((line) => line !== '')
}

// The same less the last lines of stderr that the daemon quotes (a shell may say there that a TERM has come).
export function said(daemon, id) {
  return comments(daemon, id).map((text) => text.split('\n\nLast lines of stderr:\n\n')[0])
}
