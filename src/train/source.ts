/** A value of the data; null if it is missing. */
export type Cell = string | number | null

export interface Column {
  name: string
  type: 'string' | 'double'
}

/** Rows of training data, read once, in a fixed order. */
export interface Source {
  columns: Column[]
  /** Place of row `index`, for messages: `file.csv line 7`. */
  place(index: number): string
  /** The rows; each array has the length of `columns` and may be reused for the next row. */
  rows(): AsyncIterable<readonly Cell[]> | Iterable<readonly Cell[]>
}
