import { compileKernel } from '../../base/wasm-kernel.ts'
import kernel from './dense-row.wat'

/*
 * The kernel of small graphs, in WebAssembly: a call of it takes nanoseconds, where one of ONNX Runtime takes microseconds.
 */

/** Memory of a small graph; both views show all of it. */
export interface Heap {
  floats: Float32Array
  integers: Int32Array
  denseRow: DenseRow
}

/** `out` [n] = max(`x` [k] · `w` [k, n] + `bias` [n], `floor`). Addresses are in bytes. */
export type DenseRow = (x: number, k: number, w: number, n: number, bias: number, floor: number, out: number) => void

/** Zeros. Throws RangeError where the system refuses the memory. */
export function createHeap(bytes: number): Heap {
  const { buffer, exports } = createKernel(bytes)
  return {
    floats: new Float32Array(buffer),
    integers: new Int32Array(buffer),
    denseRow: exports.denseRow as DenseRow,
  }
}

const createKernel = compileKernel(kernel, 'small')
