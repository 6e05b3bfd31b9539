import type { TensorData } from '../contracts/engine.ts'
import { createHeap, type Heap } from './kernel.ts'
import type { Library, Place, Region } from './library.ts'

/*
 * A graph as a list of steps over the rows of a call. Each tensor that is computed has a buffer; the buffers of all tensors lie in
 * one memory, which is made for the largest call so far.
 */

/** What a tensor has a row for. */
export type Each = 'rows' | 'requests'

/** Inputs of a call. */
export interface Call {
  rows: number
  requests: number
  /** The first row of each request, and `rows`. */
  starts: Int32Array
  /** By the graph's input. */
  feeds: Record<string, TensorData | BigInt64Array | Uint16Array>
}

/** The memory of calls with a limited number of rows. */
export interface Frame extends Pick<Heap, 'mix' | 'softmax'> {
  readonly region: Region
  readonly floats: Float32Array
  readonly integers: Int32Array
  readonly doubles: Float64Array
  /** Where each buffer begins, bytes. */
  readonly at: readonly number[]
}

export type Step = (frame: Frame, call: Call) => void

/** Rows that a product or a conversion computes in one call, ascending. Fewer rows are filled up with what the memory holds. */
export const rowClasses = [1, 8, 16, 32, 48, 64, 80, 96, 112, 128] as const

/** Rows of memory behind the last row: the last chunk of a product may compute some of them. */
const slack = 32

/** Calls `compute` for the rows from `start` to `end` in chunks, each of a class of rows. */
export function inChunks(start: number, end: number, compute: (row: number, index: number) => void): void {
  const most = rowClasses.length - 1
  for (let row = start; row < end; row += rowClasses[most]!) {
    const left = end - row
    let index = most
    while (index > 0 && rowClasses[index - 1]! >= left) index--
    compute(row, index)
  }
}

export class Program {
  readonly steps: Step[] = []
  readonly #library: Library
  readonly #rowBytes: number[] = []
  #frame: (Frame & { capacity: number }) | undefined

  constructor(library: Library) {
    this.#library = library
  }

  /** A buffer with this many bytes a row; its index. The memory is zero at first. */
  buffer(bytes: number): number {
    return this.#rowBytes.push(bytes) - 1
  }

  /** Constants in memory of their own, as oneDNN reads them. */
  constant(values: Float32Array): Place {
    const buffer = new ArrayBuffer(Math.max(64, values.byteLength))
    new Float32Array(buffer).set(values)
    return { region: this.#library.region(buffer), at: 0 }
  }

  /** Runs all steps; returns the frame, which holds the results until the next call. Throws RangeError where memory is missing. */
  run(call: Call): Frame {
    const rows = Math.max(call.rows, call.requests)
    if (this.#frame === undefined || this.#frame.capacity < rows) this.#frame = this.#createFrame(rows)
    const frame = this.#frame
    for (const step of this.steps) step(frame, call)
    return frame
  }

  #createFrame(rows: number): Frame & { capacity: number } {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(128, rows)))
    const at: number[] = []
    let end = 0
    for (const bytes of this.#rowBytes) {
      at.push(end)
      end = Math.ceil((end + bytes * (capacity + slack)) / 64) * 64
    }
    const { buffer, mix, softmax } = createHeap(end)
    const region = this.#library.region(buffer)
    const views = {
      floats: new Float32Array(buffer),
      integers: new Int32Array(buffer),
      doubles: new Float64Array(buffer),
    }
    return { capacity, region, ...views, mix, softmax, at }
  }
}
