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
    'waits.test.mjs': `
      import { existsSync } from 'node:fs'
      import { setTimeout } from 'node:timers/promises'
      import t from 'tap'
      while (!existsSync(new URL('seen', import.meta.url))) await setTimeout(10)
      t.test('nested', async (t) => t.ok(true))
      t.ok(true)`,
    'quick.test.mjs': `
      import t from 'tap'
      t.test('nested', async (t) => { t.ok(true); t.ok(true, { skip: 'not today' }) })
      t.ok(true)`,
  })
  await until(() => /^ok +\S+quick\.test\.mjs: 2 passed, 1 skipped, \d+\.\d s$/m.test(text()))
  t.notMatch(text(), /waits\.test/)
  await writeFile(join(folder, 'seen'), '')
  await ended
  t.match(text(), /^ok +\S+waits\.test\.mjs: 2 passed, \d+\.\d s$/m)
})

t.test('what failed follows the line of its file', async (t) => {
  const { text, ended } = runTests(t, {
    'wrong.test.mjs': `
      import t from 'tap'
      t.test('sums', async (t) => { t.ok(true); t.equal(1 + 1, 3, 'of two') })`,
    'crash.test.mjs': `
      import t from 'tap'
      t.ok(true)
      process.exit(7)`,
  })
  t.same(await ended, [1, null])
  t.match(
    text(),
    /^FAILED \S+wrong\.test\.mjs: 1 passed, 1 failed, .* s\n {4}not ok: .*of two \(\S+wrong.test.mjs:\d+\)\n/m,
  )
  t.match(text(), /^ +-3\n +\+2$/m)
  t.match(text(), /^FAILED \S+crash\.test\.mjs: 1 passed, 1 failed, .* s\n {4}ended with exit code 7$/m)
})
