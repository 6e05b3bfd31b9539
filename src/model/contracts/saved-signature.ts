import { product } from '../../base/arrays.ts'

/** An input or output of a saved graph. */
export interface SavedTensor {
  name: string
  /** `int32`, `float32`, …; `?` for an unknown type. */
  dtype: string
  /** Dimensions after the batch. */
  dims: number[]
  /** Per column of an input of ids, the rows of the smallest table that it is looked up in; undefined for no table. */
  ids: (number | undefined)[]
  /** Whether all columns share one table. */
  shared: boolean
}

/**
 * Whether an input takes integers. Keras 3 exports ids as float32; a table that they are looked up in shows that they
 * are ids.
 */
export function holdsIds({ dtype, ids }: Pick<SavedTensor, 'dtype' | 'ids'>): boolean {
  return dtype !== 'float32' || (ids.length > 0 && ids.every((rows) => rows !== undefined))
}

/** Names the first input of a type that requests can't give; undefined if there is none. */
export function unusableInput(inputs: readonly SavedTensor[]): string | undefined {
  const odd = inputs.find(({ dtype }) => !['int32', 'int64', 'float32'].includes(dtype))
  return odd && `the input ${odd.name} is ${odd.dtype}, not int32, int64 or float32`
}

/** Values per row. */
export function tensorWidth({ dims }: Pick<SavedTensor, 'dims'>): number {
  return product(dims)
}

/** The kind of values that an output holds, as far as the graph's operators say. */
export type OutputValues = 'probabilities' | 'logits' | undefined

export interface SavedOutput extends SavedTensor {
  values?: OutputValues
}

export interface SavedSignature {
  inputs: SavedTensor[]
  /** Only outputs with one row per row of the request, which clients can request. */
  outputs: SavedOutput[]
}
