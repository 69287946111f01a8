// Event streams: every record exactly once and in order, whatever happens to connections, runs and the daemon.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { test, startDaemon, rss, patience, until } from './lib/daemon.mjs'
import { openEvents, eventStatus } from './lib/sse.mjs'

const routes = (options = '') => `
local athanore = require "athanore"
local d = athanore.dispatcher {
  command = "./agent.sh", poll_interval = 0.1, max_concurrent_agents = 4, on_shutdown = "detach", ${options}
  queue_backend = athanore.json_file "board.json",
}
d:route { queue_name = "Todo", in_progress_queue = "Doing", success_queue = "Done", args = {}, prompt = function(id) return id end }
return d
`
const board = (...ids) => ({ queues: { Todo: ids.map((id) => ({ id, name: `task ${id}` })), Doing: [], Done: [] } })

// Says what its file tells it to, line by line, until a line says to exit.
const follower = `#!/bin/sh
echo begin
until [ -e "go-$ATHANORE_TASK_ID-$ATHANORE_ATTEMPT" ]; do sleep 0.05; done
exit $(cat "go-$ATHANORE_TASK_ID-$ATHANORE_ATTEMPT")
`
const go = (d, task, attempt = 1, code = 0) => fs.writeFileSync(d.file(`go-${task}-${attempt}`), `${code}\n`)

// What a stream has to bring, by the logs on disk: id and record of each line.
function expected(d, wanted = () => true) {
  const found = []
  for (const run of d.runs().filter(wanted)) {
    let offset = 0
    for (const line of fs.readFileSync(path.join(run.dir, 'events.jsonl'), 'utf8').split('\n')) {
      offset += Buffer.byteLength(line) + 1
      if (line !== '') found.push({ id: `${run.id}:${offset}`, event: JSON.parse(line).type, data: line })
    }
  }
  return found
}

const plain = (events) => events.map(({ id, event, data }) => ({ id, event, data }))
const runOf = async (d, task) => (await d.get(`/runs?task_id=${task}`)).body.runs[0]
const isDone = async (d, task) => (await runOf(d, task))?.state === 'done'

test("a run's stream brings its log and ends with it; past the end there is nothing", async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board('1'), files: { 'agent.sh': follower } })
  const run = await d.until(() => runOf(d, '1'))
  const live = await openEvents(d.url, `/runs/${run.run_id}/events`)
  assert.equal(live.status, 200)
  assert.equal(live.headers['content-type'], 'text/event-stream')
  assert.equal(live.headers['cache-control'], 'no-store')
  assert.equal(live.headers['x-accel-buffering'], 'no')
  await d.until(() => live.events.some((event) => JSON.parse(event.data).text === 'begin'))
  assert.equal(live.ended, false)
  await d.post('/tasks/1/comments', { comment: 'a word\nand another' })
  await d.until(() => live.events.some((event) => event.event === 'comment'))
  go(d, '1')
  await d.until(() => live.ended && live.closed)
  assert.equal(live.retry, 1000)
  assert.deepEqual(plain(live.events), expected(d))
  assert.equal((await runOf(d, '1')).state, 'done')

  const again = await openEvents(d.url, `/runs/${run.run_id}/events`)
  await d.until(() => again.ended)
  assert.deepEqual(again.events, live.events)
  for (const event of live.events) {
    const index = live.events.indexOf(event)
    const rest = await openEvents(d.url, `/runs/${run.run_id}/events`, { headers: { 'Last-Event-ID': event.id } })
    if (index === live.events.length - 1) {
      assert.equal(rest.status, 204)
    } else {
      await d.until(() => rest.ended)
      assert.deepEqual(rest.events, live.events.slice(index + 1))
    }
  }
})

test('what cannot be streamed is refused', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board('1', '2'), files: { 'agent.sh': '#!/bin/sh\necho x\n' } })
  await d.until(async () => await isDone(d, '1') && await isDone(d, '2'))
  const [one, two] = [await runOf(d, '1'), await runOf(d, '2')]
  const status = (pathname, id, more = {}) => eventStatus(d.url, pathname, { headers: id === undefined ? {} : { 'Last-Event-ID': id }, ...more })
  const events = `/runs/${one.run_id}/events`
  assert.equal(await status('/runs/none/events'), 404)
  assert.equal(await status('/runs/29990101-000000-000-00000000/events'), 404)
  assert.equal(await status('/runs/20200101-000000-000-00000000/events'), 410)
  assert.equal(await status('/tasks/none/events'), 404)
  for (const id of ['x', ':', '5', `${one.run_id}`, `${one.run_id}:`, `${one.run_id}:x`, `${one.run_id}:-1`, `${one.run_id}:1`, `${two.run_id}:0`, `${one.run_id}:99999999999999999999`, `x${one.run_id}:0`])
    assert.equal(await status(events, id), 400, id)
  assert.equal(await status(events, ''), 200)
  assert.equal(await status(events, `${one.run_id}:0`), 200)
  assert.equal(await status(events, `${one.run_id}:999999999`), 204)
  assert.equal(await status('/tasks/1/events', `${two.run_id}:0`), 400)
  assert.equal(await status('/tasks/1/events', '29990101-000000-000-00000000:0'), 404)
  assert.equal(await status('/tasks/1/events', '20200101-000000-000-00000000:0'), 410)
  for (const id of ['x', '1', '-1', `${one.run_id}:0`]) assert.equal(await status('/events', id), 400, id)
  for (const pathname of [events, '/tasks/1/events', '/events']) {
    const head = await openEvents(d.url, pathname, { method: 'HEAD', headers: { Connection: 'close' } })
    await d.until(() => head.closed)
    assert.equal(head.status, 200)
    assert.equal(head.headers['content-type'], 'text/event-stream')
    assert.equal(head.body, '')
    const post = await openEvents(d.url, pathname, { method: 'POST', headers: { 'Content-Length': 0 } })
    assert.equal(post.status, 405)
    assert.match(post.headers.allow, /GET/)
    post.cut()
  }
  const log = path.join(d.stateDir, 'runs', one.run_id, 'events.jsonl')
  fs.renameSync(log, `${log}.old`)
  fs.symlinkSync(`${log}.old`, log)
  for (const pathname of [events, '/tasks/1/events']) assert.equal(await status(pathname), 503) // there, but not to be read
  fs.rmSync(path.join(d.stateDir, 'runs', one.run_id), { recursive: true })
  assert.equal(await status(events), 410)
})

test("a task's stream goes on with its next runs, and begins anew from an old id", async (t) => {
  const d = await startDaemon(t, { routes: routes('max_retries = 2,'), board: board('1'), files: { 'agent.sh': follower } })
  await d.until(() => runOf(d, '1'))
  const live = await openEvents(d.url, '/tasks/1/events')
  for (const [attempt, code] of [[1, 3], [2, 4], [3, 0]]) {
    await d.until(() => live.events.filter((event) => JSON.parse(event.data).text === 'begin').length === attempt)
    go(d, '1', attempt, code)
  }
  await d.until(() => isDone(d, '1'))
  const all = expected(d)
  assert.equal(d.runs().length, 3)
  await d.until(() => live.events.length >= all.length)
  assert.deepEqual(plain(live.events), all)
  assert.equal(live.ended, false)
  const from = all.findIndex((event) => event.event === 'output')
  const old = await openEvents(d.url, '/tasks/1/events', { headers: { 'Last-Event-ID': all[from].id } })
  await d.until(() => old.events.length >= all.length - from - 1)
  assert.deepEqual(plain(old.events), all.slice(from + 1))
  // Without an id it begins with the last run.
  const last = await openEvents(d.url, '/tasks/1/events')
  const tail = expected(d, (run) => run.id === d.runs()[2].id)
  await d.until(() => last.events.length >= tail.length)
  assert.deepEqual(plain(last.events), tail)
  // And a stream at rest hears of a run that begins much later.
  assert.equal((await d.post('/tasks/1/move', { target_queue: 'Todo' })).status, 200)
  await d.until(() => d.runs().length === 4)
  await d.until(() => [live, old, last].every((stream) => stream.events.at(-1).id.startsWith(d.runs()[3].id)))
  for (const stream of [live, old, last]) stream.cut()
})

test("a task's stream waits for its first run", async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: { queues: { Later: [{ id: '1', name: 'x' }], Todo: [], Doing: [], Done: [] } }, files: { 'agent.sh': '#!/bin/sh\necho hello\n' } })
  const live = await openEvents(d.url, '/tasks/1/events')
  assert.equal(live.status, 200)
  d.editBoard((b) => { b.queues.Todo.push(b.queues.Later.pop()) })
  await d.until(() => isDone(d, '1'))
  const all = expected(d)
  await d.until(() => live.events.length >= all.length)
  assert.deepEqual(plain(live.events), all)
  live.cut()
})

test('every event comes exactly once through cuts, a retry, and a killed daemon', async (t) => {
  const agent = `#!/bin/sh
i=0
while [ $i -lt 3000 ]; do
  i=$((i + 1))
  echo "line $i of attempt $ATHANORE_ATTEMPT"
  [ $((i % 20)) -eq 0 ] && sleep 0.01
done
[ "$ATHANORE_ATTEMPT" -eq 2 ]
`
  const d = await startDaemon(t, { routes: routes('max_retries = 2,'), board: board('1'), files: { 'agent.sh': agent } })
  await d.until(() => runOf(d, '1'))
  const seen = []
  let lastId
  let cuts = 0
  let stop = false
  t.after(() => { stop = true })
  let kills = 0
  const connect = async () => {
    const headers = lastId === undefined ? {} : { 'Last-Event-ID': lastId }
    const stream = await openEvents(d.url, '/tasks/1/events', { headers, keep: false, onEvent: (event, from) => {
      if (from.dropped) return
      seen.push(event)
      lastId = event.id
    } })
    assert.equal(stream.status, 200, `with Last-Event-ID: ${lastId}`)
    return stream
  }
  const reader = (async () => {
    while (!stop) {
      let stream
      try {
        stream = await connect()
      } catch (error) {
        if (error.code === 'ERR_ASSERTION') throw error
        await new Promise((resolve) => setTimeout(resolve, 10)) // the daemon is down
        continue
      }
      // Cut after some bytes, wherever in an event that is.
      const limit = cuts < 50 ? stream.bytes + Math.floor(Math.random() * 6000) : Infinity
      await until(() => stop || stream.closed || stream.bytes >= limit, { timeout: 60000, interval: 1 })
      stream.dropped = true // as a client whose process is gone
      stream.cut()
      cuts++
    }
  })()
  reader.catch(() => {})
  for (const lines of [1000, 4000]) {
    await d.until(() => seen.length > lines, { timeout: 40000 })
    await d.kill9()
    kills++
    await d.start()
  }
  await d.until(() => isDone(d, '1'), { timeout: 60000 })
  const all = expected(d)
  await d.until(() => seen.length >= all.length && lastId === all.at(-1).id, { timeout: 40000 })
  stop = true
  await reader
  assert.equal(d.runs().length, 2)
  assert.equal(kills, 2)
  assert.ok(cuts >= 50, `${cuts} cuts`)
  assert.equal(seen.length, all.length)
  assert.deepEqual(plain(seen), all)
})

test('a slow reader of a large log holds up nobody and takes no memory', { timeout: 240000 * patience }, async (t) => {
  const size = 200 // MB
  const d = await startDaemon(t, { routes: routes('max_log = 2^30,'), board: board('1', '2'), files: { 'agent.sh': follower } })
  const big = await d.until(() => runOf(d, '1'))
  await d.until(() => runOf(d, '2'))
  const log = path.join(d.stateDir, 'runs', big.run_id, 'events.jsonl')
  await d.until(() => fs.existsSync(log))
  const record = (n, text) => JSON.stringify({ time: '2026-01-01T00:00:00.000Z', type: 'output', stream: 'stdout', text: `${n} ${text}` }) + '\n'
  const before = rss(d.pid)
  const slow = await openEvents(d.url, `/runs/${big.run_id}/events`, { keep: false })
  slow.pause()
  const fd = fs.openSync(log, 'a')
  const block = Array.from({ length: 1000 }, (_, n) => record(n, 'x'.repeat(900))).join('')
  let lines = 0
  for (let written = 0; written < size * 1e6; written += block.length, lines += 1000) fs.writeSync(fd, block)
  fs.writeSync(fd, record('long', 'y'.repeat(9 << 20)))
  const stalled = slow.bytes

  // Somebody else is served at once.
  const quick = await openEvents(d.url, '/tasks/2/events')
  await d.until(() => quick.events.length > 1)
  for (let i = 0; i < 20; i++) {
    const count = quick.events.length
    const begun = Date.now()
    await d.post('/tasks/2/comments', { comment: `${i}` })
    await d.until(() => quick.events.length > count, { interval: 1 })
    assert.ok(Date.now() - begun < 1000 * patience, `${Date.now() - begun} ms`)
  }
  quick.cut()
  assert.ok(slow.bytes - stalled < 1 << 20)
  const grown = rss(d.pid) - before
  t.diagnostic(`${grown} bytes of RSS with a stalled reader of ${size} MB`)
  if (patience === 1) assert.ok(grown < 4e6, `RSS grew by ${grown}`)

  // It gets all of it in the end, the record of 9 MiB included.
  let outputs = 0
  let longest = 0
  const all = await openEvents(d.url, `/runs/${big.run_id}/events`, { keep: false, onEvent: (event) => {
    outputs += event.event === 'output'
    longest = Math.max(longest, event.data.length)
  } })
  let peak = 0
  await d.until(() => {
    peak = Math.max(peak, rss(d.pid))
    return longest > 9 << 20
  }, { timeout: 120000, interval: 20 })
  assert.ok(outputs > lines, `${outputs} of ${lines}`)
  t.diagnostic(`${peak - before} bytes of RSS at most while ${all.bytes} bytes were sent`)
  if (patience === 1) assert.ok(peak - before < 4e6, `RSS grew by ${peak - before}`)
  all.cut()
  slow.cut()
  fs.closeSync(fd)
})

test('idle streams are cheap, get a heartbeat and end cleanly with the daemon', { timeout: 180000 * patience }, async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board('1'), files: { 'agent.sh': follower }, logLevel: 'info' })
  const run = await d.until(() => runOf(d, '1'))
  const first = await openEvents(d.url, '/tasks/1/events')
  await d.until(() => first.events.length > 0)
  const before = rss(d.pid)
  const streams = []
  const count = 500
  const paths = [`/runs/${run.run_id}/events`, '/tasks/1/events', '/events']
  for (let i = 0; i < count; i++) streams.push(await openEvents(d.url, paths[i % 3]))
  await d.until(() => streams.every((stream) => stream.retry === 1000))
  const each = (rss(d.pid) - before) / count
  t.diagnostic(`${Math.round(each)} bytes an idle stream`)
  if (patience === 1) assert.ok(each < 10000, `${each} bytes a stream`)
  const inotify = fs.readdirSync(`/proc/${d.pid}/fd`).filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/${d.pid}/fd/${fd}`).includes('inotify')
    } catch {
      return false
    }
  })
  assert.ok(inotify.length <= 2, `${inotify.length} inotify descriptors`)
  await d.until(() => streams.every((stream) => stream.comments > 0), { timeout: 30000 })
  assert.equal(await d.stop(), 0)
  await until(() => streams.every((stream) => stream.closed))
  assert.ok(streams.every((stream) => stream.ended))
})

test('clients that send, half-close or vanish do no harm', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board('1'), files: { 'agent.sh': follower } })
  await d.until(() => runOf(d, '1'))
  const pipelining = await openEvents(d.url, '/tasks/1/events')
  for (let i = 0; i < 1000; i++) pipelining.socket.write(`GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const half = await openEvents(d.url, '/tasks/1/events')
  half.socket.end()
  for (let i = 0; i < 50; i++) (await openEvents(d.url, '/tasks/1/events')).cut()
  await d.until(() => pipelining.events.some((event) => JSON.parse(event.data).text === 'begin'))
  await d.post('/tasks/1/comments', { comment: 'still here' })
  await d.until(() => pipelining.events.some((event) => event.event === 'comment'))
  assert.equal((await d.get('/healthz')).status, 200)
  pipelining.cut()
})

test('the journal tells what happens to all runs, without their output', async (t) => {
  const d = await startDaemon(t, { routes: routes('max_retries = 1,'), board: board('1'), files: { 'agent.sh': follower } })
  const live = await openEvents(d.url, '/events')
  const begin = live.lastId
  await d.until(() => runOf(d, '1'))
  go(d, '1', 1, 5)
  await d.until(() => d.runs().length === 2)
  await d.post('/tasks/1/comments', { comment: 'hm' })
  const whole = await openEvents(d.url, '/events', { headers: { 'Last-Event-ID': '0' } })
  await d.until(() => whole.events.some((event) => event.event === 'comment' && JSON.parse(event.data).text === 'hm'))
  await d.kill9()
  await d.start()
  go(d, '1', 2, 0)
  const rest = await openEvents(d.url, '/events', { headers: { 'Last-Event-ID': whole.events.at(-1).id } })
  await d.until(() => rest.events.filter((event) => event.event === 'done').length === 1)
  const file = fs.readFileSync(path.join(d.stateDir, 'events.jsonl'), 'utf8').trimEnd().split('\n')
  assert.deepEqual([...whole.events, ...rest.events].map((event) => event.data), file)
  const types = file.map((line) => JSON.parse(line).type)
  for (const type of ['daemon_started', 'claimed', 'started', 'ended', 'retried', 'done', 'comment', 'moved']) assert.ok(types.includes(type), `${type} in ${types}`)
  assert.ok(!types.includes('output'))
  assert.ok(begin === undefined || Number(begin) >= 0)
  const claimed = JSON.parse(file.find((line) => JSON.parse(line).type === 'claimed'))
  assert.equal(claimed.task_id, '1')
  assert.equal(claimed.queue, 'Todo')
  assert.equal(claimed.run_id, d.runs()[0].id)
  rest.cut()
})

test('a torn line is one corrupt event', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board('1'), files: { 'agent.sh': '#!/bin/sh\necho x\n' } })
  await d.until(() => isDone(d, '1'))
  const run = await runOf(d, '1')
  const log = path.join(d.stateDir, 'runs', run.run_id, 'events.jsonl')
  fs.appendFileSync(log, '{"time":"2026","type":"out\n{"type":"last"}\n{"type":"torn')
  const stream = await openEvents(d.url, `/runs/${run.run_id}/events`)
  await d.until(() => stream.ended)
  assert.deepEqual(stream.events.slice(-3).map((event) => event.event), ['corrupt', 'last', 'corrupt'])
  assert.equal(stream.lastId, `${run.run_id}:${fs.statSync(log).size}`)
  assert.equal(await eventStatus(d.url, `/runs/${run.run_id}/events`, { headers: { 'Last-Event-ID': stream.lastId } }), 204)
})
