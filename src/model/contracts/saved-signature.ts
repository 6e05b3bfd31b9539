import { product } from '../../base/arrays.ts'

/** An input or output of a saved graph. */
export interface SavedTensor {
  name: string
  /** `int32`, `float32`, …; `?` for an unknown type. */
  dtype: string
  /** Dimensions after the batch; −1 alone for any number of columns. */
  dims: number[]
  /**
   * Per column of an input of ids, the rows of the smallest table that it is looked up in; undefined for no table. One
   * for all where their number is free.
   */
  ids: (number | undefined)[]
  /** Whether all columns share one table. */
  shared: boolean
  /** Its use in the graph, where that was asked for. */
  use?: InputUse
}

/** The use of an input in a graph, which shows whether it is a list. */
export interface InputUse {
  /** Names of the tables that all of its columns are looked up in. */
  tables: string[]
  /** The id of places without a value: the graph compares ids with it, or its row in the tables is all zeros. */
  padding: number | undefined
  /** Inputs that it is combined with position by position, such as a mask. */
  meets: string[]
  /** Whether columns have uses of their own: they are cut out, or their embeddings stand side by side. */
  apart: boolean
}

/** Whether the number of columns is free. */
export function hasFreeLength({ dims }: Pick<SavedTensor, 'dims'>): boolean {
  return dims.length === 1 && dims[0] === -1
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

/** Values per row, of a fixed number. */
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
