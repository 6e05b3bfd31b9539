import { useEffect, useState } from 'preact/hooks'
import { Scroll } from '../../parts/controls.tsx'
import { Pager, pageOf, pageWithin } from '../../parts/pager.tsx'
import { Combobox } from './combobox.tsx'
import { TextField } from './field-input.tsx'
import { cellId, enter, fieldProblem } from './state/describe-field.ts'
import { type Candidate, nameOf, rankColumn } from './state/form.ts'
import { type Field, type Value, valueAt } from './state/model.ts'
import type { Vocabularies } from './state/server.ts'

export const rowsPerPage = 20

/** Columns side by side: a model may have hundreds. */
const columnsPerPage = 10

interface CandidateTableProps {
  candidates: readonly Candidate[]
  columns: readonly Column[]
  ranks: ReadonlyMap<number, number>
  problems: ReadonlyMap<number, ReadonlyMap<string, string>>
  unknown: ReadonlyMap<number, readonly string[]>
  vocabularies: Vocabularies
  sort: { column: string; descending: boolean } | undefined
  selected: number | undefined
  /** The cell to go to, once for each object. */
  goTo: { index: number; field: string | undefined } | undefined
  actions: CandidateActions
}

/** The candidates to edit, some rows and columns at a time. */
export function CandidateTable(props: CandidateTableProps) {
  const { candidates, columns, ranks, problems, unknown, vocabularies, sort, selected, goTo, actions } = props
  const [page, setRows] = useState(0)
  const [columnPage, setColumns] = useState(0)
  const shown = pageOf(columns, columnPage, columnsPerPage)
  const first = pageWithin(page, rowsPerPage, candidates.length) * rowsPerPage

  useEffect(() => {
    if (goTo === undefined) return
    const candidate = candidates[goTo.index]
    if (candidate === undefined) return
    const at = columns.findIndex(({ name }) => name === goTo.field)
    setRows(Math.floor(goTo.index / rowsPerPage))
    setColumns(Math.floor(Math.max(0, at) / columnsPerPage))
    requestAnimationFrame(() => enter(cellId(candidate.key, goTo.field || 'id')))
  }, [goTo])

  return (
    <>
      <Pager what="columns" page={columnPage} size={columnsPerPage} total={columns.length} onPage={setColumns} />
      <Scroll label="Table of candidates">
        <table class="candidates">
          <thead>
            <tr>
              <SortHeader column={rankColumn} label="Rank" sort={sort} onSort={actions.sort} />
              <th>
                <span class="hidden">Actions</span>
              </th>
              {shown.map(({ name, title, type }) => (
                <SortHeader
                  key={name}
                  column={name}
                  label={title}
                  isNumber={type !== 'string'}
                  sort={sort}
                  onSort={actions.sort}
                />
              ))}
            </tr>
          </thead>
          <tbody>
            {pageOf(candidates, page, rowsPerPage).map((candidate, i) => (
              <CandidateRow
                key={candidate.key}
                candidate={candidate}
                name={nameOf(candidate, first + i)}
                columns={shown}
                rank={ranks.get(candidate.key)}
                problems={problems.get(first + i)}
                unknown={unknown.get(candidate.key)}
                vocabularies={vocabularies}
                isSelected={candidate.key === selected}
                isOnly={candidates.length === 1}
                actions={actions}
              />
            ))}
          </tbody>
        </table>
      </Scroll>
      <Pager what="candidates" page={page} size={rowsPerPage} total={candidates.length} onPage={setRows} />
    </>
  )
}

interface SortHeaderProps {
  column: string
  label: string
  isNumber?: boolean
  sort: CandidateTableProps['sort']
  onSort(column: string): void
}

function SortHeader({ column, label, isNumber = false, sort, onSort }: SortHeaderProps) {
  const isSorted = sort?.column === column
  return (
    <th
      class={isNumber ? 'number' : undefined}
      aria-sort={isSorted ? (sort.descending ? 'descending' : 'ascending') : undefined}
    >
      <button type="button" class="sort" onClick={() => onSort(column)} title="Sort by this column">
        <bdi>{label}</bdi>
        <span aria-hidden="true">{isSorted ? (sort.descending ? ' ↓' : ' ↑') : ''}</span>
      </button>
    </th>
  )
}

/** A column to edit: a field, or `id` or `bid`. */
export interface Column {
  name: string
  title: string
  type: Field['type']
  field: Field | undefined
}

export interface CandidateActions {
  change(key: number, column: string, value: Value | undefined): void
  duplicate(key: number): void
  remove(key: number): void
  sort(column: string): void
  select(key: number): void
}

interface CandidateRowProps {
  candidate: Candidate
  name: string
  columns: readonly Column[]
  rank: number | undefined
  problems: ReadonlyMap<string, string> | undefined
  /** Its fields whose value the model does not know. */
  unknown: readonly string[] | undefined
  vocabularies: Vocabularies
  isSelected: boolean
  isOnly: boolean
  actions: CandidateActions
}

export function CandidateRow(props: CandidateRowProps) {
  const { candidate, name, columns, rank, problems, unknown, vocabularies, isSelected, isOnly, actions } = props
  const whole = problems?.get('')
  return (
    <tr class={isSelected ? 'selected' : undefined}>
      <th scope="row">
        <button
          type="button"
          class="rank"
          aria-pressed={isSelected}
          aria-label={`Choose ${name}, ${rank === undefined ? 'no rank' : `rank ${rank}`}`}
          onClick={() => actions.select(candidate.key)}
        >
          {rank ?? '–'}
        </button>
        {whole !== undefined && <p class="small problem">{whole}</p>}
      </th>
      <td class="row-actions">
        <button
          type="button"
          class="quiet"
          aria-label={`Duplicate ${name}`}
          title="Duplicate"
          onClick={() => actions.duplicate(candidate.key)}
        >
          <Icon path="M3 11V3h8M6 6h8v8H6z" />
        </button>
        <button
          type="button"
          class="quiet"
          disabled={isOnly}
          aria-label={`Remove ${name}`}
          title="Remove"
          onClick={() => actions.remove(candidate.key)}
        >
          <Icon path="M4 4l8 8M12 4l-8 8" />
        </button>
      </td>
      {columns.map((column) => (
        <Cell
          key={column.name}
          {...{ candidate, name, column, vocabularies, actions }}
          problem={problems?.get(column.name)}
          isUnknown={unknown?.includes(column.name) ?? false}
        />
      ))}
    </tr>
  )
}

interface CellProps extends Pick<CandidateRowProps, 'candidate' | 'name' | 'vocabularies' | 'actions'> {
  column: Column
  problem: string | undefined
  isUnknown: boolean
}

function Cell({ candidate, name, column, isUnknown, vocabularies, actions, ...answer }: CellProps) {
  const { field } = column
  const id = cellId(candidate.key, column.name)
  const value = valueAt(candidate.values, column.name)
  const problem = field === undefined ? answer.problem : fieldProblem(field, value, answer.problem)
  const remark = problem ?? (isUnknown ? 'not known to the model' : undefined)
  const label = `${column.title} of ${name}`
  const placeholder = field !== undefined && !field.required ? String(field.default ?? '') : undefined
  const onValue = (next: typeof value) => actions.change(candidate.key, column.name, next)
  const describedBy = remark === undefined ? undefined : `${id}-remark`
  return (
    <td>
      {field?.values !== undefined ? (
        <Combobox
          {...{ id, field, vocabularies, value, onValue, label, describedBy, placeholder }}
          invalid={problem !== undefined}
        />
      ) : (
        <TextField
          {...{ id, value, onValue, placeholder }}
          type={column.type}
          class={column.type === 'string' ? undefined : 'figure'}
          aria-label={label}
          aria-describedby={describedBy}
          aria-invalid={problem !== undefined}
        />
      )}
      {remark !== undefined && (
        <p id={`${id}-remark`} class={problem === undefined ? 'small muted' : 'small problem'}>
          {remark}
        </p>
      )}
    </td>
  )
}

function Icon({ path }: { path: string }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={path} />
    </svg>
  )
}
