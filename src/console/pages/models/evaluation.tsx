import { ask, client } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { date, decimal, number } from '../../parts/format.ts'
import { FirstOf } from '../../parts/pager.tsx'
import { Scroll } from '../../parts/scroll.tsx'
import { Failed, Loading } from '../../parts/states.tsx'
import { describeBins } from './describe-bins.ts'
import { Reliability } from './reliability.tsx'
import type { Report, TaskEvaluation } from './words.ts'

/** Most tasks, and slices of each, that are shown. */
const mostTasks = 20
const mostSlices = 8

/** The report that the version was published with: how right its probabilities are, and where they are not. */
export function Evaluation({ model, version }: { model: string; version: string }) {
  const { data, error, again } = useReport(model, version)
  if (data === undefined)
    return error === undefined ? <Loading what="the report" /> : <Failed error={error} again={again} />
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
      {warnings.length > 0 && (
        <ul class="notice">
          {warnings.map((warning) => (
            <li key={warning}>
              <bdi>{warning}</bdi>
            </li>
          ))}
        </ul>
      )}
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
          <Slices name={name} slices={slices} />
        </details>
      )}
    </>
  )
}

function Slices({ name, slices }: { name: string; slices: TaskEvaluation['slices'] }) {
  return (
    <Scroll label={`Parts of the rows of ${name}`}>
      <table>
        <thead>
          <tr>
            <th>Field</th>
            <th>Value</th>
            <th class="number">Rows</th>
            <th class="number">Calibration ratio</th>
            <th class="number">AUC</th>
          </tr>
        </thead>
        <tbody>
          {slices.slice(0, mostSlices).map(({ field, value, rows, metrics }) => (
            <tr key={`${field} ${value}`}>
              <td>
                <bdi>{field}</bdi>
              </td>
              <td>
                <bdi>{value}</bdi>
              </td>
              <td class="number">{number(rows, 9)}</td>
              <td class="number">{estimate(metrics.calibration_ratio, 2)}</td>
              <td class="number">{metrics.auc.value === null ? '–' : decimal(metrics.auc.value, 3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
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
