// The harness of the end-to-end tests: a folder, a daemon and its agents for each test, and their end.
//
//   import { test, startDaemon } from './lib/daemon.mjs'
//
//   test('a task goes to Done', async (t) => {
//     const d = await startDaemon(t, { routes: '…', board: { queues: { Todo: [{ id: '1', name: 'x' }], Done: [] } } })
//     await d.until(() => d.board().queues.Done.length === 1)
//   })
//
// Whatever a test started is ended when it ends; a test that fails prints the logs of its daemons.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { test as nodeTest } from 'node:test'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { request, openStream } from './http.mjs'
import { MARK, endMarked, endMarkedNow, kill } from './processes.mjs'

export { rss, alive, markedPids, kill } from './processes.mjs'
export { request } from './http.mjs'

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../../..')
export const buildDir = path.resolve(root, process.env.ATHANORE_BUILD ?? 'build')
export const binary = path.join(buildDir, 'athanore')

// A build with sanitizers is several times slower.
export const patience = /[at]san/.test(path.basename(buildDir)) ? 4 : 1

const contexts = new Map() // a test's own object → what it started
process.on('exit', () => {
  for (const context of contexts.values()) endMarkedNow(context.id)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

// node:test's test(), which remembers whether the test came to its end.
export function test(name, options, fn) {
  if (typeof options === 'function') [options, fn] = [{}, options]
  return nodeTest(name, { timeout: 120000 * patience, ...options }, async (t) => {
    const context = contextOf(t)
    await fn(t)
    context.passed = true
  })
}

function contextOf(t) {
  let context = contexts.get(t)
  if (!context) {
    context = { id: randomUUID(), daemons: [], dirs: [], ends: [], passed: false }
    contexts.set(t, context)
    t.after(() => cleanUp(t, context))
  }
  return context
}

async function cleanUp(t, context) {
  try {
    if (!context.passed) for (const d of context.daemons) console.error(d.report())
    await endMarked(context.id)
    for (const d of context.daemons) removeCgroups(d)
    for (const fn of context.ends) fn()
  } finally {
    contexts.delete(t)
    for (const dir of context.dirs) {
      if (process.env.ATHANORE_TEST_KEEP) console.error(`kept: ${dir}`)
      else fs.rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
    }
  }
}

// The cgroups of runs whose supervisors were killed, with whoever hides there without the mark.
function removeCgroups(daemon) {
  const runs = path.join(daemon.stateDir, 'runs')
  for (const id of fs.existsSync(runs) ? fs.readdirSync(runs) : []) {
    const started = path.join(runs, id, 'started')
    const cgroup = fs.existsSync(started) && /"cgroup":"([^"]*\/athanore-[^"/]*)"/.exec(fs.readFileSync(started, 'utf8'))?.[1]
    if (!cgroup || !fs.existsSync(cgroup)) continue
    fs.writeFileSync(path.join(cgroup, 'cgroup.kill'), '1')
    for (const deadline = Date.now() + 2000; Date.now() < deadline; ) {
      try {
        fs.rmdirSync(cgroup)
        break
      } catch (error) {
        if (error.code !== 'EBUSY') break
      }
    }
  }
}

// Calls fn when the test has ended, before its folders go away.
export function atEnd(t, fn) {
  contextOf(t).ends.push(fn)
}

// A folder that goes away with the test.
export function makeDir(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'athanore-'))
  contextOf(t).dirs.push(dir)
  return dir
}

// Writes { name: text or object }; what starts with #! is made executable, objects become JSON.
export function writeFiles(dir, files) {
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content, null, 2) + '\n'
    const file = path.join(dir, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, text, { mode: text.slice(0, 2).toString() === '#!' ? 0o755 : 0o644 })
  }
}

// This process's environment less what belongs to athanore, with the test's mark.
function environment(context, extra) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ATHANORE_')))
  return { ...env, ...extra, [MARK]: context.id }
}

// Runs `athanore ARGS` to its end: { code, signal, stdout, stderr }.
export async function athanore(t, args, { cwd = makeDir(t), env = {}, input = '', timeout = 30000, command = binary } = {}) {
  const child = spawn(command, args, { cwd, env: environment(contextOf(t), env), stdio: 'pipe' })
  const result = { code: null, signal: null, stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (result[name] += text))
  child.stdin.on('error', () => {}) // it need not read its input
  child.stdin.end(input)
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout * patience)
  await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(Object.assign(result, { code, signal })))
  })
  clearTimeout(timer)
  assert.notEqual(result.signal, 'SIGKILL', `athanore ${args.join(' ')} did not end:\n${result.stderr}`)
  return result
}

// Polls cond (async allowed) until it is truthy and returns its value. What it throws counts as "not yet".
// detail() is added to the error at the end; over() is an error to give up for at once.
export async function until(cond, { timeout = 15000, interval = 15, what = cond.toString(), detail, over } = {}) {
  const deadline = Date.now() + timeout * patience
  for (let last; ; ) {
    try {
      const value = await cond()
      if (value) return value
      last = undefined
    } catch (error) {
      last = error
    }
    const ended = over?.()
    if (!ended && Date.now() < deadline) {
      await sleep(interval)
      continue
    }
    const why = ended ?? `not within ${timeout * patience} ms`
    throw new Error(`${why}: ${what}\n${last?.stack ?? ''}\n${detail?.() ?? ''}`, { cause: last })
  }
}

// Starts a daemon in a folder of its own and waits until its API listens.
//   routes  text of the script NAME.lua     board  object or text of board.json
//   files   more files, { name: content }   args, env  more options, more environment
//   dir     instead of a new folder         port, name ("routes"), logLevel ("debug")
//   command  what to run instead of the daemon
//   ready   false: do not wait
export async function startDaemon(t, options = {}) {
  const daemon = new Daemon(contextOf(t), options, options.dir ?? makeDir(t))
  writeFiles(daemon.dir, options.files ?? {})
  if (options.routes !== undefined) writeFiles(daemon.dir, { [`${daemon.name}.lua`]: options.routes })
  if (options.board !== undefined) writeFiles(daemon.dir, { 'board.json': options.board })
  contextOf(t).daemons.push(daemon)
  await daemon.start()
  return daemon
}

class Daemon {
  constructor(context, options, dir) {
    this.context = context
    this.options = options
    this.dir = dir
    this.name = options.name ?? 'routes'
    this.log = [] // records of all its lives; lines that are no JSON as { raw }
    this.url = undefined
  }

  get stateDir() {
    return path.join(this.dir, '.athanore', this.name)
  }

  get pid() {
    return this.child.pid
  }

  async start({ args = [], env = {} } = {}) {
    const { options } = this
    const all = ['--port', String(options.port ?? 0), '--log-format', 'json', '--log-level', options.logLevel ?? 'debug']
    all.push(...(options.args ?? []), ...args, `${this.name}.lua`)
    this.exit = undefined // { code, signal } once it has ended
    this.wanted = false // its end, that is
    this.url = undefined
    const child = spawn(options.command ?? binary, all, {
      cwd: this.dir,
      env: environment(this.context, { ...options.env, ...env }),
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.child = child
    this.ended = new Promise((resolve) => {
      child.on('error', (error) => resolve((this.exit = { code: null, signal: String(error) })))
      child.on('exit', (code, signal) => resolve((this.exit = { code, signal })))
    })
    this.#read(child)
    if (options.ready !== false) await this.until(() => this.url, { what: 'the daemon listens', timeout: 20000 })
  }

  #read(child) {
    let rest = ''
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()
      for (const line of lines) this.#record(line)
    })
  }

  #record(line) {
    let record = { raw: line }
    try {
      record = JSON.parse(line)
    } catch {
      // A sanitizer's or an agent's words.
    }
    this.log.push(record)
    if (record.url && /^listening/.test(record.message)) this.url = record.url.replace(/\/$/, '')
  }

  // ---- HTTP; each answers with { status, headers, text, body }

  request(method, pathname, body, options = {}) {
    if (!this.url) throw new Error('the daemon does not listen')
    return request(this.url + pathname, { method, body, ...options })
  }

  get(pathname, options) {
    return this.request('GET', pathname, undefined, options)
  }

  post(pathname, body, options) {
    return this.request('POST', pathname, body, options)
  }

  patch(pathname, body, options) {
    return this.request('PATCH', pathname, body, options)
  }

  del(pathname, options) {
    return this.request('DELETE', pathname, undefined, options)
  }

  // An open event stream: { status, headers, events, ended, close() }.
  sse(pathname, headers) {
    return openStream(this.url + pathname, headers)
  }

  // ---- The board and the state on disk

  file(name) {
    return path.join(this.dir, name)
  }

  board() {
    return JSON.parse(fs.readFileSync(this.file('board.json'), 'utf8'))
  }

  // Changes the board as another program would: fn changes what it is given or returns a new one.
  editBoard(fn) {
    const board = this.board()
    const changed = fn(board) ?? board
    const temporary = this.file(`board.json.${randomUUID()}`)
    fs.writeFileSync(temporary, JSON.stringify(changed, null, 2) + '\n')
    fs.renameSync(temporary, this.file('board.json'))
  }

  // The names of the tasks' queues by id: { "1": "Done" }.
  where() {
    const found = {}
    for (const [queue, tasks] of Object.entries(this.board().queues)) for (const task of tasks) found[task.id] = queue
    return found
  }

  // The runs' folders, oldest first: { id, dir, run, events, exit }; what is not there yet is undefined.
  runs() {
    const dir = path.join(this.stateDir, 'runs')
    if (!fs.existsSync(dir)) return []
    return fs.readdirSync(dir).sort().map((id) => readRun(path.join(dir, id), id))
  }

  // ---- Waiting, stopping

  until(cond, options = {}) {
    return until(cond, {
      detail: () => this.report(),
      over: () => this.exit && !this.wanted && this.exit.code !== 0 && `the daemon has ended (${JSON.stringify(this.exit)})`,
      ...options,
    })
  }

  // Waits for a record of the log: by a part of its message, a pattern, or a function of the record.
  untilLog(wanted, options = {}) {
    const matches = typeof wanted === 'function' ? wanted
      : (record) => (wanted instanceof RegExp ? wanted.test(record.message) : record.message?.includes(wanted))
    return this.until(() => this.log.find(matches), { what: `log: ${wanted}`, ...options })
  }

  // Its exit code, or the name of the signal that ended it.
  async stop(signal = 'SIGTERM', { timeout = 30000 } = {}) {
    this.wanted = true
    if (!this.exit) kill(this.pid, signal)
    return this.exitCode({ timeout })
  }

  async exitCode({ timeout = 30000 } = {}) {
    this.wanted = true
    await this.until(() => this.exit, { what: 'the daemon ends', timeout })
    return this.exit.code ?? this.exit.signal
  }

  // The daemon alone, in an instant; its agents go on.
  kill9() {
    return this.stop('SIGKILL')
  }

  async restart({ signal = 'SIGTERM', ...options } = {}) {
    await this.stop(signal)
    await this.start(options)
  }

  report() {
    const tail = this.log.slice(-100).map((record) => record.raw ?? JSON.stringify(record))
    let board = 'no board'
    try {
      board = fs.readFileSync(this.file('board.json'), 'utf8').slice(0, 8000)
    } catch {
      // It has none.
    }
    return `---- daemon ${this.pid} in ${this.dir}, exit: ${JSON.stringify(this.exit)}\n${tail.join('\n')}\n---- board.json\n${board}\n----`
  }
}

function readJson(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined
}

function readRun(dir, id) {
  const log = path.join(dir, 'events.jsonl')
  const text = fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : ''
  // Up to the last newline: behind it is a record that is being written.
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter((line) => line !== '')
  return {
    id,
    dir,
    run: readJson(path.join(dir, 'run.json')),
    events: lines.map((line) => JSON.parse(line)),
    exit: readJson(path.join(dir, 'exit.json')),
  }
}
