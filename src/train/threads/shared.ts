/* Arrays in memory that threads share. */

export const shareFloats = (length: number): Float32Array => new Float32Array(new SharedArrayBuffer(length * 4))

export const shareIntegers = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(length * 4))

/** The array itself where its memory is shared, else a copy. */
export function shared<T extends Float32Array | Int32Array | Int8Array>(values: T): T {
  if (values.buffer instanceof SharedArrayBuffer) return values
  const Kind = values.constructor as new (buffer: SharedArrayBuffer) => T
  const copy = new Kind(new SharedArrayBuffer(values.byteLength))
  copy.set(values)
  return copy
}
