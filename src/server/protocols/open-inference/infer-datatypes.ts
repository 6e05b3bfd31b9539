import type { NumberMatrix } from '../../../model/serving/features/number-matrix.ts'
import type { InferDatatype } from '../../../schemas/infer.ts'

type Values = NumberMatrix['values']

/** A value that a tensor can't have: its place, row-major, and what is wrong with it. */
export interface BadValue {
  index: number
  message: string
}

/** How the numbers of a datatype come over the wire. */
export interface Datatype {
  /** Size of a value, bytes. */
  size: number
  /** True of all but FP32 and FP64. */
  integer: boolean
  /** Values in a buffer of their own, little-endian as all processors are that Node runs on. */
  fromBytes(bytes: ArrayBuffer): Values | BadValue
  /** Values of a JSON array. */
  fromNumbers(numbers: unknown[]): Values | BadValue
}

/** By the protocol's names. */
export const datatypes: Record<InferDatatype, Datatype> = {
  BOOL: { size: 1, integer: true, fromBytes: (bytes) => bits(new Uint8Array(bytes)), fromNumbers: (all) => bits(all) },
  INT8: integer(1, -(2 ** 7), 2 ** 7 - 1, (bytes) => new Int32Array(new Int8Array(bytes))),
  INT16: integer(2, -(2 ** 15), 2 ** 15 - 1, (bytes) => new Int32Array(new Int16Array(bytes))),
  INT32: integer(4, -(2 ** 31), 2 ** 31 - 1, (bytes) => new Int32Array(bytes)),
  INT64: integer(8, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, (bytes) => from64(bytes, new Int32Array(bytes))),
  UINT8: integer(1, 0, 2 ** 8 - 1, (bytes) => new Int32Array(new Uint8Array(bytes))),
  UINT16: integer(2, 0, 2 ** 16 - 1, (bytes) => new Int32Array(new Uint16Array(bytes))),
  UINT32: integer(4, 0, 2 ** 32 - 1, (bytes) => new Float64Array(new Uint32Array(bytes))),
  UINT64: integer(8, 0, Number.MAX_SAFE_INTEGER, (bytes) => from64(bytes, new Uint32Array(bytes))),
  FP32: { size: 4, integer: false, fromBytes: (bytes) => new Float32Array(bytes), fromNumbers: float64 },
  FP64: { size: 8, integer: false, fromBytes: (bytes) => new Float64Array(bytes), fromNumbers: float64 },
}

/** false and true are 0 and 1. */
function bits(values: ArrayLike<unknown>): Int32Array | BadValue {
  const numbers = new Int32Array(values.length)
  for (let index = 0; index < values.length; index++) {
    const number = Number(values[index])
    const known = typeof values[index] === 'boolean' || typeof values[index] === 'number'
    if (!known || (number !== 0 && number !== 1)) return { index, message: 'must be true or false' }
    numbers[index] = number
  }
  return numbers
}

function integer(size: number, min: number, max: number, fromBytes: Datatype['fromBytes']): Datatype {
  return {
    size,
    integer: true,
    fromBytes,
    fromNumbers(numbers) {
      const values = float64(numbers)
      if (!(values instanceof Float64Array)) return values
      const index = values.findIndex((value) => !(Number.isInteger(value) && value >= min && value <= max))
      return index < 0 ? values : { index, message: `must be an integer from ${min} to ${max}` }
    },
  }
}

/** Doubles unchanged: the encoder rejects values that the model can't take. */
function float64(numbers: unknown[]): Float64Array | BadValue {
  const values = new Float64Array(numbers.length)
  for (let index = 0; index < numbers.length; index++) {
    const value = numbers[index]
    if (typeof value !== 'number') return { index, message: 'must be a number' }
    values[index] = value
  }
  return values
}

/** 64-bit integers from their halves, the low one first; `halves` says whether the high one has a sign. */
function from64(bytes: ArrayBuffer, halves: Int32Array | Uint32Array): Float64Array | BadValue {
  const low = new Uint32Array(bytes)
  const values = new Float64Array(halves.length / 2)
  for (let index = 0; index < values.length; index++) {
    const value = halves[2 * index + 1]! * 2 ** 32 + low[2 * index]!
    // Beyond that doubles have gaps: one id would become another.
    if (!Number.isSafeInteger(value)) return { index, message: 'is an integer beyond ±(2^53 − 1), which is not taken' }
    values[index] = value
  }
  return values
}
