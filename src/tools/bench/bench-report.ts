import { formatError, formatTable, grouped } from '../../base/terminal.ts'
import type { TaskDifference } from '../../model/contracts/compiled-plan.ts'
import { count } from '../../schemas/check.ts'
import type { BenchReport, Int8Report, ProductsReport, TablesReport } from './bench.ts'
import type { Measurement } from './measure.ts'

/** The report as text. */
export function formatBench(report: BenchReport): string {
  return [
    `${report.target}: ${formatInputs(report)}`,
    '',
    ...formatMeasurements(report.measurements),
    ...formatNotes(report),
  ].join('\n')
}

function formatInputs({ inputs, threads }: BenchReport): string {
  const parts = inputs.map(({ name, context, candidate, cross }) => {
    const sides = Object.entries({ context, candidate, cross }).filter(([, columns]) => columns > 0)
    return `${name} (${sides.map(([side, columns]) => `${columns} ${side}`).join(', ')})`
  })
  return `${parts.join(', ')}; ${count(threads, 'thread')}`
}

/** Explains the words in the table. */
const legend =
  'µs: of a call, several in a row; cold: after 64 MiB of other memory; a busy server is between the two\n' +
  '× exported: median over rounds, in which the plans take turns\n' +
  'requests: context per row (differs from row to row), new candidates, cached candidates\n' +
  'variant: full graph, shared_context (context once per request), cached (candidates skipped): the cheapest on this machine\n' +
  '         exported (of a plan: the saved graph with a precise sigmoid, where it is clearly cheaper than the full graph)'

const measurementHeader = [
  'rows',
  'plan',
  'requests',
  'variant',
  'µs',
  'cold µs',
  '× exported',
  'rows/s',
  'max |Δp|',
  'p99 |Δlogit|',
]

export function formatMeasurements(measurements: Measurement[]): string[] {
  const rows = measurements.map((measured) => [
    measured.requests_per_call === 1 ? `${measured.rows}` : `${measured.requests_per_call} × ${measured.rows}`,
    measured.plan,
    measured.requests,
    measured.variant,
    grouped(measured.microseconds),
    grouped(measured.cold_microseconds),
    measured.speedup.toFixed(2),
    grouped(measured.rows_per_second),
    measured.plan === 'exported' ? '' : formatError(measured.error),
    measured.plan === 'int8' || measured.plan === 'bfloat16' ? formatError(measured.logit_error_p99) : '',
  ])
  return [formatTable(measurementHeader, rows, 4), '', legend]
}

function formatNotes({ int8, bfloat16, tables, notes }: BenchReport): string[] {
  return [
    '',
    ...(bfloat16 ? [formatBfloat16(bfloat16)] : []),
    formatInt8(int8),
    ...(int8.products === undefined ? [] : [`int8: products by ${int8.products}`]),
    ...(tables === undefined ? [] : [formatTables(tables)]),
    ...notes,
  ]
}

export function formatTables({ requested, verified, tasks, problem }: TablesReport): string {
  const details = tasks.length === 0 ? '' : ` (${formatTasks(tasks)})`
  if (problem !== undefined) return `float32 tables, not ${requested}: ${problem}${details}`
  return verified
    ? `${requested} tables pass their check on quantization rows${details}`
    : `${requested} tables are unverified, and servers refuse them: without quantization rows, random rows judged them${details}`
}

function formatBfloat16(report: ProductsReport): string {
  return 'products' in report
    ? `bfloat16: products by ${report.products}, or by ONNX Runtime in float32 where that is faster; servers check it on quantization rows`
    : `no bfloat16: ${report.reason}`
}

function formatTasks(tasks: TaskDifference[]): string {
  return tasks
    .map(({ task, auc_loss, mean_change, logit_p99 }) => {
      const loss = auc_loss === null ? '' : `AUC loss ${auc_loss.toExponential(1)}, `
      return `${task}: ${loss}mean ${(mean_change * 100).toFixed(3)} %, p99 |Δlogit| ${logit_p99.toFixed(4)}`
    })
    .join('; ')
}

export function formatInt8({ state, within_limits, tasks, reasons }: Int8Report): string {
  const details = formatTasks(tasks)
  switch (state) {
    case 'passed':
      return `int8 passes its check on quantization rows (${details})`
    case 'refused':
      return `int8 fails its check and is not served: ${reasons.join('; ')} (${details})`
    case 'unverified':
      return `int8 is unverified: without quantization rows, random rows set its scales; on them it ${within_limits ? 'keeps' : 'exceeds'} the limits of the check (${details})`
    case 'impossible':
      return `no int8 plan: ${reasons.join('; ')}`
  }
}
