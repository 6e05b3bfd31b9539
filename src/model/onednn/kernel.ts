import { compileKernel } from '../base/wasm-kernel.ts'
import kernel from './kernel.wat'

/** Memory of a program, and the kernels that compute in it. Addresses and strides are in bytes. */
export interface Heap {
  buffer: ArrayBuffer
  /**
   * Per row and task, `out` = max(Σ gates·experts, `floor`): gates [rows, tasks, count], `experts` a list of addresses and strides, and
   * `bytes` of each expert's row, a whole number of 16.
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
   * Per row, softmax of `runs` runs of `count` numbers, at least one. Those of `out` lie side by side; up to 12 bytes behind them are
   * changed.
   */
  softmax(rows: number, runs: number, count: number, from: number, fromStride: number, out: number): void
  /** 1 ÷ (1 + e to the power of −x), of `count` numbers. Up to 12 bytes behind x are read, and as many behind `out` changed. */
  sigmoid(x: number, out: number, count: number): void
  /**
   * Per row and column, max(Σ x·weights + bias, `floor`). `columns` holds four numbers for each of `count` columns: the address of its
   * weights, the first and the end of the bytes of x that they multiply, whole numbers of 16, and its bias, float32.
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
   * Per row, `bytes` bytes of float32, a whole number of 16, as words of two bfloat16 whose sum is the number, but for its last bits; those
   * of `out` lie side by side. NaN and what is too large become the largest of bfloat16.
   */
  split(rows: number, from: number, fromStride: number, out: number, bytes: number): void
  /** Copies `bytes` bytes of each row. */
  copy(rows: number, from: number, fromStride: number, out: number, outStride: number, bytes: number): void
  /**
   * Per row, x ÷ scale, rounded, halves to even, + zero point, within 0 … 255: `scales` and `zeros` are float32 [columns], filled up to
   * a whole number of 4, and up to 12 bytes behind a row of x are read. NaN becomes 0.
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
  /** Per row, float16 as float32. Up to 6 bytes behind a row of x are read, and up to 12 behind one of `out` changed. */
  widen(rows: number, from: number, fromStride: number, out: number, outStride: number, columns: number): void
  /**
   * Per row, x · scale: int8 [rows, columns] and float32 [rows], side by side. Up to 3 bytes behind x are read, and up to 12 behind `out`
   * changed.
   */
  dequantize(rows: number, x: number, scales: number, out: number, columns: number): void
}

/** Zeros. Throws RangeError where the system refuses the memory, or it would exceed 4 GiB. */
export function createHeap(bytes: number): Heap {
  const { buffer, exports } = createKernel(bytes)
  return { buffer, ...(exports as unknown as Omit<Heap, 'buffer'>) }
}

const createKernel = compileKernel(kernel, 'onednn')
