// Line and branch coverage of src/ by c8, from the profiles that Node writes under NODE_V8_COVERAGE, mapped back from
// the compiled files through their source maps. A file that no test loads counts as wholly uncovered.
//   node scripts/coverage.mjs [FOLDER OF PROFILES]
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { filesBelow } from './files.mjs'

const thresholds = { lines: 95, branches: 90 }
const generated = ['build/src/model/graph/ir/onnx_pb.js', 'build/src/model/graph/lower/tensorflow/tensorflow_pb.js']

/** Prints totals, and the files that miss a threshold, most uncovered first.  True when the totals meet both. */
export function checkCoverage(profiles) {
  const c8 = spawnSync(
    process.execPath,
    [
      'node_modules/c8/bin/c8.js',
      'report',
      `--temp-directory=${profiles}`,
      '--reports-dir=coverage',
      '--reporter=text-summary',
      '--reporter=json-summary',
      '--all',
      '--src=.',
      '--include=build/src/**/*.js',
      ...[...generated, ...typesOnly('build/src')].map((file) => `--exclude=${file}`),
      '--extension=.js',
      // One profile at a time: together those of a whole run do not fit well in memory.
      '--merge-async',
      '--check-coverage',
      ...Object.entries(thresholds).map(([kind, least]) => `--${kind}=${least}`),
    ],
    { stdio: 'inherit' },
  )
  printWorst()
  return c8.status === 0
}

function printWorst() {
  const { total, ...files } = JSON.parse(readFileSync('coverage/coverage-summary.json', 'utf8'))
  const missed = ([, { lines, branches }]) => lines.total - lines.covered + (branches.total - branches.covered)
  const low = Object.entries(files).filter(
    ([, { lines, branches }]) => lines.pct < thresholds.lines || branches.pct < thresholds.branches,
  )
  for (const [file, { lines, branches }] of low.sort((a, b) => missed(b) - missed(a)).slice(0, 10))
    console.log(`${relative(process.cwd(), file)}: ${lines.pct} % of lines, ${branches.pct} % of branches`)
  if (low.length > 10) console.log(`and ${low.length - 10} more below a threshold`)
}

/** Compiled files without code: interfaces and type aliases leave `export {}` behind, which nothing ever loads. */
function typesOnly(folder) {
  return filesBelow(folder)
    .filter((file) => file.endsWith('.js'))
    .filter((file) => /^\s*(?:export \{\};)?\s*$/.test(readFileSync(file, 'utf8').replace(/^\/\/.*$/gm, '')))
}

if (process.argv[1] === import.meta.filename) {
  process.chdir(join(import.meta.dirname, '..'))
  process.exitCode = checkCoverage(process.argv[2] ?? 'coverage/v8') ? 0 : 1
}
