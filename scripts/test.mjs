// Runs the compiled tests with tap.
//   npm run test:unit           tests without network, child processes and Python, of seconds at most: *.test.ts
//   npm test                    those, and *.system.test.ts
//   npm run test:platform       *.platform.test.ts alone: other projects' programs, such as Python, a browser and Helm
//   npm run test:full           all, with *.full.test.ts, which take long; then the coverage thresholds
//   npm test -- registry …      the files of any tier with one of these in their paths, such as
//                               test/model/serving/registry/pin.test.ts
// The last lines are the slowest files, and `N passed, N failed` (and `, N skipped`, if any). It counts assertions; a
// missed coverage threshold counts as one more failure.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Parser } from 'tap-parser'
import { checkCoverage } from './coverage.mjs'
import { chooseFiles, testFiles } from './test-files.mjs'
import { rememberSeconds } from './test-seconds.mjs'

process.chdir(join(import.meta.dirname, '..'))

const results = 'coverage'
const profiles = 'coverage/v8'

rmSync(results, { recursive: true, force: true })
mkdirSync(profiles, { recursive: true })

if (!existsSync('node_modules/@tensorflow/tfjs-node/lib/napi-v8/tfjs_binding.node')) {
  console.error('Native TensorFlow is not prepared (npm run setup:tensorflow): tests of it use WebAssembly instead.')
}

const args = process.argv.slice(2)
const measuresCoverage = args[0] === '--full'
const files = chosen()
/** A folder for what files of this run leave for each other: compiled plans, models (test/support/run-folder.ts). */
const shared = mkdtempSync(join(tmpdir(), 'multigate-test-'))
const env = { ...process.env, MULTIGATE_CACHE: join(shared, 'plans'), TEST_RUN: shared }
const run = spawnSync(process.execPath, ['scripts/run-test-files.mjs', results, ...files], {
  stdio: 'inherit',
  env: measuresCoverage
    ? // Node writes one profile per process here, and passes the variable on to worker threads and child processes.
      { ...env, NODE_V8_COVERAGE: join(process.cwd(), profiles) }
    : // Threads run the scripts that are shipped, which load faster than single modules.
      { ...env, TEST_SCRIPTS: `${pathToFileURL('dist')}/` },
})
rmSync(shared, { recursive: true, force: true })

const count = countAssertions()
// A test file that crashes or times out fails the run even if none of its assertions failed.
if (run.status !== 0 && count.failed === 0) count.failed = 1
if (run.status === 0 && count.passed + count.failed + count.skipped === 0) {
  console.error('no test ran')
  count.failed = 1
}
if (measuresCoverage && !checkCoverage(profiles)) count.failed++
rmSync(profiles, { recursive: true, force: true })

printSlowest()
console.log(`${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ''}`)
process.exit(count.failed > 0 ? 1 : 0)

function chosen() {
  try {
    return chooseFiles(args, testFiles())
  } catch (error) {
    console.error(error.message)
    console.log('0 passed, 1 failed')
    process.exit(1)
  }
}

/** Counts the assertions at every depth of the run's TAP, without the lines that only close a block of them. */
function countAssertions() {
  const count = { passed: 0, failed: 0, skipped: 0 }
  const tap = join(results, 'results.tap')
  if (!existsSync(tap)) return count
  const parser = new Parser()
  parser.on('pass', () => count.passed++)
  parser.on('fail', ({ fullname, diag }) => {
    count.failed++
    // Repeated at the end, whatever the reporter printed.
    const { fileName = '', lineNumber = '' } = diag?.at ?? {}
    console.error(`FAILED ${fullname} ${fileName}:${lineNumber}`)
  })
  parser.on('skip', ({ fullname, skip }) => {
    count.skipped++
    console.error(`SKIPPED ${fullname}: ${skip === true ? 'no reason given' : skip}`)
  })
  parser.on('todo', () => count.skipped++)
  parser.end(readFileSync(tap, 'utf8'))
  return count
}

/** Also keeps the times for the next run. */
function printSlowest() {
  const file = join(results, 'times.json')
  if (!existsSync(file)) return
  const ended = JSON.parse(readFileSync(file, 'utf8')).filter(({ seconds }) => seconds !== undefined)
  rememberSeconds(ended)
  const slowest = ended.sort((a, b) => b.seconds - a.seconds).slice(0, 10)
  const processor = ended.reduce((sum, { processor = 0 }) => sum + processor, 0)
  console.log(`The slowest of ${ended.length} files: seconds, processor seconds (of all: ${processor.toFixed(0)})`)
  for (const { file, seconds, processor } of slowest)
    console.log(`${seconds.toFixed(1).padStart(8)} ${processor?.toFixed(1).padStart(8) ?? '       ?'}  ${file}`)
}
