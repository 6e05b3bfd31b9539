import { useMemo, useState } from 'preact/hooks'
import { useAsk } from '../../api/use-ask.ts'
import { Scroll } from '../../parts/controls.tsx'
import { change, number, probability, signed } from '../../parts/format.ts'
import { Pager, pageOf } from '../../parts/pager.tsx'
import { Failed, Loading } from '../../parts/states.tsx'
import { Movement } from './answers.tsx'
import { bodyOf, type Form, nameOf, optionsFor, type Target } from './state/form.ts'
import type { Field, Task } from './state/model.ts'
import { differenceOf, ecpm, probabilityOf, type Standing, scoreNames } from './state/ranking.ts'
import { type Details, fetchDetails } from './state/server.ts'
import { fitForm } from './state/state-codec.ts'
import { type Answered, answeredBy, standingsOf } from './state/use-history.ts'
import { usePredict } from './state/use-predict.ts'

const rowsPerPage = 10
const tasksPerPage = 3

interface CompareProps {
  target: Target
  /** The other models and versions that answer, as `model/version`. */
  others: readonly string[]
  against: string | undefined
  form: Form
  now: Answered | undefined
  standings: ReadonlyMap<number, Standing>
  tasks: readonly Task[]
  by: string
  onAgainst(against: string | undefined): void
}

/** The same request to another version, or another model. */
export function Compare(props: CompareProps) {
  const { others, against, onAgainst } = props
  const known = against === undefined || others.includes(against)
  return (
    <section class="card" aria-labelledby="compare-title">
      <h2 id="compare-title">Compare</h2>
      <p class="small muted">
        Sends the same request to another version or model, and puts its answers side by side, with the difference in
        percentage points (pp).
      </p>
      <div class="row">
        <label for="against">Compare with</label>
        <select
          id="against"
          value={known ? (against ?? '') : ''}
          onChange={(event) => onAgainst(event.currentTarget.value || undefined)}
        >
          <option value="">nothing</option>
          {others.map((other) => (
            <option key={other} value={other}>
              {other.replace('/', ', version ')}
            </option>
          ))}
        </select>
      </div>
      {others.length === 0 && <p class="muted">Nothing else answers on this server.</p>}
      {!known && <p class="muted">{against!.replace('/', ', version ')} does not answer now.</p>}
      {against !== undefined && known && <Other key={against} {...props} against={against} />}
    </section>
  )
}

function Other(props: CompareProps & { against: string }) {
  const { against } = props
  const [model = '', version] = against.split('/')
  const { data, error } = useAsk(() => fetchDetails(model, version), [against])
  if (data === undefined) return error === undefined ? <Loading what={against} /> : <Failed error={error} />
  return <SideBySide {...props} other={{ model, version }} details={data} />
}

function SideBySide(props: CompareProps & { other: Target; details: Details }) {
  const { form, other, details, now, tasks, by, standings } = props
  const fields = (details.fields ?? []) as Field[]
  const theirTasks = (details.tasks ?? []) as Task[]
  const fitted = useMemo(() => fitForm(form, fields), [form, details])
  const body = useMemo(() => bodyOf(other, fitted.form, optionsFor(theirTasks)), [fitted, details])
  const { answer, about, error, busy } = usePredict(body, form)
  const shared = tasks.filter(({ name }) => theirTasks.some((task) => task.name === name))
  const isPossible = scoreNames(theirTasks).includes(by)
  const answered = answer && about && answeredBy(answer, about)
  return (
    <>
      {fitted.leftOut.length > 0 && (
        <p class="notice">
          It has other fields. Not sent to it: {fitted.leftOut.slice(0, 10).join(', ')}
          {fitted.leftOut.length > 10 && ` and ${fitted.leftOut.length - 10} more`}.
        </p>
      )}
      {shared.length === 0 && <p class="notice">The two have no task in common.</p>}
      {!isPossible && shared.length > 0 && <p class="notice">It can’t rank by {by}: ranks are not compared.</p>}
      {error !== undefined && <Failed error={error} />}
      {answered === undefined && busy && <Loading what="its answers" />}
      {answered !== undefined && now !== undefined && shared.length > 0 && (
        <Table
          {...{ form, tasks: shared, standings }}
          theirs={standingsOf(answered, isPossible ? by : '', theirTasks)}
          scored={by === ecpm && isPossible}
        />
      )}
    </>
  )
}

interface TableProps {
  form: Form
  tasks: readonly Task[]
  standings: ReadonlyMap<number, Standing>
  theirs: ReadonlyMap<number, Standing>
  /** Both rank by ecpm: it has columns, too. */
  scored: boolean
}

interface Column {
  name: string
  read(standing: Standing | undefined): number | undefined
  value(value: number): string
  difference(difference: number): string
}

const ofTask = ({ name }: Task): Column => ({
  name,
  read: (standing) => probabilityOf(standing?.prediction, name),
  value: probability,
  difference: change,
})
const ofScore: Column = { name: ecpm, read: (standing) => standing?.score, value: number, difference: signed }

function Table({ form, tasks, standings, theirs, scored }: TableProps) {
  const [page, setPage] = useState(0)
  const [taskPage, setTasks] = useState(0)
  const rows = form.candidates
    .map((candidate, index) => ({ candidate, index, rank: standings.get(candidate.key)?.rank }))
    .sort((a, b) => (a.rank ?? form.candidates.length + 1) - (b.rank ?? form.candidates.length + 1))
  const shown = [...pageOf(tasks, taskPage, tasksPerPage).map(ofTask), ...(scored ? [ofScore] : [])]
  return (
    <>
      <Pager what="tasks" page={taskPage} size={tasksPerPage} total={tasks.length} onPage={setTasks} />
      <Scroll label="Answers side by side">
        <table>
          <thead>
            <tr>
              <th rowSpan={2}>Candidate</th>
              <th rowSpan={2} class="number">
                Rank
              </th>
              <th rowSpan={2}>Rank there</th>
              {shown.map(({ name }) => (
                <th key={name} colSpan={2} class="group">
                  <bdi>{name}</bdi>
                </th>
              ))}
            </tr>
            <tr>
              {shown.map(({ name }) => [
                <th key={`${name}-here`} class="number">
                  here
                </th>,
                <th key={`${name}-there`} class="number">
                  there
                </th>,
              ])}
            </tr>
          </thead>
          <tbody>
            {pageOf(rows, page, rowsPerPage).map(({ candidate, index, rank }) => {
              const { key } = candidate
              const there = theirs.get(key)
              return (
                <tr key={key}>
                  <th scope="row">
                    <bdi>{nameOf(candidate, index)}</bdi>
                  </th>
                  <td class="number">{rank ?? '–'}</td>
                  <td class="ranked">
                    {there?.rank ?? '–'} <Movement places={rank && there?.rank ? rank - there.rank : undefined} />
                  </td>
                  {shown.map(({ name, read, value, difference }) => {
                    const mine = read(standings.get(key))
                    const other = read(there)
                    const away = differenceOf(other, mine)
                    return [
                      <td key={`${name}-here`} class="number">
                        {mine === undefined ? '–' : value(mine)}
                      </td>,
                      <td key={`${name}-there`} class="number">
                        {other === undefined ? '–' : value(other)}
                        {away !== undefined && <span class="small muted difference">{difference(away)}</span>}
                      </td>,
                    ]
                  })}
                </tr>
              )
            })}
          </tbody>
        </table>
      </Scroll>
      <Pager what="candidates" page={page} size={rowsPerPage} total={rows.length} onPage={setPage} />
    </>
  )
}
