import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { builds, project, results } from '../support/setup-project.ts'

/* Setups of a checkout that was set up before: each step starts a process. */

test('setup builds again what a changed source belongs to, without installing', async (t) => {
  const { folder, setup } = project(t)
  setup('--modules')
  writeFileSync(join(folder, 'src/a.ts'), 'export {}')
  t.same(setup('--modules').calls, ['modules', 'server'])
  writeFileSync(join(folder, 'src/console/b.ts'), 'export {}')
  t.same(setup('--modules').calls, ['console', 'modules', 'server'])
  mkdirSync(join(folder, 'src/model/serving/calibration'), { recursive: true })
  writeFileSync(join(folder, 'src/model/serving/calibration/a.ts'), 'export {}')
  t.same(setup('--modules').calls, ['console', 'modules', 'server'], 'the console has parts of the model, too')
  writeFileSync(join(folder, 'test/a.test.ts'), 'export {}')
  t.same(setup('--modules').calls, ['modules'])
  t.same(setup().calls, [])
})

test('setup builds again what somebody deleted', async (t) => {
  const { folder, setup } = project(t)
  for (const [name, result] of Object.entries(results)) {
    setup('--modules')
    rmSync(join(folder, result))
    t.same(setup('--modules').calls, [name])
  }
})

test('setup installs again when the lock file changed', async (t) => {
  const { folder, setup } = project(t)
  setup('--modules')
  writeFileSync(join(folder, 'package-lock.json'), '{"packages":{},"lockfileVersion":3}')
  t.same(setup('--no-build').calls, ['npm ci --no-workspaces'])
  t.same(setup('--no-build', '--tools').calls, ['npm install --no-save'])
})

test('setup fails where a build fails, and tries again the next time', async (t) => {
  const { folder, setup } = project(t)
  writeFileSync(join(folder, 'broken'), '')
  t.match(setup(), { status: 1, output: /Building the (server|console): failed \(exit code 1\)/ })
  rmSync(join(folder, 'broken'))
  t.match(setup(), { status: 0, calls: builds })
})

test('setup does not repeat an install by hand', async (t) => {
  const { folder, setup } = project(t)
  const [a, b] = [
    { version: '1.0.0', integrity: 'sha512-a' },
    { version: '2.0.0', integrity: 'sha512-b' },
  ]
  const lock = (file: string, packages: object) => writeFileSync(join(folder, file), JSON.stringify({ packages }))
  lock('package-lock.json', {
    '': { name: 'x' },
    'node_modules/a': a,
    'node_modules/b': b,
    'node_modules/elsewhere': { ...a, optional: true },
  })
  for (const packages of [
    { 'node_modules/a': a },
    { 'node_modules/a': a, 'node_modules/b': { ...b, version: '1.9.0' } },
    { 'node_modules/a': a, 'node_modules/b': b, 'node_modules/c': b },
  ]) {
    rmSync(join(folder, 'node_modules'), { recursive: true, force: true })
    mkdirSync(join(folder, 'node_modules'))
    lock('node_modules/.package-lock.json', packages)
    t.same(setup('--no-build').calls, ['npm ci --no-workspaces'])
  }
  rmSync(join(folder, 'node_modules/.multigate-setup'))
  lock('node_modules/.package-lock.json', { 'node_modules/a': a, 'node_modules/b': b })
  t.same(setup('--no-build', '--tools'), { status: 0, calls: [], output: '' })
  lock('package-lock.json', { 'node_modules/a': b })
  t.same(setup('--no-build', '--tools').calls, ['npm ci'])
})

test('setup fails where the install fails, and tries again the next time', async (t) => {
  const { folder, setup } = project(t)
  writeFileSync(join(folder, 'no-network'), '')
  const failed = setup()
  t.equal(failed.status, 1)
  t.match(failed.output, /Installing packages: failed \(exit code 1\)/)
  t.same(failed.calls, ['npm ci --no-workspaces'])
  t.same(setup().calls, ['npm ci --no-workspaces'])
})
