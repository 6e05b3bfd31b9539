import type { Cell } from './source.ts'

/** One column of a row group, in typed arrays. */
export interface GroupColumn {
  at(row: number): Cell
}

/** Values of a column as the library decodes them, page by page. */
export type Pages = readonly ArrayLike<unknown>[]

/** Strings of a row group, each stored once; those in `missing` are missing. */
export function stringColumn(pages: Pages, rows: number, missing: ReadonlySet<string>): GroupColumn {
  const codes = new Int32Array(rows)
  const numbers = new Map<string, number>()
  const values: (string | null)[] = [null]
  for (const text of missing) numbers.set(text, 0)
  fill(pages, rows, (row, value) => {
    if (value === null || value === undefined) return
    const text = String(value)
    let code = numbers.get(text)
    if (code === undefined) {
      code = values.push(text) - 1
      numbers.set(text, code)
    }
    codes[row] = code
  })
  return { at: (row) => values[codes[row]!]! }
}

/** Numbers of a row group. Throws an Error with the row, from 0, of an integer that a number does not hold exactly. */
export function numberColumn(pages: Pages, rows: number): GroupColumn {
  const numbers = new Float64Array(rows)
  // NaN is a number here, and not a missing one.
  const absent = new Uint8Array(rows)
  fill(pages, rows, (row, value) => {
    if (value === null || value === undefined) absent[row] = 1
    else numbers[row] = typeof value === 'bigint' ? exact(value, row) : Number(value)
  })
  return { at: (row) => (absent[row] ? null : numbers[row]!) }
}

/** A value that can't be read; `row`: from 0, in its row group. */
export class ValueError extends Error {
  readonly row: number

  constructor(row: number, message: string) {
    super(message)
    this.row = row
  }
}

function exact(value: bigint, row: number): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw new ValueError(row, `holds ${value}, beyond ±2^53: write such ids as strings`)
}

function fill(pages: Pages, rows: number, put: (row: number, value: unknown) => void): void {
  let row = 0
  for (const page of pages) {
    const count = Math.min(page.length, rows - row)
    for (let i = 0; i < count; i++) put(row + i, page[i])
    row += count
  }
  if (row < rows) throw new Error(`ends after ${row} of the ${rows} rows of a row group`)
}
