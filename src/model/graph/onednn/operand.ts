import { NotTranslated } from '../rows/errors.ts'
import type { ProductShape } from './primitives.ts'

/**
 * A matrix that products read. In bfloat16 they read all `stride` columns, of which those from the tensor's width on
 * are 0; of bytes all `columns`, of which those from the tensor's width on meet weights of 0; in float32 the tensor's
 * `width`.
 */
export interface Operand {
  format: ProductShape['input']
  buffer: number
  /** Elements before the first. */
  offset: number
  stride: number
  /** Columns that products read. */
  columns: number
  /** The number of the input that it is. */
  input?: number
}

/**
 * Multiplications a row up to which a product stays in float32, where its rows lie in one piece: the last layers cost
 * little, and their rounding would move the mean prediction most.
 */
export const mostExact = 4096

/** Multiplications a row up to which the kernel is faster than oneDNN, which fills columns up to a block. */
export const mostNarrow = 512

/** The values of `n` columns, or of none, and 0 for those that are not there. */
export function filled<T extends Float32Array | Int32Array>(values: T, n: number, columns = n): T {
  if (values.length !== n && values.length !== 0) throw new NotTranslated('a bias of another width')
  const all = new (values.constructor as new (length: number) => T)(columns)
  all.set(values)
  return all
}
