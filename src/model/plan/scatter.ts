/** Gathers rows, computed in one or several calls, in the batch's order. What a call answers may live until the next one: it is copied. */
export class ScatteredOutput {
  readonly #total: number
  #values: Float32Array | undefined

  /** `total`: rows of the batch. */
  constructor(total: number) {
    this.#total = total
  }

  /** `values` [rows.length, width] are the batch's rows `rows`. */
  place(values: Float32Array, rows: ArrayLike<number>): void {
    if (rows.length === this.#total && isInOrder(rows)) {
      this.#values = new Float32Array(values)
      return
    }
    const width = values.length / rows.length
    this.#values ??= new Float32Array(this.#total * width)
    for (let i = 0; i < rows.length; i++)
      for (let j = 0; j < width; j++) this.#values[rows[i]! * width + j] = values[i * width + j]!
  }

  /** [total, width], once every row has been placed. */
  get values(): Float32Array {
    return this.#values!
  }
}

function isInOrder(rows: ArrayLike<number>): boolean {
  for (let i = 0; i < rows.length; i++) if (rows[i] !== i) return false
  return true
}
