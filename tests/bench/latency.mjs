// From the rename of a board that was edited by hand to the start of the agent, against inotify and posix_spawn alone.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { Daemon, folder, helper, median, quick, readBoard, row, sleep, start, task, until, writeBoard, writeScript } from './lib.mjs'

const ROUNDS = quick ? 15 : 60

// The agents write the time of their start into a pipe.
function stamps(dir) {
  const pipe = path.join(dir, 'stamps')
  execFileSync('mkfifo', [pipe])
  const fd = fs.openSync(pipe, fs.constants.O_RDWR | fs.constants.O_NONBLOCK)
  const socket = new net.Socket({ fd, readable: true, writable: false })
  const next = () => new Promise((resolve) => socket.once('data', (data) => resolve(BigInt(data.toString().trim()))))
  return { pipe, next, close: () => socket.destroy() }
}

// Renames a fresh board into place; milliseconds until the agent runs.
async function measure(dir, stamp, id) {
  const edited = path.join(dir, 'board.json.edited')
  fs.writeFileSync(edited, JSON.stringify({ queues: { Todo: [task(id)], 'In Progress': [], Done: [] } }, null, 2))
  const next = stamp.next()
  const began = process.hrtime.bigint()
  fs.renameSync(edited, path.join(dir, 'board.json'))
  return Number((await next) - began) / 1e6
}

async function compare(where, target) {
  const ourDir = folder(where), bareDir = folder(where)
  const ourStamps = stamps(ourDir), bareStamps = stamps(bareDir)
  writeBoard(ourDir, { Todo: [], 'In Progress': [], Done: [] })
  writeScript(ourDir, `command = { "${helper('agent_stamp')}", "${ourStamps.pipe}" }, poll_interval = 60`, 'success_queue = "Done"')
  const daemon = await Daemon.start(ourDir)
  const bare = await start('bare_watch', [bareDir, 'board.json', helper('agent_stamp'), bareStamps.pipe])
  const ours = [], reference = []
  for (let i = 1; i <= ROUNDS; i++) {
    await sleep(30) // for what the last round left to do
    ours.push(await measure(ourDir, ourStamps, i))
    await until(() => readBoard(ourDir).Done.length === 1, 'the task is done')
    reference.push(await measure(bareDir, bareStamps, i))
  }
  await daemon.stop()
  bare.child.kill()
  ourStamps.close()
  bareStamps.close()
  const name = `latency, ${where === 'memory' ? 'in memory' : 'on disk'}`
  row(name, `${median(ours).toFixed(2)} ms`, `${median(reference).toFixed(2)} ms`, median(ours) / median(reference), target)
}

await compare('memory', '<= 5')
await compare('disk')
process.exit(0)
