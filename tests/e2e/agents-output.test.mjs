// What an agent prints: kept as far as it is wanted, never in the daemon's memory.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { patience, rss, startDaemon, test } from './lib/daemon.mjs'
import { board, commentsOf, inQueue, linesOf, outputOf, routes } from './lib/scenes.mjs'

const MiB = 1024 * 1024
const growth = 5 * 1000 * 1000

const programs = {
  long: `process.stdout.write('begin\\n' + 'x'.repeat(5 * 1024 * 1024) + '\\nend\\n')`,
  wide: `process.stdout.write('y'.repeat(9 * 1024 * 1024) + '\\nend\\n')`,
  escapes: `process.stdout.write('\\u0001'.repeat(3 * 1024 * 1024) + '\\nend\\n')`,
  garbage: `
    const bytes = Buffer.alloc(3 * 1024 * 1024)
    let state = 42
    for (let i = 0; i < bytes.length; i++) { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; bytes[i] = state >>> 24 }
    process.stdout.write(bytes)
    process.stdout.write('\\nafter\\0nul \\xff\\n')
    process.stdout.write(Buffer.from([0xff, 0xc0, 0x80, 0x0a]))
    process.stdout.write('end\\n')`,
  much: `
    const chunk = Array.from({ length: 1000 }, (_, i) => String(i).padStart(6, '0') + ' ' + 'z'.repeat(992)).join('\\n') + '\\n'
    let left = 200
    const more = () => { while (left-- > 0) if (!process.stdout.write(chunk)) return process.stdout.once('drain', more); process.stdout.write('the last line\\n') }
    more()`,
}

// Runs an agent that executes the program, asks for it all the while, and watches the daemon's memory.
async function runAndWatch(t, program, { options = '', exit = 0 } = {}) {
  const d = await startDaemon(t, {
    routes: routes({ options, route: 'success_queue = "Done", dead_letter_queue = "Dead",' }),
    board: board(1),
    files: { 'agent.sh': `#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.02; done\n"$NODE" program.js || exit 99\nexit ${exit}\n`, 'program.js': program },
    env: { NODE: process.execPath },
    logLevel: 'info',
  })
  await d.until(async () => (await d.get('/agents/1')).body.running)
  const before = rss(d.pid)
  let most = before
  fs.writeFileSync(d.file('go'), '')
  await d.until(async () => {
    const answer = await d.get('/agents/1')
    assert.equal(answer.status, 200)
    most = Math.max(most, rss(d.pid))
    return inQueue(d, exit ? 'Dead' : 'Done') === 1
  }, { timeout: 60000 })
  const last = (await d.get('/agents/1')).body
  most = Math.max(most, rss(d.pid))
  t.diagnostic(`grew by ${Math.round((most - before) / 1000)} kB`)
  // A sanitizer keeps what was freed.
  if (patience === 1) assert.ok(most - before < growth, `the daemon grew by ${most - before} bytes`)
  const [run] = d.runs()
  return { d, run, last, size: fs.statSync(path.join(run.dir, 'events.jsonl')).size }
}

const texts = (agent) => agent.events.filter((event) => event.type === 'output').map((event) => event.text)

test('a line of 5 MB is kept whole', { timeout: 120000 * patience }, async (t) => {
  const { run, last } = await runAndWatch(t, programs.long)
  const lines = outputOf(run)
  assert.deepEqual(lines.map((line) => line.length), [5, 5 * MiB, 3])
  assert.equal(texts(last).at(-1), 'end')
})

for (const name of ['wide', 'escapes']) {
  test(`a line that is ${name === 'wide' ? 'over the limit' : 'all escapes'} is cut and does no harm`, { timeout: 120000 * patience }, async (t) => {
    const { run, last } = await runAndWatch(t, programs[name])
    const lines = run.events.filter((event) => event.type === 'output')
    assert.equal(lines.at(-1).text, 'end')
    assert.ok(lines[0].text.length <= 8 * MiB)
    if (name === 'wide') assert.equal(lines[0].truncated, true)
    assert.equal(texts(last).at(-1), 'end')
  })
}

test('a line so long that it fills what is looked at is told of', async (t) => {
  const { last } = await runAndWatch(t, `process.stdout.write('x'.repeat(5 * 1024 * 1024) + '\\n')`)
  const [event] = last.events.filter((e) => e.type === 'output')
  assert.ok(event, 'the line is there')
  assert.match(event.text, /^x+/)
  assert.equal(event.truncated, true)
})

test('binary garbage and NULs become valid text', { timeout: 120000 * patience }, async (t) => {
  const { run, last } = await runAndWatch(t, programs.garbage)
  const lines = outputOf(run)
  assert.equal(lines.at(-1), 'end')
  assert.equal(lines.at(-2), '\ufffd\ufffd\ufffd')
  assert.equal(lines.at(-3), 'after\0nul \u00ff')
  assert.ok(lines.length > 1000)
  assert.equal(texts(last).at(-1), 'end')
})

test('200 MB stay below the cap, with the last lines there', { timeout: 240000 * patience }, async (t) => {
  const { run, last, size } = await runAndWatch(t, programs.much, { options: `max_log = ${16 * MiB},`, exit: 3 })
  assert.ok(size < 16 * MiB + 1.25 * MiB, `the log has ${size} bytes`)
  assert.ok(size > 16 * MiB)
  const lines = outputOf(run)
  assert.equal(lines.at(-1), 'the last line')
  assert.match(lines.at(-2), /^000999 z+$/)
  assert.match(lines[0], /^000000 z+$/)
  assert.ok(run.events.some((event) => event.dropped_bytes > 150e6 || event.bytes > 150e6), 'it says how much is missing')
  assert.equal(texts(last).at(-1), 'the last line')
})

test('a flood on stderr does not fill the comment', { timeout: 120000 * patience }, async (t) => {
  const { d } = await runAndWatch(t, programs.much.replaceAll('stdout', 'stderr').replace('left = 200', 'left = 20'), { exit: 3 })
  const [text] = commentsOf(d, '1')
  assert.match(text, /^Agent failed: exit code 3\.\n\nLast lines of stderr:\n/)
  assert.match(text, /the last line\n```$/)
  assert.ok(text.length < 5000)
})

test('an event log that was damaged is shown as far as it can be read', async (t) => {
  const d = await startDaemon(t, {
    routes: routes({ route: 'success_queue = "Done",' }),
    board: board(1),
    files: { 'agent.sh': '#!/bin/sh\necho one\necho "$ATHANORE_TASK_ID" >> ran\n' },
  })
  await d.until(() => inQueue(d, 'Done') === 1)
  fs.appendFileSync(path.join(d.runs()[0].dir, 'events.jsonl'), '{"type":"output","te\n\0\xff\n[1]\n')
  const { events } = (await d.get('/agents/1')).body
  assert.ok(events.filter((event) => event.type === 'corrupt').length >= 2)
  assert.ok(events.some((event) => event.text === 'one'))
  assert.deepEqual(linesOf(d.file('ran')), ['1'])
})
