// CPU for one GET /tasks/{id} on 32 connections, against evhttp that answers with the same bytes.
import { Daemon, cpu, folder, helper, median, quick, row, run, start, tasks, writeBoard, writeScript } from './lib.mjs'

const CONNECTIONS = '32'
const REQUESTS = quick ? 5000 : 30000
const ROUNDS = quick ? 3 : 7

const dir = folder()
writeBoard(dir, { Todo: [], 'In Progress': [], Done: tasks(100) })
writeScript(dir, 'command = "/bin/true", poll_interval = 60')
const daemon = await Daemon.start(dir)
const { text } = await daemon.request('GET', '/tasks/50')
const bare = await start('bare_http', [], text)

// Microseconds of the server's CPU for each request, and requests a second.
async function measure(pid, port) {
  const before = cpu(pid)
  const rate = Number(await run(helper('load'), [port, '/tasks/50', CONNECTIONS, String(REQUESTS)]))
  return { cpu: (cpu(pid) - before) / 1e3 / REQUESTS, rate }
}

const ours = [], reference = []
for (let i = 0; i < ROUNDS; i++) {
  ours.push(await measure(daemon.pid, daemon.port))
  reference.push(await measure(bare.child.pid, bare.line))
}
await daemon.stop()
bare.child.kill()
const of = (list, key) => median(list.map((entry) => entry[key]))
row(`api, CPU of GET /tasks/{id} (${text.length} bytes)`, `${of(ours, 'cpu').toFixed(1)} us`,
  `${of(reference, 'cpu').toFixed(1)} us`, of(ours, 'cpu') / of(reference, 'cpu'), '<= 1.25')
row('api, requests a second', of(ours, 'rate').toFixed(0), of(reference, 'rate').toFixed(0), of(ours, 'rate') / of(reference, 'rate'))
process.exit(0)
