// HTTP for tests: one connection a request, so that nothing survives a restart of the daemon.
import http from 'node:http'

// Sends a request to url; body: a string or Buffer as it is, anything else as JSON. Answers with
// { status, headers, text, body }, body being the parsed JSON or undefined.
export function request(url, { method = 'GET', headers = {}, body, timeout = 30000 } = {}) {
  const raw = typeof body === 'string' || Buffer.isBuffer(body)
  const data = body === undefined ? undefined : raw ? body : JSON.stringify(body)
  const all = { ...headers }
  if (data !== undefined) {
    all['content-length'] = Buffer.byteLength(data)
    if (!Object.keys(all).some((name) => name.toLowerCase() === 'content-type')) all['content-type'] = 'application/json'
  }
  return new Promise((resolve, reject) => {
    const req = http.request(url, { method, headers: all, agent: false, timeout }, (res) => {
      const chunks = []
      res.on('data', (chunk) => chunks.push(chunk))
      res.on('error', reject)
      res.on('end', () => resolve(reply(res, Buffer.concat(chunks).toString('utf8'))))
    })
    req.on('timeout', () => req.destroy(new Error(`${method} ${url}: no answer in ${timeout} ms`)))
    req.on('error', reject)
    req.end(data)
  })
}

function reply(res, text) {
  const answer = { status: res.statusCode, headers: res.headers, text, body: undefined }
  if (/[/+]json/.test(res.headers['content-type'] ?? '') && text !== '') answer.body = JSON.parse(text)
  return answer
}

// Opens an event stream. Answers, once the headers are there, with { status, headers, events, ended, close() };
// events grows as they come: { id, event, data }, data parsed where it is JSON.
export function openStream(url, headers = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request(url, { headers: { accept: 'text/event-stream', ...headers }, agent: false }, (res) => {
      const stream = { status: res.statusCode, headers: res.headers, events: [], text: '', ended: false }
      stream.close = () => req.destroy()
      let rest = ''
      res.setEncoding('utf8')
      res.on('data', (chunk) => {
        stream.text += chunk
        const parts = (rest + chunk).split('\n\n')
        rest = parts.pop()
        for (const part of parts) addEvent(stream.events, part)
      })
      for (const name of ['end', 'error', 'close']) res.on(name, () => (stream.ended = true))
      resolve(stream)
    })
    req.on('error', reject)
    req.end()
  })
}

function addEvent(events, part) {
  const event = { id: undefined, event: 'message', data: undefined }
  const data = []
  for (const line of part.split('\n')) {
    const found = /^(id|event|data): ?(.*)$/.exec(line)
    if (!found) continue
    if (found[1] === 'data') data.push(found[2])
    else event[found[1]] = found[2]
  }
  if (data.length === 0) return
  event.data = data.join('\n')
  try {
    event.data = JSON.parse(event.data)
  } catch {
    // Text stays text.
  }
  events.push(event)
}
