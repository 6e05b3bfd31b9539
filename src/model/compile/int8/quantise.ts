import type { Graph } from '../../graph/graph.ts'
import type { CutGraph, FirstLayer, Side, Sides, SplitGraphs, VariantGraph } from '../sides/contract.ts'
import { assemble, groupsOf } from '../sides/side-graphs.ts'
import { firstLayers, regionalLayers, splitLayers, withoutProducts } from '../sides/split-sides.ts'
import { Int8Emitter } from './int8-emitter.ts'
import { quantiseHiddenLayers } from './quantise-hidden.ts'
import { type QuantiseOptions, quantiseLayers } from './quantise-layers.ts'

/**
 * The int8 variants of a cut graph: the full one and those by side. Scales are fixed, so that a row's answer does not depend on
 * the other rows of its batch.
 *
 * Features are bytes: tables are stored as bytes, values are rounded to 256 steps of their range. Scales are folded into the
 * weights and zero points into the bias. Products are QGemm, whose byte output includes a ReLU at no cost (its zero point is
 * 0), or MatMulIntegerToFloat at the end of a chain. All variants compute the same integers, in any order of addition, so
 * that a candidate's answer does not depend on whether it was cached.
 */
export function quantise(cut: CutGraph, options: QuantiseOptions): { full: VariantGraph; split: SplitGraphs | string } {
  const layers = firstLayers(cut.rest)
  const regional = regionalLayers(cut)
  if (layers.length + regional.length === 0) throw new Error(withoutProducts(cut.rest))
  takeHidden(cut.rest, layers, options.hidden)
  takeHidden(cut.whole, regional, options.hidden)
  const all = [...layers, ...regional]
  const quantised = quantiseLayers(cut, all, options)
  const groups = new Map(
    [...groupsOf(regional)].flatMap((group) => group.map(({ output }) => [output, group] as const)),
  )
  const emitter = (sides: Sides) => new Int8Emitter(groups, quantised, sides, options.effort.copies)
  const finish = (variant: VariantGraph) => quantiseHiddenLayers(variant, quantised.layers, options)

  const sides = allCandidate(cut)
  const whole = emitter(sides)
  const full = assemble({ cut, layers, sides, emitter: whole }, whole.shared_context)
  if (typeof full === 'string') throw new Error(full)
  finish(full)
  const split = options.unsplit ?? splitLayers({ cut, layers, emitter: emitter(cut.sides) })
  if (typeof split !== 'string') {
    for (const variant of [split.shared_context, split.candidate_encoder, split.context_encoder, split.cached])
      if (variant) finish(variant)
  }
  return { full, split }
}

/** The ReLU after a hidden layer's product is replaced with it. */
function takeHidden(graph: Graph, layers: FirstLayer[], hidden: ReadonlySet<string>): void {
  for (const layer of layers) {
    const [relu, ...more] = graph.users(layer.gemm.output[0]!)
    if (relu?.opType === 'Relu' && more.length === 0 && hidden.has(relu.output[0]!)) layer.output = relu.output[0]!
  }
}

/** Sides that leave every feature in its row: no context, no cache. */
function allCandidate({ rest }: CutGraph): Sides {
  return Object.fromEntries(
    rest.inputs.map(({ name }) => [name, new Array<Side>(rest.shapes.get(name)!.dims[1] ?? 1).fill('candidate')]),
  )
}
