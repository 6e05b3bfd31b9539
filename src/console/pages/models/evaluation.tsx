import { ask, client } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { Lines } from '../../parts/controls.tsx'
import { date, decimal, number, percent } from '../../parts/format.ts'
import { FirstOf } from '../../parts/pager.tsx'
import { Pending } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'
import { describeBins } from './describe-bins.ts'
import type { Report, TaskEvaluation } from './words.ts'

/** Most tasks, and slices of each, that are shown. */
const mostTasks = 20
const mostSlices = 8

/** The report that the version was published with: how right its probabilities are, and where they are not. */
export function Evaluation({ model, version }: { model: string; version: string }) {
  const { data, error, again } = useReport(model, version)
  if (data === undefined) return <Pending what="the report" error={error} again={again} />
  return <ReportOf report={data} of={{ model, version }} />
}

const useReport = (model: string, version: string) =>
  useAsk(
    () => ask(client.GET('/models/{model}/versions/{version}/evaluation', { params: { path: { model, version } } })),
    [model, version],
  )

/** Whether a version is better than one before, on the same rows: where its report compares the two. */
export function ComparedWith({ model, version, before }: { model: string; version: string; before: string }) {
  const { data } = useReport(model, version)
  const comparison = data?.comparison
  return comparison?.a === `${model}/${before}` ? <Outcome comparison={comparison} /> : null
}

function Outcome({ comparison }: { comparison: NonNullable<Report['comparison']> }) {
  return (
    <p>
      Compared with <bdi>{comparison.a}</bdi> on the same rows: <strong>{comparison.verdict}</strong>
      {comparison.reasons.length > 0 && ` (${comparison.reasons.join('; ')})`}.
    </p>
  )
}

function ReportOf({ report, of }: { report: Report; of: { model: string; version: string } }) {
  const { created, data, model, tasks, warnings, comparison, publish } = report
  return (
    <>
      {(model.version !== of.version || model.name !== of.model) && (
        <p class="notice warning">
          This report is of <bdi>{model.name}</bdi>, version <bdi>{model.version}</bdi>: it came with the files of this
          one, which nobody evaluated.
        </p>
      )}
      <p class="muted">
        {`${number(data.judged, 9)} of ${number(data.rows, 9)} rows were judged on ${date(created)}: ${data.source}. Intervals are of 95 %.`}
      </p>
      <Lines class="notice" texts={warnings} />
      {comparison !== undefined && <Outcome comparison={comparison} />}
      {publish !== undefined && <Conditions conditions={publish.conditions} />}
      <h3>Reliability</h3>
      <p class="muted">
        Rows are sorted by their prediction and divided into bins. Each point is a bin: the mean prediction (across) and
        the rate that was observed (up), with its interval. On the dashed line both are equal. Both axes are
        logarithmic.
      </p>
      <ul class="reliabilities">
        {tasks.slice(0, mostTasks).map((task) => (
          <li key={task.name}>
            <Judged task={task} />
          </li>
        ))}
      </ul>
      <FirstOf most={mostTasks} total={tasks.length} what="tasks" />
    </>
  )
}

function Judged({ task }: { task: TaskEvaluation }) {
  const { name, metrics, reliability, slices } = task
  const note = [
    describeBins(reliability.served),
    `calibration ratio ${estimate(metrics.calibration_ratio, 3)}`,
    `expected calibration error ${estimate(metrics.ece, 5)}`,
    `AUC ${estimate(metrics.auc, 4)}`,
  ].join('; ')
  return (
    <>
      <h4>
        <bdi>{name}</bdi>
      </h4>
      <Reliability name={name} bins={reliability.served} note={`${note.charAt(0).toUpperCase()}${note.slice(1)}.`} />
      {slices.length > 0 && (
        <details>
          <summary>Parts that are calibrated worst</summary>
          <Table
            label={`Parts of the rows of ${name}`}
            rows={slices.slice(0, mostSlices)}
            columns={[
              { title: 'Field', text: ({ field }) => field },
              { title: 'Value', text: ({ value }) => value },
              { title: 'Rows', value: ({ rows }) => rows, format: (rows) => number(rows, 9) },
              {
                title: 'Calibration ratio',
                number: true,
                cell: ({ metrics }) => estimate(metrics.calibration_ratio, 2),
              },
              { title: 'AUC', value: ({ metrics }) => metrics.auc.value, format: (auc) => decimal(auc, 3) },
            ]}
          />
        </details>
      )}
    </>
  )
}

function Conditions({ conditions }: { conditions: NonNullable<Report['publish']>['conditions'] }) {
  return (
    <>
      <h3>Conditions of publishing</h3>
      <ul class="plain">
        {conditions.map(({ condition, passed, found }) => (
          <li key={condition}>
            <span class={`pill ${passed ? 'good' : 'bad'}`}>{passed ? 'met' : 'not met'}</span> <bdi>{condition}</bdi>{' '}
            <span class="muted">
              found <bdi>{found}</bdi>
            </span>
          </li>
        ))}
      </ul>
    </>
  )
}

/** `0.992 (0.960 to 1.028)`; – where it is undefined. */
function estimate({ value, low, high }: TaskEvaluation['metrics']['auc'], decimals: number): string {
  if (value === null) return '–'
  const shown = decimal(value, decimals)
  return low === null || high === null ? shown : `${shown} (${decimal(low, decimals)} to ${decimal(high, decimals)})`
}

/** Size of the plot, px, and room for its axes. */
const size = 200
const [left, below] = [66, 38]

type Bin = TaskEvaluation['reliability']['served'][number]

/**
 * Observed rates against predictions, with their intervals, on logarithmic axes; a note and the numbers as a table
 * follow.
 */
export function Reliability({ name, bins, note }: { name: string; bins: readonly Bin[]; note: string }) {
  const drawn = bins.filter(({ predicted, observed, high }) => predicted > 0 && Math.max(observed, high) > 0)
  if (drawn.length === 0) return <p class="muted">There are no rows to draw.</p>
  const [lowest, highest] = rangeOf(drawn)
  const place = (probability: number) => {
    const share = (Math.log10(Math.max(probability, 10 ** lowest)) - lowest) / (highest - lowest)
    return size * Math.min(1, share)
  }
  const x = (probability: number) => left + place(probability)
  const y = (probability: number) => size - place(probability)
  const powers = Array.from({ length: highest - lowest + 1 }, (_, i) => 10 ** (lowest + i))
  return (
    <>
      <svg
        class="reliability"
        role="img"
        aria-label={`Reliability of ${name}: ${describeBins(bins)}; the numbers follow`}
        width={size + left + 24}
        height={size + below + 8}
        viewBox={`0 -8 ${size + left + 24} ${size + below + 8}`}
      >
        {powers.map((power) => (
          <g key={power}>
            <path class="grid" d={`M${x(power)} 0V${size}M${left} ${y(power)}H${left + size}`} />
            <text x={x(power)} y={size + 15} text-anchor="middle">
              {percent(power)}
            </text>
            <text x={left - 5} y={y(power) + 4} text-anchor="end">
              {percent(power)}
            </text>
          </g>
        ))}
        <text x={left + size / 2} y={size + 33} text-anchor="middle">
          predicted
        </text>
        <text x={-size / 2} y={12} text-anchor="middle" transform="rotate(-90)">
          observed
        </text>
        <path class="same" d={`M${left} ${size}L${left + size} 0`} />
        {drawn.map(({ predicted, observed, low, high }) => (
          <g key={predicted}>
            <path class="interval" d={`M${x(predicted)} ${y(low)}V${y(high)}`} />
            <circle cx={x(predicted)} cy={y(observed)} r={3} />
          </g>
        ))}
      </svg>
      <p class="small">{note}</p>
      <details>
        <summary>Numbers</summary>
        <Table
          label={`Reliability of ${name}`}
          rows={bins}
          columns={[
            { title: 'Predicted', value: ({ predicted }) => predicted, format: percent },
            { title: 'Observed', value: ({ observed }) => observed, format: percent },
            { title: '95 % interval', number: true, cell: ({ low, high }) => `${percent(low)} to ${percent(high)}` },
            { title: 'Rows', value: ({ rows }) => rows, format: (rows) => number(rows, 9) },
          ]}
        />
      </details>
    </>
  )
}

/** Powers of ten that hold every point. */
function rangeOf(bins: readonly Bin[]): [number, number] {
  const values = bins.flatMap(({ predicted, observed }) => [predicted, observed]).filter((value) => value > 0)
  const lowest = Math.max(-6, Math.floor(Math.log10(Math.min(...values)) + 1e-9))
  return [lowest, Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9))]
}
