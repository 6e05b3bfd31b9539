/*
 * Live tables: embedding tables of which single rows change while a version is served. Changed rows are in an overlay,
 * a small table beside the large one, which is an input of the compiled graphs, as is the index of the table's rows in
 * it.
 */

/**
 * Rows of a table that share a page of its index: few, since changed rows may be anywhere, and each takes a page then.
 * Pages of rows that are unchanged take 4 bytes each.
 */
export const rowsOfPage = 16

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

/** A live column, and the rows of its table that its ids are: `first` is the row of the field's id 0. */
export interface LiveRows {
  column: number
  ids: number
  first: number
}

/**
 * A column of an input that is looked up in a table: a value's row is the value + `added`, and counted from the end
 * where that is negative.
 */
export interface TableReader {
  input: string
  column: number
  added: number
}

/** A table with an overlay. */
export interface LiveTable {
  /** The graphs' input of its overlay: float32 [1 + changed rows, width]; row 0 is of no row. */
  overlay: string
  /**
   * The graphs' inputs of its index: int32 [rows / `rowsOfPage`], and [any]. The place of a row in the overlay, or 0,
   * is slots[row + pages[row / `rowsOfPage`]].
   */
  pages: string
  slots: string
  rows: number
  width: number
  /** The live columns; their rows may overlap. */
  columns: LiveRows[]
  /**
   * All columns that are looked up in it, live or not; undefined where it is also read by other ids than values of
   * single columns.
   */
  readers?: TableReader[]
}

/** The live tables of a compiled plan. */
export interface LiveTables {
  tables: LiveTable[]
}

/** Rows that replace those of a table: immutable, in memory that threads share. */
export interface OverlayTable {
  width: number
  /** float32 [1 + changed rows, width]. */
  rows: Float32Array
  changed: RowIndex
}

/** Some rows of a table. */
export interface RowIndex {
  /**
   * int32 [places, 2], a power of two of places, at most half full: a place in the overlay, or 0, and the table's row.
   */
  index: Int32Array
  /** Rows in it. */
  count: number
}

/** The changed rows of all live tables of a version, in the plan's order. */
export interface Overlay {
  /** Differs from that of every other overlay of the version. */
  number: number
  tables: OverlayTable[]
  /** The rows of each table that differ, or may differ, from those of the overlay `since`, 0 for none. */
  changed: { since: number; tables: RowIndex[] }
}

/** The place of an index, from which on a row is looked for. */
export function placeOf(row: number, places: number): number {
  // Multiplied by the golden ratio (Knuth), rows differ most in their high bits.
  const hash = Math.imul(row, 0x9e3779b1)
  return (hash ^ (hash >>> 16)) & (places - 1)
}

/** The place in the overlay that replaces a table's row; 0 if none does. */
export function slotOf({ index }: RowIndex, row: number): number {
  const places = index.length / 2
  for (let place = placeOf(row, places); ; place = (place + 1) & (places - 1)) {
    const slot = index[place * 2]!
    if (slot === 0 || index[place * 2 + 1] === row) return slot
  }
}

/** Calls back for each row of an index, with its place in the overlay. */
export function eachRow({ index }: RowIndex, callback: (row: number, slot: number) => void): void {
  for (let i = 0; i < index.length; i += 2) if (index[i] !== 0) callback(index[i + 1]!, index[i]!)
}

/** The row of a table of `rows` rows that a reader looks up for a value. */
export function rowOf(value: number, { added }: TableReader, rows: number): number {
  const row = Math.trunc(value) + added
  return row < 0 ? row + rows : row
}

/** An overlay of the same tables without a row. */
export function emptied({ tables }: Overlay): Overlay {
  const none = { index: new Int32Array(2), count: 0 }
  const empty = tables.map(({ width, rows }) => ({ width, rows: rows.subarray(0, width), changed: none }))
  return { number: 0, tables: empty, changed: { since: -1, tables: empty.map(() => none) } }
}
