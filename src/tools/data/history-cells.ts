import type { CellColumn, NumberColumn, StringColumn } from './columns.ts'
import { ListColumn } from './list-column.ts'
import { type HistoryRows, makeHistories } from './make-histories.ts'
import type { Readers } from './readers.ts'
import { SpecError } from './source.ts'

/**
 * The cells with lists in place of the columns that histories are made of. Throws a SpecError where no row would be in
 * a history.
 */
export function withHistories(
  cells: readonly CellColumn[],
  { fields }: Readers,
  rows: HistoryRows,
  last: number,
  file: string,
): { cells: CellColumn[]; lists: ListColumn[] } {
  if (!rows.where.includes(1))
    throw new SpecError(file, [{ path: '/history/where', message: 'is true of no row: every history would be empty' }])
  const wanted = fields.flatMap(({ history }, index) => (history ? [index] : []))
  const lists = makeHistories(
    wanted.map((index) => cells[index] as StringColumn | NumberColumn | ListColumn),
    rows,
    last,
  )
  if (!lists.some(hasValues)) {
    const message =
      'every history would be empty: no row has an earlier one of the same user; `past` of `data` gives rows of days before'
    throw new SpecError(file, [{ path: '/history', message }])
  }
  return { lists, cells: cells.map((column, index) => lists[wanted.indexOf(index)] ?? column) }
}

/** The cells with ages in place of the times of earlier rows. */
export function withAges(cells: readonly CellColumn[], { fields }: Readers, { order }: HistoryRows): CellColumn[] {
  return cells.map((column, index) => {
    if (fields[index]?.history !== 'ages') return column
    const ages = new ListColumn('number', false)
    for (let row = 0; row < order.length; row++) {
      const times = column.at(row) as number[]
      ages.push({ values: times.map((time) => order[row]! - time) })
    }
    return ages
  })
}

function hasValues(list: ListColumn): boolean {
  for (let row = 0; row < list.length; row++) if (list.lengthOf(row) > 0) return true
  return false
}
