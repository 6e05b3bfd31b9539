import { weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import { isOfItems } from '../ir/tensor-shape.ts'
import type { Segment } from '../sides/columns.ts'
import { assemble, groupsOf } from '../sides/side-graphs.ts'
import type { CutGraph, FirstLayer, Side, Sides, SplitGraphs, VariantGraph } from '../sides/split-graphs.ts'
import { firstLayers, regionalLayers, splitLayers, withoutProducts } from '../sides/split-sides.ts'
import { nameInWhole } from '../sides/tensor-names.ts'
import { Int8Emitter } from './int8-emitter.ts'
import { sideBySideCopies, toBytes, toFloats, toInt8 } from './int8-matrix.ts'
import { mixedProducts } from './mixed-products.ts'
import { type QuantisedLayers, type QuantiseOptions, quantiseLayers } from './quantise-layers.ts'
import { valueBytes } from './value-bytes.ts'

/**
 * The int8 variants of a cut graph: the full one and those by side. Scales are fixed, so that a row's answer does not
 * depend on the other rows of its batch.
 *
 * Features are bytes: tables are stored as bytes, values are rounded to 256 steps of their range. Scales are folded
 * into the weights and zero points into the bias. Products are QGemm, whose byte output includes a ReLU at no cost (its
 * zero point is 0), or MatMulIntegerToFloat at the end of a chain. All variants compute the same integers, in any order
 * of addition, so that a candidate's answer does not depend on whether it was cached.
 */
export function quantise(cut: CutGraph, options: QuantiseOptions): { full: VariantGraph; split: SplitGraphs | string } {
  const layers = firstLayers(cut.rest)
  const regional = regionalLayers(cut).filter(({ gemm }) => !options.joined.has(gemm.output[0]!))
  const all = [...layers, ...regional]
  const found = mixedProducts(cut, all, options.hidden, options.joined)
  const ofRows = found.filter(({ gemm }) => !isOfItems(cut.whole.shapes.get(gemm.output[0]!)))
  // Copies of all items of a list would take many times as long as the product in float32.
  const mixed = options.effort.copies > 1 && all.length + ofRows.length > 0 ? ofRows : found
  if (all.length + mixed.length === 0) throw new Error(withoutProducts(cut.rest))
  takeHidden(cut.rest, layers, options.hidden)
  takeHidden(cut.whole, regional, options.hidden)
  const quantised = quantiseLayers(cut, all, mixed, options)
  const groups = new Map(
    [...groupsOf(regional)].flatMap((group) => group.map(({ output }) => [output, group] as const)),
  )
  const emitter = (sides: Sides) => new Int8Emitter(groups, quantised, sides, options.effort.copies)
  const finish = (variant: VariantGraph) => {
    const bytes = [...variant.replaced].flatMap(([layer, name]) => (quantised.layers.get(layer)!.hidden ? [name] : []))
    quantiseHiddenLayers(variant.graph, [...bytes, ...quantiseMixed(variant.graph, mixed, quantised)], options)
  }

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

/** Replaces products of values that are no features; returns the tensors of bytes that replace their ReLUs. */
function quantiseMixed(target: Graph, mixed: FirstLayer[], { layers, segments }: QuantisedLayers): string[] {
  const ofProducts = new Map(mixed.map((layer) => [layer.gemm.output[0]!, layer]))
  const known = new Map<string, ReturnType<typeof valueBytes>>()
  const hiddenBytes: string[] = []
  for (const gemm of [...target.nodes]) {
    const layer = gemm.opType === 'Gemm' ? ofProducts.get(nameInWhole(gemm.output[0]!)) : undefined
    if (layer === undefined) continue
    const [x] = gemm.input as [string]
    const [segment] = layer.segments as [Segment]
    const batch = target.shapes.get(x)!.dims[0]!
    const bytes = known.get(x) ?? valueBytes(target, x, segment.columns, segments.get(segment)!, batch)
    known.set(x, bytes)
    const { matrix, offset, starts, hidden } = layers.get(layer)!
    const copies = matrix.k / starts.length
    const rows = Array.from({ length: copies }, (_, copy) => starts.map((start) => start + copy)).flat()
    if (!hidden) {
      target.bypass(gemm, toFloats(target, bytes.tensor, matrix, rows, Float32Array.from(offset), batch))
      continue
    }
    const sums = Int32Array.from(offset, (value, j) => Math.round(value / matrix.scale[j]!))
    const start = target.constant('sums', sums, [matrix.n])
    const [relu] = target.users(gemm.output[0]!) as [NodeProto]
    const output = toBytes(target, bytes.tensor, matrix, rows, start, batch)
    target.bypass(relu, output)
    hiddenBytes.push(output)
  }
  return hiddenBytes
}

/** Replaces the products after these hidden layers, as far as they read bytes now. */
function quantiseHiddenLayers(
  target: Graph,
  bytes: readonly string[],
  options: Pick<QuantiseOptions, 'hidden' | 'effort'>,
): void {
  const open = [...bytes]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    for (const user of [...target.users(name)]) {
      if (user.opType === 'Split') {
        for (const part of user.output) {
          const { dims } = target.shapes.get(part)!
          target.shapes.set(part, { dtype: DataType.UINT8, dims })
          open.push(part)
        }
        continue
      }
      const bytes = quantiseProduct(target, user, name, options)
      if (bytes !== undefined) open.push(bytes)
    }
  }
  target.tidy()
}

/** Replaces a product of bytes; returns the byte tensor that replaces its ReLU, if it has one. */
function quantiseProduct(
  target: Graph,
  gemm: NodeProto,
  x: string,
  { hidden: hiddenOutputs, effort }: Pick<QuantiseOptions, 'hidden' | 'effort'>,
): string | undefined {
  const { k, n, w, b } = weightsOf(target, gemm)
  const [relu] = target.users(gemm.output[0]!)
  const hidden = relu?.opType === 'Relu' && hiddenOutputs.has(nameInWhole(relu.output[0]!))
  const batch = target.shapes.get(gemm.output[0]!)?.dims[0] ?? -1
  const copies = hidden ? effort.copies : 1
  const matrix = toInt8(w, n, new Array<number>(k).fill(copies), !hidden && effort.refine === 'all')
  // Copies are concatenated: row i of the first, of the second, …
  const rows = Array.from({ length: k * copies }, (_, i) => (i % k) * copies + Math.floor(i / k))
  if (!hidden) {
    const product = toFloats(target, x, matrix, rows, b, batch)
    target.bypass(gemm, product)
    return undefined
  }
  const sums = Int32Array.from(b, (value, j) => Math.round(value / matrix.scale[j]!))
  const all = copies === 1 ? x : sideBySideCopies(target, x, copies, k, batch)
  const bytes = toBytes(target, all, matrix, rows, target.constant('sums', sums, [n]), batch)
  target.bypass(relu, bytes)
  return bytes
}

/** Adds a shift per column to the input of a graph's last sigmoid. */
export function shiftLogits(graph: Graph, shift: Float32Array): void {
  const sigmoid = graph.producer(graph.outputs[0]!.name)
  const logits = sigmoid?.input[0]
  if (sigmoid === undefined || logits === undefined) return
  const product = graph.producer(logits)
  const bias = product?.opType === 'MatMulIntegerToFloat' ? product.input[6] : undefined
  const values = bias === undefined ? undefined : graph.floats(bias)
  if (
    product !== undefined &&
    bias !== undefined &&
    values?.length === shift.length &&
    graph.isPrivate(logits, sigmoid)
  ) {
    const sum = values.map((value, i) => value + shift[i]!)
    product.input = [...product.input.slice(0, 6), graph.constant('bias', sum, [sum.length])]
  } else {
    const shape = graph.shapes.get(logits)
    const shifted = graph.node('Add', [logits, graph.constant('shift', shift, [shift.length])], shape ? { shape } : {})
    sigmoid.input = [shifted]
  }
  graph.touch()
}
