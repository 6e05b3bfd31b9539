import { compileKernel } from '../../../base/wasm-kernel.ts'
import type { TensorData } from '../../contracts/engine.ts'
import kernel from './kernel.wat'

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
  feeds: readonly { data: TensorData | BigInt64Array | Uint16Array | Uint8Array; dims: readonly number[] }[]
}

/** The memory of calls with a limited number of rows, and the kernels that compute in it. */
export interface Frame extends Kernels {
  readonly buffer: ArrayBuffer
  readonly floats: Float32Array
  readonly integers: Int32Array
  readonly longs: BigInt64Array
  readonly bytes: Uint8Array
  /** Where each buffer begins, bytes. */
  readonly at: readonly number[]
}

/** Computes a part of a call. */
export type Step = (call: Call) => void

export interface ProgramOptions {
  /** Rows of the smallest frame: a power of 2. */
  leastRows: number
  /** Rows of memory behind the last row, which steps may compute. */
  slack: number
  /** Kernels in place of WebAssembly's. */
  kernels?(floats: Float32Array): Partial<Kernels>
}

export class Program {
  readonly #options: ProgramOptions
  readonly #steps: ((frame: Frame) => Step)[] = []
  /** Bytes a row, or numbers that are the same in every frame. */
  readonly #buffers: (number | Float32Array)[] = []
  #opened: { frame: Frame; steps: Step[]; capacity: number } | undefined

  constructor(options: ProgramOptions) {
    this.#options = options
  }

  /** A buffer with this many bytes a row; its index. The memory is zero at first. */
  buffer(bytes: number): number {
    return this.#buffers.push(bytes) - 1
  }

  /** A buffer of these numbers; its index. */
  fixed(values: Float32Array): number {
    return this.#buffers.push(values) - 1
  }

  /** Adds a step, which is made for each frame: so it looks its places up once, not in each call. */
  step(make: (frame: Frame) => Step): void {
    this.#steps.push(make)
  }

  /** The frame for calls of up to `rows` rows or requests. Throws RangeError where memory is missing. */
  open(rows: number): Frame {
    if (this.#opened === undefined || this.#opened.capacity < rows) this.#opened = this.#createFrame(rows)
    return this.#opened.frame
  }

  /**
   * Runs all steps; returns the frame, which holds the results until the next call. Throws RangeError where memory is
   * missing.
   */
  run(call: Call): Frame {
    const frame = this.open(Math.max(call.rows, call.requests))
    for (const step of this.#opened!.steps) step(call)
    return frame
  }

  #createFrame(rows: number) {
    const { leastRows, slack, kernels } = this.#options
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(leastRows, rows)))
    const at: number[] = []
    let end = 0
    for (const content of this.#buffers) {
      at.push(end)
      const bytes = typeof content === 'number' ? content * (capacity + slack) : content.byteLength
      end = Math.ceil((end + bytes) / 64) * 64
    }
    const heap = createHeap(end)
    const { buffer } = heap
    const floats = new Float32Array(buffer)
    this.#buffers.forEach((content, i) => {
      if (content instanceof Float32Array) floats.set(content, at[i]! / 4)
    })
    const frame: Frame = {
      ...heap,
      ...kernels?.(floats),
      floats,
      integers: new Int32Array(buffer),
      longs: new BigInt64Array(buffer),
      bytes: new Uint8Array(buffer),
      at,
    }
    return { frame, steps: this.#steps.map((make) => make(frame)), capacity }
  }
}

/** Functions in WebAssembly. Addresses and strides are in bytes. */
export interface Kernels {
  /** `out` [n] = max(`x` [k] · `w` [k, n] + `bias` [n], `floor`); k and n are counts of float32. */
  denseRow(x: number, k: number, w: number, n: number, bias: number, floor: number, out: number): void
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
   * Per row, x where it is not negative, and x·slopes where it is, `bytes` bytes of float32; `slopes` are one row. A
   * NaN stays one.
   */
  prelu(rows: number, x: number, xStride: number, slopes: number, out: number, outStride: number, bytes: number): void
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
export function createHeap(bytes: number): Kernels & { buffer: ArrayBuffer } {
  createKernel ??= compileKernel(kernel, 'rows')
  const { buffer, exports } = createKernel(bytes)
  return { buffer, ...(exports as unknown as Kernels) }
}

let createKernel: ReturnType<typeof compileKernel> | undefined
