import { columnCutter } from './cut-columns.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

/** The embedding table of one column of ids. */
export interface OwnTable {
  ids: number
  dim: number
  l2: number
  /** The column whose table it is; default: this one. */
  owner?: number | undefined
}

/** Whether a model has a table per column of ids. */
export const hasOwnTables = (weights: Iterable<string>): boolean =>
  [...weights].some((name) => /\/field_\d+\/embeddings$/.test(name))

/**
 * Embeds columns of ids, [B, F], each by a table of its own, `<name>/field_<column>`: per column [B, its width].
 * `wanted` columns alone; default: all.
 */
export function embedColumns(
  layers: LayersBuilder,
  name: string,
  sparse: SymbolicTensor,
  tables: readonly OwnTable[],
  wanted: (column: number) => boolean = () => true,
): SymbolicTensor[] {
  const cut = columnCutter(layers, 'sparse', sparse)
  return tables.flatMap(({ ids, dim, l2 }, column) => {
    if (!wanted(column)) return []
    const own = cut(column, 1, column) // [B, 1]
    const embedded = layers.embedding(`${name}/field_${column}`, own, ids, dim, l2) // [B, 1, width]
    return [layers.flatten(`${name}/flat_${column}`, embedded)]
  })
}
