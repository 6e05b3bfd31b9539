import type { Each } from './program.ts'

/* Tensors of a translation: where their rows lie. */

/** Bytes of an element. */
export const sizes: Record<Kind, number> = { float32: 4, float16: 2, bfloat16: 2, int32: 4, int8: 1, uint8: 1 }

export type Kind = 'float32' | 'float16' | 'bfloat16' | 'int32' | 'uint8' | 'int8'

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
  kind: Kind
  parts: readonly Part[]
  /** Rows of a tensor of requests, for each row that of its request: it has no parts. */
  ofRequest?: Tensor
  /** Whether the rows and the first of `dims` are one dimension: [rows · …]. Only look-ups read such a tensor. */
  flat?: boolean
  /** The number of the input whose values the first part receives when a step reads them there. */
  input?: number
}

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
