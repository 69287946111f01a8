// Queues written through the API of a whole daemon: their names, their refusals, and the option that allows it.
import assert from 'node:assert/strict'
import { startDaemon, test } from './lib/daemon.mjs'

const routes = (options = '') => `
local athanore = require "athanore"
local d = athanore.dispatcher {
  command = "/bin/true", poll_interval = 60, queue_backend = athanore.json_file "board.json", ${options}
}
d:route { queue_name = "Todo", prompt = function() return "x" end }
return d
`
const managed = routes('enable_queue_management = true')
const board = () => ({ queues: { Todo: [], Full: [{ id: '1', name: 'x' }], Done: [] } })

test('queues are made, renamed and deleted', async (t) => {
  const d = await startDaemon(t, { routes: managed, board: board() })
  const made = await d.post('/queues', { name: 'New' })
  assert.equal(made.status, 201)
  assert.deepEqual(made.body, { name: 'New', task_count: 0 })
  assert.equal(made.headers.location, '/queues/New')
  assert.deepEqual(d.board().queues.New, [])
  const renamed = await d.patch('/queues/New', { name: 'Newer' })
  assert.equal(renamed.status, 200)
  assert.deepEqual(renamed.body, { name: 'Newer', task_count: 0 })
  const deleted = await d.del('/queues/Newer')
  assert.equal(deleted.status, 204)
  assert.equal(deleted.text, '')
  assert.equal(deleted.headers['content-type'], undefined)
  assert.deepEqual(Object.keys(d.board().queues), ['Todo', 'Full', 'Done'])
})

test('what cannot be done is refused', async (t) => {
  const d = await startDaemon(t, { routes: managed, board: board() })
  const cases = [
    ['POST', '/queues', { name: 'Full' }, 409, 'conflict'],
    ['POST', '/queues', { name: '  ' }, 422, 'invalid'],
    ['POST', '/queues', { name: 7 }, 422, 'invalid'],
    ['POST', '/queues', {}, 422, 'invalid'],
    ['POST', '/queues', { name: 'x', color: 'red' }, 422, 'invalid'],
    ['PATCH', '/queues/None', { name: 'x' }, 404, 'not_found'],
    ['PATCH', '/queues/Done', { name: 'Full' }, 409, 'conflict'],
    ['DELETE', '/queues/None', undefined, 404, 'not_found'],
    ['DELETE', '/queues/Full', undefined, 409, 'conflict'],
  ]
  for (const [method, path, body, status, code] of cases) {
    const answer = await d.request(method, path, body)
    assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(body)}: ${answer.text}`)
    assert.equal(answer.body.code, code)
    assert.match(answer.headers['content-type'], /problem\+json/)
  }
  assert.deepEqual(Object.keys(d.board().queues), ['Todo', 'Full', 'Done'])
})

test('names may hold anything', async (t) => {
  const d = await startDaemon(t, { routes: managed, board: board() })
  for (const name of ['My Project.My Board.To do', 'a/b', '100%', '%2F', '..', 'Füße 火 🚀', 'q?x=1#y', '"quoted\\"', "'", '+']) {
    const path = `/queues/${encodeURIComponent(name).replace('..', '%2E%2E')}`
    const made = await d.post('/queues', { name })
    assert.equal(made.status, 201, name)
    // ".." names no resource, however it is written.
    if (name === '..') {
      assert.equal((await d.get(path)).status, 404)
      continue
    }
    assert.deepEqual((await d.get(path)).body, { name, task_count: 0 })
    assert.equal((await d.get(made.headers.location)).body.name, name)
    assert.equal((await d.patch(path, { name: `${name}!` })).body.name, `${name}!`)
    assert.equal((await d.del(`/queues/${encodeURIComponent(`${name}!`)}`)).status, 204)
  }
})

test('without the option queues and routes are not written', async (t) => {
  const d = await startDaemon(t, { routes: routes(), board: board() })
  const writes = [
    ['POST', '/queues', { name: 'x' }], ['PATCH', '/queues/Done', { name: 'x' }], ['DELETE', '/queues/Done'],
    ['POST', '/routes', { queue_name: 'Done', prompt: 'x' }], ['PATCH', '/routes/Todo', { timeout: 1 }], ['DELETE', '/routes/Todo'],
    ['POST', '/queues', 'no JSON'],
  ]
  for (const [method, path, body] of writes) {
    const answer = await d.request(method, path, body)
    assert.equal(answer.status, 403, `${method} ${path}`)
    assert.match(answer.body.detail, /enable_queue_management/)
    assert.match(answer.headers['content-type'], /problem\+json/)
  }
  assert.deepEqual(d.board(), board())
  assert.equal((await d.get('/queues')).status, 200)
  assert.equal((await d.get('/routes/Todo')).body.timeout, null)
})
