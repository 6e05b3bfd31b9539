import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import type { Graph } from '../../schemas/manifest.ts'
import type { Assumption } from './assumptions.ts'

/** One column of ids among a foreign model's inputs. */
export interface SparseColumn {
  /** For people, and as the default field's name. */
  name: string
  /** Rows of its embedding table. */
  rows: number
  /** Index of the table: columns with the same index share it, each with its own range or all of it. */
  table: number
}

/** Rows `first`, …, `first + ids − 1` of a column's table: the foreign model's rows for a field's ids. */
export interface IdRange {
  first: number
  ids: number
}

/** A checked model of another framework, before fields are assigned to its columns. */
export interface ImportedModel {
  /** For people, and the manifest. */
  description: string
  architecture: ArchitectureOptions | undefined
  sparse: SparseColumn[]
  /** Default names of the numeric columns. */
  dense: string[]
  /** Default names of the tasks. */
  tasks: string[]
  /** Width of the joined embedding table. */
  tableWidth: number
  /** Properties that its file does not determine; empty if the file contains the complete graph. */
  assumed: Assumption[]
  /**
   * Computes one row as the foreign framework does, in float64, independently of `build`: `sparse`, an id per column's table, and
   * `dense` numbers → one number per task.
   */
  evaluate(sparse: ArrayLike<number>, dense: Float64Array): Float64Array
  /**
   * Builds the graph to serve. With `ownIds`, each column's ids are rows of its own table, from 0; otherwise the ids of column c are
   * offset by the ranges before it, in one table for all columns.
   */
  build(
    ranges: IdRange[],
    tasks: string[],
    ownIds: boolean,
  ): Promise<{ graph: Graph; files: Record<string, Uint8Array> }>
}
