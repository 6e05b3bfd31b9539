import {
  type LiveTable,
  type Overlay,
  type OverlayColumn,
  type OverlayTable,
  placeOf,
  rowOf,
} from '../contracts/live-tables.ts'
import type { Delta } from './delta-file.ts'
import type { LiveField } from './expectation.ts'

/** The overlay of a version whose tables are unchanged. */
export function emptyOverlay(tables: readonly Pick<LiveTable, 'width' | 'columns'>[], number = 0): Overlay {
  return {
    number,
    tables: tables.map(({ width, columns }) => ({
      width,
      rows: sharedFloats(width),
      columns: columns.map(({ column }) => ({ column, index: sharedIntegers(2), count: 0 })),
    })),
    changed: { since: -1, columns: [] },
  }
}

/** An overlay with the rows of deltas, the last one of an id; `from` stays unchanged. It says nothing of `changed`. */
export function extended(from: Overlay, deltas: readonly Delta[], fields: readonly LiveField[]): OverlayTable[] {
  return from.tables.map((table, i) => {
    const changes = deltas.flatMap(({ tables }) =>
      tables.flatMap(({ field, ids, rows }) => {
        const live = fields.find(({ name, table }) => name === field && table === i)
        return live === undefined ? [] : [{ column: live.column, ids, rows }]
      }),
    )
    return changes.length === 0 ? table : extendedTable(table, changes)
  })
}

interface Changes {
  column: number
  ids: Uint32Array
  rows: Float32Array
}

function extendedTable({ width, rows: former, columns: before }: OverlayTable, changes: Changes[]): OverlayTable {
  const most = former.length / width + changes.reduce((sum, { ids }) => sum + ids.length, 0)
  const rows = sharedFloats(most * width)
  rows.set(former)
  const columns = before.map((column) => {
    const more = changes.reduce((sum, one) => sum + (one.column === column.column ? one.ids.length : 0), 0)
    return more === 0 ? column : copied(column, column.count + more)
  })
  let next = former.length / width
  for (const { column, ids, rows: values } of changes) {
    const own = columns.find((one) => one.column === column)!
    for (let i = 0; i < ids.length; i++) {
      const known = rowOf(own, ids[i]!)
      const row = known === 0 ? next++ : known
      if (known === 0) insert(own, ids[i]!, row)
      // A few numbers each: views of them would cost more than the copy.
      for (let from = i * width, to = row * width, k = 0; k < width; k++) rows[to + k] = values[from + k]!
    }
  }
  return { width, rows: rows.subarray(0, next * width), columns }
}

/** A copy of an index with room for this many ids. */
function copied({ column, index, count }: OverlayColumn, room: number): OverlayColumn {
  let places = index.length / 2
  while (places < room * 2) places *= 2
  const copy: OverlayColumn = { column, index: sharedIntegers(places * 2), count: 0 }
  if (places === index.length / 2) {
    copy.index.set(index)
    copy.count = count
  } else for (let i = 0; i < index.length; i += 2) if (index[i] !== 0) insert(copy, index[i + 1]!, index[i]!)
  return copy
}

function insert(column: OverlayColumn, id: number, row: number): void {
  const { index } = column
  const places = index.length / 2
  let place = placeOf(id, places)
  while (index[place * 2] !== 0) place = (place + 1) & (places - 1)
  index[place * 2] = row
  index[place * 2 + 1] = id
  column.count++
}

/** An index of ids alone: of each, the row is 1. */
export function indexOf(column: number, ids: Iterable<number>, most: number): OverlayColumn {
  const all = copied({ column, index: sharedIntegers(2), count: 0 }, most)
  for (const id of ids) if (rowOf(all, id) === 0) insert(all, id, 1)
  return all
}

/** All changed ids of a column. */
export function idsOf({ index, count }: OverlayColumn): Int32Array {
  const ids = new Int32Array(count)
  let next = 0
  for (let i = 0; i < index.length; i += 2) if (index[i] !== 0) ids[next++] = index[i + 1]!
  return ids
}

/** Changed rows of all tables, and the bytes that they take. */
export function sizeOf(overlay: Overlay): { rows: number; bytes: number } {
  let rows = 0
  let bytes = 0
  for (const { width, rows: values, columns } of overlay.tables) {
    rows += values.length / width - 1
    bytes += values.byteLength + columns.reduce((sum, { index }) => sum + index.byteLength, 0)
  }
  return { rows, bytes }
}

const sharedFloats = (length: number) => new Float32Array(new SharedArrayBuffer(length * 4))
const sharedIntegers = (length: number) => new Int32Array(new SharedArrayBuffer(length * 4))
