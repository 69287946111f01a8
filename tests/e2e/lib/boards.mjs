// What the tests of the JSON board share: scripts of routes, agents, and looking at a board's text.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

// A script with one route: { board, dispatcher options…, route: { route options… } }; a string is a text, a number a number.
export function script({ board = 'board.json', route = {}, ...options } = {}) {
  const all = { command: '/bin/true', poll_interval: 0.2, max_concurrent_agents: 4, ...options }
  const watched = { queue_name: 'Todo', in_progress_queue: 'Doing', success_queue: 'Done', ...route }
  return `local athanore = require "athanore"
local dispatcher = athanore.dispatcher {
${members(all)}
  queue_backend = athanore.json_file ${lua(board)},
}
dispatcher:route {
${members(watched)}
  prompt = function(task_id) return "task " .. task_id end,
}
return dispatcher
`
}

function members(options) {
  return Object.entries(options).map(([name, value]) => `  ${name} = ${lua(value)},`).join('\n')
}

function lua(value) {
  if (Array.isArray(value)) return `{ ${value.map(lua).join(', ')} }`
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

// An agent that waits until the file `go` is in its folder, and ends.
export const waitingAgent = `#!/bin/sh
while [ ! -e go ]; do sleep 0.02; done
`

export function tasks(from, to, more = {}) {
  return Array.from({ length: to - from + 1 }, (_, i) => ({ id: String(from + i), name: `task ${from + i}`, ...more }))
}

// How many runs each task has had: { id: count }.
export function runsByTask(d) {
  const counts = {}
  for (const { run } of d.runs()) if (run) counts[run.task_id] = (counts[run.task_id] ?? 0) + 1
  return counts
}

export function assertEachRanOnce(d, ids) {
  const counts = runsByTask(d)
  assert.deepEqual(Object.keys(counts).sort(), [...ids].map(String).sort())
  for (const [id, count] of Object.entries(counts)) assert.equal(count, 1, `task ${id} ran ${count} times`)
}

// The ids on the board in order; reading it must work at any moment.
export function ids(d) {
  return Object.values(d.board().queues).flat().map((task) => String(task.id))
}

// The files beside the board that the daemon keeps when it cannot merge what somebody wrote.
export function conflicts(dir) {
  return fs.readdirSync(dir).filter((name) => name.includes('.conflict-'))
}

// Calls fn again and again until stop() is called, which answers with all that it gave.
export function repeatedly(fn, pause = 5) {
  const results = []
  let stopped = false
  const ended = (async () => {
    while (!stopped) {
      results.push(await fn())
      await sleep(pause)
    }
    return results
  })()
  return { results, stop: () => { stopped = true; return ended } }
}

// Runs node on the text of a module in dir: { code, stderr } once it ends.
export function runModule(dir, text, args = []) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', text, ...args], { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] })
  return ended(child)
}

export function runShell(dir, text) {
  return ended(spawn('/bin/sh', ['-euc', text], { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] }))
}

function ended(child) {
  return new Promise((resolve, reject) => {
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stderr }))
  })
}

export function readBoard(d, name = 'board.json') {
  return fs.readFileSync(path.join(d.dir, name), 'utf8')
}

// What is wrong with the board by GET /status, or null.
export async function fault(d) {
  return (await d.get('/status')).body.queue.error
}

export function assertUnavailable(answer, pattern) {
  assert.equal(answer.status, 503, answer.text)
  assert.match(answer.headers['content-type'], /^application\/problem\+json/)
  assert.ok(Number(answer.headers['retry-after']) > 0)
  assert.equal(answer.body.code, 'unavailable')
  assert.match(answer.body.detail, pattern)
}
