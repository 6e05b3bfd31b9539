import { useMemo } from 'preact/hooks'
import { askDetails } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { Card, Select } from '../../parts/controls.tsx'
import { change, listed, number, orDash, probability, signed } from '../../parts/format.ts'
import { usePages } from '../../parts/pager.tsx'
import { Failed, Loading, Pending } from '../../parts/states.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import { Movement } from './answers.tsx'
import { candidateKey, withKeys } from './state/entities.ts'
import { bodyOf, type Form, optionsFor, type Target } from './state/form.ts'
import type { Field, Task } from './state/model.ts'
import { differenceOf, ecpm, movementOf, probabilityOf, type Standing, scoreNames } from './state/ranking.ts'
import type { Details } from './state/server.ts'
import { fitForm } from './state/state-codec.ts'
import { type Answered, answeredBy, type Ranked, ranked, standingsOf } from './state/use-history.ts'
import { usePredict } from './state/use-predict.ts'

const rowsPerPage = 10
const tasksPerPage = 3

interface CompareProps {
  target: Target
  /** The other models and versions that answer, as `model/version`. */
  others: readonly string[]
  against: string | undefined
  form: Form
  /** The fields of the form. */
  ownFields: readonly Field[]
  /** The form with the values of tables in place of keys. */
  whole: Form
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
    <Card id="compare-title" title="Compare">
      <p class="small muted">
        Sends the same request to another version or model, and puts its answers side by side, with the difference in
        percentage points (pp).
      </p>
      <Select
        class="row"
        label="Compare with"
        value={known ? (against ?? '') : ''}
        options={[['', 'nothing'], ...others.map((other) => [other, titleOf(other)] as const)]}
        onChange={(other) => onAgainst(other || undefined)}
      />
      {others.length === 0 && <p class="muted">Nothing else answers on this server.</p>}
      {!known && <p class="muted">{titleOf(against!)} does not answer now.</p>}
      {against !== undefined && known && <Other key={against} {...props} against={against} />}
    </Card>
  )
}

const titleOf = (other: string) => other.replace('/', ', version ')

function Other(props: CompareProps & { against: string }) {
  const { against } = props
  const [model = '', version] = against.split('/')
  const { data, error } = useAsk(() => askDetails(model, version), [against])
  if (data === undefined) return <Pending what={against} error={error} />
  return <SideBySide {...props} other={{ model, version }} details={data} />
}

function SideBySide(props: CompareProps & { other: Target; details: Details }) {
  const { form, ownFields, whole, other, details, now, tasks, by, standings } = props
  const fields = withKeys((details.fields ?? []) as Field[], details.entities)
  const theirTasks = (details.tasks ?? []) as Task[]
  // One that does not take the keys takes the values.
  const takesKeys = ownFields.every(({ keyOf }) => keyOf === undefined || fields.some(({ name }) => name === keyOf.key))
  const sent = takesKeys ? form : whole
  const fitted = useMemo(() => fitForm(sent, fields), [sent, details])
  const body = useMemo(() => bodyOf(other, fitted.form, optionsFor(theirTasks)), [fitted, details])
  const { answer, about, error, busy } = usePredict(body, form)
  const shared = tasks.filter(({ name }) => theirTasks.some((task) => task.name === name))
  const isPossible = scoreNames(theirTasks).includes(by)
  const answered = answer && about && answeredBy(answer, about)
  return (
    <>
      {fitted.leftOut.length > 0 && (
        <p class="notice">It has other fields. Not sent to it: {listed(fitted.leftOut, 10)}.</p>
      )}
      {shared.length === 0 && <p class="notice">The two have no task in common.</p>}
      {!isPossible && shared.length > 0 && <p class="notice">It can’t rank by {by}: ranks are not compared.</p>}
      {error !== undefined && <Failed error={error} />}
      {answered === undefined && busy && <Loading what="its answers" />}
      {answered !== undefined && now !== undefined && shared.length > 0 && (
        <BothAnswers
          {...{ form, tasks: shared, standings }}
          keyName={candidateKey(ownFields)}
          theirs={standingsOf(answered, isPossible ? by : '', theirTasks)}
          scored={by === ecpm && isPossible}
        />
      )}
    </>
  )
}

interface BothProps {
  form: Form
  keyName: string | undefined
  tasks: readonly Task[]
  standings: ReadonlyMap<number, Standing>
  theirs: ReadonlyMap<number, Standing>
  /** Both rank by ecpm: it has columns, too. */
  scored: boolean
}

interface Measure {
  name: string
  read(standing: Standing | undefined): number | undefined
  value(value: number): string
  difference(difference: number): string
}

const ofTask = ({ name }: Task): Measure => ({
  name,
  read: (standing) => probabilityOf(standing?.prediction, name),
  value: probability,
  difference: change,
})
const ofScore: Measure = { name: ecpm, read: (standing) => standing?.score, value: number, difference: signed }

function BothAnswers({ form, keyName, tasks, standings, theirs, scored }: BothProps) {
  const rows = ranked(form.candidates, standings, keyName)
  const { shown: shownTasks, pager: taskPager } = usePages('tasks', tasks, tasksPerPage)
  const { shown, pager } = usePages('candidates', rows, rowsPerPage)
  const measures = [...shownTasks.map(ofTask), ...(scored ? [ofScore] : [])]
  return (
    <>
      {taskPager}
      <Table
        label="Answers side by side"
        rows={shown}
        rowKey={({ key }) => key}
        head={<BothHeads names={measures.map(({ name }) => name)} />}
        columns={[
          { title: 'Candidate', heads: true, text: ({ name }) => name },
          { title: 'Rank', value: ({ standing }) => standing?.rank, format: String },
          {
            title: 'Rank there',
            class: 'ranked',
            cell: ({ key, standing }) => {
              const rank = theirs.get(key)?.rank
              return (
                <>
                  {rank ?? '–'} <Movement places={movementOf(standing, rank)} />
                </>
              )
            },
          },
          ...measures.flatMap(({ read, value, difference }): Column<Ranked>[] => [
            { title: 'here', value: ({ standing }) => read(standing), format: value },
            {
              title: 'there',
              number: true,
              cell: ({ key, standing }) => {
                const there = read(theirs.get(key))
                const away = differenceOf(there, read(standing))
                return (
                  <>
                    {orDash(there, value)}
                    {away !== undefined && <span class="small muted difference">{difference(away)}</span>}
                  </>
                )
              },
            },
          ]),
        ]}
      />
      {pager}
    </>
  )
}

/** Two rows: each measure has two columns. */
function BothHeads({ names }: { names: readonly string[] }) {
  return (
    <>
      <tr>
        <th rowSpan={2}>Candidate</th>
        <th rowSpan={2} class="number">
          Rank
        </th>
        <th rowSpan={2}>Rank there</th>
        {names.map((name) => (
          <th key={name} colSpan={2} class="group">
            <bdi>{name}</bdi>
          </th>
        ))}
      </tr>
      <tr>
        {names.flatMap((name) =>
          ['here', 'there'].map((where) => (
            <th key={`${name} ${where}`} class="number">
              {where}
            </th>
          )),
        )}
      </tr>
    </>
  )
}
