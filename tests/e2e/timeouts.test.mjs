// Agent timeouts: whose they are, TERM, five seconds, KILL, the comment; and agents that say nothing.
import assert from 'node:assert/strict'
import { alive, startDaemon, test, writeFiles } from './lib/daemon.mjs'
import { agent, board, notes, said, script } from './lib/script.mjs'

const queues = { Todo: ['1'], 'In Progress': [], Done: [] }

// A file's number, once it is there.
function number(d, name) {
  return d.until(() => Number(notes(d, name)[0]), { what: `a number in ${name}` })
}

function lastRun(d, id) {
  return d.runs().filter((run) => run.run?.task_id === id).at(-1)
}

test('an agent that is too slow gets a TERM, and time to end by itself', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ agent_timeout: 0.3 }, [{ queue_name: 'Todo' }]),
    board: board(queues),
    files: { agent: agent("trap 'note terminated; exit 0' TERM\nawait never") },
  })
  await d.untilLog('run ended')
  assert.deepEqual(notes(d), ['terminated'])
  assert.deepEqual(said(d, '1'), ['Agent timed out after 0.3 seconds.'])
  assert.deepEqual(d.where(), { 1: 'In Progress' })
  const { exit } = lastRun(d, '1')
  assert.equal(exit.reason, 'timeout')
  const answer = (await d.get('/agents/1')).body
  assert.equal(answer.outcome, 'timeout')
  assert.ok(Date.parse(answer.ended_at) - Date.parse(answer.started_at) < 5000, 'it did not wait for the KILL')
})

test('an agent that does not heed the TERM is killed five seconds later, with all that it started', async (t) => {
  const d = await startDaemon(t, {
    routes: script({}, [{ queue_name: 'Todo', timeout: 0.3 }]),
    board: board(queues),
    files: {
      agent: agent('trap "" TERM\necho $$ > agent.pid\n./child &\nsetsid ./child far\n(setsid ./child twice &) &\nawait never'),
      child: '#!/bin/sh\ntrap "" TERM\n[ $# -eq 0 ] || { ./child "" "$1" & [ "$1" = twice ] || exit 0; }\necho $$ >> child.pids\nuntil [ -e never ]; do sleep 0.05; done',
    },
  })
  const pid = await number(d, 'agent.pid')
  await d.until(() => notes(d, 'child.pids').length >= 2)
  await d.untilLog('run ended')
  for (const one of [pid, ...notes(d, 'child.pids').map(Number)]) assert.ok(!alive(one), `${one} is alive`)
  const { started_at, ended_at, outcome } = (await d.get('/agents/1')).body
  assert.equal(outcome, 'timeout')
  const took = Date.parse(ended_at) - Date.parse(started_at)
  assert.ok(took >= 5000 && took < 25000, `it took ${took} ms`)
  assert.equal(said(d, '1').length, 1)
  assert.match(said(d, '1')[0], /^Agent timed out after 0\.3 seconds\./)
})

test("a route's timeout is used in place of the dispatcher's; false is none", async (t) => {
  const d = await startDaemon(t, {
    routes: script({ agent_timeout: 0.4, max_concurrent_agents: 9 }, [
      { queue_name: 'Default' },
      { queue_name: 'Shorter', timeout: 0.2 },
      { queue_name: 'Longer', timeout: 600 },
      { queue_name: 'Never', timeout: false },
    ]),
    board: board({ Default: ['d'], Shorter: ['s'], Longer: ['l'], Never: ['n'], 'In Progress': [], Done: [] }),
    files: { agent: agent('await go\nmove Done') },
  })
  await d.until(() => said(d, 'd').length && said(d, 's').length)
  assert.deepEqual(said(d, 'd'), ['Agent timed out after 0.4 seconds.'])
  assert.deepEqual(said(d, 's'), ['Agent timed out after 0.2 seconds.'])
  await d.until(async () => (await d.get('/agents')).body.agents.length === 2)
  const running = (await d.get('/agents')).body.agents
  assert.deepEqual(Object.fromEntries(running.map((one) => [one.task_id, one.timeout])), { l: 600, n: null })
  for (const one of running) assert.ok(one.runtime_seconds > 0.3, `${one.runtime_seconds}`)
  writeFiles(d.dir, { go: '' })
  await d.until(() => d.where().l === 'Done' && d.where().n === 'Done')
  assert.deepEqual([said(d, 'l'), said(d, 'n')], [[], []])
})

test('without a timeout agents may run for ever', async (t) => {
  const d = await startDaemon(t, {
    routes: script({}, [{ queue_name: 'Todo' }]),
    board: board(queues),
    files: { agent: agent('echo here\nawait go\nmove Done') },
  })
  const answer = await d.until(async () => {
    const { body } = await d.get('/agents/1')
    return body.events?.some((event) => event.text === 'here') && body
  })
  assert.equal(answer.timeout, null)
  assert.equal(answer.running, true)
  assert.equal(lastRun(d, '1').run.timeout, 0)
})

test('a second is one second', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ agent_timeout: 1 }, [{ queue_name: 'Todo' }]),
    board: board(queues),
    files: { agent: agent('exec sleep 100') },
  })
  await d.untilLog('run ended')
  assert.deepEqual(said(d, '1'), ['Agent timed out after 1 second.'])
})

test('an agent that says nothing for stall_timeout is ended; one that goes on talking is not', async (t) => {
  const d = await startDaemon(t, {
    routes: script({ stall_timeout: 1.5 }, [{ queue_name: 'Todo' }]),
    board: board({ ...queues, Todo: ['silent', 'talking'] }),
    files: {
      agent: agent(`case $ATHANORE_TASK_ID in
silent) await never ;;
talking) until [ -e go ]; do echo words; sleep 0.1; done; move Done ;;
esac`),
    },
  })
  await d.until(() => said(d, 'silent').length > 0)
  assert.deepEqual(said(d, 'silent'), ['Agent stalled: no output for 1.5 seconds.'])
  assert.equal((await d.get('/agents/talking')).body.running, true)
  writeFiles(d.dir, { go: '' })
  await d.until(() => d.where().talking === 'Done')
  assert.deepEqual(said(d, 'talking'), [])
})
