import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Test, test } from 'tap'

const script = join(import.meta.dirname, '../../../scripts/audit.mjs')

/** Runs the script with a stand-in for npm that prints `answer` and ends with `status`. */
function audit(t: Test, answer: unknown, status: number, ...args: string[]) {
  const bin = t.testdir()
  const npm = join(bin, 'npm')
  writeFileSync(
    npm,
    `#!/bin/sh\ncat <<'END'\n${typeof answer === 'string' ? answer : JSON.stringify(answer)}\nEND\nexit ${status}\n`,
  )
  chmodSync(npm, 0o755)
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` }
  return spawnSync(process.execPath, [script, ...args], { env, encoding: 'utf8' })
}

const counted = (high: number, total: number) => ({ metadata: { vulnerabilities: { high, critical: 0, total } } })

test('advisories', { skip: process.platform === 'win32' }, (t) => {
  t.test('none', async (t) => {
    t.match(audit(t, counted(0, 0), 0), {
      status: 0,
      stdout: /no vulnerability of high or critical severity \(0 lower\)/,
    })
  })
  t.test('a high one fails', async (t) => {
    t.match(audit(t, counted(1, 3), 1), { status: 1, stdout: /audit: 1 high, 0 critical/ })
  })
  t.test('a registry that does not answer is reported, and its address is not', async (t) => {
    const refusal = { message: '405 Method Not Allowed - POST https://registry.example/advisories', error: {} }
    t.match(audit(t, refusal, 1), { status: 0, stdout: /^audit: NOT CHECKED.*405 Method Not Allowed - POST …\)\n$/ })
    t.match(audit(t, refusal, 1, '--strict'), { status: 1, stdout: /NOT CHECKED/ })
    t.match(audit(t, 'no JSON', 1), { status: 0, stdout: /NOT CHECKED.*gave no report/ })
  })
  t.end()
})
