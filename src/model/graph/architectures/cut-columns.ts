import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

/**
 * Cuts runs of neighbouring columns out of [B, n], each [B, length]: the compiler follows columns through such a cut.
 * `i` numbers the cut; one of all columns changes nothing.
 */
export function columnCutter(
  layers: LayersBuilder,
  name: string,
  columns: SymbolicTensor,
): (start: number, length: number, i: number | string) => SymbolicTensor {
  const count = columns.dims[0]!
  let image: SymbolicTensor | undefined
  return (start, length, i) => {
    if (length === count) return columns
    image ??= layers.reshape(`${name}/row`, columns, [1, count, 1]) // [B, 1, n, 1]
    const run = layers.cropping2D(`${name}/cut_${i}`, image, start, length) // [B, 1, length, 1]
    return layers.flatten(`${name}/run_${i}`, run) // [B, length]
  }
}
