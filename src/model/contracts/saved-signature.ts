import { product } from '../base/dims.ts'

/** A tensor that a saved graph is asked with, or answers. */
export interface SavedTensor {
  name: string
  /** `int32`, `float32`, …; `?` where it is none that has a name here. */
  dtype: string
  /** Sides after the batch. */
  dims: number[]
  /** Of an input of ids, by column: rows of the smallest table that it is looked up in; undefined where it is in none. */
  ids: (number | undefined)[]
  /** Whether that is one table for all columns. */
  shared: boolean
}

/** Whether an input takes integers: Keras 3 exports ids as float32, but a table that they are looked up in tells. */
export function holdsIds({ dtype, ids }: Pick<SavedTensor, 'dtype' | 'ids'>): boolean {
  return dtype !== 'float32' || (ids.length > 0 && ids.every((rows) => rows !== undefined))
}

/** Numbers of a row. */
export function widthOf({ dims }: Pick<SavedTensor, 'dims'>): number {
  return product(dims)
}

export interface SavedSignature {
  inputs: SavedTensor[]
  /** Those that have a row for each of the request's: of them alone can be asked. */
  outputs: SavedTensor[]
}
