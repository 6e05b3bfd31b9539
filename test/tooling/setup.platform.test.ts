import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { temporaryFolder } from '../support/bundle.ts'
import { builds, project } from '../support/setup-project.ts'

/* setup-again.platform.test.ts has setups of a checkout that was set up before. */

const root = join(import.meta.dirname, '../../..')

test('setup installs what the server needs and builds it on a fresh clone, then nothing more', async (t) => {
  const { setup } = project(t)
  const first = setup()
  t.match(first, { status: 0, calls: ['npm ci --no-workspaces', ...builds] })
  t.match(first.output, /^Installing packages …\nInstalling packages: 0 packages, \d+ s, done\nBuilding the server …/)
  t.same(setup(), { status: 0, calls: [], output: '' })
})

test('setup adds the packages of tests and tools to those of the server', async (t) => {
  const { setup } = project(t)
  setup()
  t.same(setup('--tools').calls, ['npm install --no-save'])
  t.same(setup('--modules').calls, ['modules'])
  t.same(setup('--modules'), { status: 0, calls: [], output: '' })
  t.same(setup(), { status: 0, calls: [], output: '' }, 'the server needs nothing more')
})

test('setup installs everything at once where tests run first', async (t) => {
  const { setup } = project(t)
  t.same(setup('--modules').calls, ['npm ci', 'console', 'modules', 'server'])
  t.same(setup().calls, [])
})

test('setups of one checkout at the same time wait for each other', async (t) => {
  const { folder, setup } = project(t)
  const env = { ...process.env, npm_execpath: join(folder, 'npm.js') }
  const runs = [1, 2, 3].map(() => spawn(process.execPath, ['scripts/setup.mjs'], { cwd: folder, env }))
  const codes = await Promise.all(runs.map(async (run) => (await once(run, 'close'))[0]))
  t.same(codes, [0, 0, 0])
  t.same(readFileSync(join(folder, 'log'), 'utf8').trim().split('\n'), ['npm ci --no-workspaces', 'server', 'console'])
  t.same(setup().calls, [])
})

const steps = 'scripts/setup-steps.mjs'

test('setup:tensorflow says so where the dependencies are not installed', async (t) => {
  const folder = t.testdir({ scripts: {} })
  for (const file of ['scripts/setup-tensorflow.mjs', steps]) copyFileSync(join(root, file), join(folder, file))
  const run = spawnSync(process.execPath, ['scripts/setup-tensorflow.mjs'], { cwd: folder, encoding: 'utf8' })
  t.equal(run.status, 1)
  t.match(run.stderr, /tfjs-node is not installed: run `npm ci`/)
})

const onednn = 'scripts/setup-onednn.mjs'
const noOnednn = process.platform === 'linux' && process.arch === 'x64' ? false : 'oneDNN is set up on Linux x64 alone'

test('setup:onednn --help says what it does', { skip: noOnednn }, async (t) => {
  const run = spawnSync(process.execPath, [join(root, onednn), '--help'], { encoding: 'utf8' })
  t.equal(run.status, 0)
  t.match(run.stdout, /^Usage: node scripts\/setup-onednn\.mjs/)
})

test('setup:onednn says so where the dependencies are not installed', { skip: noOnednn }, async (t) => {
  // Not below the checkout, whose packages would be found.
  const folder = await temporaryFolder(t)
  mkdirSync(join(folder, 'scripts'))
  for (const file of [onednn, steps, 'scripts/onednn-wheel.mjs']) copyFileSync(join(root, file), join(folder, file))
  const run = spawnSync(process.execPath, [onednn], { cwd: folder, encoding: 'utf8' })
  t.equal(run.status, 1)
  t.match(run.stderr, /koffi is not installed: run `npm ci`/)
})

test('the bill of materials of an image with oneDNN names its wheel', async (t) => {
  const namesOf = (...args: string[]) => {
    const run = spawnSync(process.execPath, [join(root, 'scripts/sbom.mjs'), ...args], { encoding: 'utf8' })
    t.equal(run.status, 0, run.stderr)
    return (JSON.parse(run.stdout) as { components: { name: string }[] }).components.map(({ name }) => name)
  }
  const without = namesOf('--onednn=no')
  t.ok(without.includes('onnxruntime-node'))
  t.same(namesOf('--onednn=yes'), [...without, 'onednn-cpu-gomp'])
})
