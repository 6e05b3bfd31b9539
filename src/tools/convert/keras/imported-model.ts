import type { ArchitectureOptions } from '../../../schemas/architecture.ts'
import type { Graph } from '../../../schemas/manifest.ts'
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
   * Computes one row as the foreign framework does, in float64, independently of `build`: `sparse`, an id per column's
   * table, and `dense` numbers → one number per task.
   */
  evaluate(sparse: ArrayLike<number>, dense: Float64Array): Float64Array
  /**
   * Builds the graph to serve. With `ownIds`, each column's ids are rows of its own table, from 0; otherwise the ids of
   * column c are offset by the ranges before it, in one table for all columns.
   */
  build(
    ranges: IdRange[],
    tasks: string[],
    ownIds: boolean,
  ): Promise<{ graph: Graph; files: Record<string, Uint8Array> }>
}

/** Part of an embedding table: `width` floats per row. */
export interface TablePart {
  values: Float32Array
  width: number
}

/**
 * Joins the ranges of all columns into one table: [Σ ids, width]. The parts of a column stand side by side in its rows;
 * the rest of a row is 0.
 */
export function joinTables(ranges: IdRange[], partsOf: (column: number) => TablePart[], width: number): Float32Array {
  const total = ranges.reduce((sum, { ids }) => sum + ids, 0)
  const joined = new Float32Array(total * width)
  let row = 0
  ranges.forEach(({ first, ids }, column) => {
    let at = 0
    for (const part of partsOf(column)) {
      if (part.width === width) joined.set(part.values.subarray(first * width, (first + ids) * width), row * width)
      else
        for (let id = 0; id < ids; id++)
          joined.set(
            part.values.subarray((first + id) * part.width, (first + id + 1) * part.width),
            (row + id) * width + at,
          )
      at += part.width
    }
    row += ids
  })
  return joined
}
