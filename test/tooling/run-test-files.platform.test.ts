import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../support/until.ts'

const root = join(import.meta.dirname, '../../..')

/** Runs these test files into a pipe, two at once. */
function runTests(t: Test, files: Record<string, string>) {
  const folder = t.testdir(files)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(_?TAP|MULTIGATE)/.test(name)))
  const child = spawn(
    process.execPath,
    [join(root, 'scripts/run-test-files.mjs'), folder, ...Object.keys(files).map((name) => join(folder, name))],
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
      import 'node:child_process'
      import { existsSync } from 'node:fs'
      import { setTimeout } from 'node:timers/promises'
      import t from 'tap'
      while (!existsSync(new URL('seen', import.meta.url))) await setTimeout(10)
      t.test('nested', async (t) => t.ok(true))
      t.ok(true)`,
    'quick.system.test.mjs': `
      import 'node:child_process'
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
      import 'node:child_process'
      import t from 'tap'
      t.test('sums', async (t) => { t.ok(true); t.equal(1 + 1, 3, 'of two') })`,
    'crash.system.test.mjs': `
      import 'node:child_process'
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

t.test('files that start no process share one; each has its own root', async (t) => {
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
    'named.test.mjs': `
      import { afterEach, t as root, test } from 'tap'
      process.env.LEFT_BY_TEST = 'x'
      process.env.PATH = 'nowhere'
      let hooks = 0
      afterEach(() => hooks++)
      test('methods by name are of the file, too', async (t) => t.equal(t.parent, root))
      test('its hooks have run', async (t) => t.equal(hooks, 1))`,
    'restored.test.mjs': `
      import { notSame, same } from 'tap'
      same(process.env.LEFT_BY_TEST, undefined)
      notSame(process.env.PATH, 'nowhere')`,
    'wrong.test.mjs': `
      import t from 'tap'
      t.test('sums', async (t) => { t.ok(true); t.equal(1 + 1, 3, 'of two') })`,
    'import.test.mjs': `
      throw new Error('on import')`,
    'helper.mjs': `
      export { t } from 'tap'`,
    'helped.test.mjs': `
      import { t } from './helper.mjs'
      t.pass()`,
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
    /^ok +\S+named\.test\.mjs: 2 passed, /m,
    /^ok +\S+restored\.test\.mjs: 2 passed, /m,
    /^FAILED \S+wrong\.test\.mjs: 1 passed, 1 failed, .* s\n {4}not ok: \S+wrong\.test\.mjs > sums > of two/m,
    /^FAILED \S+import\.test\.mjs: 0 passed, 1 failed, .* s\n {4}not ok: .*on import/m,
    /^FAILED \S+helped\.test\.mjs: 0 passed, 1 failed, .* s\n {4}not ok: .*helper\.mjs imports tap: only test files may/m,
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

t.test('the times of each file, alone or in a group, are written beside the TAP', async (t) => {
  const busy = `
      import t from 'tap'
      const { user } = process.cpuUsage()
      while (process.cpuUsage().user < user + 100_000) {}
      t.pass()`
  const { folder, ended } = runTests(t, {
    'one.test.mjs': busy,
    'two.test.mjs': busy,
    'alone.system.test.mjs': `${busy}
      const { spawnSync } = await import('node:child_process')
      spawnSync(process.execPath, ['-e', 'while (process.cpuUsage().user < 300_000) {}'])`,
  })
  t.same(await ended, [0, null])
  const times: { file: string; seconds: number; processor: number }[] = JSON.parse(
    await readFile(join(folder, 'times.json'), 'utf8'),
  )
  t.same(times.map(({ file }) => basename(file)).sort(), ['alone.system.test.mjs', 'one.test.mjs', 'two.test.mjs'])
  for (const { file, seconds, processor } of times) {
    t.ok(seconds > 0, file)
    t.ok(
      processor >= (basename(file).startsWith('alone') && process.platform === 'linux' ? 0.4 : 0.1),
      `${file}: ${processor}`,
    )
  }
})
