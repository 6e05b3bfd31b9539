import { Bar, Card, Select } from '../../parts/controls.tsx'
import { change, milliseconds, number, orDash, probability } from '../../parts/format.ts'
import { usePages } from '../../parts/pager.tsx'
import { Empty, Loading } from '../../parts/states.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import type { Task } from './state/model.ts'
import { changeOf, earningTasks, ecpm, movementOf, probabilityOf, type Standing, scoreNames } from './state/ranking.ts'
import { type Answered, type Ranked, ranked } from './state/use-history.ts'

/** Candidates, and tasks, side by side. */
const rowsPerPage = 10
const tasksPerPage = 4

interface AnswersProps {
  tasks: readonly Task[]
  now: Answered | undefined
  standings: ReadonlyMap<number, Standing>
  before: ReadonlyMap<number, Standing>
  by: string
  /** Names candidates without an id: their key in a table. */
  keyName: string | undefined
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
  const { tasks, now, by, busy, onBy } = props
  return (
    <Card id="answers-title" title="Answers" status={statusOf(props)}>
      <p class="small muted">
        The probability of each task, best candidate first. A bar compares a candidate with the best one of its task.
        Arrows and signed numbers say what your last edit changed, in ranks and in percentage points (pp). The time
        includes the network.
      </p>
      <RankBy tasks={tasks} by={by} onBy={onBy} />
      {now === undefined ? <Unanswered busy={busy} /> : <AnswerTable {...props} now={now} />}
    </Card>
  )
}

/** There is no answer, or none so far. */
export const Unanswered = ({ busy }: { busy: boolean }) =>
  busy ? <Loading what="answers" /> : <Empty title="No answer yet" />

function statusOf({ busy, isOld, now }: AnswersProps): string {
  if (busy) return 'Asking …'
  if (now === undefined) return ''
  if (isOld) return 'Not of these values: the last answers'
  return `Version ${now.answer.version} took ${milliseconds(now.answer.ms)}`
}

function RankBy({ tasks, by, onBy }: Pick<AnswersProps, 'tasks' | 'by' | 'onBy'>) {
  return (
    <div class="rank-by">
      <Select class="row" label="Rank by" value={by} options={scoreNames(tasks)} onChange={onBy} />
      <span class="small muted">
        {by === ecpm
          ? `Expected revenue per thousand impressions: 1000 · bid · ${earningTasks(tasks)?.join(' · ')}. It needs a bid.`
          : tasks.find(({ name }) => name === by)?.description}
      </span>
    </div>
  )
}

function AnswerTable({
  tasks,
  now,
  standings,
  before,
  by,
  keyName,
  selected,
  onSelect,
  onWhy,
}: AnswersProps & { now: Answered }) {
  const ordered = ranked(now.form.candidates, standings, keyName)
  const { shown, pager: taskPager } = usePages('tasks', tasks, tasksPerPage)
  const { shown: rows, pager } = usePages('candidates', ordered, rowsPerPage)
  return (
    <>
      {taskPager}
      <Table
        class="answers"
        label="Table of answers"
        rows={rows}
        rowKey={({ key }) => key}
        attributes={({ key }) => ({ class: key === selected ? 'selected' : undefined })}
        columns={[
          {
            title: 'Rank',
            class: 'ranked',
            cell: ({ key, standing }) => (
              <>
                {standing?.rank ?? '–'} <Movement places={movementOf(before.get(key), standing?.rank)} />
              </>
            ),
          },
          {
            title: 'Candidate',
            heads: true,
            cell: ({ key, name }) => (
              <button type="button" class="name" aria-pressed={key === selected} onClick={() => onSelect(key)}>
                <bdi>{name}</bdi>
              </button>
            ),
          },
          ...shown.map(({ name }) => columnOf(name, ordered, before)),
          ...(by === ecpm ? [scoreColumn] : []),
        ]}
      />
      {pager}
      <Why ordered={ordered} onWhy={onWhy} />
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

/** The probabilities of a task, beside the largest of all candidates. */
function columnOf(task: string, all: readonly Ranked[], before: AnswersProps['before']): Column<Ranked> {
  const read = ({ standing }: Ranked) => probabilityOf(standing?.prediction, task)
  const most = all.reduce((most, one) => Math.max(most, read(one) ?? 0), 0)
  return {
    title: <bdi>{task}</bdi>,
    attributes: (row) => ({ class: read(row) === undefined ? 'muted' : undefined }),
    cell: (row) => {
      const value = read(row)
      if (value === undefined) return 'no answer'
      const difference = changeOf(before.get(row.key), row.standing?.prediction ?? null, task)
      return (
        <>
          <span class="probability">
            <span>{probability(value)}</span>
            {difference !== undefined && (
              <span class={`small ${difference > 0 ? 'up' : 'down'}`}>{change(difference)}</span>
            )}
          </span>
          <Bar share={most > 0 ? value / most : 0} />
        </>
      )
    },
  }
}

const scoreColumn: Column<Ranked> = {
  title: 'ecpm',
  number: true,
  cell: ({ standing: { score, prediction } = {} }) =>
    score === undefined && prediction ? 'no bid' : orDash(score, number),
}

/** Leads to what puts the first candidate before the second. */
function Why({ ordered: [first, second], onWhy }: Pick<AnswersProps, 'onWhy'> & { ordered: readonly Ranked[] }) {
  if (first === undefined || second?.standing?.rank === undefined) return null
  return (
    <button type="button" class="link" onClick={() => onWhy(first.key, second.key)}>
      Why does <bdi>{first.name}</bdi> rank before <bdi>{second.name}</bdi>?
    </button>
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
