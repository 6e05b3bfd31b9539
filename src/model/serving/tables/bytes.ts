import type { NumberType } from '../../../schemas/feature-table.ts'

/** Bytes of a file, mapped or read. */
export interface Bytes {
  buffer: ArrayBuffer | SharedArrayBuffer
  /** The first byte, a multiple of 8. */
  offset: number
  length: number
}

const types = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int16: Int16Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
} satisfies Record<NumberType | 'uint16' | 'uint32', unknown>

export type ArrayType = keyof typeof types
export type NumbersOf<T extends ArrayType> = InstanceType<(typeof types)[T]>

export const bytesOf = (type: ArrayType): number => types[type].BYTES_PER_ELEMENT

/** Numbers from byte `start` on; `count`: default: all that fit. Throws RangeError where the file is too short. */
export function numbersOf<T extends ArrayType>(
  { buffer, offset, length }: Bytes,
  type: T,
  start = 0,
  count = Math.floor((length - start) / bytesOf(type)),
): NumbersOf<T> {
  if (start + count * bytesOf(type) > length)
    throw new RangeError(`has ${length} bytes, and is described as having ${start + count * bytesOf(type)}`)
  return new types[type](buffer as ArrayBuffer, offset + start, count) as NumbersOf<T>
}

/** Zeros, or numbers of a buffer from its first byte on. */
export function createNumbers<T extends ArrayType>(
  type: T,
  count: number,
  buffer = new ArrayBuffer(count * bytesOf(type)),
): NumbersOf<T> {
  return new types[type](buffer, 0, Math.floor(count)) as NumbersOf<T>
}

/** The type of codes of this many bytes. */
export const codeType = (bytes: 1 | 2 | 4): ArrayType => (bytes === 1 ? 'uint8' : bytes === 2 ? 'uint16' : 'uint32')
