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
