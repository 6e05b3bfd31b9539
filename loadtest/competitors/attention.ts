import { Graph } from '../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../src/model/graph/ir/tensor-shape.ts'
import { createRandom, type Random } from '../../src/tools/data/random.ts'
import { type IdField, idFields, type ModelColumns } from './columns.ts'

/**
 * A deep interest network (Zhou et al. 2018, arXiv:1706.06978): each candidate weighs the items of the user's history
 * by an activation unit. The weights are not normalised.
 */
export interface AttentionModel extends ModelColumns {
  name: string
  sparse: ModelColumns['sparse'] & { history: number }
  /** Embedding dimension. */
  embedding: number
  /** Widths of the unit's hidden layers. */
  unit: readonly number[]
  /** Width of the layer above the history, the candidate and the user. */
  hidden: number
}

/** Standard deviations of the random weights. */
const deviations = { table: 0.5, bias: 0.1 }

/** The model with random weights, in the operators of PyTorch's exporter, with an answer for each of `tasks`. */
export function attentionGraph(model: AttentionModel, tasks: number, seed: number): Graph {
  const { sparse, dense } = model
  const ids = { dtype: DataType.INT32, dims: [-1, sparse.fields] }
  const graph = Graph.create([declare('sparse', ids), declare('dense', floatShape(-1, dense.fields))])
  graph.outputs.push(declare('probabilities', floatShape(-1, tasks)))
  new AttentionWriter(graph, model, createRandom(seed)).write(tasks)
  return graph
}

class AttentionWriter {
  readonly #graph: Graph
  readonly #model: AttentionModel
  readonly #random: Random
  /** The embeddings of all fields, [ids, embedding]. */
  readonly #table: string

  constructor(graph: Graph, model: AttentionModel, random: Random) {
    const fields = idFields(model)
    const ids = fields.filter(({ list }) => list === undefined).length * model.sparse.ids
    this.#graph = graph
    this.#model = model
    this.#random = random
    this.#table = this.#constant('table', [ids, model.embedding], deviations.table)
  }

  write(tasks: number): void {
    const { embedding, hidden, dense } = this.#model
    const fields = idFields(this.#model)
    const single = fields.filter(({ list }) => list === undefined)
    const vectors = single.map(({ column }) => this.#lookUp(this.#column(column)))
    const item = vectors[single.findIndex(({ side }) => side === 'candidate')]!
    const history = fields.find(({ list }) => list !== undefined)!
    const x = this.#concat([this.#attend(history, item), ...vectors, 'dense'])
    const width = (1 + single.length) * embedding + dense.fields
    const logits = this.#linear(this.#hidden(x, width, hidden), hidden, tasks)
    this.#graph.node('Sigmoid', [logits], { outputs: ['probabilities'] })
  }

  /** The weighted sum of a history, [batch, embedding], for the vector of a candidate's item. */
  #attend({ column, list, firstId }: IdField, item: string): string {
    const graph = this.#graph
    const ids = graph.node('Slice', ['sparse', ...[column, column + list!, 1].map((value) => graph.integers([value]))])
    const keys = this.#lookUp(ids)
    const padding = graph.constant('padding', Int32Array.of(firstId), [])
    const isValue = graph.node('Not', [graph.node('Equal', [ids, padding])])
    const mask = graph.node('Cast', [isValue], { attributes: { to: DataType.FLOAT } })
    const one = graph.node('Unsqueeze', [item, graph.integers([1])])
    const query = graph.node('Expand', [one, graph.integers([1, list!, 1])])
    const weights = graph.node('Mul', [this.#unit(keys, query), mask])
    const weighted = graph.node('Mul', [graph.node('Unsqueeze', [weights, graph.integers([2])]), keys])
    return graph.node('ReduceSum', [weighted, graph.integers([1])], { attributes: { keepdims: 0 } })
  }

  /** The activation unit of keys and a query, [batch, items, embedding]: weights [batch, items]. */
  #unit(keys: string, query: string): string {
    const graph = this.#graph
    const pair = [keys, query]
    let x = this.#concat([...pair, graph.node('Sub', pair), graph.node('Mul', pair)])
    let width = 4 * this.#model.embedding
    for (const next of this.#model.unit) {
      x = this.#hidden(x, width, next)
      width = next
    }
    return graph.node('Squeeze', [this.#linear(x, width, 1), graph.integers([2])])
  }

  /** Biases are not 0, so that a dropped one shows in the answers. */
  #linear(x: string, width: number, next: number, gain = 1): string {
    const kernel = this.#constant('kernel', [width, next], Math.sqrt(gain / width))
    const bias = this.#constant('bias', [next], deviations.bias)
    return this.#graph.node('Add', [this.#graph.node('MatMul', [x, kernel]), bias])
  }

  /** Initialised as by He et al. 2015. */
  #hidden(x: string, width: number, next: number): string {
    return this.#graph.node('Relu', [this.#linear(x, width, next, 2)])
  }

  #constant(name: string, dims: number[], deviation: number): string {
    const length = dims.reduce((product, side) => product * side, 1)
    return this.#graph.constant(
      name,
      Float32Array.from({ length }, () => deviation * this.#random.normal()),
      dims,
    )
  }

  /** One column of ids, [batch]. */
  #column(index: number): string {
    const at = this.#graph.constant('column', BigInt64Array.of(BigInt(index)), [])
    return this.#graph.node('Gather', ['sparse', at], { attributes: { axis: 1 } })
  }

  #lookUp(ids: string): string {
    return this.#graph.node('Gather', [this.#table, ids])
  }

  #concat(parts: string[]): string {
    return this.#graph.node('Concat', parts, { attributes: { axis: -1 } })
  }
}
