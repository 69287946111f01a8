// Each folder of examples/ runs to its end, and so does what README.md shows.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { athanore, buildDir, makeDir, startDaemon, test } from './lib/daemon.mjs'
import { comments, said } from './lib/script.mjs'

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..')
const examples = path.join(root, 'examples')

// The queues of the board's tasks when the example has come to its end; its agents do not take their time.
async function run(t, name, env = {}) {
  const dir = makeDir(t)
  fs.cpSync(path.join(examples, name), dir, { recursive: true })
  const d = await startDaemon(t, { dir, args: ['--once'], ready: false, env: { AGENT_SECONDS: '0', ...env } })
  assert.equal(await d.exitCode({ timeout: 60000 }), 0, d.report())
  assert.deepEqual(d.log.filter((record) => record.level === 'error' || record.raw), [])
  return d
}

const checks = {
  async minimal(t) {
    const d = await run(t, 'minimal')
    assert.deepEqual(d.where(), { 1: 'Done' })
    assert.deepEqual(comments(d, '1'), ['It is done.'])
    assert.ok(d.runs()[0].events.some((event) => event.text === 'asked: Work on task 1: Fix crash.'))
  },

  async pipeline(t) {
    const d = await run(t, 'pipeline')
    assert.deepEqual(d.where(), { 1: 'Done', 2: 'Done', 3: 'Done', 4: 'Done' })
    assert.deepEqual(comments(d, '1'), [
      'The planner is done; next: Development.', 'The developer is done; next: Review.', 'The reviewer is done; next: Done.',
    ])
    const [first, second] = d.log.filter((record) => /^claimed/.test(record.message)).map((record) => record.queue)
    assert.deepEqual([first, second], ['Review', 'Development'])
  },

  async retries(t) {
    const d = await run(t, 'retries')
    assert.deepEqual(d.where(), { 1: 'Done', 2: 'Failed', 3: 'In Progress' })
    assert.deepEqual(said(d, '1'), ['Agent failed: exit code 1.', 'Retry 1/2: exit code 1. Moving back to source queue for retry.'])
    assert.match(comments(d, '1')[0], /the first attempt is in vain/)
    assert.equal(comments(d, '2').at(-1), 'Max retries (2) exhausted. Moving to dead-letter queue.')
    assert.deepEqual(said(d, '3').slice(-2), ['Agent timed out after 1 second.', 'Max retries (1) exhausted. No dead-letter queue configured; leaving in place.'])
  },

  async 'custom-adapter'(t) {
    const d = await run(t, 'custom-adapter')
    const lines = fs.readFileSync(d.file('tasks.txt'), 'utf8').trimEnd().split('\n')
    assert.deepEqual(lines, ['1 | Done | Fix the crash | It crashes when the list is empty.', '2 | Done | Write the manual | One page is enough.'])
  },
}

for (const name of fs.readdirSync(examples)) {
  test(`examples/${name}`, async (t) => {
    assert.ok(checks[name], `examples/${name} has no test`)
    const routes = path.join(examples, name, 'routes.lua')
    assert.match((await athanore(t, ['check', routes])).stdout, /: ok, \d routes?\n$/)
    await checks[name](t)
  })
}

test('README.md names each example', () => {
  const text = fs.readFileSync(path.join(root, 'README.md'), 'utf8')
  for (const name of fs.readdirSync(examples)) assert.ok(text.includes(`\`examples/${name}\``), name)
})

// The blocks of README.md in a language, in their order.
function blocks(language) {
  const text = fs.readFileSync(path.join(root, 'README.md'), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map((found) => found[1])
}

function block(language, part) {
  const found = blocks(language).filter((text) => text.includes(part))
  assert.equal(found.length, 1, `${language} with ${part}`)
  return found[0]
}

test("README.md's five minutes: its board, its script, its calls of the API", async (t) => {
  const dir = makeDir(t)
  const d = await startDaemon(t, {
    dir,
    routes: block('lua', 'command = "claude"'),
    board: block('json', '"queues"'),
    files: { 'bin/claude': `#!/bin/sh\nset -eu\nprintf '%s\\n' "$@" > asked\n${block('sh', 'curl -fsS --retry')}` },
    env: { PATH: `${dir}/bin:${process.env.PATH}` },
  })
  await d.until(() => d.where()[1] === 'Done')
  assert.deepEqual(comments(d, '1'), ['Fixed, see branch fix-crash.'])
  const asked = fs.readFileSync(d.file('asked'), 'utf8').trimEnd().split('\n')
  assert.deepEqual(asked, ['--agent', 'engineer', '-p', 'Work on task 1: Fix crash. When done, move it with the API at $ATHANORE_API.'])
  assert.match((await athanore(t, ['check', 'routes.lua'], { cwd: dir })).stdout, /ok, 1 route/)
})

test("README.md's agent adapter is one", async (t) => {
  const adapter = block('lua', 'function agent.command(run)')
  const dir = makeDir(t)
  const d = await startDaemon(t, {
    dir,
    routes: `local athanore = require "athanore"
${adapter.replace('/srv/work', dir)}
local dispatcher = athanore.dispatcher { default_agent = agent, queue_backend = athanore.json_file "board.json" }
dispatcher:route { queue_name = "Todo", prompt = function() return "the prompt" end, success_queue = "Done" }
return dispatcher
`,
    board: block('json', '"queues"'),
    files: { 'bin/my-agent': '#!/bin/sh\nprintf "%s\\n" "$@" "$MODEL" "$(cat)" > seen\nexit 75\n' },
    env: { PATH: `${dir}/bin:${process.env.PATH}` },
  })
  await d.until(() => d.where()[1] === 'Done')
  assert.deepEqual(fs.readFileSync(d.file('seen'), 'utf8').trimEnd().split('\n'), ['--task', '1', 'large', 'the prompt'])
})

test('scripts/demo runs the pipeline to its end', async (t) => {
  const dir = makeDir(t)
  // The demo itself, but for what installs packages and builds.
  const text = fs.readFileSync(path.join(root, 'scripts/demo'), 'utf8')
  const core = text.replace('scripts/setup\n', '').replace(/^make .*\n/m, '').replace('$PWD/build/athanore', `${buildDir}/athanore`)
  assert.notEqual(core, text)
  fs.mkdirSync(path.join(dir, 'scripts'))
  fs.writeFileSync(path.join(dir, 'scripts/demo'), core, { mode: 0o755 })
  fs.symlinkSync(examples, path.join(dir, 'examples'))
  const result = await athanore(t, [], { command: path.join(dir, 'scripts/demo'), cwd: dir, env: { AGENT_SECONDS: '0', TMPDIR: dir }, timeout: 60000 })
  assert.equal(result.code, 0, result.stdout + result.stderr)
  const [before, after] = result.stdout.split('== The board after')
  assert.match(before, /== The board before\nTodo\n {2}1 {2}Show the version/)
  assert.match(after, /^\nDone\n(.*\n)*.*The reviewer is done; next: Done\./)
  assert.doesNotMatch(after, /^(Todo|Failed|Development|Review)$/m)
  assert.deepEqual(fs.readdirSync(dir).sort(), ['examples', 'scripts'], 'nothing is left behind')
})
