import type { Graph } from '../../graph/graph.ts'
import type { FirstLayer, Side, Sides, SplitGraphs, VariantGraph } from '../sides/contract.ts'
import { assemble } from '../sides/side-graphs.ts'
import { firstLayers, splitLayers } from '../sides/split-sides.ts'
import { Int8Emitter } from './int8-emitter.ts'
import { quantiseHiddenLayers } from './quantise-hidden.ts'
import { type QuantiseOptions, quantiseLayers } from './quantise-layers.ts'

/**
 * The int8 variants of a graph: the full one and those by side. Scales are fixed, so that a row's answer does not depend on
 * the other rows of its batch.
 *
 * Features are bytes: tables are stored as bytes, values are rounded to 256 steps of their range. Scales are folded into the
 * weights and zero points into the bias. Products are QGemm, whose byte output includes a ReLU at no cost (its zero point is
 * 0), or MatMulIntegerToFloat at the end of a chain. All variants compute the same integers, in any order of addition, so
 * that a candidate's answer does not depend on whether it was cached.
 */
export function quantise(graph: Graph, options: QuantiseOptions): { full: VariantGraph; split: SplitGraphs | string } {
  const layers = firstLayers(graph)
  if (layers.length === 0) throw new Error('no product of features was found')
  for (const layer of layers) {
    // The ReLU after a hidden layer's product is replaced with it.
    const [relu, ...more] = graph.users(layer.gemm.output[0]!)
    if (relu?.opType === 'Relu' && more.length === 0 && options.hidden.has(relu.output[0]!))
      layer.output = relu.output[0]!
  }
  const quantised = quantiseLayers(graph, layers, options)
  const emitter = (sides: Sides) => new Int8Emitter(layers, quantised, sides, options.effort.copies)
  const finish = (variant: VariantGraph) => quantiseHiddenLayers(variant, quantised.layers, options)

  const full = assemble(graph, layers, emitter(allCandidate(graph, layers)).shared_context)
  if (typeof full === 'string') throw new Error(full)
  finish(full)
  const { sides } = options
  const split =
    sides === undefined ? 'the sides of the fields are not known' : splitLayers(graph, layers, sides, emitter(sides))
  if (typeof split !== 'string') {
    for (const variant of [split.shared_context, split.candidate_encoder, split.context_encoder, split.cached])
      if (variant) finish(variant)
  }
  return { full, split }
}

/** Sides that leave every feature in its row: no context, no cache. */
function allCandidate(graph: Graph, layers: FirstLayer[]): Sides {
  return Object.fromEntries(
    layers.flatMap(({ segments }) =>
      segments.map(({ input }) => [input, new Array<Side>(graph.shapes.get(input)!.dims[1] ?? 1).fill('candidate')]),
    ),
  )
}
