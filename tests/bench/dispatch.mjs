// Tasks a second through their whole life, against a bare loop of posix_spawn and waitpid.
import fs from 'node:fs'
import { Daemon, folder, helper, median, quick, readBoard, row, run, tasks, writeBoard, writeScript } from './lib.mjs'

const COUNT = quick ? 500 : 2000
const ROUNDS = quick ? 1 : 3

async function dispatch(where) {
  const dir = folder(where)
  writeScript(dir, 'command = "/bin/true", max_concurrent_agents = 32, poll_interval = 60', 'success_queue = "Done"')
  writeBoard(dir, { Todo: tasks(COUNT), 'In Progress': [], Done: [] })
  const began = performance.now()
  const daemon = await Daemon.start(dir, ['--once'])
  await daemon.ended
  const rate = COUNT / ((performance.now() - began) / 1000)
  const done = readBoard(dir).Done.length
  if (done !== COUNT) throw new Error(`${done} of ${COUNT} tasks are done`)
  fs.rmSync(dir, { recursive: true, force: true })
  return rate
}

const memory = [], disk = [], bare = []
for (let i = 0; i < ROUNDS; i++) {
  bare.push(Number(await run(helper('bare_spawn'), [String(COUNT), '/bin/true'])))
  memory.push(await dispatch('memory'))
  disk.push(await dispatch('disk'))
}
const reference = median(bare)
row('dispatch, in memory', `${median(memory).toFixed(0)}/s`, `${reference.toFixed(0)}/s`, median(memory) / reference, '>= 0.25')
row('dispatch, on disk', `${median(disk).toFixed(0)}/s`, `${reference.toFixed(0)}/s`, median(disk) / reference)
