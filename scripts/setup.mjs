// Prepares a checkout: installs the locked dependencies and compiles, each only if something changed.
// Uses Node's own modules only, so that it runs on a fresh clone.  --no-build stops after the install.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

process.chdir(join(import.meta.dirname, '..'))

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`multigate needs Node 20.19 or newer; this is ${process.version}`)
  process.exit(1)
}

const lockHash = createHash('sha256').update(readFileSync('package-lock.json')).update(process.version).digest('hex')
const installed = 'node_modules/.multigate-setup'
// npm ci removes the stamp.
const isByHand = !existsSync(installed) && isInstalled()
step(installed, lockHash, isByHand ? undefined : 'Installing dependencies (once; about a minute)', () => {
  if (!isByHand) npm('ci', '--loglevel=error', '--no-progress')
  // It may be from an older release.
  rmSync('build/onnxruntime-node', { recursive: true, force: true })
})

if (!process.argv.includes('--no-build')) {
  const run = (...command) => execFileSync(process.execPath, command, { stdio: 'inherit' })
  step('build/typebox/.multigate-setup', lockHash, 'Bundling TypeBox', () => run('scripts/bundle-typebox.mjs'))
  const sources = ['src', 'test', 'loadtest'].flatMap(filesUnder).concat('tsconfig.json', 'package-lock.json')
  const fingerprint = createHash('sha256')
  for (const file of sources.sort()) fingerprint.update(`${file} ${statSync(file).mtimeMs} ${statSync(file).size}\n`)
  step('build/.multigate-setup', fingerprint.digest('hex'), 'Compiling', () => {
    // Outputs of deleted sources would otherwise run as tests.
    for (const file of ['src', 'test', 'loadtest'].flatMap((folder) => filesUnder(join('build', folder)))) {
      const source = file.replace(/^build\//, '').replace(/(\.d\.ts|\.js(\.map)?)$/, '.ts')
      if (/(\.d\.ts|\.js(\.map)?)$/.test(file) && !existsSync(source)) rmSync(file)
    }
    run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json')
    run('scripts/build-console.mjs')
  })
}

/** Runs `work` unless `stamp` contains `value`; writes the stamp only after success. Without a title it is silent. */
function step(stamp, value, title, work) {
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === value) return
  if (title !== undefined) console.error(`${title} …`)
  try {
    work()
  } catch (error) {
    console.error(`${title}: failed (${error.message})`)
    process.exit(1)
  }
  mkdirSync(join(stamp, '..'), { recursive: true })
  writeFileSync(stamp, value)
}

/** Whether npm has installed the locked packages and no others; optional ones may be missing, as those of other platforms. */
function isInstalled() {
  const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages
  try {
    const { '': _, ...locked } = packagesOf('package-lock.json')
    const found = packagesOf('node_modules/.package-lock.json')
    const isLocked = ([path, { version, integrity }]) =>
      version === locked[path]?.version && integrity === locked[path]?.integrity
    return (
      Object.entries(found).every(isLocked) &&
      Object.entries(locked).every(([path, { optional }]) => optional || path in found)
    )
  } catch {
    return false
  }
}

/** Runs the npm that started this process, or the one on PATH. */
function npm(...args) {
  const cli = process.env.npm_execpath
  if (cli?.endsWith('.js')) execFileSync(process.execPath, [cli, ...args], { stdio: 'inherit' })
  else execFileSync('npm', args, { stdio: 'inherit' })
}

function filesUnder(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
