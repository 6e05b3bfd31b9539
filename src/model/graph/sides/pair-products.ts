import { equal, product } from '../../../base/arrays.ts'
import { intAttribute } from '../ir/attributes.ts'
import { isGemm, weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'
import type { VariantGraph } from './split-graphs.ts'
import { nameInWhole, planNames } from './tensor-names.ts'

/** Most numbers of the matrix that is made for a request: 8 MiB. */
const mostNumbers = 2 ** 21

/**
 * Computes a first layer over all pairs of a candidate and an item of the context's list, as in DIN's attention unit,
 * as one product for all candidates of a request. With k_i of the items, q_r of the candidates and ⊗ for
 * `(k ⊗ W)[d, j] = k[d]·W[d, j]`:
 *
 *   (k_i · q_r)·W_p + q_r·W_q + c_i = q_r·(k_i ⊗ W_p + W_q) + c_i
 *
 * The matrices k_i ⊗ W_p + W_q of all items, side by side, are one of [d, items · units], made once a request. The
 * pairs k_i · q_r, of which there are rows · items, are never made. The variant then takes one request per call: each
 * of several would need a matrix of its own in every row.
 */
export function joinPairProducts(variant: VariantGraph): VariantGraph {
  const graph = variant.graph.copy()
  graph.tidy()
  const layers = layersOf(graph, variant, (add, layer) => graph.bypass(add, asOneProduct(graph, layer)))
  if (layers.length === 0) return variant
  graph.tidy()
  return { ...variant, graph, oneRequest: true }
}

/** The products that are joined in a variant, by the names of their outputs in the whole graph. */
export function joinedPairs(variant: VariantGraph): Set<string> {
  const graph = variant.graph.copy()
  graph.tidy()
  return new Set(layersOf(graph, variant).flatMap(({ products }) => products.map(nameInWhole)))
}

/** The layers that can be joined; calls `found` for each, the last of the graph first. */
function layersOf(
  graph: Graph,
  { lists = [] }: VariantGraph,
  found: (add: NodeProto, layer: PairLayer) => void = () => undefined,
): PairLayer[] {
  if (!graph.inputs.some(({ name }) => name === planNames.requests)) return []
  const places = Math.max(0, ...lists.map(({ size }) => size))
  const adds = graph.nodes.filter(({ opType }) => opType === 'Add').reverse()
  return adds.flatMap((add) => {
    const layer = layerOf(graph, add, places)
    if (layer === undefined) return []
    found(add, layer)
    return [layer]
  })
}

/** The terms of a sum [rows, items, units]. */
interface PairLayer {
  /** The outputs of the products of pairs and of candidates. */
  products: string[]
  /** Items of the context [1, items, d] and candidates [rows, 1, d]; W_p [d, units] multiplies their products. */
  items: string
  candidates: string
  pairs: Float32Array
  d: number
  units: number
  /** The sum's shape, as an input of Reshape. */
  shape: string
  /** W_q [d, units], if any, and the sum of biases [units]. */
  ofCandidates: Float32Array | undefined
  bias: Float32Array
  /** c [1, items, units], of the context. */
  ofItems: string[]
  /** Other terms [rows, items or 1, units]. */
  others: string[]
}

function layerOf(graph: Graph, add: NodeProto, places: number): PairLayer | undefined {
  const terms = termsOf(graph, add)
  const [pair, ...more] = terms.flatMap((term) => pairOf(graph, term) ?? [])
  if (pair === undefined || more.length > 0) return undefined
  const { units, d } = pair
  const items = graph.shapes.get(pair.items)!.dims[1]!
  if (d * units * (items > 0 ? items : places) > mostNumbers) return undefined
  const isWhole = (name: string) => equal(graph.shapes.get(name)?.dims.slice(1), [items, units])
  if (!isWhole(add.output[0]!) || !isWhole(pair.term)) return undefined
  const isForAllItems = (name: string) => equal(graph.shapes.get(name)?.dims.slice(1), [1, units])
  const layer: PairLayer = { ...pair, ofCandidates: undefined, ofItems: [], others: [] }
  const root = rootOf(graph, pair.candidates)
  for (const term of terms) {
    if (term === pair.term) continue
    const gemm = graph.producer(rootOf(graph, term))
    const shared = ofContext(graph, term)
    if (shared !== undefined && isWhole(term)) layer.ofItems.push(shared)
    else if (isGemm(graph, gemm) && reads(graph, gemm, root, [d, units]) && isForAllItems(term)) {
      const { w, b } = weightsOf(graph, gemm)
      layer.products.push(gemm.output[0]!)
      layer.ofCandidates = layer.ofCandidates ? sumOf(layer.ofCandidates, w) : w
      layer.bias = sumOf(layer.bias, b)
    } else layer.others.push(term)
  }
  return layer.ofItems.length > 0 ? layer : undefined
}

/** Whether a product reads a tensor, with weights of this shape. */
function reads(graph: Graph, { input }: NodeProto, root: string, dims: readonly number[]): boolean {
  return rootOf(graph, input[0]!) === root && equal(graph.dimsOf(input[1]!), dims)
}

/** The terms of a sum whose parts nobody else reads. */
function termsOf(graph: Graph, add: NodeProto): string[] {
  return add.input.flatMap((name) => {
    const node = graph.producer(name)
    return node?.opType === 'Add' && graph.isPrivate(name, add) ? termsOf(graph, node) : [name]
  })
}

type Pair = Omit<PairLayer, 'ofCandidates' | 'ofItems' | 'others'> & { term: string }

/** A term (k · q)·W_p + b. */
function pairOf(graph: Graph, term: string): Pair | undefined {
  const reshape = graph.producer(term)
  const dims = graph.shapes.get(term)?.dims
  if (reshape?.opType !== 'Reshape' || dims?.length !== 3) return undefined
  const gemm = graph.producer(reshape.input[0]!)
  if (!isGemm(graph, gemm)) return undefined
  const { k: d, n: units, w: pairs, b: bias } = weightsOf(graph, gemm)
  const mul = graph.producer(rootOf(graph, gemm.input[0]!))
  if (mul?.opType !== 'Mul' || dims.at(-1) !== units) return undefined
  for (const [one, candidates] of [mul.input, [...mul.input].reverse()] as [string, string][]) {
    const items = ofContext(graph, one)
    const [known, own] = [items, candidates].map((name) => name && graph.shapes.get(name)?.dims)
    if (items === undefined || known?.length !== 3 || known[0] !== 1 || known.at(-1) !== d) continue
    const isCandidate = own?.length === 3 && own[0] === -1 && own[1] === 1 && own[2] === d
    if (isCandidate && ofContext(graph, candidates) === undefined && !graph.constants.has(candidates))
      return { term, products: [gemm.output[0]!], items, candidates, pairs, d, units, bias, shape: reshape.input[1]! }
  }
  return undefined
}

/** The values of the context [1, …] that a tensor [1 or rows, …] takes by the request of each row. */
function ofContext(graph: Graph, name: string): string | undefined {
  const node = graph.producer(name)
  const isTaken =
    node?.opType === 'Gather' && node.input[1] === planNames.requests && intAttribute(node, 'axis', 0) === 0
  return isTaken ? node.input[0] : undefined
}

/** The tensor that Reshapes make a tensor of. */
function rootOf(graph: Graph, name: string): string {
  const node = graph.producer(name)
  return node?.opType === 'Reshape' ? rootOf(graph, node.input[0]!) : name
}

function asOneProduct(graph: Graph, layer: PairLayer): string {
  const { items, candidates, pairs, d, units, bias, ofItems, others } = layer
  const known = graph.shapes.get(items)!.dims[1]!
  const width = known > 0 ? known * units : -1
  const wide = floatShape(-1, width)
  const flat = (x: string, ...dims: [number, number]) =>
    graph.node('Reshape', [x, graph.integers(dims)], { shape: floatShape(...dims) })
  // One small product for each number of a candidate: [d, items, 1 or 2] · [d, 1 or 2, units].
  const apart = graph.node('Transpose', [items], {
    attributes: { perm: [2, 1, 0] },
    shape: floatShape(d, known, 1),
  })
  const one = graph.constant('one', Float32Array.of(1), [])
  const factors = layer.ofCandidates
    ? graph.node('Pad', [apart, graph.integers([0, 0, 0, 0, 0, 1]), one], { shape: floatShape(d, known, 2) })
    : apart
  const weights = graph.constant('pairs', byNumber(pairs, layer.ofCandidates, d, units), [
    d,
    layer.ofCandidates ? 2 : 1,
    units,
  ])
  const matrices = graph.node('MatMul', [factors, weights], { shape: floatShape(d, known, units) })
  const matrix = graph.node('Reshape', [matrices, graph.integers([d, -1])], { shape: floatShape(d, width) })
  const [first, ...more] = ofItems as [string, ...string[]]
  const shape = graph.shapes.get(first)!
  const sum = more.reduce((sum, item) => graph.node('Add', [sum, item], { shape }), first)
  const shifted = bias.some((value) => value !== 0)
    ? graph.node('Add', [sum, graph.constant('pairs/bias', bias, [units])], { shape })
    : sum
  const value = graph.node('Gemm', [flat(candidates, -1, d), matrix, flat(shifted, 1, -1)], { shape: wide })
  const whole = floatShape(-1, known, units)
  const shaped = graph.node('Reshape', [value, layer.shape], { shape: whole })
  return others.reduce((sum, other) => graph.node('Add', [sum, other], { shape: whole }), shaped)
}

/** Row d of both matrices in turn: [d, 1 or 2, units]. */
function byNumber(pairs: Float32Array, ofCandidates: Float32Array | undefined, d: number, units: number): Float32Array {
  if (ofCandidates === undefined) return pairs
  const data = new Float32Array(product([d, 2, units]))
  for (let i = 0; i < d; i++) {
    data.set(pairs.subarray(i * units, (i + 1) * units), 2 * i * units)
    data.set(ofCandidates.subarray(i * units, (i + 1) * units), (2 * i + 1) * units)
  }
  return data
}

function sumOf(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value + b[i]!)
}
