import { compileKernel } from '../../../base/wasm-kernel.ts'
import type { TensorData } from '../../contracts/engine.ts'
import kernel from './kernel.wat'
import type { Library } from './library.ts'
import type { BoundProduct, Conversion, Place, Product, Region, Weights } from './primitives.ts'

/*
 * A graph as a list of steps over the rows of a call. Each tensor that is computed has a buffer; the buffers of all
 * tensors lie in one memory, which is made for the largest call so far.
 */

/** Whether a tensor has a row for each row of a call, or for each of its requests. */
export type Each = 'rows' | 'requests'

/** Inputs of a call. */
export interface Call {
  rows: number
  requests: number
  /** The first row of each request, and `rows`. */
  starts: Int32Array
  /** By the number of the input. */
  feeds: readonly { data: TensorData | BigInt64Array | Uint16Array | Uint8Array }[]
}

/** The memory of calls with a limited number of rows. */
export interface Frame extends Omit<Heap, 'buffer'> {
  readonly region: Region
  readonly floats: Float32Array
  readonly integers: Int32Array
  readonly longs: BigInt64Array
  readonly bytes: Uint8Array
  /** Where each buffer begins, bytes. */
  readonly at: readonly number[]
}

/** Computes rows `start` … `end` of a product with this bias. */
export type RunRows = (frame: Frame, call: Call, start: number, end: number, bias: Place) => void

export type Step = (frame: Frame, call: Call) => void

/** Rows of memory behind the last row: the last chunk of a product may compute some of them. */
const slack = 32

export class Program {
  readonly steps: Step[] = []
  readonly #library: Library
  /** Bytes a row, or numbers that are the same in every frame. */
  readonly #buffers: (number | Float32Array)[] = []
  readonly #bound: BoundProduct[] = []
  readonly #kept: (Product | Conversion)[] = []
  #frame: (Frame & { capacity: number }) | undefined

  constructor(library: Library) {
    this.#library = library
  }

  /** A buffer with this many bytes a row; its index. The memory is zero at first. */
  buffer(bytes: number): number {
    return this.#buffers.push(bytes) - 1
  }

  /** A buffer of these numbers; its index. */
  fixed(values: Float32Array): number {
    return this.#buffers.push(values) - 1
  }

  /** Constants in memory of their own, as oneDNN reads them. */
  constant(values: Float32Array | Int32Array): Place {
    const buffer = new ArrayBuffer(Math.max(64, values.byteLength))
    new Uint8Array(buffer).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    return { region: this.#library.region(buffer), at: 0 }
  }

  /** Has these as long as the program is open. */
  keep(primitives: readonly (Product | Conversion)[]): void {
    this.#kept.push(...primitives)
  }

  /** A product with its weights, as long as the program is open. */
  bind(product: Product, weights: Weights): BoundProduct {
    const bound = product.bind(weights)
    this.#bound.push(bound)
    return bound
  }

  /** Frees what the program has outside of JavaScript's memory: no call may follow. */
  close(): void {
    for (const bound of this.#bound.splice(0)) bound.release()
    for (const primitive of this.#kept.splice(0)) this.#library.takeBack(primitive)
  }

  /**
   * Runs all steps; returns the frame, which holds the results until the next call. Throws RangeError where memory is
   * missing.
   */
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
    for (const content of this.#buffers) {
      at.push(end)
      const bytes = typeof content === 'number' ? content * (capacity + slack) : content.byteLength
      end = Math.ceil((end + bytes) / 64) * 64
    }
    const { buffer, ...kernels } = createHeap(end)
    const region = this.#library.region(buffer)
    const views = {
      floats: new Float32Array(buffer),
      integers: new Int32Array(buffer),
      longs: new BigInt64Array(buffer),
      bytes: new Uint8Array(buffer),
    }
    this.#buffers.forEach((content, i) => {
      if (content instanceof Float32Array) views.floats.set(content, at[i]! / 4)
    })
    return { capacity, region, ...views, ...kernels, at }
  }
}

/** Memory of a program, and the kernels that compute in it. Addresses and strides are in bytes. */
export interface Heap {
  buffer: ArrayBuffer
  /**
   * Per row and task, `out` = max(Σ gates·experts, `floor`): gates [rows, tasks, count], `experts` a list of addresses
   * and strides, and `bytes` of each expert's row, a whole number of 16.
   */
  mix(
    rows: number,
    tasks: number,
    experts: number,
    count: number,
    gates: number,
    gateStride: number,
    out: number,
    outStride: number,
    bytes: number,
    floor: number,
  ): void
  /**
   * Per row, softmax of `runs` runs of `count` numbers, at least one. Those of `out` lie side by side; up to 12 bytes
   * behind them are changed.
   */
  softmax(rows: number, runs: number, count: number, from: number, fromStride: number, out: number): void
  /**
   * 1 ÷ (1 + e to the power of −x), of `count` numbers. Up to 12 bytes behind x are read, and as many behind `out`
   * changed.
   */
  sigmoid(x: number, out: number, count: number): void
  /**
   * Per row and column, max(Σ x·weights + bias, `floor`). `columns` holds four numbers for each of `count` columns: the
   * address of its weights, the first and the end of the bytes of x that they multiply, whole numbers of 16, and its
   * bias, float32.
   */
  dot(
    rows: number,
    x: number,
    xStride: number,
    columns: number,
    count: number,
    out: number,
    outStride: number,
    floor: number,
  ): void
  /** Per row, a + b, `bytes` bytes of float32. */
  add(
    rows: number,
    a: number,
    aStride: number,
    b: number,
    bStride: number,
    out: number,
    outStride: number,
    bytes: number,
  ): void
  /**
   * Per row, `bytes` bytes of float32, a whole number of 16, as words of two bfloat16 whose sum is the number, but for
   * its last bits; those of `out` lie side by side. NaN and what is too large become the largest of bfloat16.
   */
  split(rows: number, from: number, fromStride: number, out: number, bytes: number): void
  /** Copies `bytes` bytes of each row. */
  copy(rows: number, from: number, fromStride: number, out: number, outStride: number, bytes: number): void
  /**
   * Per row, x ÷ scale, rounded, halves to even, + zero point, within 0 … 255: `scales` and `zeros` are float32
   * [columns], filled up to a whole number of 4, and up to 12 bytes behind a row of x are read. NaN becomes 0.
   */
  quantize(
    rows: number,
    from: number,
    fromStride: number,
    scales: number,
    zeros: number,
    out: number,
    outStride: number,
    columns: number,
  ): void
  /**
   * Per row, float16 as float32. Up to 6 bytes behind a row of x are read, and up to 12 behind one of `out` changed.
   */
  widen(rows: number, from: number, fromStride: number, out: number, outStride: number, columns: number): void
  /**
   * Per row, x · scale: int8 [rows, columns] and float32 [rows], side by side. Up to 3 bytes behind x are read, and up
   * to 12 behind `out` changed.
   */
  dequantize(rows: number, x: number, scales: number, out: number, columns: number): void
}

/** Zeros. Throws RangeError where the system refuses the memory, or it would exceed 4 GiB. */
export function createHeap(bytes: number): Heap {
  const { buffer, exports } = createKernel(bytes)
  return { buffer, ...(exports as unknown as Omit<Heap, 'buffer'>) }
}

const createKernel = compileKernel(kernel, 'onednn')
