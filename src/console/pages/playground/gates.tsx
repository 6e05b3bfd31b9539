import { useRef } from 'preact/hooks'
import { Card } from '../../parts/controls.tsx'
import { change, orDash, percent } from '../../parts/format.ts'
import { usePages } from '../../parts/pager.tsx'
import { Pending } from '../../parts/states.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import type { PredictBody } from './state/form.ts'
import type { Task } from './state/model.ts'
import type { Prediction } from './state/ranking.ts'
import { usePredict } from './state/use-predict.ts'

/** Tasks, and experts, side by side. */
const tasksPerPage = 8
const expertsPerPage = 32

/** The deepest colour of a cell, so that its number stays readable on it. */
const deepest = 45

/**
 * How much each expert counts for each task, for one candidate. `body`: that candidate alone; undefined where it can't
 * be asked.
 */
export function Gates({ tasks, body, name }: { tasks: readonly Task[]; body: PredictBody | undefined; name: string }) {
  const hasGates = tasks.some(({ gate }) => gate)
  const { answer, about = name, error } = usePredict(hasGates ? body : undefined, name)
  const prediction = answer?.predictions[0] ?? undefined
  const before = useBefore(prediction, about)
  return (
    <Card id="gates-title" title="Gates" note={hasGates && ['of ', <bdi>{about}</bdi>]}>
      {!hasGates ? (
        <p class="muted">
          This model has no gates. In a mixture of experts, a gate decides how much each expert counts for a task.
        </p>
      ) : (
        <>
          <p class="small muted">
            The model has several experts, small networks that all tasks share. A gate decides how much each expert
            counts for a task. The weights of one task add up to 100 %; below each is its change since your last edit.
            Tasks with different weights listen to different experts.
          </p>
          {body === undefined ? (
            <p class="muted">The gates are shown when this candidate has no problem.</p>
          ) : answer !== undefined ? (
            <HeatMap tasks={tasks} prediction={prediction} before={before} />
          ) : (
            <Pending what="gates" error={error} />
          )}
        </>
      )}
    </Card>
  )
}

/**
 * The answer for the same candidate before its last change. `name`: that of the candidate that the prediction is for.
 */
function useBefore(prediction: Prediction | undefined, name: string): Prediction | undefined {
  const last = useRef<{ name: string; now: Prediction; before: Prediction | undefined } | undefined>(undefined)
  const { current } = last
  if (prediction !== undefined && current?.now !== prediction)
    last.current = { name, now: prediction, before: current?.name === name ? current.now : undefined }
  return last.current?.before
}

const weightsOf = (prediction: Prediction | undefined) => (prediction?.gates ?? {}) as Record<string, number[]>

interface HeatMapProps {
  tasks: readonly Task[]
  prediction: Prediction | undefined
  before: Prediction | undefined
}

function HeatMap({ tasks, prediction, before }: HeatMapProps) {
  const gates = weightsOf(prediction)
  const earlier = weightsOf(before)
  const gated = tasks.filter(({ name }) => Object.hasOwn(gates, name))
  const experts = gated.reduce((most, { name }) => Math.max(most, gates[name]!.length), 0)
  const taskPages = usePages('tasks', gated, tasksPerPage)
  const expertPages = usePages(
    'experts',
    Array.from({ length: experts }, (_, i) => i),
    expertsPerPage,
  )
  if (gated.length === 0) return <p class="muted">The server gave no gates for this candidate.</p>
  const isShared = gated.length > 1 && gated.every(({ name }) => `${gates[name]}` === `${gates[gated[0]!.name]}`)
  return (
    <>
      {isShared && <p class="small">All tasks have the same weights here: one gate serves them all.</p>}
      {taskPages.pager}
      <Table
        label="Gate weights"
        rows={expertPages.shown}
        columns={[
          { title: 'Expert', heads: true, cell: (expert) => `Expert ${expert + 1}` },
          ...taskPages.shown.map(({ name }): Column<number> => {
            const weightOf = (expert: number) => gates[name]![expert]
            return {
              title: <bdi>{name}</bdi>,
              number: true,
              attributes: (expert) => lookOf(weightOf(expert)),
              cell: (expert) => <Weight value={weightOf(expert)} before={earlier[name]?.[expert]} />,
            }
          }),
        ]}
      />
      {expertPages.pager}
    </>
  )
}

/** Smaller changes of a weight are not seen in its digits. */
const smallest = 0.0005

function lookOf(weight: number | undefined) {
  if (weight === undefined) return { class: 'number muted' }
  const depth = `${(deepest * weight).toFixed(1)}%`
  return { style: { background: `color-mix(in srgb, var(--series-1) ${depth}, transparent)` } }
}

function Weight({ value, before }: { value: number | undefined; before: number | undefined }) {
  const difference = value === undefined || before === undefined ? 0 : value - before
  return (
    <>
      {orDash(value, percent)}
      {Math.abs(difference) >= smallest && <span class="small muted difference">{change(difference)}</span>}
    </>
  )
}
