// What the benchmarks share: folders, daemons, what a process has used, and the table's rows.
import { execFile, spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

export const quick = process.env.BENCH_QUICK === '1'
export const build = path.resolve(process.env.ATHANORE_BUILD ?? 'build')
export const helper = (name) => path.join(build, 'tests/bench', name)
export { sleep }

const folders = []
const children = new Set()

function hasEnded({ pid }) {
  try {
    return / [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return true
  }
}

// A daemon that is killed would leave its agents behind: it gets the time to end them.
process.on('exit', () => {
  const nothing = new Int32Array(new SharedArrayBuffer(4))
  for (const child of children) child.kill('SIGTERM')
  for (let i = 0; i < 200 && ![...children].every(hasEnded); i++) Atomics.wait(nothing, 0, 0, 50)
  for (const child of children) child.kill('SIGKILL')
  for (const dir of folders) fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const hasTmpfs = fs.existsSync('/dev/shm')

// A folder that goes away with us: in memory, or on the disk that the build is on.
export function folder(where = 'memory') {
  const dir = fs.mkdtempSync(where === 'memory' && hasTmpfs ? '/dev/shm/athanore-bench-' : path.join(build, 'bench-'))
  folders.push(dir)
  return dir
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}

// One line of the table. The target is "<= 5", ">= 0.25" or absent; value is what it is compared with.
export function row(name, ours, reference, value, target = '') {
  const [op, limit] = target.split(' ')
  const verdict = target === '' ? '' : (op === '<=' ? value <= Number(limit) : value >= Number(limit)) ? 'ok' : 'MISSED'
  const ratio = value === undefined ? '' : value.toFixed(value < 10 ? 2 : 1)
  console.log([name, ours, reference, ratio, target, verdict].join('\t'))
}

export const task = (id, name = `Task ${id}`) => ({
  id: String(id),
  name,
  description: 'Some words about what is to be done here, as people write them down, and a few more of them.',
  labels: ['bug', 'backend'],
  assignees: [],
  comments: ['seen'],
  tasks: [],
})

export const tasks = (count) => Array.from({ length: count }, (_, i) => task(i + 1))

export function writeBoard(dir, queues) {
  fs.writeFileSync(path.join(dir, 'board.json'), JSON.stringify({ queues }, null, 2) + '\n')
}

export const readBoard = (dir) => JSON.parse(fs.readFileSync(path.join(dir, 'board.json'), 'utf8')).queues

// options: Lua text for the dispatcher; route: for its one route.
export function writeScript(dir, options, route = '') {
  fs.writeFileSync(path.join(dir, 'routes.lua'), `local athanore = require "athanore"
local dispatcher = athanore.dispatcher { ${options}, queue_backend = athanore.json_file "board.json" }
dispatcher:route { queue_name = "Todo", prompt = function() return "work" end, ${route} }
return dispatcher
`)
}

export async function run(command, args) {
  const { stdout } = await promisify(execFile)(command, args)
  return stdout.trim()
}

// Starts a helper and waits for its first line: { child, line }.
export async function start(name, args, input = '') {
  const child = spawn(helper(name), args, { stdio: ['pipe', 'pipe', 'inherit'] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  child.stdin.end(input)
  for await (const line of createInterface({ input: child.stdout })) return { child, line }
  throw new Error(`${name} has ended`)
}

// A daemon in dir, where board.json and routes.lua are.
export class Daemon {
  static async start(dir, args = []) {
    const daemon = new Daemon()
    const all = ['--port', '0', '--log-format', 'json', '--log-level', 'info', ...args, 'routes.lua']
    const child = spawn(path.join(build, 'athanore'), all, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] })
    children.add(child)
    daemon.child = child
    daemon.pid = child.pid
    daemon.ended = new Promise((resolve) => child.once('exit', resolve))
    child.once('exit', () => children.delete(child))
    await daemon.#listening(dir)
    return daemon
  }

  #listening(dir) {
    return new Promise((resolve, reject) => {
      let log = ''
      this.child.once('exit', () => reject(new Error(`the daemon in ${dir} has ended:\n${log}`)))
      createInterface({ input: this.child.stderr }).on('line', (line) => {
        if (this.url) return
        log += `${line}\n`
        this.url = /"url":"(http:[^"]*)"/.exec(line)?.[1].replaceAll('\\/', '/')
        if (this.url) resolve()
      })
    })
  }

  get port() {
    return new URL(this.url).port
  }

  // { status, text, ms }
  request(method, pathname, body) {
    const began = performance.now()
    this.agent ??= new http.Agent({ keepAlive: true })
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'Content-Type': 'application/json' }
      const request = http.request(this.url + pathname, { method, headers, agent: this.agent }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode, text, ms: performance.now() - began }))
      })
      request.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  // Ends the connections that are kept alive.
  disconnect() {
    this.agent?.destroy()
    this.agent = undefined
  }

  async stop() {
    this.disconnect()
    this.child.kill('SIGTERM')
    await this.ended
  }
}

// CPU time of a process with all its threads, in nanoseconds.
export function cpu(pid) {
  let sum = 0
  for (const tid of fs.readdirSync(`/proc/${pid}/task`))
    sum += Number(fs.readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0])
  return sum
}

// How often the threads of a process went to sleep, that is, were woken up.
export function wakeups(pid) {
  let sum = 0
  for (const tid of fs.readdirSync(`/proc/${pid}/task`))
    sum += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8'))[1])
  return sum
}

// Sums fields of a file of /proc that holds lines such as "VmRSS: 12 kB"; in MB.
export function megabytes(file, pattern) {
  let sum = 0
  for (const line of fs.readFileSync(file, 'utf8').split('\n')) if (pattern.test(line)) sum += Number(/(\d+) kB/.exec(line)[1])
  return sum / 1024
}

export async function until(condition, what, seconds = 60) {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`)
    await sleep(5)
  }
}
