/** A value of the data; null if it is missing. */
export type Cell = string | number | null

export interface Column {
  name: string
  type: 'string' | 'double'
}

/** Rows of data, read once, in a fixed order. */
export interface Source {
  columns: Column[]
  /** Place of row `index`, for messages: `file.csv line 7`. */
  place(index: number): string
  /** The rows; each array has the length of `columns` and may be reused for the next row. */
  rows(): AsyncIterable<readonly Cell[]> | Iterable<readonly Cell[]>
  /** Share of the data that has been read, 0 to 1, about; undefined if it can't be told. */
  progress(): number | undefined
}
