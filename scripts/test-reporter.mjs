// What `npm test` prints into a pipe: one line for each test file when it ends, with what failed in it.

/** tap renders a reporter as a component and gives it the whole run. This one draws nothing, and writes lines instead. */
export default function fileLines({ test: run }) {
  if (!known.has(run)) {
    known.add(run)
    const files = new Map()
    run.on('subtestAdd', (file) => files.set(file, follow(file)))
    // Its process has ended then: its exit code is known.
    run.on('subtestEnd', (file) => report(file, files.get(file)))
  }
  return null
}

/** Components are called for each drawing. */
const known = new WeakSet()

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
