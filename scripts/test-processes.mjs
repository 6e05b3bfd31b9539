// Says which test files share a process. It takes longer to load what most of them test than to test it; so files
// share one, except those that start processes, as such tests wait more than they compute, and those that ask for one
// of their own by importing test/support/own-process.ts.
import { dirname, join } from 'node:path'
import { isUnit, sourceOf } from './test-files.mjs'
import { importsOf } from './test-imports.mjs'

/** The modules that files which start processes import: themselves, or through modules below test/. */
const starters = /^(?:(?:node:)?(?:child_process|cluster)|playwright-core)$|\/own-process\.js$/
/** Processor seconds of tests in one process, at most: so few that the last process doesn't run alone for long. */
const mostSeconds = 20
/** For the same reason, each of the processes that run at once is one of so many in a row, in a short run too … */
const rounds = 4
/** … unless they would take less than this, as a start takes one. */
const leastSeconds = 6
/** A guess at the processor seconds of a file that has not run before. */
const guess = { unit: 0.4, shared: 2, own: 6 }

/**
 * Lists of files, each for one process, `jobs` of which run at once; the longest first. `known` is processor
 * seconds by source file.
 */
export function processesFor(files, known, jobs) {
  const alone = new Set(files.filter((file) => !isUnit(file) && !canShare(file)))
  const kindOf = (file) => (alone.has(file) ? 'own' : isUnit(file) ? 'unit' : 'shared')
  const secondsOf = (file) => known[sourceOf(file)] ?? guess[kindOf(file)]
  const total = files.reduce((sum, file) => sum + secondsOf(file), 0)
  const limit = Math.max(leastSeconds, Math.min(mostSeconds, total / jobs / rounds))
  const processes = []
  // Neighbours test the same modules.  The unit tier stays apart: no system test changes the process that it runs in.
  for (const kind of ['unit', 'shared']) {
    let group
    for (const file of files.filter((file) => kindOf(file) === kind)) {
      if (group === undefined || group.seconds + secondsOf(file) > limit) {
        group = { files: [], seconds: 0 }
        processes.push(group)
      }
      group.files.push(file)
      group.seconds += secondsOf(file)
    }
  }
  for (const file of alone) processes.push({ files: [file], seconds: secondsOf(file) })
  return processes.sort((a, b) => b.seconds - a.seconds).map(({ files }) => files)
}

function canShare(file, seen = new Set()) {
  seen.add(file)
  return importsOf(file).every((name) => {
    if (starters.test(name)) return false
    const imported = join(dirname(file), name)
    const isOfTests = name.startsWith('.') && imported.startsWith('build/test/')
    return !isOfTests || seen.has(imported) || canShare(imported, seen)
  })
}
