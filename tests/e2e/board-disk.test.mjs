// Disks that do not take a board: full, read-only, or wiped. These mount, which only root may.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { startDaemon, test as anyTest } from './lib/daemon.mjs'
import { assertEachRanOnce, assertUnavailable, fault, repeatedly, runsByTask, script, tasks } from './lib/boards.mjs'

const skip = process.getuid() !== 0 && 'only root may mount'
const test = (name, fn) => anyTest(name, { skip }, fn)

function mount(...args) {
  execFileSync('mount', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

// A disk with a board, and beside it a second way to the same files.
class Disk {
  constructor(t, size, board) {
    this.root = fs.mkdtempSync(path.join(os.tmpdir(), 'athanore-disk-'))
    this.dir = path.join(this.root, 'disk')
    this.alias = path.join(this.root, 'alias')
    this.mounted = []
    // Registered before the daemon's folder is made: this is undone first.
    t.after(() => this.free())
    for (const dir of [this.dir, this.alias]) fs.mkdirSync(dir)
    this.mount(this.dir, '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs')
    this.mount(this.alias, '--bind', this.dir)
    this.write(board)
  }

  mount(where, ...args) {
    mount(...args, where)
    this.mounted.push(where)
  }

  free() {
    for (const where of this.mounted.reverse()) execFileSync('umount', ['-l', where])
    fs.rmSync(this.root, { recursive: true })
  }

  get path() {
    return path.join(this.dir, 'board.json')
  }

  read() {
    return fs.readFileSync(path.join(this.alias, 'board.json'), 'utf8')
  }

  get queues() {
    return JSON.parse(this.read()).queues
  }

  // As another program, which can write also where the daemon cannot.
  write(board) {
    fs.writeFileSync(path.join(this.alias, 'next'), JSON.stringify(board))
    fs.renameSync(path.join(this.alias, 'next'), path.join(this.alias, 'board.json'))
  }

  readOnly() {
    this.mount(this.dir, '--bind', this.alias)
    mount('-o', 'remount,bind,ro', this.dir)
  }

  writable() {
    execFileSync('umount', [this.mounted.pop()])
  }

  fill() {
    const fd = fs.openSync(path.join(this.alias, 'filler'), 'w')
    try {
      for (;;) fs.writeSync(fd, Buffer.alloc(4096))
    } catch (error) {
      assert.equal(error.code, 'ENOSPC')
    } finally {
      fs.closeSync(fd)
    }
  }

  makeRoom() {
    fs.rmSync(path.join(this.alias, 'filler'))
  }
}

const start = (t, disk, options = {}, more = {}) =>
  startDaemon(t, { routes: script({ board: disk.path, poll_interval: 0.2, ...options }), ...more })

for (const [name, spoil, mend, words] of [
  ['a full disk', (disk) => disk.fill(), (disk) => disk.makeRoom(), /cannot write the board .*board\.json.*No space left/],
  ['a read-only disk', (disk) => disk.readOnly(), (disk) => disk.writable(), /cannot write the board .*board\.json.*Read-only/],
]) {
  test(`${name}: changes are refused, reading goes on`, async (t) => {
    const disk = new Disk(t, '256k', { queues: { Todo: [], Doing: [], Done: [], Other: tasks(1, 3) }, fill: 'x'.repeat(60000) })
    const d = await start(t, disk)
    assert.equal((await d.get('/tasks/1')).status, 200)
    spoil(disk)
    const before = disk.read()
    const answers = await Promise.all([
      d.post('/tasks/1/comments', { comment: 'c' }), d.post('/tasks/1/move', { target_queue: 'Todo' }), d.patch('/tasks/2', { name: 'x' }),
    ])
    for (const answer of answers) assertUnavailable(answer, words)
    assert.match(await fault(d), words)
    await d.untilLog((record) => record.level === 'error' && words.test(record.message))
    assert.deepEqual((await d.get('/tasks/1')).body.queue, 'Other')
    assert.equal(disk.read(), before)
    mend(disk)
    assert.equal((await d.post('/tasks/1/move', { target_queue: 'Todo' })).status, 200)
    await d.until(() => disk.queues.Done.length === 1)
    assert.equal(await fault(d), null)
    assertEachRanOnce(d, ['1'])
    assert.equal(await d.stop(), 0)
    assert.deepEqual(fs.readdirSync(disk.alias).sort(), ['board.json', 'board.json.lock'], 'nothing is left behind')
  })

  test(`${name}: nothing is claimed, and all of it is when it is mended`, async (t) => {
    const disk = new Disk(t, '300k', { queues: { Todo: [], Doing: [], Done: [], Other: tasks(1, 6) } })
    // Larger than the first: that one's place would not do for what comes of a claim.
    const ready = { queues: { Todo: tasks(1, 6), Doing: [], Done: [] }, fill: 'x'.repeat(60000) }
    const d = await start(t, disk, { max_concurrent_agents: 2 })
    assert.equal((await d.get('/tasks/1')).status, 200)
    fs.writeFileSync(path.join(disk.alias, 'next'), JSON.stringify(ready))
    spoil(disk)
    fs.renameSync(path.join(disk.alias, 'next'), path.join(disk.alias, 'board.json'))
    await d.until(async () => words.test(await fault(d)))
    assert.deepEqual(d.runs(), [], 'no run is begun')
    assert.equal(disk.queues.Todo.length, 6)
    mend(disk)
    await d.until(() => disk.queues.Done.length === 6, { timeout: 40000 })
    assertEachRanOnce(d, ['1', '2', '3', '4', '5', '6'])
    assert.equal(await fault(d), null)
  })
}

test('agents that end on a read-only disk find their way to Done when it is mended', async (t) => {
  const disk = new Disk(t, '1m', { queues: { Todo: tasks(1, 2), Doing: [], Done: [] } })
  const d = await start(t, disk, { command: './agent.sh' }, {
    files: { 'agent.sh': '#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.02; done\n' },
  })
  await d.until(() => d.runs().filter(({ events }) => events.length > 0).length === 2 && disk.queues.Doing.length === 2)
  disk.readOnly()
  fs.writeFileSync(d.file('go'), '')
  await d.until(async () => /Read-only/.test(await fault(d)))
  const healthy = repeatedly(async () => (await d.get('/healthz')).status)
  await d.until(() => d.runs().every(({ exit }) => exit))
  disk.writable()
  await d.until(() => disk.queues.Done.length === 2)
  assert.ok((await healthy.stop()).every((status) => status === 200))
  assertEachRanOnce(d, ['1', '2'])
})

test('a daemon that is stopped while the disk is read-only goes on at its next start', async (t) => {
  const disk = new Disk(t, '1m', { queues: { Todo: tasks(1, 2), Doing: [], Done: [] } })
  const d = await start(t, disk, { command: './agent.sh', stop_timeout: 1 }, {
    files: { 'agent.sh': '#!/bin/sh\nwhile [ ! -e "go-$ATHANORE_TASK_ID" ]; do sleep 0.02; done\n' },
  })
  await d.until(() => d.runs().filter(({ events }) => events.length > 0).length === 2 && disk.queues.Doing.length === 2)
  disk.readOnly()
  // The first agent has ended, the second one is ended by the stop.
  fs.writeFileSync(d.file('go-1'), '')
  await d.until(async () => /Read-only/.test(await fault(d)))
  assert.equal(await d.stop(), 0)
  assert.equal(disk.queues.Doing.length, 2)
  disk.writable()
  fs.writeFileSync(d.file('go-2'), '')
  await d.start()
  await d.until(() => disk.queues.Done.length === 2)
  assert.deepEqual(runsByTask(d), { 1: 1, 2: 2 })
})

test('a board that nobody can lock is refused at the start, with the reason', async (t) => {
  const disk = new Disk(t, '1m', { queues: { Todo: tasks(1, 1), Doing: [], Done: [] } })
  disk.readOnly()
  const d = await start(t, disk, {}, { ready: false })
  assert.equal(await d.exitCode(), 1)
  assert.ok(d.log.some((record) => /board\.json.*Read-only/.test(record.message ?? record.raw)), d.report())
  assert.equal(disk.queues.Todo.length, 1)
})

test('a disk with room for the board and one more is enough', async (t) => {
  const disk = new Disk(t, '160k', { queues: { Todo: tasks(1, 20), Doing: [], Done: [] }, fill: 'x'.repeat(60000) })
  const d = await start(t, disk)
  await d.until(() => disk.queues.Done.length === 20)
  assertEachRanOnce(d, tasks(1, 20).map(({ id }) => id))
  // What was just removed may take its room for a moment longer; the change is made all the same.
  const errors = d.log.filter((record) => record.level === 'error' && !/No space left on device/.test(record.message))
  assert.deepEqual(errors, [])
})
