// Runs test files, several processes at a time; prints a line for each file when it ends, with what failed.
//   node scripts/run-test-files.mjs RESULTS FILE…
// Into the folder RESULTS it writes results.tap, the TAP of all, and times.json, the files with their `seconds` and,
// where they are known, `processor` seconds. test-processes.mjs says which files share a process.
//
// `tap run` does the same, but has every process and every worker thread of a test load its hooks, for coverage and
// mocks that are not used here; that takes several times as long as the tests themselves.
import { createWriteStream, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { t } from 'tap'
import { sourceOf } from './test-files.mjs'
import { processesFor } from './test-processes.mjs'
import { knownSeconds } from './test-seconds.mjs'

/** Only a file that hangs takes so long, however busy the machine is; ms. */
const timeout = 600_000

const [results, ...files] = process.argv.slice(2)
t.register()
t.pipe(createWriteStream(join(results, 'results.tap')))
// One more than cores: many tests wait for another process.
t.jobs = availableParallelism() + 1
t.setTimeout(0)

// tap doesn't know of a file in a group that asserts nothing.
let anyFailed = false
/** By file: its row of times.json. */
const times = new Map()
process.on('exit', (code) => {
  writeFileSync(join(results, 'times.json'), JSON.stringify([...times.values()]))
  if (anyFailed && code === 0) process.exitCode = 1
})

/** The run of each process, by the name that tap gives it. */
const runs = new Map()
t.on('subtestAdd', (process) => follow(process, runs.get(process.name)))
// The process has ended then: its exit code is known.
t.on('subtestEnd', (process) => finish(process, runs.get(process.name)))

for (const group of processesFor(files, knownSeconds(), t.jobs)) start(group)

function start(files) {
  const name = files.length === 1 ? files[0] : `${files[0]} and ${files.length - 1} more`
  runs.set(name, { grouped: files.length > 1, waiting: new Set(files), seen: nothing() })
  // A test gets the variables of whoever started this; tap would add its hooks to Node's options.
  const environment = [`NODE_OPTIONS=${process.env.NODE_OPTIONS ?? ''}`, `TAP_TIMEOUT=${timeout / 1000}`]
  const args = [...environment, process.execPath, 'scripts/test-group.mjs', ...files]
  t.spawn('env', args, { name, buffered: true, timeout })
}

function follow({ parser }, run) {
  parser.on('pass', () => run.seen.passed++)
  parser.on('skip', () => run.seen.skipped++)
  parser.on('todo', () => run.seen.skipped++)
  parser.on('fail', (assertion) => run.seen.failed.push(assertion))
  parser.on('comment', (comment) => {
    const [, seconds, file] = /^# processor (\S+) (.+)\n$/.exec(comment) ?? []
    if (file !== undefined) timesOf(file).processor = Number(seconds)
  })
  if (!run.grouped) return
  // At the top of a group's TAP, an assertion is that a file passed; it follows the file's own.
  parser.on('assert', ({ name, ok, time }) => {
    if (!run.waiting.delete(name)) return
    const { seen } = run
    run.seen = nothing()
    const silent = seen.passed + seen.skipped === 0 ? 'it asserts nothing' : ok ? undefined : 'it failed'
    report(name, seen, time, seen.failed.length > 0 ? undefined : silent)
  })
}

function finish(process, { grouped, waiting, seen }) {
  // A file can fail without any of its assertions: it crashed, was cut off, or asserted nothing.
  const fault = faultOf(process)
  const silent = fault !== undefined && seen.failed.length === 0
  for (const file of waiting)
    report(file, seen, process.time, grouped || silent ? (fault ?? 'it did not run') : undefined)
  if (grouped && waiting.size === 0 && silent && !process.results?.failures.length)
    report(process.name, seen, process.time, fault)
}

function timesOf(file) {
  const source = sourceOf(file)
  if (!times.has(source)) times.set(source, { file: source })
  return times.get(source)
}

function nothing() {
  return { passed: 0, skipped: 0, failed: [] }
}

function report(file, { passed, skipped, failed }, time, fault) {
  const faults = fault === undefined ? [] : [fault]
  const failures = failed.length + faults.length
  anyFailed ||= failures > 0
  const counts = [`${passed} passed`]
  if (failures > 0) counts.push(`${failures} failed`)
  if (skipped > 0) counts.push(`${skipped} skipped`)
  timesOf(file).seconds = time / 1000
  const lines = [
    `${failures > 0 ? 'FAILED' : 'ok    '} ${sourceOf(file)}: ${counts.join(', ')}, ${(time / 1000).toFixed(1)} s`,
  ]
  for (const text of [...faults, ...failed.map(describe)]) lines.push(text.replace(/^/gm, '    '))
  // A pipe takes it before this returns.
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** Why the process as a whole failed; undefined if it did not. */
function faultOf({ options: { exitCode, signal, expired }, results }) {
  if (expired) return 'it took longer than its timeout'
  if (signal) return `ended by ${signal}`
  if (exitCode) return `ended with exit code ${exitCode}`
  if (!results?.ok) return results?.failures.map(({ tapError }) => tapError).join('; ') || 'it failed'
  return undefined
}

function describe({ fullname, name, diag }) {
  const { at, diff, stack, found, wanted, pattern } = diag ?? {}
  const place = at?.fileName === undefined ? '' : ` (${at.fileName}:${at.lineNumber})`
  const values = Object.entries({ found, wanted, pattern }).filter(([, value]) => value !== undefined)
  const detail =
    diff ?? (values.length > 0 ? values.map(([key, value]) => `${key}: ${inspect(value)}`).join('\n') : stack)
  const path = (fullname ?? name).replace(/^\S+ and \d+ more > /, '')
  return `not ok: ${path}${place}${detail === undefined ? '' : `\n${String(detail).trimEnd()}`}`
}

function inspect(value) {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
