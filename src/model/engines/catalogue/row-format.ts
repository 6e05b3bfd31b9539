import { compileKernel } from '../../../base/wasm-kernel.ts'
import type { RowPrecision } from '../../contracts/catalogue.ts'
import kernel from './load-rows.wat'

/*
 * A row of a catalogue, int32 words: the key, the values in their precision, and for int8 their scale. Side by side
 * they are on one page of memory, or two.
 */

/** The form of a catalogue's rows. */
export interface RowShape {
  precision: RowPrecision
  /** int32 words of a key. */
  keyWords: number
  /** Values of a row. */
  width: number
}

/** int32 words of a row. */
export function rowWords({ precision, keyWords, width }: RowShape): number {
  const bytes = { float32: 4, bfloat16: 2, int8: 1 }[precision]
  return keyWords + Math.ceil((width * bytes) / 4) + (precision === 'int8' ? 1 : 0)
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

/** Rows [rows, words] of keys [rows, keyWords] and values [rows, width]. */
export function writeRows(shape: RowShape, keys: Int32Array, values: Float32Array): Int32Array {
  const { precision, keyWords, width } = shape
  const words = rowWords(shape)
  const rows = values.length / width
  const out = new Int32Array(rows * words)
  const write = { float32: writeFloat32, bfloat16: writeBfloat16, int8: writeInt8 }[precision]
  const views = viewsOf(out)
  for (let row = 0; row < rows; row++) {
    const start = row * words
    out.set(keys.subarray(row * keyWords, (row + 1) * keyWords), start)
    write(values.subarray(row * width, (row + 1) * width), views, start + keyWords)
  }
  return out
}

/** Rows [rows, words] of a catalogue, by number. */
export interface StoredRows {
  /** Whether the key of a row is that in a row of `keys` [rows, keyWords]. */
  hasKey(row: number, keys: Int32Array, at: number): boolean
  /** Writes the values of a row, as float32, to `target` from `at` on. */
  load(row: number, target: Float32Array, at: number): void
}

/** Creates a reader of rows [rows, words] in memory that begins at a multiple of 4 bytes. */
export function createRowReader(shape: RowShape): (stored: Int32Array) => StoredRows {
  const { precision, keyWords, width } = shape
  const words = rowWords(shape)
  const loader = createRowLoader(width)
  return (stored) => {
    const { floats, halves, bytes } = viewsOf(stored)
    const valuesAt = (row: number) => row * words + keyWords
    const load: Record<RowPrecision, StoredRows['load']> = {
      float32: (row, target, at) => target.set(floats.subarray(valuesAt(row), valuesAt(row) + width), at),
      bfloat16(row, target, at) {
        const from = valuesAt(row) * 2
        target.set(loader.bfloat16(halves.subarray(from, from + width)), at)
      },
      int8(row, target, at) {
        const from = valuesAt(row) * 4
        const scale = floats[(row + 1) * words - 1]!
        target.set(loader.int8(bytes.subarray(from, from + width), scale), at)
      },
    }
    return {
      hasKey(row, keys, at) {
        const own = row * words
        const other = at * keyWords
        for (let i = 0; i < keyWords; i++) if (stored[own + i] !== keys[other + i]) return false
        return true
      },
      load: load[precision],
    }
  }
}

/** The same memory as each type of value. */
interface Views {
  floats: Float32Array
  halves: Uint16Array
  bytes: Int8Array
}

function viewsOf({ buffer, byteOffset, length }: Int32Array): Views {
  return {
    floats: new Float32Array(buffer, byteOffset, length),
    halves: new Uint16Array(buffer, byteOffset, length * 2),
    bytes: new Int8Array(buffer, byteOffset, length * 4),
  }
}

/** Writes a row's values from word `at` on. */
type WriteRow = (values: Float32Array, to: Views, at: number) => void

const writeFloat32: WriteRow = (values, { floats }, at) => floats.set(values, at)

/** The upper half of each float32, rounded to the nearest, ties to even; a NaN stays one. */
const writeBfloat16: WriteRow = (values, { halves }, at) => {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!
    const nan = (word & 0x7fffffff) > 0x7f800000
    halves[at * 2 + i] = nan ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  }
}

/** The values divided by a scale that maps the largest to 127. */
const writeInt8: WriteRow = (values, { floats, bytes }, at) => {
  let most = leastInt8
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!))
  // All are 0 already, and so is the scale.
  if (most === leastInt8) return
  floats[at + Math.ceil(values.length / 4)] = most / 127
  const steps = 127 / most
  // `| 0` cuts off the fraction: of a positive number, the next lower integer.
  for (let i = 0; i < values.length; i++) bytes[at * 4 + i] = ((values[i]! * steps + 128.5) | 0) - 128
}

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
