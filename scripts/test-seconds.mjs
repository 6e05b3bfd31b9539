// How long test files take, so that the longest start first: in processor seconds, as others depend on what else the
// machine does.
//   node scripts/test-seconds.mjs    keeps the slowest files of the last runs in scripts/test-seconds.json, for
//                                    checkouts that have not run them yet (such as those of CI)
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
/** Not in git: processor seconds by source file, of the last run of each. */
const lastRuns = join(root, 'build/.test-seconds.json')
const committed = join(root, 'scripts/test-seconds.json')
/** Number of files kept: the order of faster files hardly matters. */
const kept = 60

/** Processor seconds by source file: measured here, else in the committed table. */
export function knownSeconds() {
  return { ...read(committed), ...read(lastRuns) }
}

/** Adds what a run measured: rows of `file` and `processor` seconds, which a file that was cut off doesn't have. */
export function rememberSeconds(rows) {
  const ended = rows.filter(({ processor }) => processor !== undefined)
  const known = ended.map(({ file, processor }) => [file, Number(processor.toFixed(1))])
  write(lastRuns, { ...read(lastRuns), ...Object.fromEntries(known) })
}

/** Nothing where a run that was cut off left half a file. */
function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {}
  }
}

function write(file, seconds) {
  const rows = Object.entries(seconds).filter(([name]) => existsSync(join(root, name)))
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(rows.sort(([, a], [, b]) => b - a)), null, 2)}\n`)
}

if (process.argv[1] === import.meta.filename) {
  const slowest = Object.entries(knownSeconds()).sort(([, a], [, b]) => b - a)
  const present = slowest.filter(([file]) => existsSync(join(root, file)))
  write(committed, Object.fromEntries(present.slice(0, kept)))
}
