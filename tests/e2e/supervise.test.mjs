// The supervisor, driven directly: every promise it makes to the daemon.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = path.resolve(process.env.ATHANORE_BUILD ?? path.join(root, 'build'));
const supervisor = path.join(build, 'athanore-supervise');
const agent = path.join(build, 'tests/fixtures/agent');
const sanitized = process.env.ATHANORE_SANITIZED === '1';
const isRoot = process.getuid() === 0;
const base = fs.mkdtempSync(path.join(os.tmpdir(), 'athanore-supervise-'));
let count = 0;

assert.ok(fs.existsSync(supervisor), `${supervisor} is missing: run make`);
assert.ok(fs.existsSync(agent), `${agent} is missing: run make fixtures`);
after(() => fs.rmSync(base, { recursive: true, force: true }));

function makeRun() {
  const dir = path.join(base, `run-${++count}`);
  fs.mkdirSync(dir, { mode: 0o700 });
  return dir;
}

async function waitFor(what, condition, seconds = 15) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// Starts a supervisor; `ended` resolves to { status, signal, stderr, seconds }.
function start(dir, options, argv, { env = {}, wrap = [] } = {}) {
  const command = [...wrap, supervisor, '--dir', dir, ...options, '--', ...argv];
  const child = spawn(command[0], command.slice(1), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // A run always ends: one that does not fails its test, which sees a null status.
  const watchdog = setTimeout(() => child.kill('SIGKILL'), 60000);
  const begun = process.hrtime.bigint();
  let stderr = '';
  child.stderr.on('data', (data) => (stderr += data));
  child.ended = new Promise((resolve) => {
    child.on('close', (status, signal) => {
      clearTimeout(watchdog);
      resolve({ status, signal, stderr, seconds: Number(process.hrtime.bigint() - begun) / 1e9 });
    });
  });
  return child;
}

const readJson = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));
const logFile = (dir) => path.join(dir, 'events.jsonl');
const exitOf = (dir) => readJson(path.join(dir, 'exit.json'));

function eventsOf(dir) {
  const text = fs.readFileSync(logFile(dir), 'utf8');
  assert.ok(text === '' || text.endsWith('\n'), 'the log ends in a newline');
  return text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
}

const textsOf = (dir, stream = 'stdout') =>
  eventsOf(dir).filter((event) => event.stream === stream).map((event) => event.text);

// Runs to the end and returns everything there is to look at.
async function run(options, argv, settings = {}) {
  const dir = settings.dir ?? makeRun();
  const ended = await start(dir, options, argv, settings).ended;
  assert.equal(ended.status, 0, `status ${ended.status}, ${ended.signal}: ${ended.stderr}`);
  return { dir, ...ended, exit: exitOf(dir), events: eventsOf(dir) };
}

function isAlive(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z';
  } catch {
    return false;
  }
}

const pidsIn = (file) =>
  fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) : [];

const startedOf = (dir) => readJson(path.join(dir, 'started'));
const agentPid = (dir) =>
  waitFor('the agent', () => {
    try {
      return startedOf(dir).agent_pid;
    } catch {
      return undefined;
    }
  });

// In kB, without the pages of the executable: those are shared by all supervisors (and dirty where
// it was linked a moment ago).
const privateMemory = (pid) =>
  Number(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/Anonymous: +(\d+)/)[1]);

function makeFifo(dir) {
  const fifo = path.join(dir, 'fifo');
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
  return fifo;
}

// Lets a reader of the fifo go on; fails where none comes.
const release = (fifo) =>
  waitFor('a reader of the fifo', () => {
    try {
      const fd = fs.openSync(fifo, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
      fs.writeSync(fd, 'go\n');
      fs.closeSync(fd);
      return true;
    } catch (error) {
      if (error.code !== 'ENXIO') throw error;
      return false;
    }
  });

const shell = (script) => ['sh', '-c', script];

describe('output', () => {
  test('each line becomes one record, the last one without a newline too', async () => {
    const { events, exit, dir } = await run([], shell('echo one; echo; printf "a\\tb\\r\\n"; printf end; echo oops >&2'));
    assert.deepEqual(textsOf(dir), ['one', '', 'a\tb\r', 'end']);
    assert.deepEqual(textsOf(dir, 'stderr'), ['oops']);
    for (const event of events) {
      assert.deepEqual(Object.keys(event), ['time', 'type', 'stream', 'text']);
      assert.equal(event.type, 'output');
      assert.match(event.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    assert.equal(exit.log_size, fs.statSync(logFile(dir)).size);
  });

  test('binary garbage and NULs become valid JSON in valid UTF-8', async () => {
    const dir = makeRun();
    const garbage = Buffer.alloc(300000, 0).map((_, i) => (i * 7919 + (i >> 8)) & 0xff);
    fs.writeFileSync(path.join(dir, 'garbage'), Buffer.concat([Buffer.from([0, 0xff, 0x41, 0, 0x0a]), garbage]));
    await run([], ['cat', path.join(dir, 'garbage')], { dir });
    const raw = fs.readFileSync(logFile(dir));
    assert.ok(Buffer.from(raw.toString('utf8')).equals(raw), 'the log is valid UTF-8');
    const texts = textsOf(dir);
    assert.equal(texts[0], '\0\ufffdA\0');
    const lines = fs.readFileSync(path.join(dir, 'garbage')).toString('latin1').split('\n');
    assert.equal(texts.length, lines.at(-1) === '' ? lines.length - 1 : lines.length);
  });

  test('a line of 5 MB comes whole', async () => {
    const dir = makeRun();
    fs.writeFileSync(path.join(dir, 'long'), 'x'.repeat(5_000_000) + 'é\nshort\n');
    await run([], ['cat', path.join(dir, 'long')], { dir });
    const [long, short] = eventsOf(dir);
    assert.equal(long.text.length, 5_000_001);
    assert.ok(long.text.endsWith('xé'));
    assert.equal('truncated' in long, false);
    assert.equal(short.text, 'short');
  });

  test('a line over 8 MiB is cut, between characters, and marked', async () => {
    const dir = makeRun();
    const limit = 8 * 1024 * 1024;
    fs.writeFileSync(path.join(dir, 'long'), 'x' + 'é'.repeat(limit / 2 + 300000) + '\n' + 'y'.repeat(limit) + '\nend');
    await run([], ['cat', path.join(dir, 'long')], { dir });
    const [long, exact, end] = eventsOf(dir);
    assert.equal(long.truncated, true);
    assert.equal(Buffer.byteLength(long.text), limit - 1);
    assert.ok(!long.text.includes('\ufffd'));
    assert.equal(exact.text.length, limit);
    assert.equal('truncated' in exact, false);
    assert.equal(end.text, 'end');
  });

  test('a torn last line of the log is ended first', async () => {
    const dir = makeRun();
    fs.writeFileSync(logFile(dir), '{"type":"claimed"}\n{"type":"mov');
    await start(dir, [], shell('echo on')).ended;
    const lines = fs.readFileSync(logFile(dir), 'utf8').split('\n');
    assert.deepEqual(lines.slice(0, 2), ['{"type":"claimed"}', '{"type":"mov']);
    assert.equal(JSON.parse(lines[2]).text, 'on');
  });

  test('past the cap the last MiB and what was dropped come at the end, in little memory', async () => {
    const dir = makeRun();
    const fifo = makeFifo(dir);
    const cap = 16 * 1024 * 1024;
    const line = 'a line of output of an agent that says the same again and again, to fill its log';
    const child = start(dir, ['--max-log', String(cap)],
      shell('yes "'.concat(line, '" | head -c 200000000; echo; echo the-end; read x < "$0"')).concat(fifo));
    await waitFor('the cap', () => fs.existsSync(logFile(dir)) && fs.statSync(logFile(dir)).size > cap - 4096);
    const pid = startedOf(dir).pid;
    // The pipes are empty once yes and head are gone.
    const main = await agentPid(dir);
    await waitFor('all output', () => {
      const wchan = fs.readFileSync(`/proc/${main}/stat`, 'utf8');
      return wchan.includes(') S ') && spawnSync('pgrep', ['-P', String(main)]).stdout.length === 0;
    }, 60);
    const memory = privateMemory(pid);
    await release(fifo);
    assert.equal((await child.ended).status, 0);
    const events = eventsOf(dir);
    const at = events.findIndex((event) => event.type === 'dropped');
    const dropped = events[at];
    assert.deepEqual(Object.keys(dropped), ['time', 'type', 'bytes', 'lines']);
    assert.equal(events.at(-1).text, 'the-end');
    const total = Math.floor(200000000 / (line.length + 1));
    assert.ok(Math.abs(events.length - 1 + dropped.lines - total) <= 3, `${events.length} and ${dropped.lines} of ${total}`);
    const tail = events.slice(at + 1).reduce((sum, event) => sum + JSON.stringify(event).length + 1, 0);
    assert.ok(tail <= 1048576 && tail > 1048576 - 400, `tail of ${tail}`);
    assert.ok(fs.statSync(logFile(dir)).size <= cap + 1048576 + 200);
    if (!sanitized) assert.ok(memory < 1024 + 400, `private memory with the ring: ${memory} kB`);
  });

  test('private memory stays small, after a long line too', { skip: sanitized }, async () => {
    const dir = makeRun();
    fs.writeFileSync(path.join(dir, 'long'), 'x'.repeat(6_000_000) + '\n');
    const child = start(dir, [], shell(`cat ${dir}/long; echo ready; sleep 60`));
    await waitFor('the lines', () => fs.existsSync(logFile(dir)) && fs.statSync(logFile(dir)).size > 6_000_080 && textsOf(dir).at(-1) === 'ready');
    const kb = privateMemory(startedOf(dir).pid);
    process.kill(startedOf(dir).pid, 'SIGTERM');
    await child.ended;
    assert.ok(kb < 512, `private memory: ${kb} kB`);
  });

  test('others may append to the log meanwhile', async () => {
    const dir = makeRun();
    const child = start(dir, [], shell('i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done'));
    let mine = 0;
    let over = false;
    child.ended.then(() => (over = true));
    while (!over) {
      fs.appendFileSync(logFile(dir), `{"type":"comment","n":${mine++}}\n`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const events = eventsOf(dir);
    assert.equal(events.filter((event) => event.type === 'comment').length, mine);
    assert.deepEqual(textsOf(dir), Array.from({ length: 5000 }, (_, i) => `line ${i}`));
  });
});

describe('a log that cannot be written', () => {
  test('a file size limit loses output, says so, and never the run', async () => {
    const dir = makeRun();
    const ended = await start(dir, [], shell('i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done; exit 5'),
      { wrap: ['sh', '-c', 'ulimit -f 256; exec "$@"', 'sh'] }).ended;
    assert.equal(ended.status, 0, ended.stderr);
    const exit = exitOf(dir);
    assert.equal(exit.exit_code, 5);
    assert.equal(exit.reason, 'exit');
    assert.match(exit.lost.error, /too large/i);
    const lines = fs.readFileSync(logFile(dir), 'utf8').split('\n');
    const torn = lines.pop();
    assert.throws(() => JSON.parse(torn));
    const whole = lines.map((line) => JSON.parse(line));
    assert.equal(whole.length + exit.lost.lines, 30000);
    assert.ok(exit.lost.bytes > 0);
  });

  test('a full disk that gets room again: the torn line is ended, the newest output survives', { skip: !isRoot && 'needs a mount' }, async (t) => {
    const dir = makeRun();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', dir]);
    if (mounted.status !== 0) return t.skip('no mount allowed');
    try {
      const child = start(dir, [], shell('i=0; while [ $i -lt 40000 ]; do echo line $i; i=$((i+1)); done; echo full >&2; kill -STOP $$; echo more; exit 0'));
      const pid = await agentPid(dir);
      await waitFor('the agent to stop', () => fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') T '), 60);
      assert.equal(spawnSync('mount', ['-o', 'remount,size=64m', dir]).status, 0);
      process.kill(pid, 'SIGCONT');
      assert.equal((await child.ended).status, 0);
      const exit = exitOf(dir);
      assert.equal(exit.exit_code, 0);
      assert.equal('lost' in exit, false);
      const lines = fs.readFileSync(logFile(dir), 'utf8').split('\n').slice(0, -1);
      const broken = lines.filter((line) => {
        try {
          JSON.parse(line);
          return false;
        } catch {
          return true;
        }
      });
      assert.ok(broken.length <= 1, `${broken.length} broken lines`);
      const events = lines.filter((line) => !broken.includes(line)).map((line) => JSON.parse(line));
      const dropped = events.filter((event) => event.type === 'dropped');
      assert.equal(dropped.length, 1);
      assert.match(dropped[0].error, /No space left/);
      const texts = events.filter((event) => event.stream === 'stdout').map((event) => event.text);
      assert.equal(texts.length + dropped[0].lines, 40001);
      assert.deepEqual(texts.slice(-2), ['line 39999', 'more']);
    } finally {
      spawnSync('umount', [dir]);
    }
  });

  test('without room for exit.json nothing is started', { skip: !isRoot && 'needs a mount' }, async (t) => {
    const dir = makeRun();
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', dir]).status !== 0) return t.skip('no mount allowed');
    try {
      const ended = await start(dir, [], shell(`echo ran > ${base}/ran-without-room`)).ended;
      assert.equal(ended.status, 4);
      assert.match(ended.stderr, /cannot reserve space for .*exit\.json: No space left/);
      assert.equal(fs.existsSync(`${base}/ran-without-room`), false);
      assert.equal(fs.existsSync(path.join(dir, 'started')), false, 'it may be started again');
    } finally {
      spawnSync('umount', [dir]);
    }
  });

  test('a log that cannot be opened is reported', async () => {
    const dir = makeRun();
    fs.mkdirSync(logFile(dir));
    const ended = await start(dir, [], shell('exit 0')).ended;
    assert.equal(ended.status, 4);
    assert.match(ended.stderr, /cannot open the log .*events\.jsonl/);
    assert.equal(exitOf(dir).reason, 'spawn_failed');
    assert.match(exitOf(dir).error, /cannot open the log/);
  });
});

describe('once', () => {
  test('of many at the same time one runs, the others exit 3', async () => {
    const dir = makeRun();
    const others = Array.from({ length: 6 }, () => start(dir, [], shell('echo ran; sleep 0.3')));
    const statuses = (await Promise.all(others.map((child) => child.ended))).map((ended) => ended.status);
    assert.deepEqual(statuses.sort(), [0, 3, 3, 3, 3, 3]);
    assert.deepEqual(textsOf(dir), ['ran']);
  });

  test('a run that is over is not started again and not touched', async () => {
    const { dir } = await run([], shell('echo ran'));
    const before = fs.readdirSync(dir).map((name) => [name, fs.readFileSync(path.join(dir, name), 'utf8')]);
    const second = await start(dir, [], shell('echo again')).ended;
    assert.equal(second.status, 3);
    assert.match(second.stderr, /started before/);
    assert.deepEqual(fs.readdirSync(dir).map((name) => [name, fs.readFileSync(path.join(dir, name), 'utf8')]), before);
  });

  test('the lock is held for its life, carries its pid, and is not inherited', async () => {
    const dir = makeRun();
    const child = start(dir, [], shell('echo ready; sleep 60'));
    const pid = await agentPid(dir);
    const free = () => spawnSync('flock', ['-n', path.join(dir, 'lock'), 'true']).status === 0;
    assert.equal(free(), false);
    assert.equal(fs.readFileSync(path.join(dir, 'lock'), 'utf8'), `${child.pid}\n`);
    assert.equal(startedOf(dir).pid, child.pid);
    assert.match(startedOf(dir).time, /Z$/);
    assert.equal((await start(dir, [], shell('exit 0')).ended).status, 3);
    child.kill('SIGKILL');
    await waitFor('the lock to be free', free);
    await waitFor('the agent to die with its supervisor', () => !isAlive(pid));
    assert.equal(fs.existsSync(path.join(dir, 'exit.json')), false);
    // What the agent started goes on: the file names the cgroup by which the daemon ends it.
    const { cgroup } = startedOf(dir);
    if (cgroup) fs.writeFileSync(path.join(cgroup, 'cgroup.kill'), '1');
    if (cgroup) await waitFor('the cgroup to be empty', () => spawnSync('rmdir', [cgroup]).status === 0);
  });

  test('a missing folder and wrong usage', async () => {
    const missing = await start(path.join(base, 'nowhere'), [], shell('exit 0')).ended;
    assert.equal(missing.status, 4);
    assert.match(missing.stderr, /nowhere\/lock: No such file/);
    for (const args of [['--dir', base], ['--', 'true'], ['--dir', base, '--timeout', 'soon', '--', 'true'],
      ['--dir', base, '--timeout', '-1', '--', 'true'], ['--dir', base, '--max-log', '-1', '--', 'true'],
      ['--dir', base, '--grace', 'nan', '--', 'true'], ['--dir', base, '--what', '--', 'true'], ['--dir', base, '--', '']]) {
      const wrong = spawnSync(supervisor, args, { encoding: 'utf8' });
      assert.equal(wrong.status, 2, args.join(' '));
      assert.match(wrong.stderr, /^athanore-supervise: /);
    }
    assert.match(spawnSync(supervisor, ['--help'], { encoding: 'utf8' }).stdout, /ATHANORE_NO_CGROUP/);
    assert.match(spawnSync(supervisor, ['--version'], { encoding: 'utf8' }).stdout, /^athanore-supervise \d/);
  });
});

describe('the agent', () => {
  test('has 0, 1 and 2, a clean signal state, and its own process group', async () => {
    const { dir, exit } = await run([], [agent, 'probe'], {
      wrap: ['sh', '-c', 'trap "" TERM PIPE USR1 HUP; exec 5</dev/null 9</dev/null; exec env --ignore-signal=CHLD "$@"', 'sh'],
    });
    assert.equal(exit.exit_code, 0);
    const lines = textsOf(dir);
    assert.deepEqual(lines.filter((line) => line.startsWith('fd:')).sort(), ['fd: 0', 'fd: 1', 'fd: 2']);
    assert.match(lines.find((line) => line.startsWith('SigBlk')), /\t0{16}$/);
    assert.match(lines.find((line) => line.startsWith('SigIgn')), /\t0{16}$/);
    assert.ok(lines.includes('group: 1') && lines.includes('death: 9'), lines.join());
  });

  test('has them where the supervisor was started without any', async () => {
    const { dir } = await run([], [agent, 'probe'], { wrap: ['sh', '-c', 'exec "$@" <&- >&-', 'sh'] });
    assert.deepEqual(textsOf(dir).filter((line) => line.startsWith('fd:')).sort(), ['fd: 0', 'fd: 1', 'fd: 2']);
  });

  test('gets its arguments unchanged', async () => {
    const weird = ['', ' ', '--', '-x', '--dir', 'a\nb', '"\'\\$(echo)`', 'ünïcödé 💥', '%s%n', '*', 'x'.repeat(131071)];
    const { dir } = await run([], [agent, 'probe', ...weird]);
    assert.deepEqual(textsOf(dir).filter((line) => line.startsWith('arg:')),
      weird.map((arg) => `arg: ${Buffer.from(arg).toString('hex')}`));
  });

  test('reads stdin from the file, else its end', async () => {
    const dir = makeRun();
    fs.writeFileSync(path.join(dir, 'stdin'), 'p'.repeat(900000) + '\n');
    await run([], shell('wc -c'), { dir });
    assert.equal(textsOf(dir)[0].trim(), '900001');
    assert.deepEqual(textsOf((await run([], shell('cat; echo end'))).dir), ['end']);
  });

  test('is found in PATH and started in its working directory', async () => {
    const bin = makeRun();
    fs.writeFileSync(path.join(bin, 'my-agent'), 'pwd; echo "$MARK"\n', { mode: 0o755 });
    const { dir } = await run(['--cwd', bin], ['my-agent'], { env: { PATH: `${bin}:${process.env.PATH}`, MARK: 'passed' } });
    assert.deepEqual(textsOf(dir), [fs.realpathSync(bin), 'passed']);
  });

  test('cannot be started: what failed, and what to do', async () => {
    const dir = makeRun();
    const plain = path.join(dir, 'plain');
    const script = path.join(dir, 'script');
    fs.writeFileSync(plain, 'x', { mode: 0o644 });
    fs.writeFileSync(script, '#!/no/such/shell\n', { mode: 0o755 });
    for (const [options, argv, message] of [
      [[], ['/no/such/agent'], /cannot start \/no\/such\/agent: No such file/],
      [[], ['no-such-agent'], /cannot start no-such-agent: no such command in PATH/],
      [[], [plain], /plain.*x permission.*: Permission denied/],
      [[], [script], /interpreter that it names in its first line is missing/],
      [['--cwd', '/no/such/folder'], ['true'], /cannot enter its working directory \/no\/such\/folder: No such file/],
    ]) {
      const { exit, events } = await run(options, argv);
      assert.equal(exit.reason, 'spawn_failed');
      assert.match(exit.error, message);
      assert.equal(exit.exit_code, null);
      assert.equal(exit.signal, null);
      assert.deepEqual(events, []);
    }
  });

  test('with too long arguments: E2BIG is explained', async () => {
    // The kernel counts the resolved path too: a long one is over the limit where our own exec was not.
    let folder = makeRun();
    while (folder.length < 3500) fs.mkdirSync((folder = path.join(folder, 'd'.repeat(200))));
    fs.writeFileSync(path.join(folder, 'far-agent'), '', { mode: 0o755 });
    const env = { PATH: `${process.env.PATH}:${folder}` };
    const fits = (args) => spawnSync('/bin/true', args, { env: { ...process.env, ...env } }).status === 0;
    const args = [];
    while (fits([...args, 'x'.repeat(100000)])) args.push('x'.repeat(100000));
    let low = 0;
    for (let step = 65536; step >= 1; step /= 2) if (fits([...args, 'x'.repeat(low + step)])) low += step;
    const { exit } = await run([], ['far-agent', ...args, 'x'.repeat(low - 1000)], { env });
    assert.equal(exit.reason, 'spawn_failed');
    assert.match(exit.error, /too long \(one argument may have 128 KiB\); hand the prompt over on stdin/);
  });
});

describe('exit.json', () => {
  test('has its form', async () => {
    const { exit, dir } = await run([], shell('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3'));
    assert.deepEqual(Object.keys(exit), ['exit_code', 'signal', 'reason', 'log_size', 'started_at', 'ended_at', 'rusage']);
    assert.equal(exit.exit_code, 3);
    assert.equal(exit.signal, null);
    assert.equal(exit.reason, 'exit');
    assert.equal(exit.log_size, 0);
    assert.ok(Date.parse(exit.ended_at) >= Date.parse(exit.started_at));
    assert.ok(exit.rusage.user_seconds + exit.rusage.system_seconds > 0);
    assert.ok(exit.rusage.max_rss_kb > 100);
    assert.deepEqual(fs.readdirSync(dir).sort(), ['events.jsonl', 'exit.json', 'lock', 'started']);
    assert.equal(fs.statSync(path.join(dir, 'exit.json')).mode & 0o777, 0o600);
  });

  test('tells the signal that ended the agent', async () => {
    const { exit } = await run([], shell('kill -SEGV $$'));
    assert.equal(exit.signal, 11);
    assert.equal(exit.exit_code, null);
    assert.equal(exit.reason, 'exit');
  });
});

for (const [name, env] of [['with a cgroup', {}], ['without a cgroup', { ATHANORE_NO_CGROUP: '1' }]]) {
  describe(`the end, ${name}`, () => {
    test('the timeout ends everything the agent started', async () => {
      const dir = makeRun();
      const pids = path.join(dir, 'pids');
      const child = start(dir, ['--timeout', '1', '--grace', '0.5'], [agent, 'stray', pids], { env });
      await waitFor('two processes', () => pidsIn(pids).length === 2);
      assert.ok(pidsIn(pids).every(isAlive));
      const cgroup = startedOf(dir).cgroup;
      if (env.ATHANORE_NO_CGROUP) assert.equal(cgroup, undefined);
      const ended = await child.ended;
      assert.equal(ended.status, 0, ended.stderr);
      assert.deepEqual(pidsIn(pids).filter(isAlive), []);
      assert.ok(ended.seconds >= 1.5 && ended.seconds < 2.5, `took ${ended.seconds}`);
      const exit = exitOf(dir);
      assert.equal(exit.reason, 'timeout');
      assert.equal(exit.signal, 9);
      assert.equal('survivors' in exit, false);
      if (cgroup) assert.equal(fs.existsSync(cgroup), false);
    });

    test('what an agent leaves behind is ended with it, its exit code stands', async () => {
      const dir = makeRun();
      const pids = path.join(dir, 'pids');
      const child = start(dir, ['--grace', '0.3'], [agent, 'leave', pids], { env });
      const ended = await child.ended;
      assert.deepEqual(pidsIn(pids).filter(isAlive), []);
      assert.ok(ended.seconds < 1.5, `took ${ended.seconds}`);
      assert.equal(exitOf(dir).exit_code, 7);
      assert.equal(exitOf(dir).reason, 'exit');
    });

    test('TERM reaches every process, and one that obeys is not killed', async () => {
      const dir = makeRun();
      const child = start(dir, ['--grace', '30'],
        shell('setsid sh -c \'trap "echo inner; exit 0" TERM; echo ready; while :; do sleep 0.02; done\' & trap "echo outer; wait; exit 4" TERM; echo ready; while :; do sleep 0.02; done'), { env });
      await waitFor('both', () => fs.existsSync(logFile(dir)) && textsOf(dir).filter((text) => text === 'ready').length === 2);
      child.kill('SIGTERM');
      const ended = await child.ended;
      assert.ok(ended.seconds < 10);
      assert.deepEqual(textsOf(dir).slice(2).sort(), ['inner', 'outer']);
      assert.equal(exitOf(dir).reason, 'cancelled');
      assert.equal(exitOf(dir).exit_code, 4);
    });

    test('a stopped process gets its TERM', async () => {
      const dir = makeRun();
      const child = start(dir, ['--grace', '30'], shell('trap "echo term; exit 0" TERM; echo ready; kill -STOP $$; while :; do sleep 0.02; done'), { env });
      const pid = await agentPid(dir);
      await waitFor('the stop', () => fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') T '));
      child.kill('SIGTERM');
      assert.ok((await child.ended).seconds < 10);
      assert.deepEqual(textsOf(dir), ['ready', 'term']);
    });

    test('a chain of processes that fork and exit is caught', async () => {
      const dir = makeRun();
      const pids = path.join(dir, 'pid');
      const child = start(dir, ['--grace', '0.1', '--give-up', '10'], [agent, 'chain', pids], { env });
      const ended = await child.ended;
      assert.equal(ended.status, 0, ended.stderr);
      assert.equal('survivors' in exitOf(dir), false);
      assert.equal(exitOf(dir).exit_code, 0);
      const last = fs.readFileSync(pids, 'utf8');
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(fs.readFileSync(pids, 'utf8'), last);
    });

    test('what cannot be killed is reported after a time', async (t) => {
      const dir = makeRun();
      const child = start(dir, ['--timeout', '1', '--grace', '0.1', '--give-up', '0.5'], ['sleep', '60'], { env });
      const pid = await agentPid(dir);
      // A zombie stays until its tracer has seen it; this one never looks.
      const tracer = spawn(agent, ['trace', String(pid)], { stdio: ['ignore', 'pipe', 'inherit'] });
      const traced = await new Promise((resolve) => {
        tracer.stdout.on('data', () => resolve(true));
        tracer.on('exit', () => resolve(false));
      });
      if (!traced) {
        await child.ended;
        return t.skip('no ptrace allowed');
      }
      const ended = await child.ended;
      tracer.kill('SIGKILL');
      assert.equal(ended.status, 0);
      assert.deepEqual(exitOf(dir).survivors, [pid]);
      assert.equal(exitOf(dir).reason, 'timeout');
      assert.ok(ended.seconds < 5);
    });
  });
}

describe('reasons', () => {
  test('no output for the stall time', async () => {
    const { exit, dir, seconds } = await run(['--stall', '0.4', '--grace', '1'], shell('for i in 1 2 3 4; do echo $i; sleep 0.2; done; sleep 60'));
    assert.equal(exit.reason, 'stalled');
    assert.equal(exit.signal, 15);
    assert.deepEqual(textsOf(dir), ['1', '2', '3', '4']);
    assert.ok(seconds > 1 && seconds < 4, `took ${seconds}`);
  });

  test('output without a newline is output', async () => {
    const { exit } = await run(['--stall', '0.4'], shell('for i in 1 2 3 4 5 6; do printf .; sleep 0.15; done'));
    assert.equal(exit.reason, 'exit');
  });

  test('the timeout wins over the exit code of an agent that obeys', async () => {
    const { exit } = await run(['--timeout', '0.3'], shell('trap "exit 0" TERM; while :; do sleep 0.02; done'));
    assert.equal(exit.reason, 'timeout');
    assert.equal(exit.exit_code, 0);
  });

  test('timeouts of 0 are none', async () => {
    const { exit } = await run(['--timeout', '0', '--stall', '0'], shell('sleep 0.2'));
    assert.equal(exit.reason, 'exit');
  });

  for (const [content, reason] of [['{"time":"x","by":{"reason":"inner"},"reason": "moved_away"}', 'moved_away'], ['{"rea', 'cancelled'], [undefined, 'cancelled']]) {
    test(`TERM with stop.json ${content}`, async () => {
      const dir = makeRun();
      const child = start(dir, [], shell('echo ready; sleep 60'));
      await waitFor('the agent', () => fs.existsSync(logFile(dir)) && textsOf(dir).length === 1);
      if (content !== undefined) fs.writeFileSync(path.join(dir, 'stop.json'), content);
      child.kill('SIGTERM');
      assert.equal((await child.ended).status, 0);
      assert.equal(exitOf(dir).reason, reason);
      assert.equal(exitOf(dir).signal, 15);
    });
  }

  test('HUP, INT, QUIT and a closed stderr are nothing to it', async () => {
    const dir = makeRun();
    const fifo = makeFifo(dir);
    const child = start(dir, [], shell('echo ready; read x < "$0"; echo end').concat(fifo));
    await agentPid(dir);
    child.stderr.destroy();
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGPIPE', 'SIGUSR1']) child.kill(signal);
    await release(fifo);
    const ended = await child.ended;
    assert.equal(ended.status, 0);
    assert.equal(exitOf(dir).reason, 'exit');
  });
});

describe('pipes', () => {
  test('one that somebody outside of the tree holds is left after a second', async () => {
    const dir = makeRun();
    const fifo = makeFifo(dir);
    const child = start(dir, [], shell('echo ready; read x < "$0"; exit 6').concat(fifo));
    const pid = await agentPid(dir);
    const holder = spawn('sh', ['-c', `exec >/proc/${pid}/fd/1; echo held; exec sleep 60`], { stdio: ['ignore', 'ignore', 'inherit'] });
    await waitFor('the holder', () => fs.existsSync(logFile(dir)) && textsOf(dir).includes('held'));
    const before = Date.now();
    await release(fifo);
    const ended = await child.ended;
    const took = Date.now() - before;
    assert.ok(isAlive(holder.pid));
    holder.kill('SIGKILL');
    assert.equal(ended.status, 0);
    assert.ok(took > 900 && took < 3000, `took ${took} ms`);
    assert.equal(exitOf(dir).exit_code, 6);
  });

  test('an agent that closes its output goes on', async () => {
    const { exit } = await run([], shell('exec >&- 2>&-; sleep 0.2; exit 8'));
    assert.equal(exit.exit_code, 8);
  });
});
