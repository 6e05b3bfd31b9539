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

/** Larger values would be infinite when they are read. */
const mostInt8 = 2 ** 127
/** A row whose largest value is smaller is 0: the reciprocal of its scale would be infinite. */
const leastInt8 = 2 ** -100

/** Whether a precision can hold the values: int8 has no infinity, and no NaN. */
export function canStore(precision: RowPrecision, values: Float32Array): boolean {
  if (precision !== 'int8') return true
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]!) < mostInt8)) return false
  return true
}

/** Float32 rows [rows, width] in the format of a precision. */
export function storeRows(precision: RowPrecision, values: Float32Array, width: number): StoredRows {
  if (precision === 'float32') return { values }
  return precision === 'bfloat16' ? { values: toBfloat16(values) } : toInt8(values, width)
}

/** Stored rows as float32, computed as the catalogue's graph computes them. */
export function loadRows({ values, scales }: StoredRows, width: number): Float32Array {
  if (values instanceof Float32Array) return values
  if (values instanceof Uint16Array) {
    const bits = new Uint32Array(values.length)
    for (let i = 0; i < bits.length; i++) bits[i] = values[i]! << 16
    return new Float32Array(bits.buffer)
  }
  const loaded = new Float32Array(values.length)
  for (let i = 0; i < loaded.length; ) {
    const scale = scales![i / width]!
    for (const end = i + width; i < end; i++) loaded[i] = values[i]! * scale
  }
  return loaded
}

/** The upper half of each float32, rounded to the nearest, ties to even; a NaN stays one. */
function toBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const stored = new Uint16Array(values.length)
  for (let i = 0; i < stored.length; i++) {
    const word = bits[i]!
    const nan = (word & 0x7fffffff) > 0x7f800000
    stored[i] = nan ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  }
  return stored
}

/** Each row divided by its scale, which maps its largest value to 127. */
function toInt8(values: Float32Array, width: number): StoredRows {
  const stored = new Int8Array(values.length)
  const scales = new Float32Array(values.length / width)
  for (let row = 0; row < scales.length; row++) {
    const start = row * width
    const end = start + width
    let most = leastInt8
    for (let i = start; i < end; i++) {
      most = Math.max(most, Math.abs(values[i]!))
    }
    if (most === leastInt8) continue
    scales[row] = most / 127
    const steps = 127 / most
    // `| 0` cuts off the fraction: of a positive number, the next lower integer.
    for (let i = start; i < end; i++) stored[i] = ((values[i]! * steps + 128.5) | 0) - 128
  }
  return { values: stored, scales }
}
