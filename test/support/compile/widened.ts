import type { NarrowFormat } from '../../../src/model/contracts/compiled-plan.ts'
import { toFloat16, toInt8 } from '../../../src/model/graph/compile/narrow-tables.ts'

/** The number that 16 bits stand for (IEEE 754). */
export function halfOf(bits: number): number {
  const exponent = (bits >>> 10) & 31
  const fraction = bits & 1023
  const size =
    exponent === 31
      ? fraction === 0
        ? Number.POSITIVE_INFINITY
        : Number.NaN
      : exponent === 0
        ? fraction * 2 ** -24
        : (1024 + fraction) * 2 ** (exponent - 25)
  return bits & 0x8000 ? -size : size
}

/** The results of look-ups of narrow rows [rows, dim]. */
export function widened(values: Float32Array, dim: number, format: NarrowFormat): Float32Array {
  if (format === 'float16') return Float32Array.from(toFloat16(values), halfOf)
  const { bytes, scales } = toInt8(values, dim)
  return Float32Array.from(bytes, (byte, i) => byte * scales[Math.floor(i / dim)]!)
}
