/*
 * Live tables: embedding tables of which single rows change while a version is served. Changed rows are in an overlay, a
 * small table beside the large one, which is an input of the compiled graphs.
 */

/** A column of ids whose table rows may change. */
export interface LiveColumn {
  column: number
  /** Value of the column for the field's id 0. */
  offset: number
  /** Number of the field's ids. */
  ids: number
}

/** The columns of one input that a version declares live. */
export interface LiveColumns {
  /** The saved graph's input of ids. */
  input: string
  columns: LiveColumn[]
}

/** A table with an overlay. */
export interface LiveTable {
  /** The graphs' input of its overlay: float32 [1 + changed rows, width]; row 0 is of no id. */
  overlay: string
  width: number
  columns: LiveColumn[]
}

/** The live tables of a compiled plan. */
export interface LiveTables {
  input: string
  /** Columns of that input. */
  inputWidth: number
  tables: LiveTable[]
}

/** Rows that replace those of a table: immutable, in memory that threads share. */
export interface OverlayTable {
  width: number
  /** float32 [1 + changed rows, width]. */
  rows: Float32Array
  columns: OverlayColumn[]
}

/** The changed ids of one column. */
export interface OverlayColumn {
  column: number
  /** int32 [places, 2], a power of two of places, at most half full: a row of the overlay, or 0, and the field's id. */
  index: Int32Array
  /** Changed ids. */
  count: number
}

/** The changed rows of all live tables of a version, in the plan's order. */
export interface Overlay {
  /** Differs from that of every other overlay of the version. */
  number: number
  tables: OverlayTable[]
  /** Ids whose rows differ, or may, from those of the overlay `since`, 0 for none. */
  changed: { since: number; columns: OverlayColumn[] }
}

/** The place of an index, from which on an id is looked for. */
export function placeOf(id: number, places: number): number {
  // Multiplied by the golden ratio (Knuth), ids differ most in their high bits.
  const hash = Math.imul(id, 0x9e3779b1)
  return (hash ^ (hash >>> 16)) & (places - 1)
}

/** The row of an overlay that replaces an id's; 0 if none does. */
export function rowOf({ index }: OverlayColumn, id: number): number {
  const places = index.length / 2
  for (let place = placeOf(id, places); ; place = (place + 1) & (places - 1)) {
    const row = index[place * 2]!
    if (row === 0 || index[place * 2 + 1] === id) return row
  }
}

/** An overlay of the same tables without a row. */
export function emptied({ tables }: Overlay): Overlay {
  const empty = tables.map(({ width, rows, columns }) => ({
    width,
    rows: rows.subarray(0, width),
    columns: columns.map(({ column }) => ({ column, index: new Int32Array(2), count: 0 })),
  }))
  return { number: 0, tables: empty, changed: { since: -1, columns: [] } }
}
