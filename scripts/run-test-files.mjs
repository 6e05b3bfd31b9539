// Runs test files, several at a time, each in a process of its own; prints a line for each when it ends, with what failed.
//   node scripts/run-test-files.mjs RESULTS FILE…    RESULTS: receives the TAP of all
//
// `tap run` does the same, but has every process and every worker thread of a test load its hooks, for coverage and mocks
// that are not used here; that takes several times as long as the tests themselves.
import { createWriteStream } from 'node:fs'
import { availableParallelism } from 'node:os'
import { t } from 'tap'

/** Only a file that hangs takes so long, however busy the machine is; ms. */
const timeout = 1_800_000

const [results, ...files] = process.argv.slice(2)
t.register()
t.pipe(createWriteStream(results))
// One more than cores: many tests wait for another process.
t.jobs = availableParallelism() + 1
t.setTimeout(0)
const lines = new Map()
t.on('subtestAdd', (file) => lines.set(file, follow(file)))
// Its process has ended then: its exit code is known.
t.on('subtestEnd', (file) => report(file, lines.get(file)))
// A test gets the variables of whoever started this; tap would add its hooks to Node's options.
const environment = [`NODE_OPTIONS=${process.env.NODE_OPTIONS ?? ''}`, `TAP_TIMEOUT=${timeout / 1000}`]
for (const file of files)
  t.spawn('env', [...environment, process.execPath, '--enable-source-maps', file], {
    name: file,
    buffered: true,
    timeout,
  })

function follow(file) {
  const seen = { passed: 0, skipped: 0, failed: [] }
  file.parser.on('pass', () => seen.passed++)
  file.parser.on('skip', () => seen.skipped++)
  file.parser.on('todo', () => seen.skipped++)
  file.parser.on('fail', (assertion) => seen.failed.push(assertion))
  return seen
}

function report(file, { passed, skipped, failed }) {
  const { exitCode, signal, expired } = file.options
  const ok = file.results?.ok && !exitCode && !signal && !expired
  // A file can fail without any of its assertions: it crashed, was cut off, or asserted nothing.
  const faults = ok || failed.length > 0 ? [] : [faultOf(file)]
  const counts = [`${passed} passed`]
  if (!ok) counts.push(`${failed.length + faults.length} failed`)
  if (skipped > 0) counts.push(`${skipped} skipped`)
  const lines = [
    `${ok ? 'ok    ' : 'FAILED'} ${sourceOf(file.name)}: ${counts.join(', ')}, ${(file.time / 1000).toFixed(1)} s`,
  ]
  for (const text of [...faults, ...failed.map(describe)]) lines.push(text.replace(/^/gm, '    '))
  // A pipe takes it before this returns.
  process.stdout.write(`${lines.join('\n')}\n`)
}

function faultOf({ options, results }) {
  const { exitCode, signal, expired } = options
  if (expired) return 'it took longer than its timeout'
  if (signal) return `ended by ${signal}`
  if (exitCode) return `ended with exit code ${exitCode}`
  return results?.failures.map(({ tapError }) => tapError).join('; ') || 'it failed'
}

function describe({ fullname, name, diag }) {
  const { at, diff, stack, found, wanted, pattern } = diag ?? {}
  const place = at?.fileName === undefined ? '' : ` (${at.fileName}:${at.lineNumber})`
  const values = Object.entries({ found, wanted, pattern }).filter(([, value]) => value !== undefined)
  const detail =
    diff ?? (values.length > 0 ? values.map(([key, value]) => `${key}: ${inspect(value)}`).join('\n') : stack)
  return `not ok: ${fullname ?? name}${place}${detail === undefined ? '' : `\n${String(detail).trimEnd()}`}`
}

function inspect(value) {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** build/test/x.test.js → test/x.test.ts */
function sourceOf(name) {
  return name.replace(/^build\/(.*)\.js$/, '$1.ts')
}
