// Runs unit tests whenever a source is saved: those that import it, the nearest first.
//   npm run test:watch                of every source
//   npm run test:watch -- registry    the tests alone that have this in their paths
// It compiles what was saved, not the checkout. A source saved during a run starts it anew, with all that has not been
// tested.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, watch } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { buildModules } from './build-modules.mjs'
import { chooseFiles, isUnit, testFiles } from './test-files.mjs'
import { forgetImports, importersOf } from './test-imports.mjs'

process.chdir(join(import.meta.dirname, '..'))

/** Editors save a file in several steps; ms. */
const settled = 50
/** So many files run first, in one process: an answer comes before the others have run. */
const first = 6
/** Not that of npm test, which may run at the same time. */
const results = 'build/.watch'

const names = process.argv.slice(2)
choose()
mkdirSync(results, { recursive: true })

/** Files that no complete run has tested since they were saved. */
const untested = new Set()
/** Whether one was saved since the current run began. */
let isSaved = false
let isRunning = false
let child

for (const folder of ['src', 'test'])
  watch(folder, { recursive: true }, (_, name) => {
    const file = join(folder, name ?? '')
    if (!/(?<!\.d)\.(?:ts|wat)$/.test(file) || file.includes('node_modules')) return
    untested.add(file)
    isSaved = true
    stopTests()
    runUntilTested()
  })
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    stopTests()
    process.exit()
  })
// esbuild starts with its first build.
await buildModules([])
console.log('Waiting until a file below src/ or test/ is saved.')

async function runUntilTested() {
  if (isRunning) return
  isRunning = true
  while (isSaved) {
    isSaved = false
    await setTimeout(settled)
    if (!isSaved) await run([...untested])
  }
  isRunning = false
}

async function run(files) {
  const began = performance.now()
  try {
    await buildModules(files.filter((file) => existsSync(file)))
  } catch {
    // esbuild has said why.
    return
  }
  const compiledOf = (file) => join('build', file.replace(/(?:\.ts)?$/, '.js'))
  for (const file of files) if (!existsSync(file)) rmSync(compiledOf(file), { force: true })
  const compiled = files.map(compiledOf)
  forgetImports(compiled)
  const chosen = new Set(choose())
  const tests = importersOf(compiled).filter((file) => chosen.has(file) && isUnit(file) && existsSync(file))
  console.log(`\n${files.join(', ')}: compiled in ${seconds(began)} s, ${tests.length} unit test files import it`)
  for (const part of [tests.slice(0, first), tests.slice(first)])
    if (part.length > 0 && (isSaved || !(await passes(part)))) {
      // A failure is an answer, too; what was cut off runs again.
      if (!isSaved) untested.clear()
      return
    }
  untested.clear()
  if (tests.length > 0) console.log(`passed in ${seconds(began)} s`)
}

/** False where one fails, or the run is cut off. */
function passes(tests) {
  child = spawn(process.execPath, ['scripts/run-test-files.mjs', results, ...tests], {
    stdio: 'inherit',
    // A group of its own, which ends as a whole.
    detached: true,
  })
  return new Promise((resolve) => child.once('exit', (code) => resolve(code === 0)))
}

function stopTests() {
  if (child?.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM')
}

/** The test files that the command line names. */
function choose() {
  try {
    return chooseFiles(names, testFiles())
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
}

function seconds(since) {
  return ((performance.now() - since) / 1000).toFixed(1)
}
