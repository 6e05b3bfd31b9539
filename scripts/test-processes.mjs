// Says which test files share a process. It takes longer to load what most of them test than to test it; so files
// share one, except those that ask for one of their own by importing test/support/own-process.ts. Those that start
// processes wait more than they compute: few of them share one.
import { dirname, join } from 'node:path'
import { isUnit, sourceOf } from './test-files.mjs'
import { importsOf } from './test-imports.mjs'

/** The modules that files which start processes import: themselves, or through modules below test/. */
const starters = /^(?:(?:node:)?(?:child_process|cluster)|playwright-core)$/
/** The module that files which ask for a process of their own import. */
const owners = /\/own-process\.js$/
/** Processor seconds of tests in one process, at most: so few that the last process doesn't run alone for long. */
const mostSeconds = 30
/** For the same reason, each of the processes that run at once is one of so many in a row, in a short run too … */
const rounds = 4
/** … unless they would take less than this, as a start takes one. */
const leastSeconds = 6
/** The same of tests that start processes. */
const mostStartingSeconds = 24
/** A guess at the processor seconds of a file that has not run before. */
const guess = { unit: 0.4, shared: 2, starting: 4, own: 6 }

/**
 * Lists of files, each for one process, `jobs` of which run at once; the longest first. `known` is processor
 * seconds by source file.
 */
export function processesFor(files, known, jobs) {
  const kinds = new Map(files.map((file) => [file, kindOf(file)]))
  const secondsOf = (file) => known[sourceOf(file)] ?? guess[kinds.get(file)]
  const total = files.reduce((sum, file) => sum + secondsOf(file), 0)
  const limit = Math.max(leastSeconds, Math.min(mostSeconds, total / jobs / rounds))
  const processes = []
  // Neighbours test the same modules.  The unit tier stays apart: no system test changes the process that it runs in.
  const limits = { unit: limit, shared: limit, starting: Math.min(limit, mostStartingSeconds), own: 0 }
  for (const [kind, most] of Object.entries(limits)) {
    let group
    for (const file of files.filter((file) => kinds.get(file) === kind)) {
      if (group === undefined || group.seconds + secondsOf(file) > most) {
        group = { files: [], seconds: 0 }
        processes.push(group)
      }
      group.files.push(file)
      group.seconds += secondsOf(file)
    }
  }
  return processes.sort((a, b) => b.seconds - a.seconds).map(({ files }) => files)
}

function kindOf(file) {
  if (isUnit(file)) return 'unit'
  if (imports(file, owners)) return 'own'
  return imports(file, starters) ? 'starting' : 'shared'
}

/** Whether a file imports a module of that name, itself or through modules below test/. */
function imports(file, names, seen = new Set()) {
  seen.add(file)
  return importsOf(file).some((name) => {
    if (names.test(name)) return true
    const imported = join(dirname(file), name)
    const isOfTests = name.startsWith('.') && imported.startsWith('build/test/')
    return isOfTests && !seen.has(imported) && imports(imported, names, seen)
  })
}
