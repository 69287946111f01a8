// A supervisor is killed, or cannot end its agent by asking: nothing of a run is left when the next begins.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { alive, atEnd, kill, makeDir, startDaemon, test, until } from './lib/daemon.mjs'
import { badAgent, board, commentsOf, each, haveCgroups, inQueue, linesOf, outputOf, routes, startedOf, tally } from './lib/scenes.mjs'

const lostComments = [
  'Agent was lost: its supervisor ended without saying how the agent ended.',
  'Retry 1/1: lost. Moving back to source queue for retry.',
]

// The first attempt leaves processes of all kinds; the second says which of them it still sees.
const leaving = `#!/bin/sh
echo "$ATHANORE_TASK_ID" >> ran
if [ "$ATHANORE_ATTEMPT" = 2 ]; then
  while read -r pid; do
    state=$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2> /dev/null) || continue
    case $state in Z|X|'') ;; *) echo "alive: $pid $state" ;; esac
  done < pids
  exit 0
fi
# In the agent's own session.
sh -c 'trap "" TERM HUP; echo $$ >> pids; exec sleep 1000' &
# In another session, with its environment.
setsid sh -c 'trap "" TERM HUP; echo $$ >> pids; exec sleep 1000' &
# In another session, a child of nobody, with its environment.
(setsid sh -c 'sh -c "echo \\$\\$ >> pids; exec sleep 1000" &' &)
# The same without its environment.
(env -i PATH="$PATH" setsid sh -c 'trap "" TERM HUP; sh -c "echo \\$\\$ >> pids; exec sleep 1000" &' &)
# One that hides by its name, and the agent itself, which stays.
exec "$BAD_AGENT" stray pids
`

function pidsOf(d) {
  return linesOf(d.file('pids')).map(Number)
}

// What was cleared of its environment carries no mark of the test.
function startWithStrays(t, options) {
  const dir = makeDir(t)
  atEnd(t, () => linesOf(path.join(dir, 'pids')).forEach((pid) => kill(Number(pid), 'SIGKILL')))
  return startDaemon(t, { dir, ...options })
}

async function startLeaving(t, env = {}, n = 1) {
  const d = await startWithStrays(t, {
    routes: routes({ options: 'max_retries = 1,', route: 'success_queue = "Done",' }),
    board: board(n),
    files: { 'agent.sh': leaving },
    env: { BAD_AGENT: badAgent, ...env },
  })
  await d.until(() => new Set(pidsOf(d)).size === 6 * n)
  assert.ok(pidsOf(d).every(alive))
  return d
}

async function assertGoneAndRetried(d, n = 1) {
  await d.until(() => inQueue(d, 'Done') === n)
  assert.deepEqual(pidsOf(d).filter(alive), [])
  assert.deepEqual(tally(linesOf(d.file('ran'))), each(n, 2))
  for (const run of d.runs().slice(-n)) assert.deepEqual(outputOf(run), [], 'none was left when the second attempt began')
  for (let id = 1; id <= n; id++) assert.deepEqual(commentsOf(d, String(id)), lostComments)
}

const killSupervisors = (d) => {
  for (const run of d.runs()) assert.ok(kill(startedOf(run).pid, 'SIGKILL'))
}

for (const [name, env, possible] of [['with a cgroup', {}, haveCgroups()], ['without a cgroup', { ATHANORE_NO_CGROUP: '1' }, true]]) {
  test(`all that an agent started ends with its supervisor, ${name}`, { skip: !possible && 'no cgroup to be had' }, async (t) => {
    const d = await startLeaving(t, env)
    await d.until(() => d.runs().every((run) => startedOf(run).agent_pid))
    const { cgroup } = startedOf(d.runs()[0])
    assert.equal(cgroup !== undefined, env.ATHANORE_NO_CGROUP === undefined)
    killSupervisors(d)
    await assertGoneAndRetried(d)
    if (cgroup) assert.equal(fs.existsSync(cgroup), false)
  })
}

test('all that an agent started ends after daemon and supervisor were killed', { skip: !haveCgroups() && 'no cgroup to be had' }, async (t) => {
  const d = await startLeaving(t)
  await d.until(() => d.runs().every((run) => startedOf(run).cgroup))
  const { cgroup } = startedOf(d.runs()[0])
  await d.kill9()
  killSupervisors(d)
  const hidden = pidsOf(d).filter((pid) => alive(pid) && !fs.readFileSync(`/proc/${pid}/environ`).includes('ATHANORE_RUN_ID'))
  assert.equal(hidden.length, 1, 'no mark leads to it')
  await d.start()
  await assertGoneAndRetried(d)
  assert.equal(fs.existsSync(cgroup), false)
})

test('without a cgroup, what carries the mark of its run ends after daemon and supervisor were killed', async (t) => {
  const d = await startWithStrays(t, {
    routes: routes({ options: 'max_retries = 1,', route: 'success_queue = "Done",' }),
    board: board(1),
    files: { 'agent.sh': leaving.replace(/^.*env -i.*\n/m, '').replace('exec "$BAD_AGENT" stray pids', 'echo $$ >> pids; exec sleep 1000') },
    env: { ATHANORE_NO_CGROUP: '1' },
  })
  await d.until(() => new Set(pidsOf(d)).size === 4)
  await d.kill9()
  killSupervisors(d)
  await d.start()
  await assertGoneAndRetried(d)
})

test('a cgroup that is not a supervisor\'s is let alone', { skip: !haveCgroups() && 'no cgroup to be had' }, async (t) => {
  const d = await startLeaving(t)
  await d.until(() => d.runs().every((run) => startedOf(run).cgroup))
  const { pid, cgroup } = startedOf(d.runs()[0])
  const bystander = path.join(path.dirname(cgroup), `bystander-${process.pid}`)
  const folder = d.file('athanore-folder')
  fs.mkdirSync(bystander)
  atEnd(t, () => fs.rmdirSync(bystander))
  fs.mkdirSync(folder)
  fs.writeFileSync(path.join(folder, 'cgroup.kill'), '')
  fs.writeFileSync(path.join(folder, 'cgroup.events'), 'populated 1\n')
  const file = path.join(d.runs()[0].dir, 'started')
  for (const wrong of [bystander, folder]) {
    fs.writeFileSync(file, JSON.stringify({ pid, cgroup: wrong }))
    if (wrong === folder) break
    await d.kill9()
    await d.start()
    await d.untilLog('taken up again')
  }
  kill(pid, 'SIGKILL')
  await d.until(() => inQueue(d, 'Done') === 1)
  assert.equal(fs.readFileSync(path.join(folder, 'cgroup.kill'), 'utf8'), '')
  assert.ok(fs.existsSync(bystander))
  for (const left of pidsOf(d)) kill(left, 'SIGKILL')
  await until(() => {
    try {
      fs.rmdirSync(cgroup)
      return true
    } catch (error) {
      return error.code === 'ENOENT'
    }
  })
})

test('five lost runs at once are all cleared and tried again', async (t) => {
  const d = await startLeaving(t, {}, 5)
  killSupervisors(d)
  await assertGoneAndRetried(d, 5)
})

test('other agents go on when one is lost', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ options: 'max_retries = 1,', route: 'success_queue = "Done",' }),
    board: board(3),
    files: { 'agent.sh': `#!/bin/sh
echo "$ATHANORE_TASK_ID" >> ran
while [ ! -e go ]; do sleep 0.02; done
` },
  })
  await d.until(() => d.runs().filter((run) => startedOf(run).agent_pid).length === 3)
  const first = d.runs().find((run) => run.run.task_id === '1')
  kill(startedOf(first).pid, 'SIGKILL')
  await d.until(() => tally(linesOf(d.file('ran')))[1] === 2)
  fs.writeFileSync(d.file('go'), '')
  await d.until(() => inQueue(d, 'Done') === 3)
  assert.deepEqual(tally(linesOf(d.file('ran'))), { 1: 2, 2: 1, 3: 1 })
  for (const id of ['2', '3']) assert.deepEqual(commentsOf(d, id), [])
})

for (const [name, env] of [['with', {}], ['without', { ATHANORE_NO_CGROUP: '1' }]]) {
  test(`a timeout ends what ignores TERM and hides, ${name} a cgroup`, async (t) => {
    const d = await startWithStrays(t, {
      routes: routes({ options: 'agent_timeout = 0.5, max_retries = 1,', route: 'success_queue = "Done",' }),
      board: board(1),
      files: { 'agent.sh': leaving },
      env: { BAD_AGENT: badAgent, ...env },
    })
      await d.until(() => d.runs()[0]?.exit)
    const { exit } = d.runs()[0]
    const seconds = (Date.parse(exit.ended_at) - Date.parse(exit.started_at)) / 1000
    // Timeout, grace (5), and one more.
    assert.ok(seconds < 6.5, `${seconds} s`)
    assert.equal(exit.reason, 'timeout')
    assert.equal(new Set(pidsOf(d)).size, 6)
    assert.deepEqual(pidsOf(d).filter(alive), [])
    await d.until(() => inQueue(d, 'Done') === 1)
    assert.deepEqual(outputOf(d.runs()[1]), [])
    assert.deepEqual(commentsOf(d, '1'), [
      'Agent timed out after 0.5 seconds.',
      'Retry 1/1: timed out. Moving back to source queue for retry.',
    ])
  })
}

test('a run ends though a stray keeps its output open', async (t) => {
  const d = await startWithStrays(t, {
    routes: routes({ options: 'max_retries = 0, dead_letter_queue = "Dead",' }),
    board: board(1),
    files: { 'agent.sh': '#!/bin/sh\nexec "$BAD_AGENT" leave pids\n' },
    env: { BAD_AGENT: badAgent },
  })
  await d.until(() => inQueue(d, 'Dead') === 1)
  assert.equal(d.runs()[0].exit.exit_code, 7)
  assert.equal(pidsOf(d).length, 1)
  assert.deepEqual(pidsOf(d).filter(alive), [])
})

test('an agent that fails after it moved its own task is not moved back', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ options: 'max_retries = 3,' }),
    board: board(1, 'Review'),
    files: { 'agent.sh': `#!/bin/sh
echo "$ATHANORE_TASK_ID" >> ran
curl -fsS -X POST "$ATHANORE_API/tasks/$ATHANORE_TASK_ID/move" -H 'Content-Type: application/json' -d '{"target_queue":"Review"}' || exit 9
exit 4
` },
  })
  await d.untilLog('run ended')
  assert.deepEqual(d.where(), { 1: 'Review' })
  assert.deepEqual(commentsOf(d, '1')[0], 'Agent failed: exit code 4.')
  assert.deepEqual(linesOf(d.file('ran')), ['1'])
})
