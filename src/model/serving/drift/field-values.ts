import type { FieldColumn, RowArrays } from '../features/field-column.ts'
import type { Layout } from '../features/layout.ts'

/** A field whose values are compared with a reference: any but a vector. */
export interface FieldValues {
  name: string
  slot: FieldColumn
  isList: boolean
  /** Calls `visit` with each encoded value of a row; returns how many there are. */
  each(arrays: RowArrays, row: number, visit: (code: number) => void): number
}

/** The fields of a layout that have a distribution, in manifest order. */
export function fieldValuesOf(layout: Layout): FieldValues[] {
  return layout.slots.flatMap((slot): FieldValues[] => {
    const { name, encoder } = slot
    if (encoder.field.kind === 'vector') return []
    const isList = slot.group !== undefined
    return [{ name, slot, isList, each: isList ? eachOfList(layout, slot) : oneOf(layout, slot) }]
  })
}

function oneOf(layout: Layout, { sparse: isSparse, column }: FieldColumn): FieldValues['each'] {
  const width = isSparse ? layout.sparse.length : layout.dense.length
  return ({ sparse, dense }, row, visit) => {
    visit((isSparse ? sparse : dense)[row * width + column]!)
    return 1
  }
}

/**
 * Places that hold padding have no value. Numbers have none of their own, and go by ids of the same sequence, or else
 * end where nothing but 0 follows.
 */
function eachOfList(layout: Layout, slot: FieldColumn): FieldValues['each'] {
  const widths = { sparse: layout.sparse.length, dense: layout.dense.length }
  const { column, width } = slot
  if (slot.sparse)
    return ({ sparse }, row, visit) => {
      const first = row * widths.sparse + column
      let found = 0
      for (let i = first; i < first + width; i++) {
        if (sparse[i] === slot.padding) continue
        visit(sparse[i]!)
        found++
      }
      return found
    }
  const ids = slot.group!.members.find((member) => member.sparse)
  return ({ sparse, dense }, row, visit) => {
    const first = row * widths.dense + column
    let found = 0
    let length = width
    if (ids === undefined) while (length > 0 && dense[first + length - 1] === 0) length--
    for (let i = 0; i < length; i++) {
      if (ids !== undefined && sparse[row * widths.sparse + ids.column + i] === ids.padding) continue
      visit(dense[first + i]!)
      found++
    }
    return found
  }
}
