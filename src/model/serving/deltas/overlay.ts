import {
  eachRow,
  type LiveTable,
  type Overlay,
  type OverlayTable,
  placeOf,
  type RowIndex,
  slotOf,
} from '../../contracts/live-tables.ts'
import type { Delta, DeltaTable } from './delta-file.ts'
import type { LiveField } from './expectation.ts'

/** The overlay of a version whose tables are unchanged. */
export function emptyOverlay(tables: readonly Pick<LiveTable, 'width'>[], number = 0): Overlay {
  return {
    number,
    tables: tables.map(({ width }) => ({ width, rows: sharedFloats(width), changed: emptyIndex() })),
    changed: { since: -1, tables: tables.map(() => emptyIndex()) },
  }
}

/** The rows of a live table that deltas name, in order, and what replaces them. */
interface Changes {
  first: number
  ids: Uint32Array
  rows: Float32Array
}

/** The changes that deltas make in the table of this number, through any of its fields. */
export function changesIn(table: number, deltas: readonly Delta[], fields: readonly LiveField[]): Changes[] {
  const changes = ({ field, ids, rows }: DeltaTable): Changes[] => {
    const live = fields.find((one) => one.name === field && one.table === table)
    return live === undefined ? [] : [{ first: live.first, ids, rows }]
  }
  return deltas.flatMap(({ tables }) => tables.flatMap(changes))
}

/**
 * An overlay with the rows of deltas, the last one of a table's row; `from` stays unchanged. It says nothing of
 * `changed`.
 */
export function extended(from: Overlay, deltas: readonly Delta[], fields: readonly LiveField[]): OverlayTable[] {
  return from.tables.map((table, i) => {
    const changes = changesIn(i, deltas, fields)
    return changes.length === 0 ? table : extendedTable(table, changes)
  })
}

function extendedTable({ width, rows: former, changed: before }: OverlayTable, changes: Changes[]): OverlayTable {
  const more = changes.reduce((sum, { ids }) => sum + ids.length, 0)
  const rows = sharedFloats((former.length / width + more) * width)
  rows.set(former)
  const changed = copied(before, before.count + more)
  let next = former.length / width
  for (const { first, ids, rows: values } of changes) {
    for (let i = 0; i < ids.length; i++) {
      const row = first + ids[i]!
      const known = slotOf(changed, row)
      const slot = known === 0 ? next++ : known
      if (known === 0) insert(changed, row, slot)
      // A few numbers each: views of them would cost more than the copy.
      for (let from = i * width, to = slot * width, k = 0; k < width; k++) rows[to + k] = values[from + k]!
    }
  }
  return { width, rows: rows.subarray(0, next * width), changed }
}

/** A copy of an index with room for this many rows. */
function copied({ index, count }: RowIndex, room: number): RowIndex {
  const copy = emptyIndex(room, index.length / 2)
  if (copy.index.length === index.length) {
    copy.index.set(index)
    copy.count = count
  } else eachRow({ index, count }, (row, slot) => insert(copy, row, slot))
  return copy
}

function insert(changed: RowIndex, row: number, slot: number): void {
  const { index } = changed
  const places = index.length / 2
  let place = placeOf(row, places)
  while (index[place * 2] !== 0) place = (place + 1) & (places - 1)
  index[place * 2] = slot
  index[place * 2 + 1] = row
  changed.count++
}

/** Adds a row to an index of rows alone, of which the place is 1. */
export function addRow(changed: RowIndex, row: number): void {
  if (slotOf(changed, row) === 0) insert(changed, row, 1)
}

/** Changed rows of all tables, and the bytes that they take. */
export function sizeOf(overlay: Overlay): { rows: number; bytes: number } {
  let rows = 0
  let bytes = 0
  for (const { width, rows: values, changed } of overlay.tables) {
    rows += values.length / width - 1
    bytes += values.byteLength + changed.index.byteLength
  }
  return { rows, bytes }
}

const sharedFloats = (length: number) => new Float32Array(new SharedArrayBuffer(length * 4))
const sharedIntegers = (length: number) => new Int32Array(new SharedArrayBuffer(length * 4))

/** An index with room for this many rows, and at least this many places. */
export function emptyIndex(room = 0, places = 1): RowIndex {
  let enough = places
  while (enough < room * 2) enough *= 2
  return { index: sharedIntegers(enough * 2), count: 0 }
}
