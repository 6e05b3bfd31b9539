/*
 * How products are cut into calls, and filled up. Filling up costs next to nothing on AMX, which multiplies tiles of 16
 * rows and reads weights longer than it multiplies; with AVX-512, time is proportional to rows and columns.
 */

interface TilingOptions {
  /** Columns are filled up to a whole number of these. */
  blockColumns: number
  /**
   * Rows that a product or a conversion computes in one call, ascending, from 1. Fewer rows are filled up with what the
   * memory holds.
   */
  rowClasses: readonly number[]
  /** Columns of a product in bfloat16, at most. */
  mostColumns: number
  /** Whether products of a single context read columns that are filled up. */
  fillsSingleRows: boolean
}

export interface Tiling extends TilingOptions {
  /** Columns, filled up to whole blocks. */
  padded(columns: number): number
  /** Calls `compute` for the rows from `start` to `end` in chunks, each of a class of rows. */
  inChunks(start: number, end: number, compute: (row: number, index: number) => void): void
}

/** Rows up to which a chunk is filled up to its class; of more, a class that they fill is computed first. */
const mostFilled = 128

/** The tiling for thousands of rows, such as pairs of candidates and items: a call of 128 takes as long as its rows. */
export function manyRows(tiling: Tiling): Tiling {
  return createTiling({ ...tiling, rowClasses: [...tiling.rowClasses, 512, 2048] })
}

function createTiling(options: TilingOptions): Tiling {
  const { blockColumns, rowClasses } = options
  const most = rowClasses.length - 1
  return {
    ...options,
    padded: (columns) => Math.ceil(columns / blockColumns) * blockColumns,
    inChunks(start, end, compute) {
      for (let row = start; row < end; ) {
        const left = end - row
        let index = most
        if (left > mostFilled) while (rowClasses[index]! > left) index--
        else while (index > 0 && rowClasses[index - 1]! >= left) index--
        compute(row, index)
        row += rowClasses[index]!
      }
    },
  }
}

/**
 * With columns that are no whole number of 64, oneDNN 3.2 leaves AMX or copies what it reads; with more than 2,048
 * columns, it leaves it too, and takes 6 to 13 times as long. A product of one row takes 1.2 to 2.2 times as long on
 * AMX as on AVX512-BF16: contexts, which are mostly those of one request, are not filled up to a block; for candidates,
 * that is not worth the memory.
 */
export const amxTiling = createTiling({
  blockColumns: 64,
  rowClasses: [1, 8, 16, 32, 48, 64, 80, 96, 112, 128],
  mostColumns: 2048,
  fillsSingleRows: false,
})

/**
 * A product [rows, 216] · [216, 2048] takes 3 µs and 2 µs a row on an AMD EPYC: calls are cheap, rows and columns are
 * not.
 */
export const avx512Tiling = createTiling({
  blockColumns: 8,
  rowClasses: [1, ...Array.from({ length: 32 }, (_, i) => 4 * (i + 1))],
  mostColumns: Number.POSITIVE_INFINITY,
  fillsSingleRows: true,
})
