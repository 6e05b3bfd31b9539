import { useEffect, useRef, useState } from 'preact/hooks'
import { AskError } from '../../api/client.ts'
import { change, number, probability, signed } from '../../parts/format.ts'
import { Pager, pageOf } from '../../parts/pager.tsx'
import { Scroll } from '../../parts/scroll.tsx'
import { Failed, Loading } from '../../parts/states.tsx'
import type { Target } from './form.ts'
import { bySize, type Effect, effectsOf, isUnchanged, mostFields, type Plan, planMissing } from './missing.ts'
import { type Field, type Reference, type Task, type Value, type Values, valueAt } from './model.ts'
import { ecpm, type Prediction, scoreNames, scoreOf } from './ranking.ts'
import { predict } from './server.ts'

const rowsPerPage = 15

interface WhatMattersProps {
  target: Target
  fields: readonly Field[]
  tasks: readonly Task[]
  reference: Reference
  /** What answers are ranked by: the first to ask for. */
  by: string
  /** Of the context and the candidate together; undefined where the candidate has a problem. */
  values: Values | undefined
  name: string
}

interface Outcome {
  plan: Plan
  /** By request. */
  predictions: (Prediction | null)[][]
}

/** What each field contributes: the answer if it were missing. Asked when the reader wants it. */
export function WhatMatters({ target, fields, tasks, reference, by, values, name }: WhatMattersProps) {
  const [wanted, setWanted] = useState(by)
  const [state, setState] = useState<{ outcome?: Outcome; error?: AskError; busy: boolean }>({ busy: false })
  const running = useRef<AbortController | undefined>(undefined)
  const content = JSON.stringify(values)

  const bid = values === undefined ? undefined : valueAt(values, 'bid')
  const offered = scoreNames(tasks).filter((score) => score !== ecpm || typeof bid === 'number')
  const shown = offered.includes(wanted) ? wanted : (offered[0] ?? '')

  useEffect(() => setWanted(by), [by])

  // Another candidate, or another value: what was asked is true no longer.
  useEffect(() => {
    setState({ busy: false })
    return () => running.current?.abort()
  }, [content, target.model, target.version])

  const run = async () => {
    if (values === undefined) return
    const controller = new AbortController()
    running.current?.abort()
    running.current = controller
    setState({ busy: true })
    const plan = planMissing(target, values, fields, reference)
    try {
      const predictions: Outcome['predictions'] = []
      for (const { body } of plan.requests) predictions.push((await predict(body, controller.signal)).predictions)
      if (!controller.signal.aborted) setState({ outcome: { plan, predictions }, busy: false })
    } catch (error) {
      if (controller.signal.aborted) return
      setState({ error: error instanceof AskError ? error : new AskError(String(error)), busy: false })
    }
  }

  return (
    <section class="card" aria-labelledby="matters-title">
      <header>
        <h2 id="matters-title">What matters</h2>
        <span class="small muted">
          for <bdi>{name}</bdi>
        </span>
      </header>
      <p class="small muted">
        Takes one field away at a time and compares the answers. A field that is missing counts as its default. One that
        is required is replaced by its commonest value in the model’s reference data.
      </p>
      <div class="row">
        <label for="matters-task">Task</label>
        <select id="matters-task" value={shown} onChange={(event) => setWanted(event.currentTarget.value)}>
          {offered.map((option) => (
            <option key={option} value={option}>
              {option}
            </option>
          ))}
        </select>
        <button type="button" class="primary" disabled={values === undefined || state.busy} onClick={run}>
          Find out
        </button>
      </div>
      <div aria-live="polite">
        {values === undefined && <p class="muted">Available when this candidate has no problem.</p>}
        {state.busy && <Loading what="answers without each field" />}
        {state.error && <Failed error={state.error} again={run} />}
        {state.outcome && <Effects outcome={state.outcome} {...{ tasks, bid }} by={shown} />}
      </div>
    </section>
  )
}

interface EffectsProps extends Pick<WhatMattersProps, 'tasks' | 'by'> {
  outcome: Outcome
  bid: Value | undefined
}

function Effects({ outcome: { plan, predictions }, tasks, by, bid }: EffectsProps) {
  const [page, setPage] = useState(0)
  const score = (prediction: Prediction | null | undefined) => scoreOf(prediction, bid, by, tasks)
  const effects = bySize(plan.requests.flatMap((asked, i) => effectsOf(asked, predictions[i] ?? [], score)))
  const largest = effects.reduce((most, effect) => Math.max(most, Math.abs(effect.with - effect.without)), 0)
  return (
    <div class="effects">
      {effects.length > 0 && (
        <>
          <p>
            <bdi>{by}</bdi> is {formatsOf(by).score(effects[0]!.with)} with all fields. To the right: the field raises
            it. To the left: the field lowers it.
          </p>
          <Scroll label="Effects of fields">
            <table>
              <thead>
                <tr>
                  <th>Field</th>
                  <th>Effect</th>
                  <th class="number">Without it</th>
                  <th>Counts as</th>
                </tr>
              </thead>
              <tbody>
                {pageOf(effects, page, rowsPerPage).map((effect) => (
                  <EffectRow key={effect.field} effect={effect} largest={largest} by={by} />
                ))}
              </tbody>
            </table>
          </Scroll>
          <Pager what="fields" page={page} size={rowsPerPage} total={effects.length} onPage={setPage} />
        </>
      )}
      <Remarks plan={plan} isEmpty={effects.length === 0} />
    </div>
  )
}

/** How a score and a difference of two are written: all but ecpm are probabilities. */
const formatsOf = (by: string) =>
  by === ecpm ? { score: number, difference: signed } : { score: probability, difference: change }

function EffectRow({ effect, largest, by }: { effect: Effect; largest: number; by: string }) {
  const { score, difference } = formatsOf(by)
  const size = effect.with - effect.without
  const share = largest === 0 ? 0 : Math.abs(size) / largest
  return (
    <tr>
      <th scope="row">
        <bdi>{effect.field}</bdi>
        <span class="small muted value">
          <bdi>{shown(effect.now)}</bdi>
        </span>
      </th>
      <td>
        {isUnchanged(effect) ? (
          <span class="small muted">
            none: {effect.kind === 'default' ? 'already its default' : 'already the commonest'}
          </span>
        ) : (
          <>
            <span class="probability">{difference(size)}</span>
            <span class="two-sided" aria-hidden="true">
              <span class={size < 0 ? 'left' : 'right'} style={{ width: `${50 * share}%` }} />
            </span>
          </>
        )}
      </td>
      <td class="number">{score(effect.without)}</td>
      <td>
        <bdi>{shown(effect.value)}</bdi>{' '}
        <span class="small muted">{effect.kind === 'default' ? 'its default' : 'commonest'}</span>
      </td>
    </tr>
  )
}

function Remarks({ plan, isEmpty }: { plan: Plan; isEmpty: boolean }) {
  const { unknown, absent, beyond } = plan
  return (
    <ul class="small muted remarks">
      {isEmpty && <li>There is no field that could be taken away.</li>}
      {absent.length > 0 && <li>Not sent already: {listed(absent)}.</li>}
      {unknown.length > 0 && (
        <li>
          Required, and the commonest value is unknown, since the model has no reference data for it: {listed(unknown)}.
        </li>
      )}
      {beyond > 0 && (
        <li>
          The first {number(mostFields, 9)} fields were asked; {number(beyond, 9)} were not.
        </li>
      )}
    </ul>
  )
}

const mostListed = 10

function listed(names: readonly string[]): string {
  const rest = names.length - mostListed
  return rest > 0 ? `${names.slice(0, mostListed).join(', ')} and ${rest} more` : names.join(', ')
}

function shown(value: string | number): string {
  if (value === '') return '(empty)'
  return typeof value === 'number' ? number(value, 6) : value
}
