// Runs the compiled tests with tap.
//   npm run test:unit                   tests without network, child processes and Python, of seconds at most: *.test.ts
//   npm test                            those, and *.system.test.ts
//   npm run test:full                   those, and *.full.test.ts, which take long; then the coverage thresholds
//   npm test -- test/model/x.test.ts    the named files (source or compiled)
// The last line is `N passed, N failed` (and `, N skipped`, if any).  It counts assertions; a missed coverage threshold
// counts as one more failure.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Parser } from 'tap-parser'
import { checkCoverage } from './coverage.mjs'

process.chdir(join(import.meta.dirname, '..'))

const results = 'coverage/results.tap'
const profiles = 'coverage/v8'

rmSync('coverage', { recursive: true, force: true })
mkdirSync(profiles, { recursive: true })

if (!existsSync('node_modules/@tensorflow/tfjs-node/lib/napi-v8/tfjs_binding.node')) {
  console.error('Native TensorFlow is not prepared (npm run setup:tensorflow): tests of it use WebAssembly instead.')
}

const tiers = {
  '--unit': (file) => !/\.(?:system|full)\.test\.js$/.test(file),
  '--system': (file) => !/\.full\.test\.js$/.test(file),
  '--full': () => true,
}
const [first = '--system', ...rest] = process.argv.slice(2)
const tier = tiers[first]
const measuresCoverage = first === '--full'
const files =
  tier === undefined
    ? [first, ...rest].map((arg) => arg.replace(/^(?:\.\/)?(test\/.*)\.ts$/, 'build/$1.js'))
    : [...testFiles().filter(tier), ...rest]
// Compiled plans of this run's compiler, not of whatever was here before.
const cache = mkdtempSync(join(tmpdir(), 'multigate-test-cache-'))
const env = { ...process.env, MULTIGATE_CACHE: cache }
const run = spawnSync(process.execPath, ['scripts/run-test-files.mjs', results, ...files], {
  stdio: 'inherit',
  // Node writes one profile per process here, and passes the variable on to worker threads and child processes.
  env: measuresCoverage ? { ...env, NODE_V8_COVERAGE: join(process.cwd(), profiles) } : env,
})
rmSync(cache, { recursive: true, force: true })

const count = countAssertions()
// A test file that crashes or times out fails the run even if none of its assertions failed.
if (run.status !== 0 && count.failed === 0) count.failed = 1
if (run.status === 0 && count.passed + count.failed + count.skipped === 0) {
  console.error('no test ran')
  count.failed = 1
}
if (measuresCoverage && !checkCoverage(profiles)) count.failed++
rmSync(profiles, { recursive: true, force: true })

console.log(`${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ''}`)
process.exit(count.failed > 0 ? 1 : 0)

function testFiles() {
  return readdirSync('build/test', { recursive: true })
    .filter((file) => file.endsWith('.test.js') && !file.includes('fixtures/'))
    .map((file) => join('build/test', file))
    .sort()
}

/** Counts the assertions at every depth of the run's TAP, without the lines that only close a block of them. */
function countAssertions() {
  const count = { passed: 0, failed: 0, skipped: 0 }
  if (!existsSync(results)) return count
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
  parser.end(readFileSync(results, 'utf8'))
  return count
}
