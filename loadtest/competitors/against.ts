import { type Columns, table, whole } from '../markdown.ts'
import { nameOf } from './report.ts'
import { type Best, bestOf, type CellResult, type ComparisonReport, keyOf } from './results.ts'

interface Pair {
  cell: CellResult
  before: Best
  now: Best
}

/** A table of what was measured now and in an earlier run; cells that only one of them has are left out. */
export function compareReports(earlier: ComparisonReport, report: ComparisonReport): string {
  const known = new Map(earlier.cells.map((cell) => [keyOf(cell), cell]))
  const pairs: Pair[] = report.cells.flatMap((cell) => {
    const before = known.get(keyOf(cell))
    return before ? [{ cell, before: bestOf(before), now: bestOf(cell) }] : []
  })
  const columns: Columns<Pair> = {
    server: ({ cell }) => nameOf(cell),
    scenario: ({ cell }) => cell.scenario,
    'req/s before': ({ before }) => whole(before.requestsPerSecond),
    now: ({ now }) => whole(now.requestsPerSecond),
    ratio: ({ before, now }) => ratio(before.requestsPerSecond, now.requestsPerSecond),
    'server CPU, ms/req before': ({ before }) => before.serverMs.toFixed(3),
    'now ': ({ now }) => now.serverMs.toFixed(3),
    'ratio ': ({ before, now }) => ratio(before.serverMs, now.serverMs),
  }
  return [
    '## Beside earlier results',
    `Before: ${describe(earlier)}. Now: ${describe(report)}. On other machines, or in the short form, figures differ without a change of the code.`,
    table(columns, pairs),
  ].join('\n\n')
}

const ratio = (before: number, now: number) => (now / before).toFixed(2)

const describe = ({ machine, method }: ComparisonReport) =>
  `${machine.date} UTC, ${machine.processor}, ${machine.cores} cores${method.short ? ', the short form' : ''}`
