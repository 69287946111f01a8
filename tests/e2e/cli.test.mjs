// The command line: options and their mistakes, `athanore check`, --once, what the log looks like.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { athanore, makeDir, startDaemon, test, writeFiles } from './lib/daemon.mjs'
import { agent, board, lua, notes, script } from './lib/script.mjs'

const queues = { Todo: ['1'], 'In Progress': [], Done: [] }

async function check(t, text, files = {}) {
  const cwd = makeDir(t)
  writeFiles(cwd, { 'routes.lua': text, ...files })
  const result = await athanore(t, ['check', 'routes.lua'], { cwd })
  assert.ok(!fs.existsSync(`${cwd}/.athanore`), 'check leaves nothing behind')
  return { ...result, lines: result.stderr.trimEnd().split('\n') }
}

test('check: a script that is right', async (t) => {
  const one = await check(t, script({}, [{ queue_name: 'Todo' }]))
  assert.deepEqual([one.code, one.stdout, one.stderr], [0, 'routes.lua: ok, 1 route\n', ''])
  const two = await check(t, script({}, [{ queue_name: 'Todo' }, { queue_name: 'More' }], { tail: 'dispatcher:run { debug = true }' }))
  assert.deepEqual([two.code, two.stdout], [0, 'routes.lua: ok, 2 routes\n'])
})

test('check: all mistakes at once, each with file and line and the nearest name', async (t) => {
  const { code, stdout, lines } = await check(t, `local athanore = require "athanore"
local dispatcher = athanore.dispatcher {
  comand = "x",
  poll_interval = "often",
  max_retries = -1,
  queue_backend = athanore.json_file "board.json",
}
dispatcher:route {
  queue_nam = "Todo",
  prompt = function() end,
}
dispatcher:route { queue_name = "A", command = "x", in_progress_queue = "A", timeout = -1, max_retry = 3, prompt = function() end }
dispatcher:route { queue_name = "B", command = "x" }
dispatcher:route { queue_name = "B", command = "x", prompt = "text" }
return dispatcher
`)
  assert.equal(code, 1)
  assert.equal(stdout, '')
  const expected = [
    [2, /unknown option 'comand' of dispatcher; did you mean 'command'\?/],
    [2, /poll_interval must be a number of seconds, got string/],
    [2, /max_retries must be at least 0, got -1/],
    [8, /unknown option 'queue_nam' of route; did you mean 'queue_name'\?/],
    [8, /queue_name is missing/],
    [8, /command is missing/],
    [12, /timeout must be at least 0, got -1/],
    [12, /unknown option 'max_retry' of route; did you mean 'max_retries'\?/],
    [12, /in_progress_queue 'A' is the queue that the route watches/],
    [13, /prompt is missing/],
    [14, /prompt must be a function, got string/],
    [14, /queue 'B' has a route already, at line 13/],
  ]
  for (const [line, pattern] of expected) {
    assert.ok(lines.some((text) => text.startsWith(`routes.lua:${line}: `) && pattern.test(text)), `${line}: ${pattern}\n${lines.join('\n')}`)
  }
  assert.equal(lines.length, expected.length + 1, lines.join('\n'))
  assert.equal(lines.at(-1), `athanore: ${expected.length} problems`)
})

const broken = {
  'a syntax error': ['local x = 1\nlocal y = = 2\n', /^routes\.lua:2: unexpected symbol near '='/],
  'an end that is missing': ['local athanore = require "athanore"\nfunction f()\n', /^routes\.lua:3: 'end' expected/],
  'an error when it is loaded': ['\nerror("no customer")', /^routes\.lua:2: no customer$/],
  'a module that is missing': ['require "nothing.here"', /^routes\.lua:1: module 'nothing\.here' not found/],
  'no dispatcher': ['return 5', /^routes\.lua: the script makes no dispatcher/],
  'no end': ['while true do end', /^routes\.lua:1: stopped after 2 s of CPU time/],
  'too much memory': ['local t = {}\nlocal s = ("x"):rep(1e6)\nwhile true do t[#t + 1] = s .. #t end', /not enough memory/],
  'an empty file': ['', /^routes\.lua: the script makes no dispatcher/],
}
for (const [what, [text, pattern]] of Object.entries(broken)) {
  test(`check: ${what}`, async (t) => {
    const { code, lines } = await check(t, text)
    assert.equal(code, 1)
    assert.match(lines[0], pattern)
    assert.equal(lines.at(-1), 'athanore: 1 problem')
  })
}

test('check: no routes, no dispatcher given back, a mistake in a module of its own', async (t) => {
  assert.match((await check(t, script({}, []))).lines[0], /^routes\.lua:\d+: the dispatcher has no routes/)
  assert.match((await check(t, script({}, [{ queue_name: 'Todo' }], { tail: '' }))).lines[0], /return dispatcher/)
  const { lines } = await check(t, script({}, [{ queue_name: 'Todo' }], { head: 'require "mine"' }), { 'mine.lua': '\n\nlocal x = nil + 1\n' })
  assert.match(lines[0], /mine\.lua:3: attempt to perform arithmetic on a nil value/)
})

test('the daemon does not start with a script that check would refuse', async (t) => {
  const cwd = makeDir(t)
  writeFiles(cwd, { 'routes.lua': script({ max_retrys: 1 }, [{ queue_name: 'Todo' }]) })
  const { code, stderr } = await athanore(t, ['--port', '0', 'routes.lua'], { cwd })
  assert.equal(code, 1)
  assert.match(stderr, /^routes\.lua:\d+: unknown option 'max_retrys' of dispatcher; did you mean 'max_retries'\?/)
  assert.ok(!fs.existsSync(`${cwd}/.athanore`))
})

test('--help and --version', async (t) => {
  const help = await athanore(t, ['--help'])
  assert.deepEqual([help.code, help.stderr], [0, ''])
  for (const word of ['Usage: athanore', '--port', '--host', '--state-dir', '--log-level', '--log-format', '--once', 'check']) assert.ok(help.stdout.includes(word), word)
  assert.equal((await athanore(t, ['-h'])).stdout, help.stdout)
  const version = fs.readFileSync(new URL('../../VERSION', import.meta.url), 'utf8').trim()
  for (const flag of ['--version', '-V']) assert.equal((await athanore(t, [flag])).stdout, `athanore ${version}\n`)
})

const usage = {
  'no script': [[], /which script\?/],
  'check without a script': [['check'], /which script\?/],
  'two scripts': [['a.lua', 'b.lua'], /one script at a time; what is b\.lua/],
  'an unknown option': [['--bogus', 'a.lua'], /--bogus/],
  'an option without its value': [['a.lua', '--port'], /--port/],
  'a port that is no number': [['--port', 'x', 'a.lua'], /--port wants a number from 0 to 65535, not x/],
  'a port that is too large': [['--port', '65536', 'a.lua'], /not 65536/],
  'a port that is negative': [['--port', '-1', 'a.lua'], /not -1/],
  'an unknown level': [['--log-level', 'loud', 'a.lua'], /--log-level wants debug, info, warn or error, not loud/],
  'an unknown format': [['--log-format', 'xml', 'a.lua'], /--log-format wants text or json, not xml/],
}
for (const [what, [args, pattern]] of Object.entries(usage)) {
  test(`usage: ${what}`, async (t) => {
    const { code, stdout, stderr } = await athanore(t, args)
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(stderr, pattern)
    assert.match(stderr, /Try 'athanore --help'\.\n$/)
  })
}

test('--once ends when nothing is ready and nothing runs', async (t) => {
  const cwd = makeDir(t)
  writeFiles(cwd, {
    'routes.lua': script({ max_concurrent_agents: 2, max_retries: 1, poll_interval: 0.2 }, [{ queue_name: 'Todo' }]),
    'board.json': board({ ...queues, Todo: ['1', '2', '3', '4', '5'] }),
    agent: agent('note x\n[ "$ATHANORE_TASK_ID" != 3 ] || [ "$ATHANORE_ATTEMPT" = 2 ]\nmove Done'),
  })
  const { code, stdout } = await athanore(t, ['--once', '--port', '0', 'routes.lua'], { cwd })
  assert.equal(code, 0)
  assert.equal(stdout, '')
  assert.equal(JSON.parse(fs.readFileSync(`${cwd}/board.json`)).queues.Done.length, 5)
  assert.equal(fs.readFileSync(`${cwd}/notes`, 'utf8').length, 12)
})

test('--once with nothing to do ends at once, with tasks that are not ready too', async (t) => {
  const cwd = makeDir(t)
  writeFiles(cwd, {
    'routes.lua': script({ poll_interval: 3600 }, [{ queue_name: 'Todo', when: lua('function() return false end') }]),
    'board.json': board(queues),
  })
  assert.equal((await athanore(t, ['--once', '--port', '0', 'routes.lua'], { cwd })).code, 0)
})

test('--once fails where the board cannot be read', async (t) => {
  const cwd = makeDir(t)
  writeFiles(cwd, { 'routes.lua': script({}, [{ queue_name: 'Todo' }]), 'board.json': '{\n  "queues": {]\n' })
  const { code, stderr } = await athanore(t, ['--once', '--port', '0', 'routes.lua'], { cwd })
  assert.equal(code, 1)
  assert.match(stderr, /board\.json is broken: line 2, column \d+/)
  assert.equal(fs.readFileSync(`${cwd}/board.json`, 'utf8'), '{\n  "queues": {]\n')
})

// Lines of a run, as the options say.
async function logOf(t, args, options = {}, routes = [{ queue_name: 'Todo' }], more = {}) {
  const cwd = makeDir(t)
  writeFiles(cwd, { 'routes.lua': script(options, routes, more), 'board.json': board(queues), agent: agent('move Done') })
  const { stderr } = await athanore(t, ['--once', '--port', '0', ...args, 'routes.lua'], { cwd })
  return stderr.trimEnd().split('\n')
}

test('--log-format json: each line is an object; text: a line with its time', async (t) => {
  const records = (await logOf(t, ['--log-format', 'json'])).map((line) => JSON.parse(line))
  for (const record of records) assert.match(record.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  const claimed = records.find((record) => record.message.startsWith('claimed'))
  assert.deepEqual([claimed.level, claimed.task_id, claimed.queue], ['info', '1', 'Todo'])
  const lines = await logOf(t, ['--log-format', 'text'])
  for (const line of lines) assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|error) +\S/)
  assert.ok(lines.some((line) => line.endsWith('claimed "Task 1" task_id=1 run_id=' + /run_id=(\S+)/.exec(line)?.[1] + ' queue=Todo')))
})

test('--log-level comes before run { debug = true }, and that before log_level', async (t) => {
  const debug = (lines) => lines.some((line) => / debug /.test(line))
  const info = (lines) => lines.some((line) => / info /.test(line))
  const route = [{ queue_name: 'Todo' }]
  assert.ok(!debug(await logOf(t, [])))
  assert.ok(debug(await logOf(t, ['--log-level', 'debug'])))
  assert.ok(debug(await logOf(t, [], { log_level: 'debug' })))
  assert.ok(!info(await logOf(t, [], { log_level: 'warn' })))
  assert.ok(debug(await logOf(t, [], { log_level: 'warn' }, route, { tail: 'dispatcher:run { debug = true }' })))
  assert.ok(!info(await logOf(t, ['--log-level', 'error'], {}, route, { tail: 'dispatcher:run { debug = true }' })))
})

test('--host and --port come before api_host and api_port', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ api_host: '127.0.0.3', api_port: 1 }, [{ queue_name: 'Todo' }]), board: board(queues),
    files: { agent: agent('note "$ATHANORE_API"\nmove Done') }, args: ['--host', '127.0.0.2'],
  })
  assert.match(d.url, /^http:\/\/127\.0\.0\.2:\d+$/)
  await d.until(() => d.where()[1] === 'Done')
  assert.deepEqual(notes(d), [d.url])
})

test('another address than loopback needs an api_token', async (t) => {
  const refused = await logOf(t, ['--host', '0.0.0.0'])
  assert.match(refused.at(-1), /api_token/)
  const accepted = await logOf(t, ['--host', '0.0.0.0'], { api_token: 'a secret of ours that is long enough' })
  assert.match(accepted.at(-1), /stopped/)
  assert.ok(!accepted.join('\n').includes('a secret of ours'))
})
