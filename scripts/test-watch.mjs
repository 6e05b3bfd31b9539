// Runs unit tests whenever a source is saved: those that import it, the nearest first.
//   npm run test:watch                of every source
//   npm run test:watch -- registry    the tests alone that have this in their paths
// It compiles what was saved, not the checkout.  What is saved during a run starts it anew.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, watch } from 'node:fs'
import { join } from 'node:path'
import { buildModules } from './build-modules.mjs'
import { chooseFiles, isUnit, testFiles } from './test-files.mjs'
import { forgetImports, importersOf } from './test-imports.mjs'

process.chdir(join(import.meta.dirname, '..'))

/** Editors save a file in several steps; ms. */
const settled = 50
/** So many files run first, in one process: an answer comes before the others have run. */
const first = 6

const results = 'coverage'
mkdirSync(results, { recursive: true })

const names = process.argv.slice(2)
const saved = new Set()
let timer
let child

for (const folder of ['src', 'test'])
  watch(folder, { recursive: true }, (_, name) => {
    const file = join(folder, name)
    if (!/(?<!\.d)\.(?:ts|wat)$/.test(file) || file.includes('node_modules')) return
    saved.add(file)
    clearTimeout(timer)
    timer = setTimeout(run, settled)
  })
// esbuild starts with its first build.
await buildModules([])
console.log('Waiting until a file below src/ or test/ is saved.')

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    stopTests()
    process.exit()
  })

function stopTests() {
  if (child?.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM')
}

async function run() {
  const files = [...saved]
  saved.clear()
  stopTests()
  const began = performance.now()
  try {
    await buildModules(files.filter((file) => existsSync(file)))
  } catch {
    // esbuild has said why.
    return
  }
  const compiled = files.map((file) => join('build', file.replace(/(?:\.ts)?$/, '.js')))
  forgetImports(compiled)
  const tests = testsOf(compiled)
  console.log(`\n${files.join(', ')}: compiled in ${seconds(began)} s, ${tests.length} unit test files import it`)
  // Whatever is saved meanwhile takes their place.
  for (const part of [tests.slice(0, first), tests.slice(first)])
    if (saved.size === 0 && part.length > 0 && !(await passes(part))) return
  if (saved.size === 0 && tests.length > 0) console.log(`passed in ${seconds(began)} s`)
}

function testsOf(compiled) {
  const chosen = new Set(chooseFiles(names, testFiles()))
  return importersOf(compiled).filter((file) => chosen.has(file) && isUnit(file))
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

function seconds(since) {
  return ((performance.now() - since) / 1000).toFixed(1)
}
