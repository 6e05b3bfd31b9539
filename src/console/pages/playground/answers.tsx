import { useState } from 'preact/hooks'
import { Bar, Scroll } from '../../parts/controls.tsx'
import { change, milliseconds, number, probability } from '../../parts/format.ts'
import { Pager, pageOf } from '../../parts/pager.tsx'
import { Empty, Loading } from '../../parts/states.tsx'
import { type Candidate, nameOf } from './state/form.ts'
import type { Task } from './state/model.ts'
import { changeOf, earningTasks, ecpm, movementOf, probabilityOf, type Standing, scoreNames } from './state/ranking.ts'
import type { Answered } from './state/use-history.ts'

/** Candidates, and tasks, side by side. */
const rowsPerPage = 10
const tasksPerPage = 4

interface AnswersProps {
  tasks: readonly Task[]
  now: Answered | undefined
  standings: ReadonlyMap<number, Standing>
  before: ReadonlyMap<number, Standing>
  by: string
  busy: boolean
  /** They are of the values before: these have a problem. */
  isOld: boolean
  selected: number | undefined
  onBy(by: string): void
  onSelect(key: number): void
  /** The reader asks why one candidate ranks before another. */
  onWhy(first: number, second: number): void
}

/** The probabilities of each candidate, best first, and what changed. */
export function Answers(props: AnswersProps) {
  const { tasks, now, standings, before, by, busy, onBy } = props
  return (
    <section class="card" aria-labelledby="answers-title">
      <header>
        <h2 id="answers-title">Answers</h2>
        <span class="small muted" role="status">
          {statusOf(props)}
        </span>
      </header>
      <p class="small muted">
        The probability of each task, best candidate first. A bar compares a candidate with the best one of its task.
        Arrows and signed numbers say what your last edit changed, in ranks and in percentage points (pp). The time
        includes the network.
      </p>
      <RankBy tasks={tasks} by={by} onBy={onBy} />
      {now === undefined ? (
        busy ? (
          <Loading what="answers" />
        ) : (
          <Empty title="No answer yet" />
        )
      ) : (
        <AnswerTable {...props} now={now} standings={standings} before={before} />
      )}
    </section>
  )
}

function statusOf({ busy, isOld, now }: AnswersProps): string {
  if (busy) return 'Asking …'
  if (now === undefined) return ''
  if (isOld) return 'Not of these values: the last answers'
  return `Version ${now.answer.version} took ${milliseconds(now.answer.ms)}`
}

function RankBy({ tasks, by, onBy }: Pick<AnswersProps, 'tasks' | 'by' | 'onBy'>) {
  return (
    <div class="rank-by">
      <label for="rank-by">Rank by</label>
      <select id="rank-by" value={by} onChange={(event) => onBy(event.currentTarget.value)}>
        {scoreNames(tasks).map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <span class="small muted">
        {by === ecpm
          ? `Expected revenue per thousand impressions: 1000 · bid · ${earningTasks(tasks)?.join(' · ')}. It needs a bid.`
          : tasks.find(({ name }) => name === by)?.description}
      </span>
    </div>
  )
}

function AnswerTable(props: AnswersProps & { now: Answered }) {
  const { tasks, now, standings, before, by, selected, onSelect, onWhy } = props
  const [page, setRows] = useState(0)
  const [taskPage, setTasks] = useState(0)
  const { candidates } = now.form
  const rankOf = (key: number) => standings.get(key)?.rank ?? Number.POSITIVE_INFINITY
  const ordered = candidates
    .map((candidate, index) => ({ candidate, index }))
    .sort(
      // Infinity minus itself is no number.
      (a, b) =>
        rankOf(a.candidate.key) < rankOf(b.candidate.key)
          ? -1
          : rankOf(a.candidate.key) > rankOf(b.candidate.key)
            ? 1
            : a.index - b.index,
    )
  const shown = pageOf(tasks, taskPage, tasksPerPage)
  const largest = new Map(
    shown.map(({ name }) => [
      name,
      candidates.reduce((most, { key }) => Math.max(most, probabilityOf(now.predictions.get(key), name) ?? 0), 0),
    ]),
  )
  return (
    <>
      <Pager what="tasks" page={taskPage} size={tasksPerPage} total={tasks.length} onPage={setTasks} />
      <Scroll label="Table of answers">
        <table class="answers">
          <thead>
            <tr>
              <th>Rank</th>
              <th>Candidate</th>
              {shown.map(({ name }) => (
                <th key={name}>
                  <bdi>{name}</bdi>
                </th>
              ))}
              {by === ecpm && <th class="number">ecpm</th>}
            </tr>
          </thead>
          <tbody>
            {pageOf(ordered, page, rowsPerPage).map(({ candidate, index }) => {
              const { key } = candidate
              const standing = standings.get(key)
              return (
                <tr key={key} class={key === selected ? 'selected' : undefined}>
                  <td class="ranked">
                    {standing?.rank ?? '–'} <Movement places={movementOf(before.get(key), standing?.rank)} />
                  </td>
                  <th scope="row">
                    <button type="button" class="name" aria-pressed={key === selected} onClick={() => onSelect(key)}>
                      <bdi>{nameOf(candidate, index)}</bdi>
                    </button>
                  </th>
                  {shown.map(({ name }) => (
                    <Probability
                      key={name}
                      value={probabilityOf(standing?.prediction, name)}
                      most={largest.get(name) ?? 0}
                      difference={changeOf(before.get(key), standing?.prediction ?? null, name)}
                    />
                  ))}
                  {by === ecpm && (
                    <td class="number">
                      {standing?.score === undefined ? (standing?.prediction ? 'no bid' : '–') : number(standing.score)}
                    </td>
                  )}
                </tr>
              )
            })}
          </tbody>
        </table>
      </Scroll>
      <Pager what="candidates" page={page} size={rowsPerPage} total={ordered.length} onPage={setRows} />
      <Why ordered={ordered} {...{ standings, onWhy }} />
      {shown.map(({ name, product, calibration }) =>
        product !== undefined && calibration !== undefined ? (
          <p key={name} class="small muted">
            <bdi>{name}</bdi> is the product of <bdi>{product.join(' and ')}</bdi> as shown here, corrected by a
            calibration of its own, and never larger than its smallest factor.
          </p>
        ) : null,
      )}
    </>
  )
}

interface WhyProps extends Pick<AnswersProps, 'standings' | 'onWhy'> {
  ordered: readonly { candidate: Candidate; index: number }[]
}

/** Leads to what puts the first candidate before the second. */
function Why({ ordered: [first, second], standings, onWhy }: WhyProps) {
  if (first === undefined || second === undefined) return null
  if (standings.get(second.candidate.key)?.rank === undefined) return null
  return (
    <button type="button" class="link" onClick={() => onWhy(first.candidate.key, second.candidate.key)}>
      Why does <bdi>{nameOf(first.candidate, first.index)}</bdi> rank before{' '}
      <bdi>{nameOf(second.candidate, second.index)}</bdi>?
    </button>
  )
}

function Probability({
  value,
  most,
  difference,
}: {
  value: number | undefined
  most: number
  difference: number | undefined
}) {
  if (value === undefined) return <td class="muted">no answer</td>
  return (
    <td>
      <span class="probability">
        <span>{probability(value)}</span>
        {difference !== undefined && (
          <span class={`small ${difference > 0 ? 'up' : 'down'}`}>{change(difference)}</span>
        )}
      </span>
      <Bar share={most > 0 ? value / most : 0} colour="var(--series-1)" />
    </td>
  )
}

/** Places that a candidate moved: up is better. */
export function Movement({ places }: { places: number | undefined }) {
  if (places === undefined || places === 0) return null
  const up = places > 0
  return (
    <span class={`small ${up ? 'up' : 'down'}`}>
      <span aria-hidden="true">
        {up ? '▲' : '▼'}
        {Math.abs(places)}
      </span>
      <span class="hidden">
        {up ? 'up' : 'down'} {Math.abs(places)}
      </span>
    </span>
  )
}
