import { useRef, useState } from 'preact/hooks'
import { Scroll } from '../../parts/controls.tsx'
import { change, percent } from '../../parts/format.ts'
import { Pager, pageOf, pageWithin } from '../../parts/pager.tsx'
import { Failed, Loading } from '../../parts/states.tsx'
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
    <section class="card" aria-labelledby="gates-title">
      <header>
        <h2 id="gates-title">Gates</h2>
        {hasGates && (
          <span class="small muted">
            of <bdi>{about}</bdi>
          </span>
        )}
      </header>
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
          ) : error !== undefined ? (
            <Failed error={error} />
          ) : (
            <Loading what="gates" />
          )}
        </>
      )}
    </section>
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
  const [page, setTasks] = useState(0)
  const [expertPage, setExperts] = useState(0)
  const gates = weightsOf(prediction)
  const earlier = weightsOf(before)
  const gated = tasks.filter(({ name }) => Object.hasOwn(gates, name))
  const experts = gated.reduce((most, { name }) => Math.max(most, gates[name]!.length), 0)
  if (gated.length === 0) return <p class="muted">The server gave no gates for this candidate.</p>
  const shown = pageOf(gated, page, tasksPerPage)
  const isShared = gated.length > 1 && gated.every(({ name }) => `${gates[name]}` === `${gates[gated[0]!.name]}`)
  const first = pageWithin(expertPage, expertsPerPage, experts) * expertsPerPage
  return (
    <>
      {isShared && <p class="small">All tasks have the same weights here: one gate serves them all.</p>}
      <Pager what="tasks" page={page} size={tasksPerPage} total={gated.length} onPage={setTasks} />
      <Scroll label="Gate weights">
        <table class="heat">
          <thead>
            <tr>
              <th>Expert</th>
              {shown.map(({ name }) => (
                <th key={name} class="number">
                  <bdi>{name}</bdi>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {Array.from({ length: Math.min(expertsPerPage, experts - first) }, (_, i) => first + i).map((expert) => (
              <tr key={expert}>
                <th scope="row">Expert {expert + 1}</th>
                {shown.map(({ name }) => (
                  <Weight key={name} value={gates[name]![expert]} before={earlier[name]?.[expert]} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <Pager what="experts" page={expertPage} size={expertsPerPage} total={experts} onPage={setExperts} />
    </>
  )
}

/** Smaller changes of a weight are not seen in its digits. */
const smallest = 0.0005

function Weight({ value, before }: { value: number | undefined; before: number | undefined }) {
  if (value === undefined) return <td class="number muted">–</td>
  const depth = `${(deepest * value).toFixed(1)}%`
  return (
    <td class="number" style={{ background: `color-mix(in srgb, var(--series-1) ${depth}, transparent)` }}>
      {percent(value)}
      {before !== undefined && Math.abs(value - before) >= smallest && (
        <span class="small muted difference">{change(value - before)}</span>
      )}
    </td>
  )
}
