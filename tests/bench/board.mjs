// Large boards: what a poll and a change cost, in the adapter alone (bench_board) and through the daemon.
import fs from 'node:fs'
import path from 'node:path'
import { Daemon, cpu, folder, helper, median, quick, row, run, sleep, task, tasks, until, writeBoard, writeScript } from './lib.mjs'

const SECONDS = quick ? 3 : 10
const CHANGES = quick ? 3 : 9
const INTERVAL = 0.02
const LARGE = 100000

async function poller(queues, slots) {
  const dir = folder()
  writeBoard(dir, queues)
  const options = `command = { "/bin/sh", "-c", "exec sleep 1000" }, max_concurrent_agents = ${slots}`
  writeScript(dir, `${options}, poll_interval = ${INTERVAL}`)
  const daemon = await Daemon.start(dir)
  await until(async () => (await daemon.request('GET', '/tasks/1')).status === 200, 'the board is read')
  daemon.disconnect()
  return { daemon, dir }
}

const unwatched = (count) => poller({ Todo: [], 'In Progress': [], Done: tasks(count) }, 3)
const busy = (count) => poller({ Todo: tasks(count), 'In Progress': [], Done: [] }, 1)

const isBusy = ({ dir }) => fs.existsSync(path.join(dir, '.athanore/routes/runs'))
  && fs.readdirSync(path.join(dir, '.athanore/routes/runs')).length === 1

// Daemons side by side: what each uses of the processor in the same seconds.
async function polls(name, small, large) {
  await sleep(2000) // for what the beginning left to do
  const used = [small, large].map(({ daemon }) => cpu(daemon.pid))
  await sleep(SECONDS * 1000)
  const [a, b] = [small, large].map(({ daemon }, i) => (cpu(daemon.pid) - used[i]) / 1e3 / (SECONDS / INTERVAL))
  row(`board, daemon's tick, ${name}`, `${b.toFixed(0)} us (100000)`, `${a.toFixed(0)} us (100)`, b / a, '<= 2')
  await Promise.all([small.daemon.stop(), large.daemon.stop()])
}

function copy(from, to) {
  const began = performance.now()
  const fd = fs.openSync(to, 'w')
  fs.writeFileSync(fd, fs.readFileSync(from))
  fs.fsyncSync(fd)
  fs.closeSync(fd)
  const took = performance.now() - began
  fs.rmSync(to)
  return took
}

// Asks for /healthz until told to stop; the longest it took.
function askHealth(daemon) {
  const state = { stop: false, worst: 0 }
  const asked = (async () => {
    while (!state.stop) {
      const { status, ms } = await daemon.request('GET', '/healthz')
      if (status !== 200) throw new Error(`GET /healthz answered ${status}`)
      state.worst = Math.max(state.worst, ms)
      await sleep(1)
    }
  })()
  return async () => {
    state.stop = true
    await asked
    return state.worst
  }
}

async function changes() {
  const dir = folder('disk')
  writeBoard(dir, { Todo: [], 'In Progress': [task(LARGE + 1)], Done: tasks(LARGE) })
  writeScript(dir, 'command = "/bin/true", poll_interval = 60')
  const daemon = await Daemon.start(dir)
  await until(async () => (await daemon.request('GET', '/tasks/1')).status === 200, 'the board is read')
  const ours = [], reference = [], worst = []
  for (let i = 0; i < CHANGES; i++) {
    const health = askHealth(daemon)
    const { status, ms } = await daemon.request('POST', `/tasks/${1000 + i}/move`, { target_queue: 'In Progress' })
    if (status !== 200) throw new Error(`the move answered ${status}`)
    ours.push(ms)
    worst.push(await health())
    reference.push(copy(path.join(dir, 'board.json'), path.join(dir, 'copy')))
  }
  await daemon.stop()
  row('board, one move of 100000', `${median(ours).toFixed(0)} ms`, `${median(reference).toFixed(0)} ms cp + fsync`,
    median(ours) / median(reference), '<= 4')
  row('board, GET /healthz meanwhile', `worst ${Math.max(...worst).toFixed(1)} ms`, '')
}

const text = await run(helper('bench_board'), [...(quick ? ['--quick'] : []), folder('disk')])
console.log(text)
await polls('unwatched', await unwatched(100), await unwatched(LARGE))
const [small, large] = [await busy(100), await busy(LARGE)]
await until(() => isBusy(small) && isBusy(large), 'the slots are busy')
await polls('slots busy', small, large)
await changes()
