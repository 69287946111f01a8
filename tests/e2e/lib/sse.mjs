// A client for event streams, on a raw socket: every byte is looked at, and the connection can be cut anywhere.
import net from 'node:net'

// Chunked bodies as they arrive in pieces; feed() returns what is new of the body.
class Dechunker {
  rest = Buffer.alloc(0)
  left = 0
  ended = false

  feed(data) {
    let out = []
    this.rest = this.rest.length ? Buffer.concat([this.rest, data]) : data
    for (;;) {
      if (this.left > 0) {
        // The two bytes behind a chunk's data are its line end.
        const part = this.rest.subarray(0, this.left)
        this.left -= part.length
        this.rest = this.rest.subarray(part.length)
        out.push(part)
        if (this.left > 0) break
      }
      const end = this.rest.indexOf('\r\n')
      if (end === -1) break
      const line = this.rest.subarray(0, end).toString()
      if (line !== '' && !/^[0-9a-f]+$/i.test(line)) throw new Error(`a chunk's size is ${JSON.stringify(line)}`)
      this.rest = this.rest.subarray(end + 2)
      if (line === '') continue
      this.left = parseInt(line, 16)
      if (this.left === 0) this.ended = true
    }
    return Buffer.concat(out)
  }
}

// Opens a stream. { status, headers, events, comments, retry, lastId, ended (cleanly), closed, bytes, cut(), pause(), resume() }
export function openEvents(url, pathname, { headers = {}, method = 'GET', onEvent, keep = true } = {}) {
  const { hostname, port } = new URL(url)
  const stream = { status: 0, headers: {}, events: [], comments: 0, retry: undefined, lastId: undefined, ended: false, closed: false, bytes: 0, body: '' }
  const socket = net.connect({ host: hostname, port: Number(port), noDelay: true })
  const dechunker = new Dechunker()
  let head = Buffer.alloc(0)
  let text = Buffer.alloc(0)
  stream.socket = socket
  stream.cut = () => socket.destroy()
  stream.pause = () => socket.pause()
  stream.resume = () => socket.resume()
  const lines = [`${method} ${pathname} HTTP/1.1`, `Host: ${hostname}:${port}`, ...Object.entries(headers).map(([k, v]) => `${k}: ${v}`)]
  socket.on('connect', () => socket.write(lines.join('\r\n') + '\r\n\r\n'))
  return new Promise((resolve, reject) => {
    const readBody = (data) => {
      if (!/chunked/.test(stream.headers['transfer-encoding'] ?? '')) {
        stream.body += data
        return
      }
      text = Buffer.concat([text, dechunker.feed(data)])
      stream.ended = dechunker.ended
      for (let end; (end = text.indexOf('\n\n')) !== -1; text = text.subarray(end + 2)) take(text.subarray(0, end).toString())
    }
    const take = (part) => {
      const event = { event: 'message', data: [] }
      for (const line of part.split('\n')) {
        const found = /^(id|event|data|retry|): ?([^]*)$/.exec(line)
        if (line.startsWith(':')) stream.comments++
        else if (!found) throw new Error(`no line of an event: ${JSON.stringify(line)}`)
        else if (found[1] === 'data') event.data.push(found[2])
        else if (found[1] === 'retry') stream.retry = Number(found[2])
        else event[found[1]] = found[2]
      }
      if (event.id !== undefined) stream.lastId = event.id
      if (event.data.length === 0) return
      event.data = event.data.join('\n')
      if (keep) stream.events.push(event)
      onEvent?.(event, stream)
    }
    socket.on('data', (data) => {
      stream.bytes += data.length
      if (stream.status) return readBody(data)
      head = Buffer.concat([head, data])
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      const [first, ...rest] = head.subarray(0, end).toString().split('\r\n')
      stream.status = Number(first.split(' ')[1])
      for (const line of rest) stream.headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 1).trim()
      resolve(stream)
      if (head.length > end + 4) readBody(head.subarray(end + 4))
    })
    socket.on('error', reject)
    socket.on('close', () => {
      stream.closed = true
      reject(new Error('closed before an answer'))
    })
  })
}

// The status of an answer, for those that are no stream.
export async function eventStatus(url, pathname, options) {
  const stream = await openEvents(url, pathname, options)
  stream.cut()
  return stream.status
}
