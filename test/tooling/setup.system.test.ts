import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Test, test } from 'tap'
import { libraryDigest } from '../../src/model/onednn/find-library.ts'

const root = join(import.meta.dirname, '../../..')

// Stands in for a script that bundles, and keeps a log of its calls.
const callOf = (name: string) => `import { appendFileSync } from 'node:fs'
appendFileSync('log', '${name}\\n')`

// Stands in for npm, and on `npm ci` puts a stand-in for tsc into node_modules; both keep a log of their calls.
const npm = `
const fs = require('node:fs')
fs.appendFileSync('log', 'npm ' + process.argv[2] + '\\n')
if (fs.existsSync('no-network')) process.exit(1)
fs.mkdirSync('node_modules/typescript/bin', { recursive: true })
fs.writeFileSync('node_modules/typescript/bin/tsc', "require('node:fs').appendFileSync('log', 'tsc\\\\n')")
`

/** A small project around the real script.  `setup` runs it and tells what it called, and how it ended. */
function project(t: Test) {
  const folder = t.testdir({
    scripts: { 'bundle-typebox.mjs': callOf('bundle'), 'build-console.mjs': callOf('console') },
    src: { 'a.ts': '' },
    'tsconfig.json': '{}',
    'package-lock.json': '{}',
    'package.json': '{}',
  })
  copyFileSync(join(root, 'scripts/setup.mjs'), join(folder, 'scripts/setup.mjs'))
  writeFileSync(join(folder, 'npm.js'), npm)
  const setup = (...args: string[]) => {
    const log = join(folder, 'log')
    writeFileSync(log, '')
    const env = { ...process.env, npm_execpath: join(folder, 'npm.js') }
    const run = spawnSync(process.execPath, ['scripts/setup.mjs', ...args], { cwd: folder, env, encoding: 'utf8' })
    return {
      status: run.status,
      calls: readFileSync(log, 'utf8').trim().split('\n').filter(Boolean),
      output: run.stdout + run.stderr,
    }
  }
  return { folder, setup }
}

test('setup installs and compiles a fresh clone, then nothing more', async (t) => {
  const { setup } = project(t)
  t.match(setup(), { status: 0, calls: ['npm ci', 'bundle', 'tsc', 'console'] })
  t.same(setup(), { status: 0, calls: [], output: '' })
})

test('setup compiles again when a source changed, without installing', async (t) => {
  const { folder, setup } = project(t)
  setup()
  writeFileSync(join(folder, 'src/a.ts'), 'export {}')
  t.same(setup().calls, ['tsc', 'console'])
})

test('setup installs again when the lock file changed', async (t) => {
  const { folder, setup } = project(t)
  setup()
  writeFileSync(join(folder, 'package-lock.json'), '{"lockfileVersion":3}')
  t.same(setup('--no-build').calls, ['npm ci'])
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
  mkdirSync(join(folder, 'node_modules'))
  for (const packages of [
    { 'node_modules/a': a },
    { 'node_modules/a': a, 'node_modules/b': { ...b, version: '1.9.0' } },
    { 'node_modules/a': a, 'node_modules/b': b, 'node_modules/c': b },
  ]) {
    lock('node_modules/.package-lock.json', packages)
    t.same(setup('--no-build').calls, ['npm ci'])
    rmSync(join(folder, 'node_modules/.multigate-setup'))
  }
  lock('node_modules/.package-lock.json', { 'node_modules/a': a, 'node_modules/b': b })
  t.same(setup('--no-build'), { status: 0, calls: [], output: '' })
  lock('package-lock.json', { 'node_modules/a': b })
  t.same(setup('--no-build').calls, ['npm ci'])
})

test('setup without the build only installs', async (t) => {
  const { setup } = project(t)
  t.same(setup('--no-build').calls, ['npm ci'])
})

test('setup removes what was compiled from a source that is gone', async (t) => {
  const { folder, setup } = project(t)
  setup()
  const orphan = join(folder, 'build/src/gone.js')
  const other = join(folder, 'build/src/a.js')
  mkdirSync(join(folder, 'build/src'), { recursive: true })
  writeFileSync(orphan, '')
  writeFileSync(other, '')
  writeFileSync(join(folder, 'src/a.ts'), 'export {}')
  setup()
  t.notOk(existsSync(orphan))
  t.ok(existsSync(other))
})

test('setup fails where the install fails, and tries again the next time', async (t) => {
  const { folder, setup } = project(t)
  writeFileSync(join(folder, 'no-network'), '')
  const failed = setup()
  t.equal(failed.status, 1)
  t.match(failed.output, /Installing dependencies.*failed/)
  t.same(failed.calls, ['npm ci'])
  t.same(setup().calls, ['npm ci'])
})

test('setup:tensorflow says so where the dependencies are not installed', async (t) => {
  const folder = t.testdir({ scripts: {} })
  copyFileSync(join(root, 'scripts/setup-tensorflow.mjs'), join(folder, 'scripts/setup-tensorflow.mjs'))
  const run = spawnSync(process.execPath, ['scripts/setup-tensorflow.mjs'], { cwd: folder, encoding: 'utf8' })
  t.equal(run.status, 1)
  t.match(run.stderr, /tfjs-node is not installed: run `npm ci`/)
})

const onednn = 'scripts/setup-onednn.mjs'
const noOnednn = process.platform === 'linux' && process.arch === 'x64' ? false : 'oneDNN is set up on Linux x64 alone'

/** Runs setup:onednn with a cache of its own; `pip` stands in for Python's. */
function setupOnednn(cache: string, pip?: string) {
  const PATH = pip === undefined ? process.env.PATH : `${pip}${delimiter}${process.env.PATH}`
  const env = { ...process.env, XDG_CACHE_HOME: cache, PATH }
  return spawnSync(process.execPath, [join(root, onednn)], { env, encoding: 'utf8' })
}

const lastLine = (text: string) => text.trim().split('\n').at(-1)!

test('setup:onednn fetches the library once', { skip: noOnednn }, async (t) => {
  const cache = t.testdir()
  const first = setupOnednn(cache)
  if (/pip download failed|needs |can't be loaded/.test(first.stderr))
    return t.pass('oneDNN', { skip: lastLine(first.stderr) })
  t.equal(first.status, 0, first.stderr)
  t.match(first.stderr, /oneDNN 3\.\d+\.\d+ works; this processor has /)
  t.same(readdirSync(join(cache, 'multigate')), ['onednn-3.2'])
  t.same(readdirSync(join(cache, 'multigate/onednn-3.2')).sort(), ['LICENSE', 'THIRD-PARTY-PROGRAMS', 'libdnnl.so.3'])
  // The server compares the same digest.
  const library = join(cache, 'multigate/onednn-3.2/libdnnl.so.3')
  t.equal(createHash('sha256').update(readFileSync(library)).digest('hex'), libraryDigest)
  const second = setupOnednn(cache)
  t.equal(second.status, 0, second.stderr)
  t.match(second.stderr, /^setup:onednn: oneDNN 3\.\d+\.\d+ already works; this processor has .+\n$/)
  truncateSync(library, 30_000_000)
  const third = setupOnednn(cache)
  t.equal(third.status, 0, third.stderr)
  t.match(third.stderr, /libdnnl\.so\.3 does not work \(it is damaged\)[\s\S]*oneDNN 3\.\d+\.\d+ works; /)
})

test('setup:onednn --help says what it does', { skip: noOnednn }, async (t) => {
  const run = spawnSync(process.execPath, [join(root, onednn), '--help'], { encoding: 'utf8' })
  t.equal(run.status, 0)
  t.match(run.stdout, /^Usage: npm run setup:onednn/)
})

test('setup:onednn refuses another wheel, and leaves nothing behind', { skip: noOnednn }, async (t) => {
  const pip = t.testdir({
    python3: '#!/bin/sh\nfor last; do [ "$before" = --dest ] && echo damaged >"$last/a.whl"; before=$last; done\n:',
  })
  chmodSync(join(pip, 'python3'), 0o755)
  const cache = join(pip, 'cache')
  const { status, stderr } = setupOnednn(cache, pip)
  if (stderr.includes('libgomp')) return t.pass('oneDNN', { skip: lastLine(stderr) })
  t.equal(status, 1)
  t.match(stderr, /failed: the wheel is not the expected one: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}\.$/m)
  t.same(readdirSync(join(cache, 'multigate')), [])
})

test('setup:onednn says so where the dependencies are not installed', { skip: noOnednn }, async (t) => {
  const folder = t.testdir({ scripts: {} })
  for (const file of [onednn, 'scripts/onednn-wheel.mjs']) copyFileSync(join(root, file), join(folder, file))
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
