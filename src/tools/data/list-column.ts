import { Blocks, type KeptRows } from '../../base/column-blocks.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import { type CellColumn, type ColumnBytes, NumberColumn, StringColumn } from './columns.ts'

/** A list of a row. */
export interface ListValue {
  values: readonly (string | number)[]
  /** One for each value; default: 1. */
  weights?: readonly number[] | undefined
}

/** A list as the value of a field, with weights where the field has them. */
export function featureOf({ values, weights = values.map(() => 1) }: ListValue, weighted: boolean): FeatureValue {
  return weighted ? { values: [...values], weights: [...weights] } : [...values]
}

/**
 * Lists, or vectors, of any length: the values of all rows one after the other, and per row where its own are. They
 * take no room for values that a row doesn't have.
 */
export class ListColumn implements CellColumn {
  readonly values: StringColumn | NumberColumn
  readonly weights: NumberColumn | undefined
  readonly #starts = new Blocks([Uint32Array, Float64Array])
  /** 0 where the list is missing, else one more than its length. */
  readonly #lengths = new Blocks([Uint8Array, Uint16Array, Uint32Array])

  constructor(kind: 'string' | 'number', weighted: boolean) {
    this.values = kind === 'string' ? new StringColumn() : new NumberColumn()
    this.weights = weighted ? new NumberColumn() : undefined
  }

  get length(): number {
    return this.#lengths.length
  }

  get bytes(): ColumnBytes {
    const { rows, values } = this.values.bytes
    const own = this.#starts.bytes + this.#lengths.bytes + (this.weights?.bytes.rows ?? 0)
    return { rows: rows + own, values }
  }

  push(list: ListValue | null): void {
    this.#starts.push(this.values.length)
    this.#lengths.push(list === null ? 0 : list.values.length + 1)
    list?.values.forEach((value, i) => {
      this.values.push(value as never)
      this.weights?.push(list.weights?.[i] ?? 1)
    })
  }

  /** Appends a list of values that `values` has already. */
  point(start: number, length: number): void {
    this.#starts.push(start)
    this.#lengths.push(length + 1)
  }

  /** Where the row's values begin in `values`. */
  startOf(row: number): number {
    return this.#starts.at(row)
  }

  /** Number of the row's values; −1 if its list is missing. */
  lengthOf(row: number): number {
    return this.#lengths.at(row) - 1
  }

  at(row: number): FeatureValue {
    const length = this.lengthOf(row)
    if (length < 0) return null
    const start = this.startOf(row)
    const values = Array.from({ length }, (_, i) => this.values.at(start + i)!)
    const { weights } = this
    return weights ? { values, weights: Array.from({ length }, (_, i) => weights.at(start + i)!) } : values
  }

  /** The values of rows that are let go stay. */
  keep(kept: KeptRows, block: number): void {
    this.#starts.keep(kept, block)
    this.#lengths.keep(kept, block)
  }

  *[Symbol.iterator](): Iterator<FeatureValue> {
    for (let row = 0; row < this.length; row++) yield this.at(row)
  }
}
