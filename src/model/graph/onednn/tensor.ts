import { NotTranslated } from './errors.ts'
import type { ProductShape } from './primitives.ts'
import type { Each } from './program.ts'

/* Tensors of a translation: where their rows lie. */

/** Columns of a buffer, in elements of the tensor's kind: row r begins at `offset` + r·`stride`. */
export interface Part {
  buffer: number
  offset: number
  stride: number
  width: number
}

/** A tensor [rows or requests, …dims]: its parts lie side by side. */
export interface Tensor {
  each: Each
  dims: readonly number[]
  kind: 'float32' | 'float16' | 'bfloat16' | 'int32' | 'uint8' | 'int8'
  parts: readonly Part[]
  /** Rows of a tensor of requests, for each row that of its request: it has no parts. */
  ofRequest?: Tensor
  /** Whether the rows and the first of `dims` are one dimension: [rows · …]. Only look-ups read such a tensor. */
  flat?: boolean
  /** The number of the input whose values the first part receives when a step reads them there. */
  input?: number
}

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

/** The places from the first to behind the last that is used, whole numbers of 4; none: 0 to 0. */
export function usedRange(count: number, isUsed: (place: number) => boolean): { start: number; end: number } {
  let [start, end] = [0, 0]
  for (let place = 0; place < count; place++)
    if (isUsed(place)) {
      if (end === 0) start = Math.floor(place / 4) * 4
      end = Math.ceil((place + 1) / 4) * 4
    }
  return { start, end }
}

/** The values of `n` columns, or of none, and 0 for those that are not there. */
export function filled<T extends Float32Array | Int32Array>(values: T, n: number, columns = n): T {
  if (values.length !== n && values.length !== 0) throw new NotTranslated('a bias of another width')
  const all = new (values.constructor as new (length: number) => T)(columns)
  all.set(values)
  return all
}
