import { useEffect, useMemo, useState } from 'preact/hooks'
import { Card, Select } from '../../parts/controls.tsx'
import { number } from '../../parts/format.ts'
import { type CandidateActions, CandidateTable, type Column } from './candidate-table.tsx'
import { KeyHelp } from './key-help.tsx'
import { PasteDialog } from './paste-dialog.tsx'
import { candidateKey, type Stored } from './state/entities.ts'
import { type Candidate, candidatesOf, type Form, nameAt, nextKey, placesOf, rankColumn, sorted } from './state/form.ts'
import { bySequence } from './state/lists.ts'
import { type Field, type Task, type Values, valueAt, withValue } from './state/model.ts'
import { mostCandidates, type Pasted } from './state/paste.ts'
import { type Standing, scoreNames, scoreOf } from './state/ranking.ts'
import type { Vocabularies } from './state/server.ts'

interface CandidatesProps {
  form: Form
  fields: readonly Field[]
  /** Those of the candidates. */
  columnFields: readonly Field[]
  tasks: readonly Task[]
  standings: ReadonlyMap<number, Standing>
  problems: ReadonlyMap<number, ReadonlyMap<string, string>>
  vocabularies: Vocabularies
  stored: Stored
  selected: number | undefined
  goTo: { index: number; field: string | undefined } | undefined
  setForm(form: Form): void
  onSelect(key: number): void
}

interface Sort {
  column: string
  descending: boolean
}

/** A change that the reader may take back, until the next one. */
interface Undoable {
  what: string
  before: Form
  after: Form
}

/** The items to score, as a table. */
export function Candidates(props: CandidatesProps) {
  const { form, fields, columnFields, tasks, standings, problems, vocabularies, stored, selected, goTo } = props
  const { setForm, onSelect } = props
  const keyName = candidateKey(fields)
  const [sort, setSort] = useState<Sort>()
  const [pasting, setPasting] = useState<string>()
  const [notes, setNotes] = useState<string[]>([])
  const [last, setLast] = useState<Undoable>()
  const columns = useMemo(() => columnsOf(columnFields), [fields, form.moved])
  const repeated = useMemo(() => repeatedId(form), [form])
  usePaste(setPasting)

  const order = (next: Sort) => {
    setSort(next)
    setForm({ ...form, candidates: sorted(form.candidates, readerOf(next.column, standings, tasks), next.descending) })
  }
  const put = (after: Form, what: string) => {
    setLast({ what, before: form, after })
    setForm(after)
  }
  const actions = actionsOf(form, keyName, setForm, put, onSelect, (column) =>
    order({ column, descending: sort?.column === column && !sort.descending }),
  )
  const take = (pasted: Pasted, replaces: boolean) => {
    setNotes(pasted.notes)
    setSort(undefined)
    put(withPasted(form, pasted, replaces, fields), `${counted(pasted.candidates.length)} pasted.`)
  }
  const add = () => {
    const key = nextKey(form.candidates)
    const values = form.candidates.at(-1)?.values ?? {}
    setForm({ ...form, candidates: [...form.candidates, { key, values: withNewId(values, key, keyName) }] })
  }

  return (
    <Card id="candidates-title" title="Candidates" status={counted(form.candidates.length)}>
      <p class="small muted">
        The items to score. The id is yours, and the bid is used for ecpm alone. An empty cell is not sent: its grey
        text is the default that counts then. Choose a rank to see the gates of that candidate.
      </p>
      <KeyHelp fields={columnFields} side="candidate" />
      <div class="actions">
        <button type="button" disabled={form.candidates.length >= mostCandidates} onClick={add}>
          Add
        </button>
        <button type="button" onClick={() => setPasting('')}>
          Paste CSV or JSON
        </button>
        <SortByAnswer tasks={tasks} sort={sort} onSort={order} />
      </div>
      {last?.after === form && (
        <p class="notice row" role="status">
          {last.what}
          <button type="button" onClick={() => setForm(last.before)}>
            Undo
          </button>
        </p>
      )}
      {repeated !== undefined && (
        <p class="notice warning">
          Several candidates have the id <bdi>{repeated}</bdi>: answers name them alike.
        </p>
      )}
      {notes.length > 0 && (
        <div class="notice" role="status">
          {notes.map((note) => (
            <p key={note}>{note}</p>
          ))}
        </div>
      )}
      <CandidateTable
        candidates={form.candidates}
        {...{ columns, standings, problems, vocabularies, stored, sort, selected, goTo, actions }}
      />
      {pasting !== undefined && (
        <PasteDialog fields={fields} text={pasting} onPasted={take} onClose={() => setPasting(undefined)} />
      )}
    </Card>
  )
}

function SortByAnswer({
  tasks,
  sort,
  onSort,
}: {
  tasks: readonly Task[]
  sort: Sort | undefined
  onSort(sort: Sort): void
}) {
  const names = scoreNames(tasks)
  const current = names.some((name) => sort?.column === scoreColumn(name)) ? sort!.column : ''
  return (
    <Select
      class="row"
      label="Sort by answer"
      value={current}
      options={[['', '–'], ...names.map((name) => [scoreColumn(name), name] as const)]}
      onChange={(column) => {
        if (column !== '') onSort({ column, descending: true })
      }}
    />
  )
}

/** Fields have no line breaks in their names: a score's column is none of them. */
const scoreColumn = (score: string) => `\n${score}`

function columnsOf(fields: readonly Field[]): Column[] {
  const columnOf = (field: Field): Column => ({ name: field.name, title: field.name, type: field.type, field })
  return [
    ...fields.filter(isCandidateKey).map(columnOf),
    { name: 'id', title: 'id', type: 'string', field: undefined },
    { name: 'bid', title: 'bid', type: 'number', field: undefined },
    ...bySequence(fields.filter((field) => !isCandidateKey(field)))
      .flat()
      .map(columnOf),
  ]
}

const isCandidateKey = ({ keyOf }: Field) => keyOf?.side === 'candidate'

function readerOf(
  column: string,
  standings: ReadonlyMap<number, Standing>,
  tasks: readonly Task[],
): Parameters<typeof sorted>[1] {
  if (column === rankColumn) return ({ key }) => standings.get(key)?.rank
  if (column.startsWith('\n'))
    return ({ key, values }) => scoreOf(standings.get(key)?.prediction, valueAt(values, 'bid'), column.slice(1), tasks)
  return ({ values }) => valueAt(values, column)
}

function actionsOf(
  form: Form,
  keyName: string | undefined,
  setForm: (form: Form) => void,
  setUndoable: (form: Form, what: string) => void,
  select: (key: number) => void,
  sort: (column: string) => void,
): CandidateActions {
  const { candidates } = form
  const put = (next: Form['candidates']) => setForm({ ...form, candidates: next })
  return {
    select,
    sort,
    change: (key, values) => put(candidates.map((candidate) => (candidate.key === key ? { key, values } : candidate))),
    duplicate: (key) =>
      put(
        candidates.flatMap((candidate) =>
          candidate.key === key ? [candidate, copyOf(candidate, nextKey(candidates), keyName)] : [candidate],
        ),
      ),
    remove: (key) => {
      const next = candidates.filter((candidate) => candidate.key !== key)
      const index = candidates.findIndex((candidate) => candidate.key === key)
      setUndoable({ ...form, candidates: next }, `${nameAt(candidates, index, keyName)} removed.`)
    },
  }
}

/** Its key in a table names a candidate well enough. */
function withNewId(values: Values, key: number, keyName: string | undefined): Values {
  const isNamed = keyName !== undefined && valueAt(values, keyName) !== undefined && valueAt(values, 'id') === undefined
  return isNamed ? values : withValue(values, 'id', `ad-${key}`)
}

const copyOf = ({ values }: Candidate, key: number, keyName: string | undefined): Candidate => ({
  key,
  values: valueAt(values, 'id') === undefined ? values : withNewId(values, key, keyName),
})

const counted = (count: number) => `${number(count, 9)} ${count === 1 ? 'candidate' : 'candidates'}`

/** The first id that several have. */
function repeatedId({ candidates }: Form): string | undefined {
  const seen = new Set<unknown>()
  for (const { values } of candidates) {
    const id = valueAt(values, 'id')
    if (id === undefined || id === '') continue
    if (seen.has(id)) return String(id)
    seen.add(id)
  }
  return undefined
}

function withPasted(
  form: Form,
  { context, candidates, moved }: Pasted,
  replaces: boolean,
  fields: readonly Field[],
): Form {
  const kept = replaces ? [] : form.candidates
  const added = candidatesOf(candidates, nextKey(form.candidates))
  const next: Form = {
    context: context ?? form.context,
    candidates: [...kept, ...added].slice(0, mostCandidates),
    moved: context === undefined ? [...new Set([...(replaces ? [] : form.moved), ...moved])] : moved,
  }
  // A field that the candidates have now is no longer in the context.
  const inCandidates = placesOf(fields, next.moved).candidates
  return {
    ...next,
    context: inCandidates.reduce((values, { name }) => withValue(values, name, undefined), next.context),
  }
}

/** A text that is pasted outside an input is meant for the table. */
function usePaste(onText: (text: string) => void): void {
  useEffect(() => {
    const take = (event: ClipboardEvent) => {
      const { target } = event
      if (target instanceof Element && target.closest('input, textarea, dialog')) return
      const text = event.clipboardData?.getData('text/plain') ?? ''
      if (text.trim() === '') return
      event.preventDefault()
      onText(text)
    }
    document.addEventListener('paste', take)
    return () => document.removeEventListener('paste', take)
  }, [])
}
