import { useEffect, useRef, useState } from 'preact/hooks'
import { Card, Select } from '../../parts/controls.tsx'
import { Failed, Loading } from '../../parts/states.tsx'
import { Effects } from './effects.tsx'
import type { Target } from './state/form.ts'
import { type Field, type Reference, type Task, type Value, type Values, valueAt } from './state/model.ts'
import { ecpm, type Prediction, scoreNames, scoreOf } from './state/ranking.ts'
import { bySize, type Effect, effectOfBid, effectsOf, planMissing, planOther } from './state/replace.ts'
import { type Outcome, useReplaced } from './state/use-predict.ts'

/** Other candidates to choose from, the best ones. */
const mostOthers = 50

/** Another candidate. */
export interface Other {
  key: number
  name: string
  /** The values of the context and the candidate together. */
  values: Values
  rank: number
  prediction: Prediction
}

interface WhatMattersProps {
  target: Target
  fields: readonly Field[]
  tasks: readonly Task[]
  reference: Reference
  /** The measure that answers are ranked by: the first to ask for. */
  by: string
  /** The values of the context and the candidate together; undefined where the candidate has a problem. */
  values: Values | undefined
  name: string
  /** The other candidates, best first. */
  others: readonly Other[]
  /** The reader asked why this candidate ranks before that one; a new object each time. */
  why: { other: number } | undefined
}

/** The contribution of each field: the answer if it had another value. Asked when the reader wants it. */
export function WhatMatters({ target, fields, tasks, reference, by, values, name, others, why }: WhatMattersProps) {
  const [wanted, setWanted] = useState(by)
  const [otherKey, setOtherKey] = useState<number>()
  const button = useRef<HTMLButtonElement>(null)
  /** The candidate that the reader asked about, until it is answered. */
  const asks = useRef<number | undefined>(undefined)
  const other = others.find(({ key }) => key === otherKey)
  // With another candidate, or another value, the answers hold no longer.
  const state = useReplaced(JSON.stringify([values, other?.values, target.model, target.version]))

  const bid = values === undefined ? undefined : valueAt(values, 'bid')
  const offered = scoreNames(tasks).filter((score) => score !== ecpm || typeof bid === 'number')
  const shown = offered.includes(wanted) ? wanted : (offered[0] ?? '')

  useEffect(() => setWanted(by), [by])

  useEffect(() => {
    if (why === undefined) return
    setWanted(by)
    setOtherKey(why.other)
    asks.current = why.other
    button.current?.scrollIntoView({ block: 'center' })
    button.current?.focus()
  }, [why])

  const outcome = state.outcomes?.[0]
  const run = () => {
    if (values === undefined) return
    const plan =
      other === undefined
        ? planMissing(target, values, fields, reference)
        : planOther(target, values, other.values, fields)
    state.run([plan])
  }

  // Once the other candidate is chosen.
  useEffect(() => {
    if (other === undefined || asks.current !== other.key) return
    asks.current = undefined
    run()
  })

  return (
    <Card id="matters-title" title="What matters" note={['for ', <bdi>{name}</bdi>]}>
      <p class="small muted">
        {other === undefined
          ? 'For this candidate in this context: takes one field away at a time and compares the answers. A field that is missing counts as its default. One that is required is replaced by its commonest value in the model’s reference data, a number by one in the middle, a list by an empty one. The lists of a sequence count as one field.'
          : 'Why does one rank before the other? Gives this candidate one value of the other at a time and compares the answers.'}
      </p>
      <div class="row">
        <Select class="row" label="Task" value={shown} onChange={setWanted} options={offered} />
        <Select
          class="row"
          label="Replace values by"
          value={other === undefined ? '' : String(other.key)}
          onChange={(key) => setOtherKey(key === '' ? undefined : Number(key))}
          options={[
            ['', 'defaults or usual ones'],
            ...others
              .slice(0, mostOthers)
              .map(({ key, name, rank }) => [String(key), `those of ${name}, rank ${rank}`] as const),
          ]}
        />
        <button ref={button} type="button" class="primary" disabled={values === undefined} onClick={run}>
          Find out
        </button>
      </div>
      <div aria-live="polite">
        {state.isStale && <p class="muted">The values have changed since: find out again.</p>}
        {values === undefined && <p class="muted">Available when this candidate has no problem.</p>}
        {state.busy && <Loading what="answers with other values" />}
        {state.error && <Failed error={state.error} again={run} />}
        {outcome && (
          <Effects
            key={shown}
            effects={effectsIn(outcome, bid, other, shown, tasks)}
            plan={outcome.plan}
            by={shown}
            name={name}
            other={
              other && {
                name: other.name,
                score: scoreOf(other.prediction, valueAt(other.values, 'bid'), shown, tasks),
              }
            }
          />
        )}
      </div>
    </Card>
  )
}

function effectsIn(
  { plan, predictions }: Outcome,
  bid: Value | undefined,
  other: Other | undefined,
  by: string,
  tasks: readonly Task[],
): Effect[] {
  const ofFields = plan.requests.flatMap((asked, i) =>
    effectsOf(asked, predictions[i] ?? [], (prediction) => scoreOf(prediction, bid, by, tasks)),
  )
  if (other === undefined || by !== ecpm) return bySize(ofFields)
  const base = predictions[0]?.[0]
  const ofBid = effectOfBid(bid, valueAt(other.values, 'bid'), (bid) => scoreOf(base, bid, by, tasks))
  return bySize([...ofFields, ...ofBid])
}
