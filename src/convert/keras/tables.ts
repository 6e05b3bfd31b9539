import type { IdRange } from './imported-model.ts'

/** Part of an embedding table: `width` floats per row. */
export interface TablePart {
  values: Float32Array
  width: number
}

/**
 * Joins the ranges of all columns into one table: [Σ ids, width]. The parts of a column stand side by side in its rows; the
 * rest of a row is 0.
 */
export function joinTables(ranges: IdRange[], partsOf: (column: number) => TablePart[], width: number): Float32Array {
  const total = ranges.reduce((sum, { ids }) => sum + ids, 0)
  const joined = new Float32Array(total * width)
  let row = 0
  ranges.forEach(({ first, ids }, column) => {
    let at = 0
    for (const part of partsOf(column)) {
      if (part.width === width) joined.set(part.values.subarray(first * width, (first + ids) * width), row * width)
      else
        for (let id = 0; id < ids; id++)
          joined.set(
            part.values.subarray((first + id) * part.width, (first + id + 1) * part.width),
            (row + id) * width + at,
          )
      at += part.width
    }
    row += ids
  })
  return joined
}
