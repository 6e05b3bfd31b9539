// Prepares a checkout: installs locked packages and builds, each only if something changed.
//   node scripts/setup.mjs              what the server needs, and dist/: npm start
//   node scripts/setup.mjs --tools      also the packages of tests and tools (test/package.json)
//   node scripts/setup.mjs --modules    also build/: src/, test/ and loadtest/ compiled file by file, for tests;
//                                       implies --tools
//   --no-build                          installs alone
// Needs no package, so that it runs on a fresh clone.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { filesBelow } from './files.mjs'
import { takeLock } from './lock.mjs'

process.chdir(join(import.meta.dirname, '..'))

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`multigate needs Node 20.19 or newer; this is ${process.version}`)
  process.exit(1)
}

const [modules, tools, noBuild] = ['--modules', '--tools', '--no-build'].map((name) => process.argv.includes(name))
const installed = 'node_modules/.multigate-setup'
/** The files that every build depends on beside its sources and its script. */
const buildFiles = [
  'package.json',
  'scripts/webassembly.mjs',
  'scripts/bundled-licences.mjs',
  'scripts/files.mjs',
  'scripts/old-chunks.mjs',
  'scripts/script-urls.mjs',
]
const lock = sha256(process.version, readFileSync('package-lock.json'))

// As of `npm start` in two terminals.
await takeLock(`setup of ${process.cwd()}`, () => console.error('Waiting for another setup of this checkout …'))
await install(tools || modules)
if (!noBuild) {
  await build('the server', 'dist/main.js', ['src'], 'scripts/build-server.mjs')
  // The sources that the console shares with the server change it, too.
  const shared = ['src/schemas', 'src/base', 'src/model/serving/calibration']
  await build('the console', 'dist/console/index.html', ['src/console', ...shared], 'scripts/build-console.mjs')
  if (modules) await build('the tests', 'build/src/main.js', ['src', 'test', 'loadtest'], 'scripts/build-modules.mjs')
}

/** Installs the server's packages, and with `all` those of tests and tools beside them: neither undoes the other. */
async function install(all) {
  const [was, which] = existsSync(installed) ? readFileSync(installed, 'utf8').split(' ') : []
  if (was === lock && (which === 'all' || !all)) return
  // npm ci removes the stamp.
  const isByHand = was === undefined && isInstalled()
  if (!isByHand) {
    const [title, ...args] =
      was === lock
        ? ['Installing packages of tests and tools', 'install', '--no-save']
        : ['Installing packages', 'ci', ...(all ? [] : ['--no-workspaces'])]
    const packages = Object.keys(lockedPackages('package-lock.json'))
    const count = () => packages.filter((path) => existsSync(join(path, 'package.json'))).length
    await report(
      title,
      () => npm(...args, '--loglevel=error', '--no-progress'),
      () => `${count()} packages, `,
    )
    // It may be from an older release.
    rmSync('dist/onnxruntime-node', { recursive: true, force: true })
  }
  writeFileSync(installed, `${lock} ${all || isByHand ? 'all' : 'server'}`)
}

/**
 * Runs `script`, which writes `result`, where that is missing or a file below `sources` changed since the script last
 * succeeded.
 */
async function build(what, result, sources, script) {
  const stamp = join(result.split('/')[0], `.${basename(script, '.mjs')}`)
  const files = sources.flatMap(filesBelow).filter((file) => !file.includes('node_modules'))
  const fingerprint = [...files, ...buildFiles, script]
    .filter((file) => existsSync(file))
    .sort()
    .map((file) => `${file} ${statSync(file).mtimeMs} ${statSync(file).size}`)
  const value = sha256(lock, fingerprint.join('\n'))
  if (existsSync(result) && existsSync(stamp) && readFileSync(stamp, 'utf8') === value) return
  await report(`Building ${what}`, () => run(process.execPath, [script]))
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, value)
}

/**
 * Says what begins, how far it is, and what it took: in one line on a terminal, else every five seconds. Ends the
 * process where `work` fails.
 */
async function report(title, work, progress = () => '') {
  const began = performance.now()
  const { isTTY } = process.stderr
  const text = () => `${title}: ${progress()}${Math.round((performance.now() - began) / 1000)} s`
  console.error(`${title} …`)
  const timer = setInterval(() => process.stderr.write(isTTY ? `\r${text()}` : `${text()} …\n`), isTTY ? 500 : 5000)
  try {
    await work()
  } catch (error) {
    console.error(`${isTTY ? '\r' : ''}${title}: failed (${error.message})`)
    process.exit(1)
  } finally {
    clearInterval(timer)
  }
  console.error(`${isTTY ? '\r' : ''}${text()}, done`)
}

/**
 * Whether npm has installed all locked packages and no others; optional ones may be missing, as those of other
 * platforms.
 */
function isInstalled() {
  try {
    const locked = lockedPackages('package-lock.json')
    const found = lockedPackages('node_modules/.package-lock.json')
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

/** By their paths, without the project itself and its workspace. */
function lockedPackages(file) {
  const { packages } = JSON.parse(readFileSync(file, 'utf8'))
  return Object.fromEntries(
    Object.entries(packages).filter(([path, { link }]) => path.includes('node_modules/') && !link),
  )
}

/** Runs the npm that started this process, or the one on PATH. */
function npm(...args) {
  const cli = process.env.npm_execpath
  return cli?.endsWith('.js') ? run(process.execPath, [cli, ...args]) : run('npm', args)
}

/** Rejects where the command does not end with 0. */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(signal === null ? `exit code ${code}` : signal)),
    )
  })
}

function sha256(...parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
