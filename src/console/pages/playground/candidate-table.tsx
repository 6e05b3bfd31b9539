import { useEffect, useState } from 'preact/hooks'
import { Pager, pageOf, pageWithin } from '../../parts/pager.tsx'
import { Scroll } from '../../parts/scroll.tsx'
import { type CandidateActions, CandidateRow, type Column } from './candidate-row.tsx'
import { cellId, enter } from './describe-field.ts'
import { type Candidate, nameOf, rankColumn } from './form.ts'
import type { Vocabularies } from './vocabularies.ts'

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
