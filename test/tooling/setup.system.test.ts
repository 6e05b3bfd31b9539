import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Test, test } from 'tap'

const root = join(import.meta.dirname, '../../..')

/** By script, the file that setup expects of it. */
const results = { server: 'dist/main.js', console: 'dist/console/index.html', modules: 'build/src/main.js' }

// Stands in for a script that builds, and keeps a log of its calls.
const callOf = (
  name: string,
  result: string,
) => `import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
appendFileSync('log', '${name}\\n')
if (existsSync('broken')) process.exit(1)
mkdirSync('${dirname(result)}', { recursive: true })
writeFileSync('${result}', '')`

// Stands in for npm, and keeps a log of its calls.
const npm = `
const fs = require('node:fs')
const args = process.argv.slice(2).filter((arg) => !/^--(loglevel|no-progress)/.test(arg))
fs.appendFileSync('log', 'npm ' + args.join(' ') + '\\n')
if (fs.existsSync('no-network')) process.exit(1)
if (args[0] === 'ci') fs.rmSync('node_modules', { recursive: true, force: true })
fs.mkdirSync('node_modules/a', { recursive: true })
`
const builds = ['console', 'server']

/** A small project around the real script.  `setup` runs it and tells what it called, and how it ended. */
function project(t: Test) {
  const folder = t.testdir({
    scripts: Object.fromEntries(
      Object.entries(results).map(([name, result]) => [`build-${name}.mjs`, callOf(name, result)]),
    ),
    src: { 'a.ts': '', console: { 'b.ts': '' } },
    test: { 'a.test.ts': '' },
    'package-lock.json': '{"packages":{}}',
    'package.json': '{}',
  })
  for (const name of ['setup.mjs', 'files.mjs', 'lock.mjs'])
    copyFileSync(join(root, 'scripts', name), join(folder, 'scripts', name))
  writeFileSync(join(folder, 'npm.js'), npm)
  const setup = (...args: string[]) => {
    const log = join(folder, 'log')
    writeFileSync(log, '')
    const env = { ...process.env, npm_execpath: join(folder, 'npm.js') }
    const run = spawnSync(process.execPath, ['scripts/setup.mjs', ...args], { cwd: folder, env, encoding: 'utf8' })
    const calls = readFileSync(log, 'utf8').trim().split('\n').filter(Boolean)
    const [installs, built] = [
      calls.filter((call) => call.startsWith('npm')),
      calls.filter((call) => !call.startsWith('npm')),
    ]
    return { status: run.status, calls: [...installs, ...built.sort()], output: run.stdout + run.stderr }
  }
  return { folder, setup }
}

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
  t.match(run.stdout, /^Usage: npm run setup:onednn/)
})

test('setup:onednn says so where the dependencies are not installed', { skip: noOnednn }, async (t) => {
  const folder = t.testdir({ scripts: {} })
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
