import type { Layout } from '../../model/serving/features/layout.ts'
import { type OwnedField, tableOf } from '../../model/serving/features/table.ts'
import { tableOf as tableName } from './column-groups.ts'

/** A row of padding: its id, and the first column that reads its table. */
interface PaddingRow {
  id: number
  column: number
}

/**
 * By name of a table, the rows that places without a value read, and no value does: no answer depends on them.
 */
export function paddingRows(layout: Layout): (table: string) => number[] {
  const rows = [...listRows(layout), ...crossedRows(layout)]
  return (table) => {
    // Tables of fields have their own ids, others those of all fields.
    const own = /\/field_(\d+)\/embeddings$/.exec(table)?.[1]
    const inside = own === undefined ? rows : rows.filter(({ column }) => column === Number(own))
    return [...new Set(inside.map(({ id }) => id))]
  }
}

function listRows({ slots, sparse }: Layout): PaddingRow[] {
  const ids = slots.filter((slot) => slot.sparse)
  return ids.flatMap((slot) => {
    if (slot.group === undefined) return []
    const owner = tableName(slot.encoder.field)
    const readers = ids.filter((other) => tableName(other.encoder.field) === owner)
    const { first, bucket } = tableOf(slot.encoder.field as OwnedField)
    const row = slot.padding - sparse[slot.column]!.offset
    // Lists have no value with the id of padding; unknown values, and other fields, may.
    const isPadding =
      row !== bucket && (row < first || readers.every(({ padding, group }) => group && padding === slot.padding))
    return isPadding ? [{ id: slot.padding, column: readers[0]!.column }] : []
  })
}

function crossedRows({ crossed }: Layout): PaddingRow[] {
  return crossed.flatMap(({ list, offset, column }) => (list ? [{ id: offset, column }] : []))
}
