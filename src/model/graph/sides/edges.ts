import { product } from '../../../base/arrays.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import type { FeatureFinder } from './columns.ts'
import type { Owners } from './split-graphs.ts'

/*
 * The edges of regions: the tensors that are kept of candidates, and those of the context that are repeated for rows.
 */

/*
 * Costs in multiplications of a large product, as measured on an AMD EPYC with AVX2, 100 rows, at 27 ps each: an
 * element of a candidate that is read back from a cache of 1 GB takes 0.8 to 2.6 ns.
 */
const keptElement = 32
const computedElement = 10
/**
 * A node's call, 1 µs, divided by 100 rows; nodes that only move values don't count, for they never make it worth to
 * keep any.
 */
const call = 300
const moving = new Set([
  'Reshape',
  'Transpose',
  'Concat',
  'Split',
  'Slice',
  'Gather',
  'Expand',
  'Tile',
  'Cast',
  'Identity',
])

/** The tensors that the rest of the graph, or the outputs, read from regions; each as deep as is cheapest. */
export function edgesOf(graph: Graph, features: FeatureFinder, owners: Owners): Set<string> {
  const costs = new Costs(graph, features, owners)
  const edges = new Set<string>()
  const seen = new Set<NodeProto>()
  const open = graph.outputs.map(({ name }) => name)
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (features(name) !== undefined) continue
    const node = graph.producer(name)
    if (node === undefined) continue
    if (costs.given(name) < costs.computed(name)) edges.add(name)
    else if (!seen.has(node)) {
      seen.add(node)
      open.push(...node.input)
    }
  }
  return edges
}

/** The costs of having a tensor for each row. */
class Costs {
  readonly #graph: Graph
  readonly #features: FeatureFinder
  readonly #owners: Owners
  readonly #computed = new Map<string, number>()

  constructor(graph: Graph, features: FeatureFinder, owners: Owners) {
    this.#graph = graph
    this.#features = features
    this.#owners = owners
  }

  /**
   * To read what was kept of a candidate, or to repeat what was computed of the context; infinite for other tensors.
   */
  given(name: string): number {
    const owner = this.#owners.get(name)
    const shape = this.#graph.shapes.get(name)
    const [side] = owner ?? []
    if (owner?.size !== 1 || side === 'cross' || shape?.dtype !== DataType.FLOAT) return Number.POSITIVE_INFINITY
    if (shape.dims[0] !== -1 || shape.dims.slice(1).some((side) => side < 1)) return Number.POSITIVE_INFINITY
    return this.#size(name) * (side === 'candidate' ? keptElement : computedElement)
  }

  /** To compute it, from what is cheapest. */
  computed(name: string): number {
    const known = this.#computed.get(name)
    if (known !== undefined) return known
    const node = this.#graph.producer(name)
    let cost = node?.opType === 'Reshape' ? 0 : computedElement * this.#size(name)
    if (this.#features(name) === undefined && node !== undefined) {
      cost += (moving.has(node.opType) ? 0 : call) + this.#multiplications(node, name)
      for (const input of node.input)
        if (!this.#isFree(input)) cost += Math.min(this.given(input), this.computed(input))
    }
    this.#computed.set(name, cost)
    return cost
  }

  /** Constants, and what depends on the number of rows alone: a few numbers a batch. */
  #isFree(name: string): boolean {
    return this.#graph.constants.has(name) || !this.#owners.get(name)?.size
  }

  #multiplications({ opType, input }: NodeProto, output: string): number {
    // Any number of steps.
    if (['Einsum', 'Conv', 'LSTM', 'GRU', 'RNN'].includes(opType)) return Number.POSITIVE_INFINITY
    if (opType !== 'Gemm' && opType !== 'MatMul') return 0
    const summed = this.#graph.shapes.get(input[0]!)?.dims.at(-1) ?? 1
    return this.#size(output) * Math.abs(summed)
  }

  /** Elements per row. */
  #size(name: string): number {
    return Math.abs(product(this.#graph.shapes.get(name)?.dims ?? [0]))
  }
}
