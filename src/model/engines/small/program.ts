import { compileKernel } from '../../../base/wasm-kernel.ts'
import kernel from './dense-row.wat'

/** A tensor of one row: its address in the heap, bytes, and its dimensions after the batch. */
export interface RowTensor {
  at: number
  dims: readonly number[]
  integers: boolean
}

/** Computes a part of a row. */
export type Step = () => void

/** The computation of one row: steps in their order, over tensors that have their places in one heap. */
export class Program {
  /** Bytes of the heap. */
  bytes = 0
  readonly constants: { at: number; values: Float32Array }[] = []
  readonly steps: ((heap: Heap) => Step)[] = []

  /** Room for `elements` numbers, beginning with a line of the processor's cache. */
  place(elements: number): number {
    const at = this.bytes
    this.bytes = Math.ceil((at + elements * 4) / 64) * 64
    return at
  }

  constant(values: Float32Array): number {
    const at = this.place(values.length)
    this.constants.push({ at, values })
    return at
  }
}

/** Numbers of a run to be copied; places are counted in numbers, not bytes. */
export interface Run {
  from: number
  to: number
  count: number
}

/** Copies numbers; runs that follow one another become one. */
export function copyRuns(runs: readonly Run[]): (heap: Heap) => Step {
  const joined: Run[] = []
  for (const { from, to, count } of runs) {
    const last = joined.at(-1)
    if (last && last.from + last.count === from && last.to + last.count === to) last.count += count
    else joined.push({ from, to, count })
  }
  return ({ integers }) =>
    () => {
      for (const { from, to, count } of joined) for (let i = 0; i < count; i++) integers[to + i] = integers[from + i]!
    }
}

/*
 * The kernel of small graphs, in WebAssembly: a call of it takes nanoseconds, where one of ONNX Runtime takes
 * microseconds.
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
