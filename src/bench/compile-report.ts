import { formatBytes, formatError, formatTable, grouped } from '../model/base/text-table.ts'
import { formatInt8, formatMeasurements, formatTables } from './bench-report.ts'
import type { CompileReport } from './report-compile.ts'

/** The report as text. */
export function formatCompile(report: CompileReport): string {
  const { target, compiled, kept, seconds, notes, int8, tables, details } = report
  const where = kept === undefined ? 'could not be stored' : `stored in ${kept}`
  return [
    compiled ? `${target}: ${formatsOf(report)}, ${where}; took ${seconds.toFixed(1)} s` : `${target}: not compiled`,
    ...notes,
    ...(int8 === undefined ? [] : [formatInt8(int8)]),
    ...(tables === undefined ? [] : [formatTables(tables)]),
    ...(details === undefined ? [] : formatDetails(details)),
  ].join('\n')
}

function formatsOf({ precision, tables }: CompileReport): string {
  return tables === undefined ? precision : `${precision}, ${tables.format} tables`
}

/** A multiplication and an addition. */
const flops = 2

function formatDetails({ rows, passes, plans, measurements }: NonNullable<CompileReport['details']>): string[] {
  const passRows = passes.map(
    ({ pass, changes, nodes, multiplications, bytes, microseconds_before, microseconds, error }) => [
      pass,
      grouped(changes),
      grouped(nodes),
      grouped(multiplications * flops),
      formatBytes(bytes),
      `${grouped(microseconds_before)} → ${grouped(microseconds)}`,
      formatError(error),
    ],
  )
  const left = passes.flatMap(({ pass, left }) => left.map((place) => `  ${pass}: ${place}`))
  const planRows = plans.map(({ precision, graph, nodes, multiplications, multiplications_once, bytes }) => [
    precision,
    graph,
    grouped(nodes),
    grouped(multiplications * flops),
    grouped(multiplications_once * flops),
    formatBytes(bytes),
  ])
  return [
    '',
    formatTable(['pass', 'changes', 'nodes', 'FLOPs per row', 'constants', `µs (${rows} rows)`, 'max |Δp|'], passRows),
    ...(left.length === 0 ? [] : ['', 'unchanged:', ...left]),
    '',
    formatTable(['plan', 'graph', 'nodes', 'FLOPs per row', 'FLOPs per request', 'constants'], planRows, 2),
    '',
    ...formatMeasurements(measurements),
  ]
}
