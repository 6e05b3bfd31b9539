import type { ColumnGroup, FieldColumn, RowArrays } from '../../model/serving/features/field-column.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import { ListEncoder } from '../../model/serving/features/lists.ts'
import { Violations } from '../../model/serving/features/problems.ts'
import type { CellColumn } from './columns.ts'

/** Encodes some rows: the lists of `rows[from]` to `rows[end − 1]` into the same rows of `target`. */
export type ListsEncoder = (rows: Int32Array, from: number, end: number, target: RowArrays) => void

/** Reports what is wrong with the list of a field in a row. */
type WrongList = (field: number, row: number, message: string) => void

type Cells = readonly Pick<CellColumn, 'at'>[]

/** Creates a function that encodes lists, sequences and vectors of a layout. `cells` are those of its slots. */
export function createListsEncoder(
  layout: Layout,
  cells: Cells,
  wrong: WrongList,
  encoded: readonly ColumnGroup[] = layout.groups,
): ListsEncoder {
  const widths = { sparse: layout.sparse.length, dense: layout.dense.length }
  const groups = encoded.map((group) => ({ group, fields: group.members.map((slot) => fieldOf(layout, slot)) }))
  return (rows, from, end, target) => {
    const found = new Violations()
    found.leaveOut()
    const placeOf = (slot: FieldColumn, i: number | undefined) => `/${fieldOf(layout, slot)}/${rows[i!]!}`
    const encoder = new ListEncoder(layout.groups, widths, found, placeOf)
    for (let i = from; i < end && !found.full; i++)
      for (const { group, fields } of groups) encodeGroup(encoder, group, fields, cells, rows[i]!, i, target)
    for (const { path, message } of found.list) {
      const [, field, row, ...place] = path.split('/')
      const position = place[0] === 'weights' ? ` weight ${place[1]}` : place.length > 0 ? `[${place.at(-1)}]` : ''
      wrong(Number(field), Number(row), `${layout.slots[Number(field)]!.name}${position} ${message}`)
    }
  }
}

const fieldOf = ({ slots }: Layout, slot: FieldColumn) => slots.indexOf(slot)

/** A missing cell is absent, not null. */
function encodeGroup(
  encoder: ListEncoder,
  group: ColumnGroup,
  fields: readonly number[],
  cells: Cells,
  row: number,
  place: number,
  target: RowArrays,
): void {
  let taken = true
  group.members.forEach((slot, m) => {
    const value = cells[fields[m]!]!.at(row) ?? undefined
    if (!encoder.take(slot, value, place)) taken = false
  })
  if (taken) encoder.encode(group, target, place)
  else encoder.leave(group)
}
