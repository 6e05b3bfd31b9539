import { Combobox } from './combobox.tsx'
import { cellId, problemOf } from './describe-field.ts'
import type { Candidate } from './form.ts'
import { type Field, type Value, valueAt } from './model.ts'
import { TextField } from './text-field.tsx'
import type { Vocabularies } from './vocabularies.ts'

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
  const problem = field === undefined ? answer.problem : problemOf(field, value, answer.problem)
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
