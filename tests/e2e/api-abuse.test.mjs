// The HTTP API against clients that are wrong, slow, gone or hostile.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { Raw, startHost, status, waitFor } from './api_host.mjs';

const HOST = 'Host: localhost\r\n';
const GET = `GET /healthz HTTP/1.1\r\n${HOST}\r\n`;
const ECHO = `POST /tasks/1/comments HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n`;
const COMMENT = '{"comment":"x"}';

let host;
const open = [];
before(async () => { host = await startHost(); });
after(async () => { await host.stop(); });
afterEach(() => { while (open.length) open.pop().close(); });

function connect(port = host.port) {
  const raw = new Raw(port);
  open.push(raw);
  return raw;
}

// One refusal, as a problem document, and then the end of the connection.
async function refused(text, code, { name = 'bad_request', pieces = [text] } = {}) {
  const raw = connect();
  for (const piece of pieces) raw.send(piece);
  const answers = await raw.end();
  assert.equal(raw.error, null, `${JSON.stringify(text).slice(0, 200)}: the answer must arrive`);
  assert.equal(answers.length, 1, `${JSON.stringify(text).slice(0, 200)}: ${raw.text}`);
  assert.equal(answers[0].status, code, raw.text);
  assert.equal(answers[0].headers['content-type'], 'application/problem+json');
  assert.equal(answers[0].headers.connection, 'close');
  if (answers[0].body !== '') assert.equal(JSON.parse(answers[0].body).code, name);
}

async function alive() {
  assert.equal((await fetch(`${host.url}/healthz`)).status, 200);
}

describe('framing', () => {
  test('pipelined requests are answered in order', async () => {
    const raw = connect();
    const ids = Array.from({ length: 100 }, (_, i) => (i % 2 ? '1' : '2'));
    raw.send(ids.map((id) => `GET /tasks/${id} HTTP/1.1\r\n${HOST}\r\n`).join(''));
    const answers = await raw.answers(100);
    assert.deepEqual(answers.map((answer) => JSON.parse(answer.body).id), ids);
    raw.send(ECHO + `Content-Length: ${COMMENT.length}\r\n\r\n${COMMENT}${GET}`);
    assert.deepEqual((await raw.answers(102)).slice(100).map((answer) => answer.status), [201, 200]);
  });

  test('a request byte by byte', async () => {
    const raw = connect();
    raw.socket.setNoDelay(true);
    for (const byte of `${ECHO}Content-Length: ${COMMENT.length}\r\n\r\n${COMMENT}`) {
      raw.send(byte);
      await new Promise(setImmediate);
    }
    assert.equal((await raw.answers(1))[0].status, 201);
  });

  test('Content-Length', async () => {
    for (const lines of [
      'Content-Length: 15\r\nContent-Length: 0\r\n', 'Content-Length: 15\r\nContent-Length: 15\r\n',
      'Content-Length: +15\r\n', 'Content-Length: -1\r\n', 'Content-Length: 0x0f\r\n', 'Content-Length: 15, 15\r\n',
      'Content-Length:\r\n', 'Content-Length : 15\r\n',
      'Content-Length: 15\r\nTransfer-Encoding: chunked\r\n', 'Transfer-Encoding: chunked\r\nContent-Length: 15\r\n',
      'Transfer-Encoding: gzip\r\n', 'Transfer-Encoding: chunked, chunked\r\n', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
      'Transfer-Encoding : chunked\r\n', 'Transfer-Encoding: xchunked\r\n', 'X\r\n', ': x\r\n', 'a b: x\r\n', '(x): y\r\n',
      'X: a\r\n folded\r\n', 'X: a\u0000b\r\n', 'X: a\nY: b\r\n', 'X: a\rb\r\n', 'X: \u0001\r\n',
    ]) await refused(`${ECHO}${lines}\r\n${COMMENT}`, 400, { pieces: [`${ECHO}${lines}\r\n`, `${COMMENT}\r\n\r\n`] });
    await alive();
  });

  test('chunked bodies', async () => {
    const raw = connect();
    const head = `${ECHO}Transfer-Encoding: chunked\r\n\r\n`;
    for (const piece of [head, '8', '\r\n{"com', 'men\r', '\n00', '7\r\nt":"x"}', '\r\n', '0\r\n', '\r', `\n${GET}`]) {
      raw.send(piece);
      await new Promise(setImmediate);
    }
    assert.deepEqual((await raw.answers(2)).map((answer) => answer.status), [201, 200]);
    raw.send(`${head}F\r\n${COMMENT}\r\n0\r\nX-Trailer: y\r\n\r\n${GET}`);
    assert.deepEqual((await raw.answers(4)).slice(2).map((answer) => answer.status), [201, 200]);
    raw.send(`${head}F\r\n${COMMENT}\r\n0\r\nHost: evil\r\nContent-Length: 3\r\nOrigin: http://evil\r\n\r\n${GET}`);
    assert.deepEqual((await raw.answers(6)).slice(4).map((answer) => answer.status), [201, 200], 'trailers mean nothing');
    for (const body of [
      `0xF\r\n${COMMENT}\r\n0\r\n\r\n`, `f \r\n${COMMENT}\r\n0\r\n\r\n`, `f;x=y\r\n${COMMENT}\r\n0\r\n\r\n`, `+f\r\n${COMMENT}\r\n0\r\n\r\n`,
      `-1\r\n${COMMENT}\r\n0\r\n\r\n`, `\r\n${COMMENT}\r\n0\r\n\r\n`, `f\n${COMMENT}\r\n0\r\n\r\n`, `f\r\n${COMMENT}0\r\n\r\n`,
      `f\r\n${COMMENT}\r\n0\r\nX: a\n\r\n`, `g\r\n${COMMENT}\r\n0\r\n\r\n`,
    ]) await refused(body, 400, { pieces: [head, body] });
  });

  test('chunked in HTTP/1.0', async () => {
    await refused('', 400, { pieces: [`${ECHO.replace('1.1', '1.0')}Transfer-Encoding: chunked\r\n\r\nF\r\n${COMMENT}\r\n0\r\n\r\n`] });
  });

  test('bodies that are too large', async () => {
    const size = 1024 * 1024;
    const text = JSON.stringify({ comment: 'x'.repeat(size - 14) });
    const raw = connect().send(`${ECHO}Content-Length: ${size}\r\n\r\n${text}`);
    assert.equal(text.length, size);
    assert.equal((await raw.answers(1))[0].status, 201);
    await refused('length', 413, { name: 'body_too_large', pieces: [`${ECHO}Content-Length: ${8 * size}\r\n\r\n`, 'x'.repeat(8 * size)] });
    await refused('chunks', 413, { name: 'body_too_large', pieces: [`${ECHO}Transfer-Encoding: chunked\r\n\r\n`, `100001\r\n${'x'.repeat(4 * size)}`] });
    const chunk = `80000\r\n${'x'.repeat(size / 2)}\r\n`;
    await refused('sum', 413, { name: 'body_too_large', pieces: [`${ECHO}Transfer-Encoding: chunked\r\n\r\n`, chunk, chunk, chunk, chunk] });
    await alive();
  });

  test('heads that are too large', async () => {
    const large = { name: 'headers_too_large' };
    await refused('10,000 headers', 431, { ...large, pieces: [`GET / HTTP/1.1\r\n${HOST}`, 'A: b\r\n'.repeat(10000), '\r\n'] });
    await refused('a long header', 431, { ...large, pieces: [`GET / HTTP/1.1\r\n${HOST}A: ${'b'.repeat(100000)}\r\n\r\n`] });
    await refused('a long line', 431, { ...large, pieces: [`GET /${'a'.repeat(100000)} HTTP/1.1\r\n${HOST}\r\n`] });
    await refused('no line end', 431, { ...large, pieces: ['a'.repeat(1000000)] });
    await refused('trailers', 413, { name: 'body_too_large', pieces: [`${ECHO}Transfer-Encoding: chunked\r\n\r\n0\r\n${'A: b\r\n'.repeat(10000)}\r\n`] });
  });

  test('request lines', async () => {
    for (const line of ['GARBAGE GARBAGE', 'GET /healthz', 'GET  /healthz HTTP/1.1', 'GET /a b HTTP/1.1', 'GET healthz HTTP/1.1', 'GET /healthz HTTP/2.0',
      'GET /healthz HTTP/1.1x', 'GET * HTTP/1.1', 'GET /a\u0000b HTTP/1.1', 'GET /a#b HTTP/1.1', 'GET ftp://localhost/healthz HTTP/1.1', '\u0016\u0003\u0001\u0002 x HTTP/1.1'])
      await (async () => {
        const raw = connect().send(`${line}\r\n${HOST}Connection: close\r\n\r\n`);
        const [answer] = await raw.end();
        assert.equal(answer?.status, 400, `${line}: ${raw.text}`);
        assert.equal(answer.headers['content-type'], 'application/problem+json');
      })();
    await refused('', 505, { name: 'bad_version', pieces: [`GET /healthz HTTP/1.7\r\n${HOST}\r\n`] });
    await refused('', 505, { name: 'bad_version', pieces: [`GET /healthz HTTP/0.9\r\n${HOST}\r\n`] });
    await refused('', 505, { name: 'bad_version', pieces: [`GET /healthz HTTP/-1.-1\r\n${HOST}\r\n`] });
    await refused('', 400, { pieces: [GET.replaceAll('\r\n', '\n')] });
    await alive();
  });
});

describe('meaning', () => {
  test('Host', async () => {
    await refused('', 400, { pieces: ['GET /healthz HTTP/1.1\r\n\r\n'] });
    await refused('', 400, { pieces: [`GET /healthz HTTP/1.1\r\n${HOST}${HOST}\r\n`] });
    await refused('', 400, { pieces: [`GET /healthz HTTP/1.1\r\n${HOST}Origin: http://localhost\r\nOrigin: http://evil\r\n\r\n`] });
    const raw = connect().send('GET /healthz HTTP/1.1\r\nHost:\r\n\r\n');
    assert.equal((await raw.answers(1))[0].status, 403);
    const old = connect().send('GET /healthz HTTP/1.0\r\n\r\n');
    const [answer] = await old.end();
    assert.equal(answer.status, 200);
    assert.equal(answer.body, '{"status":"ok"}');
    const kept = connect().send('GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'.repeat(2));
    assert.equal((await kept.answers(2))[1].headers.connection, 'keep-alive');
  });

  test('absolute targets', async () => {
    for (const [target, code] of [['http://localhost/healthz', 200], ['http://127.0.0.1:99/tasks/1?x', 200], ['HTTP://LOCALHOST/nope', 404],
      ['http://evil.example/healthz', 403], ['http://localhost@evil.example/healthz', 403], ['http:///healthz', 403], ['http://localhost', 404]]) {
      const raw = connect().send(`GET ${target} HTTP/1.1\r\n${HOST}\r\n`);
      assert.equal((await raw.answers(1))[0].status, code, target);
    }
    const raw = connect().send('GET //evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    assert.equal((await raw.answers(1))[0].status, 404);
  });

  test('dots in paths', async () => {
    for (const path of ['/..', '/../healthz', '/tasks/../healthz', '/./healthz', '/%2e%2e/healthz', '/tasks/..%2f..%2fhealthz']) {
      const raw = connect().send(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
      assert.equal((await raw.answers(1))[0].status, 404, path);
    }
  });

  test('methods', async () => {
    for (const method of ['OPTIONS', 'TRACE', 'FROB', 'get', 'PROPFIND', 'PUT', 'A'.repeat(1000)]) {
      const raw = connect().send(`${method} /tasks/1 HTTP/1.1\r\n${HOST}\r\n${GET}`);
      const answers = await raw.answers(2);
      assert.deepEqual(answers.map((answer) => answer.status), [405, 200], method.slice(0, 10));
      assert.equal(answers[0].headers.allow, 'GET, HEAD, PATCH');
    }
    const raw = connect().send(`OPTIONS * HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal((await raw.answers(1))[0].status, 400);
    for (const target of ['localhost:80', '/tasks/1', '[', 'a', ':'])
      assert.ok((await connect().send(`CONNECT ${target} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`).end())[0]?.status >= 400, target);
    const bad = connect().send(`CONNECT localhost:80 HTTP/1.1\r\n${HOST}${HOST}\r\n${GET}`);
    assert.equal((await bad.end()).length, 1);
    await alive();
  });

  test('a body where none may be is not the next request', async () => {
    const { notes } = await status(host);
    const smuggled = `${ECHO}Content-Length: ${COMMENT.length}\r\n\r\n${COMMENT}`;
    for (const method of ['HEAD', 'TRACE', 'FROB']) {
      for (const frame of [`Content-Length: ${smuggled.length}`, 'Transfer-Encoding: chunked']) {
        const raw = connect().send(`${method} /tasks/1 HTTP/1.1\r\n${HOST}${frame}\r\n\r\n${smuggled}`);
        await raw.end();
        assert.match(raw.text, /^HTTP\/1\.1 400 /);
        assert.equal(raw.text.split('HTTP/1.1').length, 2);
      }
    }
    assert.equal((await status(host)).notes.length, notes.length);
    const raw = connect().send(`GET /tasks/1 HTTP/1.1\r\n${HOST}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}${GET}`);
    assert.deepEqual((await raw.answers(2)).map((answer) => answer.status), [200, 200]);
    assert.equal((await status(host)).notes.length, notes.length);
  });

  test('HEAD between others', async () => {
    const raw = connect().send(`${GET}HEAD /tasks/1 HTTP/1.1\r\n${HOST}\r\nHEAD /nope HTTP/1.1\r\n${HOST}\r\n${GET}`);
    const answers = await raw.answers(4, [1, 2]);
    assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 404, 200]);
    assert.ok(Number(answers[1].headers['content-length']) > 100);
  });

  test('Expect', async () => {
    const raw = connect().send(`${ECHO}Expect: 100-continue\r\nContent-Length: ${COMMENT.length}\r\n\r\n`);
    assert.equal((await raw.answers(1))[0].line, 'HTTP/1.1 100 Continue');
    raw.send(COMMENT + GET);
    assert.deepEqual((await raw.answers(3)).map((answer) => answer.status), [100, 201, 200]);
    await refused('', 417, { name: 'expectation_failed', pieces: [`${ECHO}Expect: tea\r\nContent-Length: 15\r\n\r\n${COMMENT}`] });
  });
});

describe('clients that go', () => {
  test('half-closed while the answer is pending', async () => {
    const raw = connect().send(`GET /tasks/hold-1 HTTP/1.1\r\n${HOST}\r\n`);
    raw.socket.end();
    await waitFor(async () => (await status(host)).held === 1, 'the call');
    host.child.kill('SIGUSR1');
    const [answer] = await raw.end();
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.body).id, 'hold-1');
  });

  test('gone while the call is pending', async () => {
    const { notes } = await status(host);
    const clients = Array.from({ length: 20 }, (_, i) => connect().send(
      `POST /tasks/hold-${i}/comments HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nContent-Length: ${COMMENT.length}\r\n\r\n${COMMENT}${i % 2 ? GET : ''}`));
    await waitFor(async () => (await status(host)).held === 20, 'the calls');
    clients.forEach((raw, i) => (i % 3 ? raw.socket.destroy() : raw.socket.resetAndDestroy()));
    await alive();
    host.child.kill('SIGUSR1');
    await waitFor(async () => (await status(host)).held === 0, 'the answers');
    assert.equal((await status(host)).notes.length, notes.length + 20, 'what was done is noted, read or not');
  });

  test('gone in the middle of a request, or of a large answer', async () => {
    for (const text of ['', 'G', GET.slice(0, -2), `${ECHO}Content-Length: 100\r\n\r\n{`, `${ECHO}Transfer-Encoding: chunked\r\n\r\n5\r\n{`, GET.repeat(50)]) {
      const raw = connect().send(text);
      await waitFor(() => !raw.socket.connecting, 'the connection');
      raw.socket.resetAndDestroy();
    }
    const big = connect().send(`GET /tasks/big HTTP/1.1\r\n${HOST}\r\n`);
    await waitFor(() => big.text.length > 0, 'the answer');
    big.socket.resetAndDestroy();
    await alive();
  });

  test('a client that sends and never reads takes no memory', async () => {
    const raw = connect();
    raw.socket.pause();
    raw.send(`GET /tasks/big HTTP/1.1\r\n${HOST}\r\n`);
    const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${host.child.pid}/status`, 'utf8'))[1]);
    await waitFor(() => raw.socket.bytesWritten > 0, 'the request');
    await alive();
    for (let i = 0; i < 20; i++) await alive();
    const before = rss();
    const flood = GET.repeat(20000);
    for (let i = 0; i < 64 && raw.socket.writableLength < 32e6; i++) raw.send(flood);
    let left = raw.socket.writableLength;
    let since = Date.now();
    await waitFor(() => {
      if (raw.socket.writableLength !== left) {
        left = raw.socket.writableLength;
        since = Date.now();
      }
      return Date.now() - since > 1000;
    }, 'the flood to be taken, or not');
    await alive();
    assert.ok(rss() - before < 8 * 1024, `grew by ${rss() - before} KiB`);
  });
});

describe('time and number', () => {
  test('a slow loris is cut off', { timeout: 60000 }, async () => {
    const began = Date.now();
    const drips = [
      [`GET /healthz HTTP/1.1\r\n${HOST}`, (i) => `X-${i}: y\r\n`],
      [`${ECHO}Content-Length: 100000\r\n\r\n`, () => 'x'],
      [`${ECHO}Transfer-Encoding: chunked\r\n\r\n`, () => '1\r\nx\r\n'],
      [`${ECHO}Content-Length: 99999999999999999999999\r\n\r\n`, () => 'x'],
    ].map(([head, drip]) => {
      const raw = connect().send(head);
      let i = 0;
      const timer = setInterval(() => (raw.ended ? clearInterval(timer) : raw.send(drip(i++))), 1000);
      return { raw, timer };
    });
    try {
      await Promise.all(drips.map(({ raw }) => waitFor(() => raw.ended, 'the end of the connection', 45)));
    } finally {
      drips.forEach(({ timer }) => clearInterval(timer));
    }
    assert.ok(Date.now() - began > 25000, 'an honest slow client has half a minute');
    drips.forEach(({ raw }) => assert.equal(raw.responses()[0]?.status, 408, raw.text));
    await alive();
  });

  test('out of descriptors', async () => {
    const small = await startHost([], { nofile: 16 });
    const cpu = () => {
      const fields = readFileSync(`/proc/${small.child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      return (Number(fields[11]) + Number(fields[12])) * 10;
    };
    const clients = Array.from({ length: 60 }, () => connect(small.port).send('GET /healthz HTTP/1.1\r\n'));
    await waitFor(() => /cannot accept a connection/.test(small.log), 'the warning');
    const before = cpu();
    const began = Date.now();
    await waitFor(() => Date.now() - began > 1500, 'some time');
    assert.ok(cpu() - before < 300, `${cpu() - before} ms of CPU in 1.5 s: it spins`);
    assert.equal(small.log.match(/cannot accept/g).length, 1);
    // Those accepted and those that wait are all served in the end.
    for (const raw of clients) raw.send(`${HOST}Connection: close\r\n\r\n`);
    for (const raw of clients) assert.equal((await raw.answers(1))[0]?.status, 200);
    await small.stop();
  });

  test('idle connections make room for new ones', async () => {
    const small = await startHost([], { nofile: 24 });
    const idle = Array.from({ length: 40 }, () => connect(small.port).send(GET));
    for (const raw of idle) assert.equal((await raw.answers(1))[0]?.status, 200);
    const raw = connect(small.port).send(GET);
    assert.equal((await raw.answers(1))[0].status, 200);
    await waitFor(() => idle.filter((each) => each.ended).length >= 20, 'evictions');
    await small.stop();
  });

  test('many connections at once', async () => {
    const clients = Array.from({ length: 500 }, () => connect().send(`GET /tasks/1 HTTP/1.1\r\n${HOST}\r\n${GET}`));
    for (const raw of clients)
      assert.deepEqual((await raw.answers(2)).map((answer) => answer.status), [200, 200]);
  });
});
