import { concatenateColumns, type ModelInputs, type ModelShape } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'
import type { ColumnGroups, InputColumns } from './list-inputs.ts'
import { embedColumns, type OwnTable } from './own-tables.ts'
import { embedWide } from './wide-lists.ts'

/** Whether a weight is the wide part's of ids, one column per task. */
export const isWideTable = (name: string): boolean => /^wide(\/field_\d+)?\/embeddings$/.test(name)

/** The matrix that adds the weights of a row's ids; training leaves it unchanged. */
export const wideSum = 'wide_sum/kernel'

/**
 * The wide part of Wide & Deep (H.-T. Cheng et al., DLRS 2016): for each task the sum of a weight per id, and of each
 * number times a weight, [B, T]. All of them start at 0.
 *
 * The weights of a list's values are pooled as the list is, and those of a sequence by their mean.
 *
 * The sum over fields is a product with a constant matrix, which the compiler divides by sides as any first layer.
 */
export function widePart(
  layers: LayersBuilder,
  { sparse, numbers, columns }: ModelInputs,
  { wide_l2 = 0 }: { wide_l2?: number },
  shape: ModelShape,
): SymbolicTensor {
  const { ids, tables, tasks, groups } = shape
  const width = tasks.length
  const zeros = () => undefined
  const parts: SymbolicTensor[] = []
  if (sparse !== undefined) {
    const flat = wideOf(sparse) // [B, F·T]
    const sum = layers.dense('wide_sum', flat, width, { useBias: false })
    layers.start(sum, 'kernel', (values) => {
      values.forEach((_, i) => {
        values[i] = Number(Math.floor(i / width) % width === i % width)
      })
    })
    parts.push(sum)
  }
  if (numbers !== undefined) {
    const sum = layers.dense('wide_dense', numbers, width, { useBias: false })
    layers.start(sum, 'kernel', zeros)
    parts.push(sum)
  }
  return parts.length > 1 ? layers.add('wide_part', parts) : parts[0]!

  function wideOfAll(sparse: SymbolicTensor): SymbolicTensor {
    const weights = layers.embedding('wide', sparse, ids, width, wide_l2) // [B, F, T]
    layers.start(weights, 'embeddings', zeros)
    return layers.flatten('wide_flat', weights)
  }

  function wideOf(sparse: SymbolicTensor): SymbolicTensor {
    if (columns && groups) return wideGroups(columns, groups)
    return tables ? wideColumns(sparse, tables) : wideOfAll(sparse)
  }

  function wideGroups(columns: InputColumns, groups: ColumnGroups): SymbolicTensor {
    const weights = embedWide(layers, columns, groups, { ids, tables, width, l2: wide_l2 })
    return concatenateColumns(layers, 'wide_flat', weights)
  }

  function wideColumns(sparse: SymbolicTensor, tables: readonly OwnTable[]): SymbolicTensor {
    const own = tables.map(({ ids }) => ({ ids, dim: width, l2: wide_l2 }))
    const columns = embedColumns(layers, 'wide', sparse, own)
    for (const column of own.keys()) layers.start({ layer: `wide/field_${column}` }, 'embeddings', zeros)
    return concatenateColumns(layers, 'wide_flat', columns)
  }
}
