import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../support/until.ts'

const root = join(import.meta.dirname, '../../..')

/** Runs these test files into a pipe, two at once. */
function runTests(t: Test, files: Record<string, string>) {
  const folder = t.testdir(files)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(_?TAP|MULTIGATE)/.test(name)))
  const child = spawn(
    process.execPath,
    [
      join(root, 'scripts/run-test-files.mjs'),
      join(folder, 'results.tap'),
      ...Object.keys(files).map((name) => join(folder, name)),
    ],
    { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part) => (text += part))
  const ended = once(child, 'close')
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  return { folder, text: () => text, ended }
}

t.test('a test file has its line when it ends, while others still run', async (t) => {
  const { folder, text, ended } = runTests(t, {
    'waits.system.test.mjs': `
      import { existsSync } from 'node:fs'
      import { setTimeout } from 'node:timers/promises'
      import t from 'tap'
      while (!existsSync(new URL('seen', import.meta.url))) await setTimeout(10)
      t.test('nested', async (t) => t.ok(true))
      t.ok(true)`,
    'quick.system.test.mjs': `
      import t from 'tap'
      t.test('nested', async (t) => { t.ok(true); t.ok(true, { skip: 'not today' }) })
      t.ok(true)`,
  })
  await until(() => /^ok +\S+quick\.system\.test\.mjs: 2 passed, 1 skipped, \d+\.\d s$/m.test(text()))
  t.notMatch(text(), /waits\.system\.test/)
  await writeFile(join(folder, 'seen'), '')
  await ended
  t.match(text(), /^ok +\S+waits\.system\.test\.mjs: 2 passed, \d+\.\d s$/m)
})

t.test('what failed follows the line of its file', async (t) => {
  const { text, ended } = runTests(t, {
    'wrong.system.test.mjs': `
      import t from 'tap'
      t.test('sums', async (t) => { t.ok(true); t.equal(1 + 1, 3, 'of two') })`,
    'crash.system.test.mjs': `
      import t from 'tap'
      t.ok(true)
      process.exit(7)`,
  })
  t.same(await ended, [1, null])
  t.match(
    text(),
    /^FAILED \S+wrong\.system\.test\.mjs: 1 passed, 1 failed, .* s\n {4}not ok: .*of two \(\S+wrong.system.test.mjs:\d+\)\n/m,
  )
  t.match(text(), /^ +-3\n +\+2$/m)
  t.match(text(), /^FAILED \S+crash\.system\.test\.mjs: 1 passed, 1 failed, .* s\n {4}ended with exit code 7$/m)
})

t.test('files of the unit tier share a process; each has its own root', async (t) => {
  const { text, ended } = runTests(t, {
    'hooks.test.mjs': `
      import t from 'tap'
      globalThis.pid = process.pid
      t.afterEach(() => { globalThis.ofOthers = globalThis.ended })
      t.teardown(() => { globalThis.ended = true })
      t.test('one', async (t) => t.ok(t.testdir({ a: 'b' })))`,
    'next.test.mjs': `
      import t from 'tap'
      t.test('the former has ended', async (t) => { t.equal(globalThis.pid, process.pid); t.ok(globalThis.ended) })
      t.test('its hooks, too', async (t) => t.equal(globalThis.ofOthers, undefined))`,
    'wrong.test.mjs': `
      import t from 'tap'
      t.test('sums', async (t) => { t.ok(true); t.equal(1 + 1, 3, 'of two') })`,
    'import.test.mjs': `
      throw new Error('on import')`,
    'nothing.test.mjs': `
      import 'tap'`,
    'good.test.mjs': `
      import t from 'tap'
      t.test('after all of these', async (t) => t.ok(true))`,
  })
  t.same(await ended, [1, null])
  for (const line of [
    /^ok +\S+hooks\.test\.mjs: 1 passed, /m,
    /^ok +\S+next\.test\.mjs: 3 passed, /m,
    /^FAILED \S+wrong\.test\.mjs: 1 passed, 1 failed, .* s\n {4}not ok: \S+wrong\.test\.mjs > sums > of two/m,
    /^FAILED \S+import\.test\.mjs: 0 passed, 1 failed, .* s\n {4}not ok: .*on import/m,
    /^FAILED \S+nothing\.test\.mjs: 0 passed, 1 failed, .* s\n {4}it asserts nothing$/m,
    /^ok +\S+good\.test\.mjs: \d passed, /m,
  ])
    t.match(text(), line)
})

t.test('files of a group that one of them ends have failed', async (t) => {
  const { text, ended } = runTests(t, {
    'good.test.mjs': `
      import t from 'tap'
      t.test('one', async (t) => t.ok(true))`,
    'killed.test.mjs': `
      import t from 'tap'
      t.test('one', async (t) => { t.ok(true); process.kill(process.pid, 'SIGKILL'); await new Promise(() => {}) })`,
    'never.test.mjs': `
      import t from 'tap'
      t.test('one', async (t) => t.ok(true))`,
  })
  t.same(await ended, [1, null])
  t.match(text(), /^ok +\S+good\.test\.mjs: 1 passed, /m)
  t.match(text(), /^FAILED \S+killed\.test\.mjs: [\s\S]*ended by SIGKILL/m)
  t.match(text(), /^FAILED \S+never\.test\.mjs: [\s\S]*ended by SIGKILL/m)
})
