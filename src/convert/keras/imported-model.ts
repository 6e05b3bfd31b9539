import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import type { Graph } from '../../schemas/manifest.ts'
import type { Assumption } from './assumptions.ts'

/** One column of ids that a foreign model takes. */
export interface SparseColumn {
  /** For people, and as the default field's name. */
  name: string
  /** Rows of the table that the model looks its ids up in. */
  rows: number
  /** Columns of the same input and table: they may share it, each with a range of its own. */
  table: number
}

/** Rows `first`, …, `first + ids − 1` of a column's table: what a field's ids mean to the foreign model. */
export interface IdRange {
  first: number
  ids: number
}

/** A model of another framework, read and checked, before it is known what its columns mean. */
export interface ImportedModel {
  /** For people, and the manifest. */
  description: string
  architecture: ArchitectureOptions | undefined
  sparse: SparseColumn[]
  /** Default names of the numeric columns. */
  dense: string[]
  /** Default names of the tasks. */
  tasks: string[]
  /** Floats of the embedding, for one row of the table that is built. */
  tableWidth: number
  /** What its file doesn't decide; empty where the file holds the whole graph. */
  assumed: Assumption[]
  /**
   * One row as the foreign framework computes it, in float64, without what is built: `sparse` ids of each column's table,
   * `dense` numbers → what it answers, a number a task.
   */
  evaluate(sparse: ArrayLike<number>, dense: Float64Array): Float64Array
  /**
   * Our graph of it. With `ownIds` each column's ids are rows of its own table, from 0; else those of column c are offset
   * by the ranges before it, in one table for all.
   */
  build(
    ranges: IdRange[],
    tasks: string[],
    ownIds: boolean,
  ): Promise<{ graph: Graph; files: Record<string, Uint8Array> }>
}
