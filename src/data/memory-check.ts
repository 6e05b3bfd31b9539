import { formatBytes } from '../model/base/text-table.ts'
import { SpecError } from './spec.ts'

/** Share of the available memory that columns and what is made of them may take; the rest is for the program, and for garbage. */
const usable = 0.75

/** What columns and what is made of them take, bytes. */
export interface ColumnBytes {
  /** Grows with every row. */
  rows: number
  /** Distinct values, which may all have been met. */
  values: number
}

/** Foresees whether rows that are being read fit into memory, from what they have taken so far. */
export class MemoryCheck {
  readonly #available: number

  /** `available`: bytes; default: what the process may still take, limits of containers included. */
  constructor(available = usable * process.availableMemory()) {
    this.#available = available
  }

  /** `share`: share of the data that the `rows` rows are. Throws a SpecError if all of them will not fit. */
  check(rows: number, share: number | undefined, taken: ColumnBytes, file: string): void {
    const factor = share === undefined || share <= 0 ? 1 : 1 / Math.min(1, share)
    const total = taken.rows * factor + taken.values
    if (total <= this.#available) return
    const expected = share
      ? `about ${Math.round((rows * factor) / 1000).toLocaleString('en')},000 rows`
      : `${rows} rows`
    const message = `${expected} would take ${formatBytes(total)} of memory, and ${formatBytes(this.#available)} are available: give fewer rows, or more memory`
    throw new SpecError(file, [{ path: '/data', message }])
  }
}
