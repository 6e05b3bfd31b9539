// Line and branch coverage of src/, from the profiles that Node writes under NODE_V8_COVERAGE, mapped back from the
// compiled files through their source maps.  A file that no test loads counts as wholly uncovered.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import createReport from 'c8/lib/report.js'

const thresholds = { lines: 95, branches: 90 }
const generated = ['build/src/model/graph/onnx_pb.js', 'build/src/model/lower/tensorflow/tensorflow_pb.js']

/** Prints totals, and the files that miss a threshold, most uncovered first.  True when the totals meet both. */
export async function checkCoverage(profiles) {
  const report = createReport({
    include: ['build/src/**/*.js'],
    exclude: [...generated, ...typesOnly('build/src')],
    extension: ['.js'],
    excludeNodeModules: true,
    reporter: [],
    resolve: '',
    tempDirectory: profiles,
    // One profile at a time: together those of a whole run do not fit well in memory.
    mergeAsync: true,
    omitRelative: true,
    all: true,
    src: [process.cwd()],
  })
  const map = await report.getCoverageMapFromAllCoverageFiles()
  const total = map.getCoverageSummary().data
  const files = map.files().map((file) => {
    const { lines, branches } = map.fileCoverageFor(file).toSummary().data
    return { file: relative(process.cwd(), file), lines, branches }
  })
  if (files.length === 0) {
    console.log('\ncoverage: nothing to measure')
    return true
  }
  printWorst(files)
  const met = Object.entries(thresholds).map(([kind, least]) => {
    // An empty set has no percentage: c8 says 'Unknown' of a run without branches.
    const percent = total[kind].total === 0 ? 100 : total[kind].pct
    console.log(`coverage: ${kind} ${percent} % (needs ${least} %)${percent < least ? ': too low' : ''}`)
    return percent >= least
  })
  return met.every(Boolean)
}

function printWorst(files) {
  const missed = ({ lines, branches }) => lines.total - lines.covered + (branches.total - branches.covered)
  const low = files.filter(({ lines, branches }) => lines.pct < thresholds.lines || branches.pct < thresholds.branches)
  if (low.length === 0) return
  const shown = low.sort((a, b) => missed(b) - missed(a)).slice(0, 10)
  const width = Math.max(...shown.map(({ file }) => file.length))
  console.log(`\n${'least covered'.padEnd(width)}    lines  branches`)
  for (const { file, lines, branches } of shown) {
    console.log(`${file.padEnd(width)}  ${`${lines.pct} %`.padStart(7)}  ${`${branches.pct} %`.padStart(8)}`)
  }
  if (low.length > shown.length) console.log(`and ${low.length - shown.length} more below a threshold`)
  console.log()
}

/** Compiled files without code: interfaces and type aliases leave `export {}` behind, which nothing ever loads. */
function typesOnly(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.js'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => /^\s*(?:export \{\};)?\s*$/.test(readFileSync(file, 'utf8').replace(/^\/\/.*$/gm, '')))
}
