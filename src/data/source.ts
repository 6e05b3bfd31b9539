import type { OwnPart } from './files.ts'

/** A value of the data; null if it is missing. */
export type Cell = string | number | null

export interface Column {
  name: string
  type: 'string' | 'double'
}

/** A column of a type that rows can't be read from. */
export interface UnusableColumn {
  name: string
  /** What it holds, with an article: `a list`. */
  type: string
}

/** Rows of data, read once, in a fixed order. */
export interface Source {
  columns: Column[]
  unusable?: UnusableColumn[]
  /** Place of row `index`, for messages: `file.csv line 7`. */
  place(index: number): string
  /**
   * The rows; each array has the length of `columns` and may be reused for the next row. `wanted`: indexes of the columns whose
   * cells are needed, where others may hold anything; default: all.
   */
  rows(wanted?: ReadonlySet<number>): AsyncIterable<readonly Cell[]> | Iterable<readonly Cell[]>
  /** Rows of the files that are a part of their own, once all are read: the last ones are those of test, before them validation. */
  ownRows?(): Record<OwnPart, number>
  /** Share of the data that has been read, 0 to 1, about; undefined if nothing says so. */
  progress(): number | undefined
}
