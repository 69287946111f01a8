// The daemon dies at the worst of moments: each task is run once all the same, and ends where it should.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { alive, athanore, kill, makeDir, markedPids, patience, startDaemon, test, until, writeFiles } from './lib/daemon.mjs'
import {
  board, commentsOf, crashing, each, inQueue, ledger, ledgerBoard, linesOf, outputOf, random, routes, startedOf, tally, taskOf,
} from './lib/scenes.mjs'

// Counts aloud until it is told to go.
const counting = `#!/bin/sh
echo "$ATHANORE_TASK_ID" >> ran
n=0
while [ ! -e go ]; do n=$((n + 1)); echo "line $n"; sleep 0.02; done
echo "last $n"
echo "errors too" >&2
`

// Fails at once.
const failing = `#!/bin/sh
echo "$ATHANORE_TASK_ID" >> ran
echo "out of $ATHANORE_ATTEMPT"
exit $((ATHANORE_ATTEMPT + 2))
`

// Of the run's own supervisor: a pid that is left in a file may be somebody else's by now.
function isSupervisor(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('athanore-supervise')
  } catch {
    return false
  }
}

const ran = (d) => tally(linesOf(d.file('ran')))
const go = (d) => fs.writeFileSync(d.file('go'), '')

function assertCounted(run) {
  const lines = outputOf(run)
  const last = Number(/^last (\d+)$/.exec(lines.pop())[1])
  assert.deepEqual(lines, Array.from({ length: last }, (_, i) => `line ${i + 1}`))
  assert.deepEqual(outputOf(run, 'stderr'), ['errors too'])
}

async function startCounting(t, n = 5) {
  const d = await startDaemon(t, {
    routes: routes({ route: 'success_queue = "Done",' }),
    board: board(n),
    files: { 'agent.sh': counting },
  })
  await d.until(() => d.runs().length === n && d.runs().every((run) => outputOf(run).length > 2))
  return d
}

test('agents outlive a daemon that is killed, and are taken up again', async (t) => {
  const d = await startCounting(t)
  await d.kill9()
  const lines = outputOf(d.runs()[0]).length
  await until(() => outputOf(d.runs()[0]).length > lines)
  await d.start()
  await d.untilLog('taken up again')
  const agents = (await d.get('/agents')).body
  assert.equal(JSON.stringify(agents).match(/"running":true/g).length, 5)
  go(d)
  await d.until(() => inQueue(d, 'Done') === 5)
  assert.deepEqual(ran(d), each(5, 1))
  assert.equal(d.runs().length, 5)
  d.runs().forEach(assertCounted)
})

test('agents that end while no daemon is there have ended well', async (t) => {
  const d = await startCounting(t)
  await d.kill9()
  go(d)
  await until(() => d.runs().every((run) => run.exit))
  await d.start()
  await d.until(() => inQueue(d, 'Done') === 5)
  assert.deepEqual(ran(d), each(5, 1))
  d.runs().forEach(assertCounted)
})

for (const when of ['before', 'after']) {
  test(`a daemon that dies ${when} it has started a supervisor starts one in all`, async (t) => {
    const d = await startDaemon(t, {
      routes: routes({ route: 'success_queue = "Done",' }),
      board: board(1),
      files: { 'agent.sh': counting, go: '' },
      env: crashing({ at: 1, calls: 'posix_spawn', when }),
      ready: false,
    })
    assert.equal(await d.exitCode(), 'SIGKILL')
    d.options = { ...d.options, env: {}, ready: true }
    await d.start()
    await d.until(() => inQueue(d, 'Done') === 1)
    assert.deepEqual(ran(d), each(1, 1))
    d.runs().forEach(assertCounted)
  })
}

// Two runs that fail: a claim, a spawn, comments and a move each; an assignment where the backend has users.
const options = 'max_retries = 1, dead_letter_queue = "Dead",'
const lives = {
  'a JSON file': {
    script: { routes: routes({ options, backend: 'athanore.json_file("board.json", { user = "bot" })' }) },
    put: (dir, n) => writeFiles(dir, { 'board.json': board(n) }),
    task: (d) => ({ ...taskOf(d, '1'), queue: d.where()[1] }),
  },
  // Which has no atomic claim, and tells the seconds of a comment only.
  'an adapter in Lua': {
    script: { routes: routes({ options, backend: 'require("ledger")' }), files: { 'ledger.lua': ledger } },
    put: (dir, n) => writeFiles(dir, { 'tasks.json': ledgerBoard(n) }),
    task: (d) => JSON.parse(fs.readFileSync(d.file('tasks.json'), 'utf8'))[0],
  },
}
const comments = [
  'Agent failed: exit code 3.',
  'Retry 1/1: exit code 3. Moving back to source queue for retry.',
  'Agent failed: exit code 4.',
  'Max retries (1) exhausted. Moving to dead-letter queue.',
]

async function assertLivedOnce(d, life) {
  await d.until(() => life.task(d).queue === 'Dead')
  await d.until(async () => (await d.get('/status')).body.free_slots === 5)
  await d.stop() // and with it the last steps
  assert.deepEqual(ran(d), { 1: 2 })
  assert.deepEqual(life.task(d).comments.map((comment) => comment.text), comments)
  const ended = d.runs().filter((run) => run.exit)
  assert.deepEqual(ended.map((run) => outputOf(run)), [['out of 1'], ['out of 2']])
}

// The state of a daemon that has been there before, without a task: its files come to be only once.
async function makeTemplate(t, life) {
  const dir = makeDir(t)
  life.put(dir, 0)
  writeFiles(dir, { 'agent.sh': failing })
  const d = await startDaemon(t, { dir, ...life.script })
  await d.stop()
  return dir
}

async function diesAt(t, life, template, at) {
  const dir = makeDir(t)
  fs.cpSync(template, dir, { recursive: true })
  life.put(dir, 1)
  const d = await startDaemon(t, { dir, env: crashing({ at, log: path.join(dir, 'sites') }), ready: false })
  const endings = () => d.log.filter((record) => /^run ended/.test(record.message)).length
  await until(() => d.exit || endings() === 2, { timeout: 30000, detail: () => d.report() })
  const died = (await d.stop()) === 'SIGKILL'
  d.options = { ...d.options, env: {}, ready: true }
  try {
    await d.start()
    await assertLivedOnce(d, life)
  } catch (error) {
    throw new Error(`after its death at call ${at} (${linesOf(path.join(dir, 'sites')).at(-1)}): ${error.message}`, { cause: error })
  }
  return died
}

for (const [name, life] of Object.entries(lives)) {
  test(`a daemon that dies at any of its writes, syncs and renames runs its task as if it had not: ${name}`, { timeout: 400000 * patience }, async (t) => {
    const template = await makeTemplate(t, life)
    const stride = Number(process.env.ATHANORE_TEST_STRIDE ?? (patience > 1 ? 5 : 1))
    let at = 1
    let more = true
    const worker = async () => {
      while (more) {
        const mine = at
        at += stride
        if (!(await diesAt(t, life, template, mine))) more = false
      }
    }
    await Promise.all([worker(), worker(), worker()])
    t.diagnostic(`${at - 1} calls`)
    assert.ok(at > 40, `only ${at} calls`)
  })
}

test('thirty deaths at random moments, twenty tasks, each run once', { timeout: 240000 * patience }, async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ options: 'max_retries = 0, dead_letter_queue = "Dead",' }),
    board: board(20),
    files: {
      'agent.sh': `#!/bin/sh
echo "$ATHANORE_TASK_ID" >> ran
echo begin
sleep 0.$(($ATHANORE_TASK_ID % 9))
echo end
exit $((ATHANORE_TASK_ID % 2))
`,
    },
    ready: false,
  })
  const seed = Number(process.env.ATHANORE_TEST_SEED ?? Date.now() % 100000)
  const number = random(seed)
  t.diagnostic(`seed ${seed}`)
  d.wanted = true
  for (let i = 0; i < 30; i++) {
    await sleep(number() * 300 * patience)
    await d.kill9()
    await d.start()
    d.wanted = true
  }
  d.wanted = false
  await d.until(() => inQueue(d, 'Todo') + inQueue(d, 'In Progress') === 10 && inQueue(d, 'Dead') === 10, { timeout: 30000 })
  await d.until(async () => (await d.get('/status')).body.active_agents === 0)
  await d.stop()
  assert.deepEqual(ran(d), each(20, 1))
  for (let id = 1; id <= 20; id++) {
    assert.equal(d.where()[id], id % 2 ? 'Dead' : 'In Progress')
    assert.deepEqual(commentsOf(d, String(id)), id % 2
      ? ['Agent failed: exit code 1.', 'Max retries (0) exhausted. Moving to dead-letter queue.'] : [])
  }
  const outputs = d.runs().filter((run) => run.exit).map((run) => outputOf(run))
  assert.deepEqual(outputs, Array.from({ length: 20 }, () => ['begin', 'end']))
})

// Says so where what another agent on the same task has started is alive.
const watchful = `#!/bin/sh
id=$ATHANORE_TASK_ID
if [ -e "holder-$id" ]; then
  read -r holder < "holder-$id"
  state=$(sed 's/.*) //; s/ .*//' "/proc/$holder/stat" 2> /dev/null)
  case $state in Z|X|'') ;; *) tr '\\0' '\\n' < "/proc/$holder/environ" | grep -qx "ATHANORE_TASK_ID=$id" && echo "$id" >> twice ;; esac
fi
echo "$id" >> ran
setsid sh -c 'echo $$ > "holder-$0"; sleep "$1"; exit 0' "$id" "0.$((id % 5 + 2))" &
wait
`

test('daemon and supervisors die in any order: no task is run twice at once, and all end', { timeout: 240000 * patience }, async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ options: 'max_retries = 1000,', route: 'success_queue = "Done",' }),
    board: board(20),
    files: { 'agent.sh': watchful },
  })
  const seed = Number(process.env.ATHANORE_TEST_SEED ?? Date.now() % 100000)
  const number = random(seed)
  t.diagnostic(`seed ${seed}`)
  for (let i = 0; i < 40; i++) {
    await sleep(number() * 200 * patience)
    const victims = d.runs().filter((run) => !run.exit && number() < 0.4).map((run) => startedOf(run).pid)
    const daemonDies = number() < 0.5
    if (daemonDies && number() < 0.5) await d.kill9()
    for (const pid of victims) if (pid && alive(pid) && isSupervisor(pid)) kill(pid, 'SIGKILL')
    if (daemonDies && !d.exit) await d.kill9()
    if (d.exit) await d.start()
  }
  await d.until(() => inQueue(d, 'Done') === 20, { timeout: 60000 })
  await d.until(async () => (await d.get('/status')).body.free_slots === 5)
  assert.deepEqual(linesOf(d.file('twice')), [])
  const counts = ran(d)
  for (let id = 1; id <= 20; id++) {
    const texts = commentsOf(d, String(id))
    const retries = texts.filter((text) => text.startsWith('Retry')).map((text) => Number(/^Retry (\d+)/.exec(text)[1]))
    assert.deepEqual(retries, Array.from({ length: retries.length }, (_, i) => i + 1), 'each retry is told once')
    assert.equal(texts.length, retries.length * 2)
    // A supervisor may die before its agent has come to its first line.
    assert.ok(counts[id] >= 1 && counts[id] <= retries.length + 1, `task ${id}: ${counts[id]} times, ${retries.length} retries`)
  }
  assert.ok(linesOf(d.file('ran')).length > 20, 'some were lost')
})

test('after a reboot the tasks are tried again', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ options: 'max_retries = 1,', route: 'success_queue = "Done",' }),
    board: board(5),
    files: { 'agent.sh': counting },
  })
  await d.until(() => d.runs().filter((run) => outputOf(run).length > 1).length === 5)
  const supervisors = d.runs().map((run) => startedOf(run).pid)
  await d.kill9()
  // Whatever carries the mark of the test: supervisors and agents.
  await until(() => {
    for (const pid of markedPids(d.context.id)) kill(pid, 'SIGKILL')
    return markedPids(d.context.id).length === 0
  })
  assert.ok(supervisors.every((pid) => !alive(pid)))
  go(d)
  await d.start()
  await d.until(() => inQueue(d, 'Done') === 5)
  assert.deepEqual(ran(d), each(5, 2))
  for (let id = 1; id <= 5; id++) {
    assert.deepEqual(commentsOf(d, String(id)), [
      'Agent was lost: its supervisor ended without saying how the agent ended.',
      'Retry 1/1: lost. Moving back to source queue for retry.',
    ])
  }
  await d.until(async () => (await d.get('/status')).body.free_slots === 5)
})

test('the port is kept, and an agent that asked meanwhile is answered', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ route: 'success_queue = "Done",' }),
    board: board(1),
    files: {
      'agent.sh': `#!/bin/sh
touch up
while [ ! -e go ]; do sleep 0.02; done
curl -S --retry 30 --retry-connrefused --retry-delay 1 -X POST "$ATHANORE_API/tasks/$ATHANORE_TASK_ID/comments" \\
  -H 'Content-Type: application/json' -d '{"comment":"from the agent"}' 2> asking
`,
    },
  })
  const { url } = d
  await d.until(() => fs.existsSync(d.file('up')))
  await d.kill9()
  go(d)
  await until(() => linesOf(d.file('asking')).join().includes('retry'))
  await d.start()
  assert.equal(d.url, url)
  await d.until(() => inQueue(d, 'Done') === 1, { timeout: 30000 })
  assert.deepEqual(commentsOf(d, '1'), ['from the agent'])
  await d.restart()
  assert.equal(d.url, url)
})

test('a port that is taken ends the daemon with a word about it', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board(0), files: { 'agent.sh': failing } })
  const port = new URL(d.url).port
  const dir = makeDir(t)
  fs.cpSync(d.dir, dir, { recursive: true, filter: (source) => !source.includes('.athanore') })
  const result = await athanore(t, ['--port', port, 'routes.lua'], { cwd: dir })
  assert.equal(result.code, 1)
  assert.match(result.stderr, new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken by another process`))
})
