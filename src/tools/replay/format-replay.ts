import { counted, formatTable, grouped } from '../../base/terminal.ts'
import { keepsOrder, orderKept, type ReplayReport } from './describe.ts'

/** Fields that a line lists, and the least share of the variance of one. */
const mostFields = 3
const leastExplained = 0.05

const number = (value: number | null | undefined, digits = 3) =>
  value === null || value === undefined || Number.isNaN(value) ? '–' : String(Number(value.toPrecision(digits)))
const share = (value: number) => `${(100 * value).toFixed(1)} %`

/** A replay's report for a terminal. */
export function formatReplay(report: ReplayReport): string {
  const { before = 'the recorded answers', after, requests, rows, tasks, unknown, conditions = [] } = report
  const header = ['task', 'same', 'largest |Δp|', ...['1 %', '50 %', '99 %'].map((share) => `Δlogit ${share}`)]
  const lines = tasks.map(({ name, same, largest, logit, correlation, overlap, winners, requests }) => [
    ...[name, share(same), number(largest), number(logit['0.01']), number(logit['0.5']), number(logit['0.99'])],
    ...[number(correlation, 4), number(overlap, 4), `${grouped(winners)} of ${grouped(requests)}`],
  ])
  const strangers = Object.entries(unknown).map(([field, count]) => `${field} ${grouped(count)}`)
  const failed = conditions.filter(({ passed }) => !passed)
  return [
    `${after} against ${before}: ${counted(requests, 'request')}, ${counted(rows, 'candidate')}`,
    '',
    formatTable([...header, 'Kendall’s τ', 'top 10 stays', 'other winner'], lines),
    ...causes(report),
    ...(strangers.length > 0 ? [`candidates with values that ${after} does not know: ${strangers.join(', ')}`] : []),
    ...costs(report),
    ...failed.map(({ condition, found }) => `✗ ${condition}, found ${found}`),
    ...(conditions.length > 0 && failed.length === 0 ? ['✓ all conditions are met'] : []),
  ].join('\n')
}

function causes({ tasks }: ReplayReport): string[] {
  return tasks.flatMap((task) => {
    const { name, same, fields } = task
    if (same === 1) return []
    const named = fields.filter((field) => field.explained >= leastExplained).slice(0, mostFields)
    const parts = named.map((field) => `${field.field} (${number(field.explained, 2)})`)
    const by = parts.length > 0 ? [`${name} differs by ${parts.join(', ')}`] : []
    return keepsOrder(task) ? [...by, `${name} keeps the order of every request: ${orderKept}`] : by
  })
}

function costs({ cost }: ReplayReport): string[] {
  return cost.map(
    ({ version, p50_ms, p99_ms, processor_us }) =>
      `${version}: ${number(p50_ms)} ms a request (p99 ${number(p99_ms)}), ${number(processor_us)} µs of processor time a candidate`,
  )
}
