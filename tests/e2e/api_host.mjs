// Starts the API's test host and talks to it, by fetch and by raw sockets.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = path.resolve(root, process.env.ATHANORE_BUILD ?? 'build');

export const program = path.join(build, 'tests/fixtures/api_host');

// Resolves once the host listens; rejects with its stderr where it does not.
export async function startHost(options = [], { nofile } = {}) {
  const command = nofile ? 'prlimit' : program;
  const args = nofile ? [`--nofile=${nofile}`, program, ...options] : options;
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const host = { child, log: '', port: 0 };
  const exited = once(child, 'close');
  let out = '';

  child.stderr.on('data', (data) => { host.log += data; });
  await Promise.race([
    new Promise((resolve) => child.stdout.on('data', (data) => {
      out += data;
      const match = /^port (\d+)\n/.exec(out);
      if (match) {
        host.port = Number(match[1]);
        resolve();
      }
    })),
    exited.then(([code]) => {
      throw Object.assign(new Error(`the host exited with ${code}: ${host.log}`), { code, log: host.log });
    }),
  ]);
  host.url = `http://127.0.0.1:${host.port}`;
  host.stop = async () => {
    child.kill('SIGTERM');
    const [code, signal] = await exited;
    if (code !== 0) throw new Error(`the host ended with ${code ?? signal}: ${host.log}`);
  };
  return host;
}

export async function waitFor(condition, what = 'the condition', seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what} in vain`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function status(host) {
  return (await fetch(`${host.url}/status`)).json();
}

// A raw connection that collects what comes.
export class Raw {
  constructor(port, options = {}) {
    this.text = '';
    this.ended = false;
    this.error = null;
    this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, ...options });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (data) => { this.text += data; });
    this.socket.on('end', () => { this.ended = true; });
    this.socket.on('error', (error) => { this.error = error; this.ended = true; });
    this.socket.on('close', () => { this.ended = true; });
  }

  send(text) {
    if (!this.socket.destroyed) this.socket.write(text, 'latin1');
    return this;
  }

  // The complete responses so far; heads names those (by index) that answer HEAD.
  responses(heads = []) {
    const list = [];
    let rest = this.text;
    for (;;) {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return list;
      const [line, ...lines] = rest.slice(0, end).split('\r\n');
      const headers = Object.fromEntries(lines.map((text) => {
        const at = text.indexOf(':');
        return [text.slice(0, at).toLowerCase(), text.slice(at + 1).trim()];
      }));
      const code = Number(line.split(' ')[1]);
      const length = code === 100 || heads.includes(list.length) ? 0 : Number(headers['content-length'] ?? 0);
      if (rest.length < end + 4 + length) return list;
      list.push({ line, status: code, headers, body: rest.slice(end + 4, end + 4 + length) });
      rest = rest.slice(end + 4 + length);
    }
  }

  async answers(count, heads) {
    await waitFor(() => this.responses(heads).length >= count || this.ended, `${count} answers`);
    return this.responses(heads);
  }

  async end() {
    await waitFor(() => this.ended, 'the end of the connection', 40);
    return this.responses();
  }

  close() {
    this.socket.destroy();
  }
}
