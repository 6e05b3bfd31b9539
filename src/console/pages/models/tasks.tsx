import type { Calibration } from '../../../schemas/manifest.ts'
import { decimal, number, orDash, own, percent } from '../../parts/format.ts'
import { FirstOf } from '../../parts/pager.tsx'
import { Table } from '../../parts/table.tsx'
import { curveOf, lowest } from './calibration-curve.ts'
import { describeCalibration } from './differences.ts'
import type { Quality, Task } from './words.ts'

/** Most tasks that are shown. */
const mostTasks = 50

/** The tasks that the version predicts, how well, and how probabilities are calibrated. */
export function Tasks({ tasks, quality }: { tasks: readonly Task[]; quality: Readonly<Record<string, Quality>> }) {
  const shown = tasks.slice(0, mostTasks)
  return (
    <>
      <QualityTable tasks={shown} quality={quality} />
      <h3>Calibration</h3>
      <p class="muted">
        A calibration maps the network’s raw probability, or the product of a derived task, to one that is right on
        average: of all rows with 3&nbsp;%, 3 in 100 are positive. The raw one is across, the calibrated one up; on the
        dashed line both are equal. Both axes are logarithmic.
      </p>
      <ul class="curves">
        {shown.map((task) => (
          <li key={task.name}>
            <Calibrated task={task} quality={own(quality, task.name)} />
          </li>
        ))}
      </ul>
      <FirstOf most={mostTasks} total={tasks.length} what="tasks" />
    </>
  )
}

function QualityTable({ tasks, quality }: { tasks: readonly Task[]; quality: Readonly<Record<string, Quality>> }) {
  return (
    <>
      <p class="muted">
        Measured on test rows when the version was made. AUC is the chance that a positive row ranks above a negative
        one: 0.5 is chance, 1 is perfect. Normalised entropy compares the log loss with always predicting the average:
        below 1 is better than that. The calibration ratio is the mean prediction divided by the observed rate: 1 is
        right.
      </p>
      <Table
        label="Tasks and their quality"
        rows={tasks.map((task): TaskRow => ({ task, ...own(quality, task.name) }))}
        rowKey={({ task }) => task.name}
        columns={[
          { title: 'Task', class: 'wide', cell: TaskName },
          {
            title: 'AUC',
            number: true,
            cell: ({ auc, oracle_auc: most }) => (
              <>
                {orDash(auc, figure)}
                {most !== undefined && <div class="small muted">of at most {orDash(most, figure)}</div>}
              </>
            ),
          },
          { title: 'Normalised entropy', value: (row) => row.normalised_entropy, format: figure },
          { title: 'Log loss', value: ({ logloss }) => logloss, format: figure },
          { title: 'Calibration ratio', value: (row) => row.calibration_ratio, format: figure },
          { title: 'Test rows', value: ({ rows }) => rows, format: (rows) => number(rows, 9) },
          { title: 'Positive', value: ({ rows, positives }) => (rows ? positives! / rows : null), format: percent },
        ]}
      />
    </>
  )
}

type TaskRow = { task: Task } & Partial<Quality>

const figure = (value: number) => decimal(value, 4)

function TaskName({ task: { name, description, product }, weaknesses = [] }: TaskRow) {
  return (
    <>
      <bdi>{name}</bdi>
      {product !== undefined && (
        <span class="muted">
          {' = '}
          <bdi>{product.join(' × ')}</bdi>
        </span>
      )}
      {description !== undefined && (
        <div class="small muted">
          <bdi>{description}</bdi>
        </div>
      )}
      {weaknesses.map((weakness) => (
        <div key={weakness} class="notice warning small">
          <bdi>{weakness}</bdi>
        </div>
      ))}
    </>
  )
}

/** Size of a curve, px. */
const size = 132

function Calibrated({ task, quality }: { task: Task; quality: Quality | undefined }) {
  const { name, calibration } = task
  const ratio = quality?.calibration_ratio
  return (
    <figure class="curve">
      {calibration !== undefined && <Curve name={name} calibration={calibration} />}
      <figcaption>
        <strong>
          <bdi>{name}</bdi>
        </strong>
        <span class="small">{describeCalibration(task)}</span>
        {calibration !== undefined && <Examples calibration={calibration} />}
        {ratio !== undefined && ratio !== null && (
          <span class="small muted">
            {Math.abs(ratio - 1) < 0.02
              ? 'On the test rows the mean prediction was right within 2 %.'
              : `On the test rows the mean prediction was ${percent(Math.abs(ratio - 1), 2)} too ${ratio > 1 ? 'high' : 'low'}.`}
          </span>
        )}
      </figcaption>
    </figure>
  )
}

function Examples({ calibration }: { calibration: Calibration }) {
  return (
    <span class="small">
      {curveOf(calibration, [0.01, 0.1])
        .map(([raw, calibrated]) => `${percent(raw)} → ${percent(calibrated)}`)
        .join('; ')}
    </span>
  )
}

function Curve({ name, calibration }: { name: string; calibration: Calibration }) {
  const place = (probability: number) => (size * (Math.max(lowest, Math.log10(probability)) - lowest)) / -lowest
  const points = curveOf(calibration).map(
    ([raw, calibrated]) => `${place(raw).toFixed(1)} ${(size - place(calibrated)).toFixed(1)}`,
  )
  return (
    <svg
      role="img"
      aria-label={`Calibration of ${name}, raw to calibrated`}
      width={size}
      height={size}
      viewBox={`0 0 ${size} ${size}`}
    >
      {[-3, -2, -1].map((power) => {
        const at = place(10 ** power)
        return <path key={power} class="grid" d={`M${at} 0V${size}M0 ${size - at}H${size}`} />
      })}
      <path class="same" d={`M0 ${size}L${size} 0`} />
      <path class="curve-line" d={`M${points.join('L')}`} />
    </svg>
  )
}
