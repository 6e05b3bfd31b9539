/** A value of the data: null where there is none. */
export type Cell = string | number | null

export interface Column {
  name: string
  type: 'string' | 'double'
}

/** Rows of training data, read once, in a fixed order. */
export interface Source {
  columns: Column[]
  /** Where row `index` stands, for messages: `file.csv line 7`. */
  place(index: number): string
  /** The rows; an array is as long as `columns` and may be reused for the next row. */
  rows(): AsyncIterable<readonly Cell[]> | Iterable<readonly Cell[]>
}
