// What a daemon, and a supervisor, take while nothing happens.
import fs from 'node:fs'
import path from 'node:path'
import { Daemon, folder, megabytes, quick, readBoard, row, sleep, tasks, until, wakeups, writeBoard, writeScript } from './lib.mjs'

const SECONDS = quick ? 3 : 10

function residence(name, pid) {
  const rss = megabytes(`/proc/${pid}/status`, /^VmRSS:/)
  const own = megabytes(`/proc/${pid}/status`, /^RssAnon:/)
  row(name, `${rss.toFixed(1)} MB`, `${own.toFixed(1)} MB its own`, rss, '<= 16')
}

async function daemonAtRest() {
  const dir = folder()
  writeBoard(dir, { Todo: [], 'In Progress': [], Done: tasks(100) })
  writeScript(dir, 'command = "/bin/true", poll_interval = 60', 'success_queue = "Done"')
  const daemon = await Daemon.start(dir)
  await daemon.request('GET', '/status')
  daemon.disconnect()
  await sleep(1500)
  residence('idle, RSS of a new daemon', daemon.pid)
  const before = wakeups(daemon.pid)
  await sleep(SECONDS * 1000)
  const count = wakeups(daemon.pid) - before
  row('idle, wake-ups', `${count} in ${SECONDS} s`, '0', count, '<= 1')
  writeBoard(dir, { Todo: tasks(100), 'In Progress': [], Done: [] })
  await until(() => readBoard(dir).Done.length === 100, 'the tasks are done')
  await daemon.request('GET', '/status')
  daemon.disconnect()
  await sleep(1500)
  residence('idle, RSS after 100 tasks', daemon.pid)
  await daemon.stop()
}

// The pid that a supervisor wrote into its run's lock.
function supervisor(dir) {
  const runs = path.join(dir, '.athanore/routes/runs')
  const [run] = fs.existsSync(runs) ? fs.readdirSync(runs) : []
  const lock = run && path.join(runs, run, 'lock')
  return lock && fs.existsSync(path.join(runs, run, 'started')) && parseInt(fs.readFileSync(lock, 'utf8'), 10)
}

async function supervisorAtRest() {
  const dir = folder()
  writeBoard(dir, { Todo: tasks(1), 'In Progress': [], Done: [] })
  writeScript(dir, 'command = { "/bin/sh", "-c", "exec sleep 1000" }, poll_interval = 60')
  const daemon = await Daemon.start(dir)
  const pid = await until(() => supervisor(dir), 'the agent runs')
  await sleep(500)
  const own = megabytes(`/proc/${pid}/smaps_rollup`, /^Private_/)
  row('idle, private memory of a supervisor', `${own.toFixed(2)} MB`, '', own, '<= 1')
  await daemon.stop()
}

await daemonAtRest()
await supervisorAtRest()
