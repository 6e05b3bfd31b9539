import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

/** The embedding table of one column of ids. */
export interface OwnTable {
  ids: number
  dim: number
  l2: number
}

/** Whether a model has a table per column of ids. */
export const hasOwnTables = (weights: Iterable<string>): boolean =>
  [...weights].some((name) => name.includes('/field_'))

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
  const image = layers.reshape('sparse/row', sparse, [1, tables.length, 1]) // [B, 1, F, 1]
  return tables.flatMap(({ ids, dim, l2 }, column) => {
    if (!wanted(column)) return []
    const cut = tables.length > 1 ? layers.cropping2D(`sparse/cut_${column}`, image, column, 1) : image
    const own = layers.flatten(`sparse/column_${column}`, cut) // [B, 1]
    const embedded = layers.embedding(`${name}/field_${column}`, own, ids, dim, l2) // [B, 1, width]
    return [layers.flatten(`${name}/flat_${column}`, embedded)]
  })
}
