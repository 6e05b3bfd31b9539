import type { PackedInput } from '../../contracts/compiled-plan.ts'
import type { Batch, TensorData } from '../../contracts/engine.ts'

/** Takes columns of an input of the saved graph, as a tensor of its own. Its result lives until its next call. */
export interface Packer {
  /** The plan's input. */
  name: string
  /** The saved graph's input, and its columns that are taken. */
  input: string
  columns: readonly number[]
  /** The first column, if they lie side by side; otherwise undefined. */
  firstColumn: number | undefined
  /** The least number of columns that the saved input has. */
  width: number
  type: 'int32' | 'int64' | 'float32'
  /** These rows: [rows, columns]. */
  pack(batch: Batch, rows: Int32Array): Feed
  /** Writes the bits of rows `start` … `start + count` into `keys` [count, stride] from column `column` on. */
  writeBits(batch: Batch, start: number, count: number, keys: Int32Array, stride: number, column: number): void
  /** The number that `writeBits` wrote as this word. */
  valueOf(word: number): number
}

/** Numbers of a row that a loop copies as fast as `set` does. */
const mostInLoop = 24

export function createPacker({ name, input, columns }: PackedInput, type: string, rank: number): Packer {
  const kind = type === 'int64' || type === 'int32' ? type : 'float32'
  const count = columns.length
  const isContiguous = columns.every((column, i) => i === 0 || column === columns[i - 1]! + 1)
  const firstColumn = isContiguous ? columns[0] : undefined
  let scratch = make(0)

  function make(length: number): Int32Array | Float32Array | BigInt64Array {
    if (kind === 'int64') return new BigInt64Array(length)
    return kind === 'int32' ? new Int32Array(length) : new Float32Array(length)
  }

  function pack(batch: Batch, rows: Int32Array): Feed {
    const values = batch.inputs[input]
    if (values === undefined) throw new Error(`the batch has no input ${input}`)
    const width = values.length / batch.rows
    const dims = rank === 1 ? [rows.length] : [rows.length, count]
    // All columns of all rows, unchanged.
    if (width === count && sameType(values) && isEveryRow(rows, batch.rows)) return { data: values, dims }
    const size = rows.length * count
    if (scratch.length < size) scratch = make(size)
    if (sameType(values)) {
      const [bits, out] = [bitsOf(values), bitsOf(scratch as TensorData)]
      for (let i = 0; i < rows.length; i++) copyColumns(bits, rows[i]! * width, out, i * count)
    } else if (scratch instanceof BigInt64Array && values instanceof Int32Array)
      widen(values, width, rows, columns, scratch)
    else {
      let to = 0
      for (const row of rows)
        for (const column of columns) {
          const value = values[row * width + column]!
          if (scratch instanceof BigInt64Array) scratch[to++] = BigInt(value)
          else scratch[to++] = value
        }
    }
    return { data: scratch.subarray(0, size), dims }
  }

  /** Copies the columns of a row unchanged; loops over words alone are compiled for one kind of array. */
  function copyColumns(bits: Int32Array, from: number, out: Int32Array, to: number): void {
    if (firstColumn === undefined) for (let j = 0; j < count; j++) out[to + j] = bits[from + columns[j]!]!
    else if (count <= mostInLoop) for (let j = 0; j < count; j++) out[to + j] = bits[from + firstColumn + j]!
    else out.set(bits.subarray(from + firstColumn, from + firstColumn + count), to)
  }

  function sameType(values: TensorData): boolean {
    return (kind === 'int32' && values instanceof Int32Array) || (kind === 'float32' && values instanceof Float32Array)
  }

  return {
    name,
    input,
    columns,
    firstColumn,
    width: columns.reduce((most, column) => Math.max(most, column), -1) + 1,
    type: kind,
    pack,
    writeBits(batch, start, rows, keys, stride, column) {
      const values = batch.inputs[input]!
      const width = values.length / batch.rows
      // Integers that the plan takes as floats are the same candidates as these floats.
      const bits = bitsOf(kind === 'float32' && values instanceof Int32Array ? Float32Array.from(values) : values)
      for (let i = 0; i < rows; i++) copyColumns(bits, (start + i) * width, keys, i * stride + column)
    },
    valueOf: (word) => (kind === 'float32' ? floatOf(word) : word),
  }
}

const float = new Float32Array(1)
const wordOfFloat = new Int32Array(float.buffer)

/** The float32 number of these bits. */
function floatOf(word: number): number {
  wordOfFloat[0] = word
  return float[0]!
}

/** Writes columns of rows as int64, in words of 32 bits: a BigInt per number would be garbage. */
function widen(
  values: Int32Array,
  width: number,
  rows: Int32Array,
  columns: readonly number[],
  out: BigInt64Array,
): void {
  const words = new Int32Array(out.buffer, out.byteOffset, 2 * out.length)
  let to = 0
  for (let i = 0; i < rows.length; i++) {
    const from = rows[i]! * width
    for (let j = 0; j < columns.length; j++) {
      const value = values[from + columns[j]!]!
      words[to] = value
      words[to + 1] = value < 0 ? -1 : 0
      to += 2
    }
  }
}

/** The same memory as int32 words: 0 and −0 differ in them, a NaN equals itself. */
function bitsOf(values: TensorData): Int32Array {
  return values instanceof Int32Array ? values : new Int32Array(values.buffer, values.byteOffset, values.length)
}

function isEveryRow(rows: Int32Array, count: number): boolean {
  if (rows.length !== count) return false
  for (let i = 0; i < count; i++) if (rows[i] !== i) return false
  return true
}

/** Whether rows `start` … `start + count` agree in all columns of the context, bit by bit. */
export function sameContext(batch: Batch, context: readonly Packer[], start: number, count: number): boolean {
  for (const { input, columns, firstColumn } of context) {
    const values = bitsOf(batch.inputs[input]!)
    const width = values.length / batch.rows
    const first = start * width
    for (let row = start + 1; row < start + count; row++) {
      const from = row * width
      if (firstColumn === undefined) {
        for (const column of columns) if (values[from + column] !== values[first + column]) return false
      } else {
        const end = firstColumn + columns.length
        for (let i = firstColumn; i < end; i++) if (values[from + i] !== values[first + i]) return false
      }
    }
  }
  return true
}

/** An input of a graph; bfloat16, as its bits, and bytes are for oneDNN. */
export interface Feed {
  data: Int32Array | Float32Array | BigInt64Array | Uint16Array | Uint8Array
  dims: readonly number[]
}
