// The HTTP API: each endpoint and each error.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import net from 'node:net';
import http from 'node:http';
import { Raw, startHost, status, waitFor } from './api_host.mjs';

let host;
before(async () => { host = await startHost(); });
after(async () => { await host.stop(); });

async function call(method, path, body, headers = {}) {
  const answer = await fetch(host.url + path, {
    method,
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, json: text ? JSON.parse(text) : undefined };
}

function assertProblem(answer, code, name, field) {
  assert.equal(answer.status, code, answer.text);
  assert.equal(answer.headers.get('content-type'), 'application/problem+json');
  assert.equal(answer.json.type, 'about:blank');
  assert.equal(answer.json.status, code);
  assert.equal(answer.json.code, name);
  assert.equal(answer.json.field, field);
  assert.ok(answer.json.title.length > 0);
  assert.ok(answer.json.detail.length > 0);
}

// fetch() cannot set these headers.
function request(headers, path = '/status', method = 'GET') {
  return new Promise((resolve, reject) => {
    const req = http.request({ port: host.port, host: '127.0.0.1', path, method, headers, agent: false }, (res) => {
      let text = '';
      res.on('data', (data) => { text += data; });
      res.on('end', () => resolve({ status: res.statusCode, headers: new Headers(res.headers), text, json: JSON.parse(text) }));
    });
    req.on('error', reject);
    req.end();
  });
}

describe('reading', () => {
  test('health', async () => {
    const answer = await call('GET', '/healthz');
    assert.equal(answer.status, 200);
    assert.equal(answer.text, '{"status":"ok"}');
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.ok(answer.headers.get('date'));
  });

  test('status', async () => {
    assert.equal((await call('GET', '/status')).json.held, 0);
  });

  test('agents', async () => {
    assert.deepEqual((await call('GET', '/agents')).json, { agents: [{ task_id: '1', running: true }] });
    assert.deepEqual((await call('GET', '/agents/1')).json, { task_id: '1', running: true });
    assertProblem(await call('GET', '/agents/9'), 404, 'not_found');
  });

  test('a task has all its keys and its retries', async () => {
    const answer = await call('GET', '/tasks/2');
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, {
      id: '2', name: 'Write "tests"', queue: 'Todo', description: null, labels: [], assignees: [],
      comments: [], tasks: [], url: 'https://tracker.example/cards/1', retry_count: 3,
    });
    assert.ok(answer.text.includes('https://tracker.example/cards/1'), 'slashes are not escaped');
    assertProblem(await call('GET', '/tasks/404'), 404, 'not_found');
  });

  test('lists are lists, whatever the adapter gives', async () => {
    const answer = await call('GET', '/tasks/bare');
    assert.deepEqual(answer.json, {
      id: 'bare', name: 'special', queue: 'Todo', labels: [], assignees: [], comments: [], tasks: [], retry_count: 0,
    });
    assert.equal(answer.text.match(/retry_count/g).length, 1);
  });

  test('a large task arrives whole', async () => {
    assert.equal((await call('GET', '/tasks/big')).json.description.length, 8 * 1024 * 1024);
  });

  test('queues', async () => {
    const { queues } = (await call('GET', '/queues')).json;
    assert.deepEqual(queues.map((queue) => queue.name), ['Todo', 'Done', 'a/b é']);
    assert.deepEqual((await call('GET', '/queues/Done')).json, { name: 'Done', task_count: 0 });
    assert.deepEqual((await call('GET', '/queues/a%2fb%20%C3%a9?x=%00')).json, { name: 'a/b é', task_count: 0 });
    assertProblem(await call('GET', '/queues/a/b'), 404, 'not_found');
    assertProblem(await call('GET', '/queues/none'), 404, 'not_found');
  });

  test('routes', async () => {
    assert.equal((await call('GET', '/routes')).text, '{"routes":[]}');
    assert.equal((await call('GET', '/routes/Todo')).json.queue_name, 'Todo');
    assertProblem(await call('GET', '/routes/None'), 404, 'not_found');
  });

  test('HEAD has the length and no body', async () => {
    for (const path of ['/healthz', '/status', '/agents', '/tasks/2', '/queues', '/routes', '/tasks/404']) {
      const get = await call('GET', path);
      const head = await call('HEAD', path);
      assert.equal(head.status, get.status);
      assert.equal(head.text, '');
      assert.equal(head.headers.get('content-length'), String(Buffer.byteLength(get.text)), path);
      assert.equal(head.headers.get('content-type'), get.headers.get('content-type'));
    }
  });
});

describe('writing', () => {
  test('a comment', async () => {
    const answer = await call('POST', '/tasks/1/comments', { comment: 'done: "é" \u{1f600}' });
    assert.equal(answer.status, 201);
    assert.deepEqual(answer.json, { text: 'done: "é" \u{1f600}' });
    assert.deepEqual((await call('GET', '/tasks/1')).json.comments, [{ text: 'done: "é" \u{1f600}' }]);
    const { notes } = await status(host);
    assert.deepEqual(notes.at(-1), { task_id: '1', type: 'comment', fields: { text: 'done: "é" \u{1f600}' } });
  });

  test('a move', async () => {
    const { pokes } = await status(host);
    const answer = await call('POST', '/tasks/1/move', { target_queue: 'Done' });
    assert.equal(answer.status, 200);
    assert.equal(answer.json.queue, 'Done');
    assert.equal(answer.json.retry_count, 0);
    const after = await status(host);
    assert.deepEqual(after.notes.at(-1), { task_id: '1', type: 'moved', fields: { target_queue: 'Done' } });
    assert.equal(after.pokes, pokes + 1);
    assertProblem(await call('POST', '/tasks/1/move', { target_queue: 'Nowhere' }), 404, 'not_found');
    assert.equal((await status(host)).notes.length, after.notes.length, 'what failed is not noted');
  });

  test('an update', async () => {
    const fields = { name: 'New', description: 'text', labels: ['a'], assignees: ['b', 'c'] };
    const answer = await call('PATCH', '/tasks/2', fields);
    assert.equal(answer.status, 200);
    assert.deepEqual({ ...answer.json, ...fields }, answer.json);
    assert.equal(answer.json.retry_count, 3);
    assert.deepEqual((await status(host)).notes.at(-1), { task_id: '2', type: 'updated', fields });
    const cleared = await call('PATCH', '/tasks/2', { description: null, labels: null });
    assert.equal(cleared.json.description, null);
    assert.deepEqual(cleared.json.labels, []);
    assert.deepEqual(cleared.json.assignees, ['b', 'c']);
  });

  test('a new task', async () => {
    const { pokes } = await status(host);
    const answer = await call('POST', '/tasks', { queue_name: 'Todo', name: 'Newest', description: 'd' });
    assert.equal(answer.status, 201);
    assert.equal(answer.json.name, 'Newest');
    assert.equal(answer.json.description, 'd');
    assert.equal(answer.json.retry_count, 0);
    const location = answer.headers.get('location');
    assert.equal(location, `/tasks/${encodeURIComponent(answer.json.id)}`);
    assert.deepEqual((await call('GET', location)).json, answer.json);
    assert.equal((await status(host)).pokes, pokes + 1);
    assertProblem(await call('POST', '/tasks', { queue_name: 'None', name: 'x' }), 404, 'not_found');
  });

  test('cancelling an agent', async () => {
    const answer = await call('DELETE', '/agents/1');
    assert.equal(answer.status, 202);
    assert.deepEqual(answer.json, { task_id: '1', status: 'cancelling' });
    assertProblem(await call('DELETE', '/agents/7'), 404, 'not_found');
  });
});

describe('refusals', () => {
  test('methods', async () => {
    for (const [method, path, allow] of [
      ['POST', '/status', 'GET, HEAD'], ['PUT', '/tasks/1', 'GET, HEAD, PATCH'], ['DELETE', '/tasks/1', 'GET, HEAD, PATCH'],
      ['GET', '/tasks', 'POST'], ['HEAD', '/tasks/1/move', 'POST'], ['OPTIONS', '/agents/1', 'GET, HEAD, DELETE'],
    ]) {
      const answer = await call(method, path);
      assert.equal(answer.status, 405, `${method} ${path}`);
      assert.equal(answer.headers.get('allow'), allow);
    }
    assertProblem(await call('PATCH', '/queues', {}), 405, 'method_not_allowed');
  });

  test('paths', async () => {
    for (const path of ['/', '/nope', '/status/', '/tasks/', '/tasks//1', '/tasks/1/', '/tasks/1/move/x', '/a/b/c/d/e/f/g/h/i'])
      assertProblem(await call('GET', path), 404, 'not_found');
    for (const path of ['/tasks/%00', '/tasks/%0', '/tasks/%', '/tasks/%zz', '/tasks/%ff', '/tasks/a%c3', '/%00'])
      assertProblem(await call('GET', path), 400, 'bad_request');
    for (const path of ['/tasks/%2e%2E', '/tasks/%2e/move'])
      assertProblem(await request({}, path), 404, 'not_found');
    assertProblem(await call('GET', '/tasks/x.y-z~%2B+'), 404, 'not_found');
    assertProblem(await call('GET', `/tasks/${'x'.repeat(9000)}`), 414, 'uri_too_long');
    assertProblem(await call('GET', `/status?${'x'.repeat(9000)}`), 414, 'uri_too_long');
    assert.equal((await call('GET', `/status?${'x'.repeat(4000)}`)).status, 200);
  });

  test('media types', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'application/json-patch+json'])
      assertProblem(await call('POST', '/tasks/1/comments', '{"comment":"x"}', { 'content-type': type }), 415, 'unsupported_media_type');
    for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON'])
      assert.equal((await call('POST', '/tasks/1/comments', '{"comment":"x"}', { 'content-type': type })).status, 201);
  });

  test('bodies that are no JSON', async () => {
    for (const body of ['', '{', '{"comment":', 'null', '{"comment":"x"} x', '[[[[[[[['.repeat(20)])
      assertProblem(await call('POST', '/tasks/1/comments', body), 400, 'invalid_json');
    assertProblem(await call('POST', '/tasks/1/comments', '[]'), 422, 'invalid');
    assertProblem(await call('POST', '/tasks/1/comments', '"x"'), 422, 'invalid');
  });

  test('fields', async () => {
    for (const [method, path, body, field] of [
      ['POST', '/tasks/1/comments', {}, 'comment'],
      ['POST', '/tasks/1/comments', { comment: 1 }, 'comment'],
      ['POST', '/tasks/1/comments', { comment: null }, 'comment'],
      ['POST', '/tasks/1/comments', { comment: ' \n' }, 'comment'],
      ['POST', '/tasks/1/comments', { comment: 'a\u0000b' }, 'comment'],
      ['POST', '/tasks/1/comments', { comment: 'x', text: 'y' }, 'text'],
      ['POST', '/tasks/1/move', { queue: 'Done' }, 'queue'],
      ['POST', '/tasks/1/move', { target_queue: ['Done'] }, 'target_queue'],
      ['POST', '/tasks/1/move', { target_queue: '' }, 'target_queue'],
      ['PATCH', '/tasks/1', { name: '' }, 'name'],
      ['PATCH', '/tasks/1', { name: null }, 'name'],
      ['PATCH', '/tasks/1', { description: 1 }, 'description'],
      ['PATCH', '/tasks/1', { labels: 'x' }, 'labels'],
      ['PATCH', '/tasks/1', { labels: ['x', 1] }, 'labels'],
      ['PATCH', '/tasks/1', { assignees: { a: 1 } }, 'assignees'],
      ['PATCH', '/tasks/1', { id: '9' }, 'id'],
      ['PATCH', '/tasks/1', {}, undefined],
      ['POST', '/tasks', { name: 'x' }, 'queue_name'],
      ['POST', '/tasks', { queue_name: 'Todo' }, 'name'],
      ['POST', '/tasks', { queue_name: 'Todo', name: 'x', labels: [] }, 'labels'],
    ])
      assertProblem(await call(method, path, body), 422, 'invalid', field);
    assert.match((await call('PATCH', '/tasks/1', { lables: [] })).json.detail, /did you mean "labels"/);
    const long = await call('PATCH', '/tasks/1', { ['é'.repeat(5000)]: 1 });
    assert.equal(long.status, 422);
    assert.ok(long.text.length < 1000);
  });

  test('errors of the backend', async () => {
    for (const [name, code, retry] of [
      ['not_found', 404], ['conflict', 409], ['invalid', 422], ['unauthorized', 502], ['forbidden', 502],
      ['rate_limited', 503, '7'], ['unavailable', 503, '5'], ['timeout', 504], ['unsupported', 501], ['internal', 500],
    ]) {
      const answer = await call('GET', `/tasks/error-${name}`);
      assertProblem(answer, code, name);
      assert.match(answer.json.detail, /it failed/);
      assert.equal(answer.headers.get('retry-after'), retry ?? null);
      assertProblem(await call('POST', `/tasks/error-${name}/comments`, { comment: 'x' }), code, name);
    }
  });

  test('other hosts and origins', async () => {
    for (const name of ['127.0.0.1', `localhost:${host.port}`, '[::1]:1', 'LOCALHOST'])
      assert.equal((await request({ host: name })).status, 200, name);
    for (const name of ['evil.example', 'evil.example:80', '127.0.0.1.evil.example', 'localhost:x', '[::1', '[::1]x', 'localhost.'])
      assertProblem(await request({ host: name }), 403, 'forbidden_host');
    const own = `127.0.0.1:${host.port}`;
    assert.equal((await request({ host: own, origin: `http://${own}` })).status, 200);
    for (const origin of ['null', 'http://evil.example', 'http://127.0.0.1:1', `http://${own}.evil.example`, `ftp://${own}`, ''])
      assertProblem(await request({ host: own, origin }), 403, 'forbidden_origin');
  });
});

describe('the server', () => {
  test('a port that is taken', async () => {
    await assert.rejects(startHost(['-p', String(host.port)]), (error) => {
      assert.equal(error.code, 1);
      assert.match(error.log, new RegExp(`^conflict: port ${host.port} on 127.0.0.1 is taken .* --port or api_port`));
      return true;
    });
    await assert.rejects(startHost(['-h', 'localhost', '-p', String(host.port)]), /is taken/);
  });

  test('addresses', async () => {
    for (const address of ['localhost', '::1', '[::1]', '127.0.0.2']) {
      const other = await startHost(['-h', address]);
      const name = address.includes(':') ? '[::1]' : address;
      assert.equal((await fetch(`http://${name}:${other.port}/status`)).status, 200);
      await other.stop();
    }
    await assert.rejects(startHost(['-h', '203.0.113.7', '-t', 'x']), /is no address of this machine/);
    await assert.rejects(startHost(['-h', 'nothing.invalid']), /cannot resolve/);
    await assert.rejects(startHost(['-h', '']), /no address to listen on/);
    await assert.rejects(startHost(['-p', '65536']), /a port is 0 to 65535/);
  });

  test('other machines need the token', async () => {
    for (const options of [['-h', '0.0.0.0'], ['-h', '::'], ['-h', '0.0.0.0', '-t', '']])
      await assert.rejects(startHost(options), /needs a token/);
    const open = await startHost(['-h', '0.0.0.0', '-t', 'se cret']);
    const get = (path, headers) => fetch(`http://127.0.0.1:${open.port}${path}`, { headers });
    assert.equal((await get('/healthz')).status, 200);
    for (const headers of [{}, { authorization: 'Bearer' }, { authorization: 'Bearer ' }, { authorization: 'Bearer se cre' },
      { authorization: 'Bearer se crets' }, { authorization: 'Bearer se crese cret' }, { authorization: 'Basic se cret' }]) {
      for (const path of ['/status', '/nope', '/healthz/x']) {
        const answer = await get(path, headers);
        assert.equal(answer.status, 401);
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer realm="athanore"');
        assert.equal((await answer.json()).code, 'unauthenticated');
      }
    }
    assert.equal((await get('/status', { authorization: 'Bearer se cret' })).status, 200);
    assert.equal((await get('/status', { authorization: 'bearer  se cret' })).status, 200);
    assert.equal((await get('/nope', { authorization: 'Bearer se cret' })).status, 404);
    await open.stop();
  });

  test('a token is not asked for on loopback', async () => {
    const local = await startHost(['-t', 'secret']);
    assert.equal((await fetch(`${local.url}/status`)).status, 200);
    await local.stop();
  });

  test('requests wait until it serves', async () => {
    const late = await startHost(['-l']);
    const raw = new Raw(late.port).send('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await waitFor(() => !raw.socket.connecting && raw.socket.bytesWritten > 0, 'the connection');
    assert.equal(raw.text, '');
    late.child.kill('SIGUSR2');
    assert.equal((await raw.answers(1))[0].status, 200);
    raw.close();
    await late.stop();
  });

  test('one that never served ends cleanly', async () => {
    const late = await startHost(['-l']);
    await late.stop();
  });

  test('a restart on the same port works at once', async () => {
    const first = await startHost();
    const raw = new Raw(first.port).send('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await raw.answers(1);
    await first.stop();
    const second = await startHost(['-p', String(first.port)]);
    assert.equal((await fetch(`${second.url}/healthz`)).status, 200);
    raw.close();
    await second.stop();
  });

  test('answers in flight are drained', async () => {
    const busy = await startHost();
    const raw = new Raw(busy.port).send('GET /tasks/hold-1 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await waitFor(async () => (await status(busy)).held === 1, 'the call');
    const stopped = busy.stop();
    await waitFor(() => new Promise((resolve) => {
      const probe = net.connect(busy.port, '127.0.0.1');
      probe.on('connect', () => { probe.destroy(); resolve(false); });
      probe.on('error', () => resolve(true));
    }), 'the end of listening');
    busy.child.kill('SIGUSR1');
    const [answer] = await raw.end();
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.connection, 'close');
    assert.equal(JSON.parse(answer.body).id, 'hold-1');
    raw.close();
    await stopped;
  });

  test('half a request does not hold up the end', async () => {
    const busy = await startHost();
    const raw = new Raw(busy.port).send('GET /healthz HTTP/1.1\r\nHost: loc');
    assert.equal((await fetch(`${busy.url}/healthz`)).status, 200);
    const began = Date.now();
    await busy.stop();
    assert.ok(Date.now() - began < 3000);
    raw.close();
  });

  test('what is not answered in time gets 503', async () => {
    const busy = await startHost();
    const raw = new Raw(busy.port).send('GET /tasks/hold-1 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await waitFor(async () => (await status(busy)).held === 1, 'the call');
    const stopped = busy.stop();
    const [answer] = await raw.end();
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '1');
    raw.close();
    await stopped;
  });
});
