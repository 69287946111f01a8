// What a test knows about processes: who carries its mark, how to end them all, how much memory one has.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export const MARK = 'ATHANORE_TEST_ID'

// The pids whose environment carries this test's mark; those that are dead but not reaped are left out.
export function markedPids(id) {
  const wanted = `${MARK}=${id}`
  const pids = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    try {
      if (readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(wanted)) pids.push(Number(name))
    } catch {
      // Gone in the meantime, or not ours.
    }
  }
  return pids
}

export function kill(pid, signal) {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

// Ends all that carry the mark, again and again, for a process may fork while it is being looked for.
export async function endMarked(id, timeout = 10000) {
  const deadline = Date.now() + timeout
  for (;;) {
    const pids = markedPids(id)
    if (pids.length === 0) return
    if (Date.now() > deadline) throw new Error(`processes of the test are left: ${pids.map(describe).join('; ')}`)
    for (const pid of pids) kill(pid, 'SIGKILL')
    await sleep(10)
  }
}

// The same without waiting, for the way out of the process.
export function endMarkedNow(id) {
  for (let round = 0; round < 5; round++) for (const pid of markedPids(id)) kill(pid, 'SIGKILL')
}

function describe(pid) {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()}`
  } catch {
    return String(pid)
  }
}

export function alive(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

// Resident memory in bytes.
export function rss(pid) {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  if (!found) throw new Error(`process ${pid} has no memory: it has ended`)
  return Number(found[1]) * 1024
}
