import { compileKernel } from '../../base/wasm-kernel.ts'
import kernel from './load-rows.wat'

/*
 * Widens stored rows to float32, 16 values at a time: a loop in JavaScript takes about ten times as long, more than to
 * compute the candidates.
 */

/** Widens one row after another; its results live until the next call. */
export interface RowLoader {
  /** The values times a scale. */
  int8(values: Int8Array, scale: number): Float32Array
  /** The float32 values whose upper halves are given. */
  bfloat16(halves: Uint16Array): Float32Array
}

/** For rows of `width` values. Throws RangeError where the system refuses the memory. */
export function createRowLoader(width: number): RowLoader {
  // Kernels read and write whole vectors.
  const padded = Math.ceil(width / 16) * 16
  const { buffer, exports } = createKernel(padded * 6)
  const to = padded * 2
  const loadInt8 = exports.loadInt8 as (from: number, to: number, count: number, scale: number) => void
  const loadBfloat16 = exports.loadBfloat16 as (from: number, to: number, count: number) => void
  const [bytes, halves] = [new Int8Array(buffer, 0, width), new Uint16Array(buffer, 0, width)]
  const loaded = new Float32Array(buffer, to, width)
  return {
    int8(values, scale) {
      bytes.set(values)
      loadInt8(0, to, width, scale)
      return loaded
    },
    bfloat16(values) {
      halves.set(values)
      loadBfloat16(0, to, width)
      return loaded
    },
  }
}

const createKernel = compileKernel(kernel, 'rows')
