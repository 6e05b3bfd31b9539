import { useEffect } from 'preact/hooks'
import { usePages } from '../../parts/pager.tsx'
import { Table, type Column as TableColumn } from '../../parts/table.tsx'
import { enter } from './enter.ts'
import { shownInCell, ValueInput } from './field-input.tsx'
import { ReturnToStored } from './key-help.tsx'
import { cellId, fieldProblem, textOfStored } from './state/describe-field.ts'
import { candidateKey, type Notes, noteOf, type Stored, storedValue } from './state/entities.ts'
import { type Candidate, nameOf, rankColumn } from './state/form.ts'
import { sequenceOf, type Unknown, unknownIn } from './state/lists.ts'
import { type Field, isItem, isSeveral, textOfValue, type Values, valueAt } from './state/model.ts'
import type { Standing } from './state/ranking.ts'
import type { Vocabularies } from './state/server.ts'

const rowsPerPage = 20

/** Columns side by side: a model may have hundreds. */
const columnsPerPage = 10

interface CandidateTableProps {
  candidates: readonly Candidate[]
  columns: readonly Column[]
  standings: ReadonlyMap<number, Standing>
  problems: ReadonlyMap<number, ReadonlyMap<string, string>>
  vocabularies: Vocabularies
  stored: Stored
  sort: { column: string; descending: boolean } | undefined
  selected: number | undefined
  /** The cell to go to, once for each object. */
  goTo: { index: number; field: string | undefined } | undefined
  actions: CandidateActions
}

/** The candidates to edit, some rows and columns at a time. */
export function CandidateTable(props: CandidateTableProps) {
  const { candidates, columns, standings, problems, vocabularies, stored, selected, goTo, actions } = props
  const rows = usePages('candidates', candidates, rowsPerPage)
  const shown = usePages('columns', columns, columnsPerPage)
  const fields = columns.flatMap(({ field }) => field ?? [])
  // Rows of this page alone: thousands would be looked through at every edit.
  const unknown = new Map(
    rows.shown.map(({ key }) => {
      const { values = {}, prediction } = standings.get(key) ?? {}
      return [key, unknownIn(values, prediction)]
    }),
  )
  const keyName = candidateKey(fields)
  const nameAt = (place: number) => nameOf(candidates[rows.first + place]!, rows.first + place, keyName)

  useEffect(() => {
    if (goTo === undefined) return
    const candidate = candidates[goTo.index]
    if (candidate === undefined) return
    rows.goTo(goTo.index)
    shown.goTo(
      Math.max(
        0,
        columns.findIndex(({ name }) => name === goTo.field),
      ),
    )
    requestAnimationFrame(() => enter(cellId(candidate.key, goTo.field || 'id')))
  }, [goTo])

  return (
    <>
      {shown.pager}
      <Table<Candidate>
        class="candidates"
        label="Table of candidates"
        rows={rows.shown}
        rowKey={({ key }) => key}
        attributes={({ key }) => ({ class: key === selected ? 'selected' : undefined })}
        columns={[
          {
            ...sortable(rankColumn, 'Rank', props),
            heads: true,
            cell: ({ key }, i) => (
              <Rank
                name={nameAt(i)}
                rank={standings.get(key)?.rank}
                problem={problems.get(rows.first + i)?.get('')}
                isSelected={key === selected}
                onSelect={() => actions.select(key)}
              />
            ),
          },
          {
            title: <span class="hidden">Actions</span>,
            class: 'row-actions',
            cell: ({ key }, i) => (
              <>
                <IconButton
                  title="Duplicate"
                  of={nameAt(i)}
                  path="M3 11V3h8M6 6h8v8H6z"
                  onClick={() => actions.duplicate(key)}
                />
                <IconButton
                  title="Remove"
                  of={nameAt(i)}
                  path="M4 4l8 8M12 4l-8 8"
                  disabled={candidates.length === 1}
                  onClick={() => actions.remove(key)}
                />
              </>
            ),
          },
          ...shown.shown.map(
            (column): TableColumn<Candidate> => ({
              key: column.name,
              ...sortable(column.name, column.title, props, column.type !== 'string'),
              cell: (candidate, i) => (
                <Cell
                  {...{ candidate, column, vocabularies, actions }}
                  notes={stored.candidates.get(candidate.key)}
                  name={nameAt(i)}
                  problem={problems.get(rows.first + i)?.get(column.name)}
                  sequence={column.field === undefined ? [] : sequenceOf(column.field, fields)}
                  unknown={unknown.get(candidate.key) ?? nothing}
                />
              ),
            }),
          ),
        ]}
      />
      {rows.pager}
    </>
  )
}

const nothing: Unknown = new Map()

/** The header of a column that candidates can be sorted by. */
function sortable(
  column: string,
  label: string,
  { sort, actions }: Pick<CandidateTableProps, 'sort' | 'actions'>,
  isNumber = false,
) {
  const direction = sort?.column !== column ? undefined : sort.descending ? 'descending' : 'ascending'
  const arrow = direction && { ascending: ' ↑', descending: ' ↓' }[direction]
  return {
    title: (
      <button type="button" class="sort" onClick={() => actions.sort(column)} title="Sort by this column">
        <bdi>{label}</bdi>
        <span aria-hidden="true">{arrow}</span>
      </button>
    ),
    header: { class: isNumber ? 'number' : undefined, 'aria-sort': direction },
  } as const
}

/** A column to edit: a field, or `id` or `bid`. */
export interface Column {
  name: string
  title: string
  type: Field['type']
  field: Field | undefined
}

export interface CandidateActions {
  change(key: number, values: Values): void
  duplicate(key: number): void
  remove(key: number): void
  sort(column: string): void
  select(key: number): void
}

interface RankProps {
  name: string
  rank: number | undefined
  /** The fault of the whole candidate. */
  problem: string | undefined
  isSelected: boolean
  onSelect(): void
}

function Rank({ name, rank, problem, isSelected, onSelect }: RankProps) {
  return (
    <>
      <button
        type="button"
        class="rank"
        aria-pressed={isSelected}
        aria-label={`Choose ${name}, ${rank === undefined ? 'no rank' : `rank ${rank}`}`}
        onClick={onSelect}
      >
        {rank ?? '–'}
      </button>
      {problem !== undefined && <p class="small problem">{problem}</p>}
    </>
  )
}

interface CellProps extends Pick<CandidateTableProps, 'vocabularies' | 'actions'> {
  candidate: Candidate
  name: string
  column: Column
  problem: string | undefined
  sequence: readonly Field[]
  unknown: Unknown
  /** Rows of tables for its keys. */
  notes: Notes | undefined
}

function Cell({ candidate, name, column, sequence, unknown, notes, vocabularies, actions, ...answer }: CellProps) {
  const { field } = column
  const id = cellId(candidate.key, column.name)
  const { values } = candidate
  const value = valueAt(values, column.name)
  const problem = field === undefined ? answer.problem : fieldProblem(field, value, answer.problem)
  const isUnknown =
    field !== undefined && !isSeveral(field) && isItem(value) && unknown.get(column.name)?.has(value) === true
  const stored = field && storedValue(field, values, notes)
  const note = field?.keyOf && noteOf(field.keyOf, values, notes)
  const remark =
    problem ??
    (isUnknown ? 'not known to the model' : undefined) ??
    (note?.found === false ? 'not in the table' : undefined) ??
    (value === undefined && stored?.isDefault && stored.value !== undefined ? 'not stored: the default' : undefined)
  const usual = field !== undefined && !field.required ? textOfValue(field.default) : undefined
  return (
    <>
      <ValueInput
        {...{ id, field, sequence, unknown, vocabularies, values }}
        name={column.name}
        placeholder={stored === undefined ? usual : textOfStored(stored.value)}
        type={column.type}
        most={shownInCell}
        onValues={(next) => actions.change(candidate.key, next)}
        label={`${column.title} of ${name}`}
        describedBy={remark === undefined ? undefined : `${id}-remark`}
        invalid={problem !== undefined}
      />
      {remark !== undefined && (
        <p id={`${id}-remark`} class={problem === undefined ? 'small muted' : 'small problem'}>
          {remark}
        </p>
      )}
      {field && (
        <ReturnToStored
          {...{ field, values }}
          fields={sequence}
          label={`${column.title} of ${name}`}
          onValues={(next) => actions.change(candidate.key, next)}
        />
      )}
    </>
  )
}

interface IconButtonProps {
  title: string
  /** The candidate. */
  of: string
  path: string
  disabled?: boolean
  onClick(): void
}

function IconButton({ title, of, path, disabled, onClick }: IconButtonProps) {
  return (
    <button type="button" class="quiet" {...{ title, disabled, onClick }} aria-label={`${title} ${of}`}>
      <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <path d={path} />
      </svg>
    </button>
  )
}
