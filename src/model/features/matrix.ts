/** Unscaled numbers, row-major [rows, width]. */
export class NumberMatrix {
  readonly rows: number
  readonly width: number
  readonly values: Int32Array | Float32Array | Float64Array

  constructor(rows: number, width: number, values: Int32Array | Float32Array | Float64Array) {
    this.rows = rows
    this.width = width
    this.values = values
  }
}
