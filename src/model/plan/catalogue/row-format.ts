import type { RowPrecision } from '../../contracts/catalogue.ts'

/** Rows in their stored form, and the scale of each where the precision has one. */
export interface StoredRows {
  /** [rows, width] */
  values: Float32Array | Uint16Array | Int8Array
  /** [rows]; int8 alone. */
  scales?: Float32Array
}

/** Bytes of a row of `width` values, with its scale. */
export function rowBytes(precision: RowPrecision, width: number): number {
  return { float32: 4 * width, bfloat16: 2 * width, int8: width + 4 }[precision]
}

/** Whether a precision can hold the values: int8 has no infinity, and no NaN. */
export function canStore(precision: RowPrecision, values: Float32Array): boolean {
  return precision !== 'int8' || values.every((value) => Number.isFinite(value))
}

/** Float32 rows [rows, width] in the format of a precision. */
export function storeRows(precision: RowPrecision, values: Float32Array, width: number): StoredRows {
  if (precision === 'float32') return { values }
  return precision === 'bfloat16' ? { values: toBfloat16(values) } : toInt8(values, width)
}

/** Stored rows as float32, computed as the catalogue's graph computes them. */
export function loadRows({ values, scales }: StoredRows, width: number): Float32Array {
  if (values instanceof Float32Array) return values
  if (values instanceof Uint16Array) return new Float32Array(Uint32Array.from(values, (bits) => bits << 16).buffer)
  return Float32Array.from(values, (value, i) => value * scales![Math.floor(i / width)]!)
}

/** The upper half of each float32, rounded to the nearest, ties to even; a NaN stays one. */
function toBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  return Uint16Array.from(bits, (word) => {
    if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40
    return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  })
}

/** Each row divided by its scale, which maps its largest value to 127. */
function toInt8(values: Float32Array, width: number): StoredRows {
  const rows = values.length / width
  const stored = new Int8Array(values.length)
  const scales = new Float32Array(rows)
  for (let row = 0; row < rows; row++) {
    const start = row * width
    let most = 0
    for (let i = start; i < start + width; i++) most = Math.max(most, Math.abs(values[i]!))
    const scale = Math.fround(most / 127)
    scales[row] = scale
    if (scale === 0) continue
    for (let i = start; i < start + width; i++)
      stored[i] = Math.max(-127, Math.min(127, Math.round(values[i]! / scale)))
  }
  return { values: stored, scales }
}
