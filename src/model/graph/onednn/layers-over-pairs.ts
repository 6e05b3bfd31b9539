import { create } from '@bufbuild/protobuf'
import { isPlain } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import { NodeIndex } from '../ir/node-index.ts'
import { type NodeProto, NodeProtoSchema, ValueInfoProtoSchema } from '../ir/onnx_pb.ts'
import { declare, isOfItems, type TensorShape } from '../ir/tensor-shape.ts'
import type { Call } from '../rows/program.ts'
import { dropUnread, type InputSides, partFor, ReadableTensors } from './leading-part.ts'

/*
 * The layers over all pairs of a candidate and an item, as of DIN's attention unit, behind the joined product of pairs:
 * they are a program of their own, in which the pairs are the rows, between parts that ONNX Runtime computes.
 */

/** The operator by which a program begins: see `pairProduct`. */
export const pairProductNode = { domain: 'multigate', opType: 'PairProduct' }

export function isPairProduct({ domain, opType }: NodeProto): boolean {
  return domain === pairProductNode.domain && opType === pairProductNode.opType
}

/**
 * How pairs of a call's rows and items are the rows of a program: blocks of items, in each of them the rows, and of
 * each row the items of the block. So a block's product has the same columns for every length of the list.
 */
export interface PairOrder {
  /** Items of a block. */
  block: number
  /** Pairs of a call, with those that fill the last block, and those that the last chunk of rows computes more. */
  count(call: Pick<Call, 'feeds'>): number
  /** Values of pairs [pairs, width] as [rows · items, width]. */
  sorted(call: Pick<Call, 'feeds'>, values: Float32Array, width: number): Float32Array
}

/** A graph in three parts. */
export interface PairParts {
  /** Its outputs are what `pairs` reads, and what both it and `after` need. */
  before: Graph
  /** Inputs: x [rows, d], the items [1, items, d] and the bias [1, items · units]; outputs: [rows · items, …]. */
  pairs: Graph
  after: Graph
  /** The sides of the inputs of `after`. */
  sides: InputSides
}

/**
 * The parts of a graph with layers over pairs; undefined where there are none. `left`: the outputs of the nodes of a
 * graph of pairs that a program can't compute.
 */
export function divideAtPairs(
  graph: Graph,
  sides: InputSides,
  left: (pairs: Graph) => ReadonlySet<string>,
): PairParts | undefined {
  const tensors = new ReadableTensors(graph, sides)
  const head = graph.nodes.flatMap((node) => headOf(graph, tensors, node) ?? [])[0]
  if (head === undefined) return undefined
  let nodes = layersOver(graph, head.output)
  for (;;) {
    if (!nodes.some(({ opType }) => opType === 'Gemm')) return undefined
    const pairs = pairsOf(graph, head, nodes)
    if (pairs === undefined) return undefined
    const behind = new Set(left(pairs))
    if (behind.size === 0) return { pairs, ...around(graph, sides, tensors, head, pairs) }
    nodes = nodes.filter(({ input, output }) => {
      const isLeft = input.some((name) => behind.has(name)) || behind.has(output[0]!)
      if (isLeft) for (const name of output) behind.add(name)
      return !isLeft
    })
  }
}

/** The joined product of pairs: its inputs, the weights among them, and its output as [rows · items, units]. */
interface Head {
  inputs: string[]
  weights: string
  output: string
}

function headOf(graph: Graph, tensors: ReadableTensors, gemm: NodeProto): Head | undefined {
  const [x, matrix, bias] = gemm.input
  if (gemm.opType !== 'Gemm' || bias === undefined || !isPlain(gemm)) return undefined
  const factors = factorsOf(graph, matrix!)
  if (factors === undefined) return undefined
  const { items, weights } = factors
  if ([items, bias].some((name) => graph.constants.has(name) || tensors.sidesOf(name)?.rows !== false)) return undefined
  if (tensors.get(x!)?.each !== 'rows' || graph.shapes.get(x!)!.dims.length !== 2) return undefined
  let [output] = gemm.output as [string]
  for (;;) {
    const [user] = graph.users(output)
    if (user?.opType !== 'Reshape' || !graph.isPrivate(output, user)) return undefined
    output = user.output[0]!
    if (isOfPairs(graph.shapes.get(output))) return { inputs: [x!, items, bias], weights, output }
  }
}

/**
 * The items k [1, items, d] and the weights [d, 1 or 2, units] of a matrix k ⊗ W₀ + W₁, as `joinPairProducts` makes it.
 */
function factorsOf(graph: Graph, matrix: string): { items: string; weights: string } | undefined {
  const product = graph.producer(graph.producer(matrix)?.input[0] ?? '')
  if (graph.producer(matrix)?.opType !== 'Reshape' || product?.opType !== 'MatMul') return undefined
  const [factors, weights] = product.input as [string, string]
  const [, terms, units] = graph.dimsOf(weights) ?? []
  const pad = graph.producer(factors)
  const apart = terms === 2 && pad?.opType === 'Pad' ? graph.producer(pad.input[0]!) : pad
  const isFactors = apart?.opType === 'Transpose' && graph.shapes.get(apart.input[0]!)?.dims.length === 3
  // The kernel multiplies four numbers at a time.
  const isKnown = isFactors && graph.floats(weights) !== undefined && units! % 4 === 0
  return isKnown ? { items: apart.input[0]!, weights } : undefined
}

const isOfPairs = (shape: TensorShape | undefined) =>
  isOfItems(shape) && shape!.dims.length === 2 && shape!.dims[1]! > 0

/** The nodes that read nothing but the pairs and constants, and answer a row for each pair. */
function layersOver(graph: Graph, pairs: string): NodeProto[] {
  const [items] = graph.shapes.get(pairs)!.dims
  const inside = new Set([pairs])
  return graph.nodes.filter(({ input, output }) => {
    const read = input.filter((name) => name !== '' && !graph.constants.has(name))
    const isInside = read.length > 0 && read.every((name) => inside.has(name))
    const answers = output.map((name) => graph.shapes.get(name))
    if (!isInside || !answers.every((shape) => isOfPairs(shape) && shape!.dims[0] === items)) return false
    for (const name of output) inside.add(name)
    return true
  })
}

/** The layers as a graph. Undefined where others read the joined product. */
function pairsOf(graph: Graph, { inputs, weights, output }: Head, nodes: readonly NodeProto[]): Graph | undefined {
  const inside = new Set(nodes)
  const isRead = (name: string) => graph.isOutput(name) || graph.users(name).some((user) => !inside.has(user))
  if (isRead(output)) return undefined
  const pairs = graph.copy()
  const kept = new Set(nodes.flatMap((node) => node.output))
  pairs.nodes = pairs.nodes.filter((node) => kept.has(node.output[0]!))
  pairs.nodes.unshift(create(NodeProtoSchema, { ...pairProductNode, input: [...inputs, weights], output: [output] }))
  pairs.inputs.splice(0, Number.POSITIVE_INFINITY, ...inputs.map((name) => declared(graph, name)))
  const outputs = [...kept].filter(isRead)
  pairs.outputs.splice(0, Number.POSITIVE_INFINITY, ...outputs.map((name) => create(ValueInfoProtoSchema, { name })))
  pairs.touch()
  pairs.tidy()
  return pairs
}

/** The parts before the pairs, and after them. */
function around(
  graph: Graph,
  sides: InputSides,
  tensors: ReadableTensors,
  { inputs, output }: Head,
  pairs: Graph,
): Omit<PairParts, 'pairs'> {
  const computed = new Set([output, ...pairs.nodes.flatMap((node) => node.output)])
  const ofPairs = pairs.outputs.map(({ name }) => name)
  const first = new NodeIndex(graph.nodes).inOrder(inputs)
  const shared = sharedBy(graph, tensors, first, computed)
  const after = graph.copy()
  after.nodes = after.nodes.filter((node) => !node.output.some((name) => computed.has(name) || shared.has(name)))
  after.inputs.push(...[...ofPairs, ...shared].map((name) => declared(graph, name)))
  after.touch()
  after.tidy()
  dropUnread(after)
  const read = [...shared].filter((name) => after.inputs.some((input) => input.name === name))
  const before = partFor(graph, [...new Set([...inputs, ...read])])
  const ofRequests = read.filter((name) => tensors.sidesOf(name)?.rows === false)
  const unreadable = [...ofPairs, ...read.filter((name) => tensors.get(name) === undefined)]
  return {
    before,
    after,
    sides: {
      ...sides,
      context: new Set([...sides.context, ...ofRequests]),
      unreadable: new Set(unreadable),
    },
  }
}

/** Nodes that take longer than to hand their results over. */
const dear = new Set(['Gemm', 'MatMul', 'Softmax', 'LayerNormalization', 'Sigmoid', 'Tanh', 'Exp'])

/**
 * The tensors that the first part computes at some cost; the last part computes the others again. The number of a row's
 * request has another length where there is one: what depends on it is not handed over.
 */
function sharedBy(
  graph: Graph,
  tensors: ReadableTensors,
  first: readonly NodeProto[],
  computed: ReadonlySet<string>,
): Set<string> {
  const shared = new Set<string>()
  for (const { opType, input, output } of first) {
    const isDear = dear.has(opType) || input.some((name) => shared.has(name))
    for (const name of output)
      if (isDear && tensors.sidesOf(name)?.requests === false && !computed.has(name) && graph.shapes.has(name))
        shared.add(name)
  }
  return shared
}

/** Sides of unknown length are not said to be equal: ONNX Runtime would give tensors of one length the same memory. */
function declared(graph: Graph, name: string) {
  const { dtype, dims } = graph.shapes.get(name)!
  const free = declare(name, { dtype, dims })
  const { value } = free.type!
  if (value.case === 'tensorType')
    value.value.shape!.dim.forEach(({ value }, i) => {
      if (value.case === 'dimParam') value.value = `${name}:${i}`
    })
  return free
}
