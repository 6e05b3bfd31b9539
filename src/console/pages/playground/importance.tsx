import { useEffect, useState } from 'preact/hooks'
import { Bar, Card, Select } from '../../parts/controls.tsx'
import { number, probability } from '../../parts/format.ts'
import { usePages } from '../../parts/pager.tsx'
import { Failed, Loading } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'
import { rowsOf } from './state/draw.ts'
import type { Target } from './state/form.ts'
import type { Field, Task } from './state/model.ts'
import { probabilityOf } from './state/ranking.ts'
import { effectsOf, type MeanEffect, meanEffects, mostFields, planExchanged } from './state/replace.ts'
import type { Known } from './state/server.ts'
import { type Outcome, useReplaced } from './state/use-predict.ts'

/** Rows that exchange their values, and pairs of them. */
const mostRows = 20
const mostPairs = 60

/** Candidates that are asked for in all, one per pair and field. */
const mostAsked = 4000

const fieldsPerPage = 15

interface ImportanceProps {
  target: Target
  fields: readonly Field[]
  tasks: readonly Task[]
  known: Known
  /** The task to begin with. */
  by: string
}

/** Which fields matter to a task over many rows, whatever the reader edits. Asked when the reader wants it. */
export function Importance({ target, fields, tasks, known, by }: ImportanceProps) {
  const names = tasks.map(({ name }) => name)
  const [wanted, setWanted] = useState(by)
  const task = names.includes(wanted) ? wanted : names[0]!
  const state = useReplaced(JSON.stringify(target))
  useEffect(() => setWanted(by), [by])

  const asked = fields.slice(0, mostFields)
  const isPublished = known.rows.length > 1
  const pairs = Math.max(2, Math.min(mostPairs, Math.floor(mostAsked / asked.length)))
  const rows = Math.min(mostRows, pairs, isPublished ? known.rows.length : mostRows)
  const others = Math.min(rows - 1, Math.floor(pairs / rows))
  const run = () => state.run(planExchanged(target, rowsOf(asked, known, rows), asked, others))

  return (
    <Card id="importance-title" title="Importance of fields">
      <p class="small muted">
        Of the model as a whole: gives each of {rows}{' '}
        {isPublished ? 'rows that the version was published with' : 'drawn rows'} one value of{' '}
        {others === 1 ? 'another row' : `${others} other rows`} at a time, and compares the answers.
      </p>
      <div class="row">
        <Select class="row" label="Task" value={task} onChange={setWanted} options={names} />
        <button type="button" class="primary" onClick={run}>
          Rank the fields
        </button>
      </div>
      <div aria-live="polite">
        {state.busy && <Loading what="answers with other values" />}
        {state.error && <Failed error={state.error} again={run} />}
        {state.outcomes && <Means key={task} {...meansOf(state.outcomes, asked, task, rows)} task={task} />}
      </div>
      {fields.length > asked.length && <p class="small muted">The first {number(asked.length, 9)} fields are asked.</p>}
    </Card>
  )
}

/** The means over rows that have an answer. */
function meansOf(outcomes: readonly Outcome[], fields: readonly Field[], task: string, rows: number) {
  const score = (prediction: Parameters<typeof probabilityOf>[0]) => probabilityOf(prediction, task)
  const scores = outcomes.flatMap(({ predictions }) => score(predictions[0]?.[0]) ?? [])
  const effects = outcomes.flatMap(({ plan, predictions }) =>
    plan.requests.flatMap((asked, i) => effectsOf(asked, predictions[i] ?? [], score)),
  )
  return { means: meanEffects(effects, fields, { pairs: Math.max(1, scores.length), rows }), scores }
}

interface MeansProps {
  means: readonly MeanEffect[]
  /** By pair. */
  scores: readonly number[]
  task: string
}

function Means({ means, scores, task }: MeansProps) {
  const { shown, pager } = usePages('fields', means, fieldsPerPage)
  const [first] = means
  if (scores.length === 0) return <p class="muted">No row was answered: the model does not take one of its values.</p>
  if (first === undefined || first.size === 0) return <p class="muted">No field changes {task} in these rows.</p>
  const second = means[1]
  const isClose = second !== undefined && first.size - first.error < second.size + second.error
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length
  return (
    <div class="effects">
      <p>
        <bdi>{first.field}</bdi> matters most for <bdi>{task}</bdi>: another value of it changes <bdi>{task}</bdi>,
        which is {probability(mean)} on average in these rows, by {points(first.size)} up or down.{' '}
        {isClose && (
          <>
            <bdi>{second.field}</bdi> is too close for these rows to tell which of the two comes first.{' '}
          </>
        )}
        ± is the standard error.
      </p>
      <Table
        label="Mean changes by field"
        rows={shown}
        columns={[
          { title: 'Field', heads: true, text: ({ field }) => field },
          {
            title: 'Mean change',
            cell: ({ size, error }) => (
              <>
                <span class="probability">
                  {points(size)} <span class="small muted">± {number(100 * error, 2)}</span>
                </span>
                <Bar share={size / first.size} />
              </>
            ),
          },
        ]}
      />
      {pager}
    </div>
  )
}

/** Percentage points without a sign. */
const points = (size: number) => `${number(100 * size, 2)} pp`
