import { type ModelInputs, type ModelShape, withBins } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

/** The wide part's weights of ids, one column per task. */
export const wideTable = 'wide/embeddings'

/** The matrix that adds the weights of a row's ids; training leaves it unchanged. */
export const wideSum = 'wide_sum/kernel'

/**
 * The wide part of Wide & Deep (H.-T. Cheng et al., DLRS 2016): for each task the sum of a weight per id, and of each
 * number times a weight, [B, T]. All of them start at 0.
 *
 * The sum over fields is a product with a constant matrix, which the compiler divides by sides as any first layer.
 */
export function widePart(
  layers: LayersBuilder,
  { sparse, dense, bins }: ModelInputs,
  { wide_l2 = 0 }: { wide_l2?: number },
  { ids, tasks }: ModelShape,
): SymbolicTensor {
  const width = tasks.length
  const zeros = () => undefined
  const parts: SymbolicTensor[] = []
  if (sparse !== undefined) {
    const weights = layers.embedding('wide', sparse, ids, width, wide_l2) // [B, F, T]
    layers.start(weights, 'embeddings', zeros)
    const sum = layers.dense('wide_sum', layers.flatten('wide_flat', weights), width, { useBias: false })
    layers.start(sum, 'kernel', (values) => {
      values.forEach((_, i) => {
        values[i] = Number(Math.floor(i / width) % width === i % width)
      })
    })
    parts.push(sum)
  }
  if (dense !== undefined) {
    const sum = layers.dense('wide_dense', withBins(layers, 'numbers', [dense], bins), width, { useBias: false })
    layers.start(sum, 'kernel', zeros)
    parts.push(sum)
  }
  return parts.length > 1 ? layers.add('wide_part', parts) : parts[0]!
}
