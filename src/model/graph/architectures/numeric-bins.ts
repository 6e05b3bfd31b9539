import { columnCutter } from './cut-columns.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

/** Whether a layer computes bins: training leaves its weights unchanged. */
export const isBins = (layer: string): boolean => layer.startsWith('bins/')

/**
 * Numbers by bins, with linear interpolation (piecewise linear encoding: Y. Gorishniy et al., On Embeddings for
 * Numerical Features in Tabular Deep Learning, NeurIPS 2022). Each column that has n + 1 edges, ascending, gives n
 * numbers: how far the value has come from edge k to edge k + 1, from 0 to 1; [B, D] → per such column [B, n].
 *
 * Every column has layers of its own, so that the compiler can tell the sides apart.
 */
export function numericBins(
  layers: LayersBuilder,
  dense: SymbolicTensor,
  edges: readonly (readonly number[] | undefined)[],
): (SymbolicTensor | undefined)[] {
  if (edges.every((of) => of === undefined)) return []
  const cut = columnCutter(layers, 'bins', dense)
  return edges.map((of, i) => {
    if (of === undefined) return undefined
    const value = cut(i, 1, i) // [B, 1]
    const widths = of.slice(1).map((edge, k) => edge - of[k]!)
    const line = layers.dense(`bins/line_${i}`, value, widths.length) // [B, n]
    layers.start(line, 'kernel', (values) => values.set(widths.map((width) => 1 / width)))
    layers.start(line, 'bias', (values) => values.set(widths.map((width, k) => -of[k]! / width)))
    return layers.relu(`bins/bins_${i}`, line, 1)
  })
}
