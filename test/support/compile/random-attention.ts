import type { ListColumns } from '../../../src/model/contracts/list-length.ts'
import type { Graph } from '../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../src/model/graph/ir/tensor-shape.ts'
import type { Side, Sides } from '../../../src/model/graph/sides/split-graphs.ts'
import type { Dice } from './dice.ts'
import { answerWith, emptyGraph, vocabulary } from './run-graph.ts'
import { Writer } from './writer.ts'

/** The kinds of attention of a candidate to a user's history, as PyTorch users write them. */
export const attentions = ['dot product', 'multi-head', 'DIN', 'last item'] as const

export interface RandomAttention {
  graph: Graph
  sides: Sides
  kind: (typeof attentions)[number]
  /** The history, and the candidate's tags. */
  lists: ListColumns[]
}

/**
 * A model in which candidates attend to a history of the context: ids `hist` [batch, L], of which 0 is padding, `item`
 * [batch, 1] of the same table, `tags` [batch, 2] of the candidate, and `dense` [batch, 2] of both sides. `factor`: of
 * the widths of its layers; `kinds`: of which it has one; `longest`: L at most.
 */
export function randomAttention(
  dice: Dice,
  factor = 1,
  kinds: readonly (typeof attentions)[number][] = attentions,
  longest = 4,
): RandomAttention {
  const [length, dim] = [dice.between(2, longest), factor * 2 * dice.between(1, 2)]
  const ids = (width: number) => ({ dtype: DataType.INT64, dims: [-1, width] })
  const graph = emptyGraph({ hist: ids(length), item: ids(1), tags: ids(2), dense: floatShape(-1, 2) })
  const kind = dice.pick(kinds)
  const write = new AttentionWriter(graph, dice, { length, dim, factor })
  const pooled = write.attend(kind)
  const x = new Writer(graph, dice).concat(
    dice.shuffled([
      { name: pooled, n: dim },
      ...(dice.chance(0.8) ? [{ name: write.query, n: dim }] : []),
      ...(dice.chance(0.6) ? [{ name: write.tags(), n: dim }] : []),
      { name: 'dense', n: 2 },
    ]),
  )
  const logits = new Writer(graph, dice).mlp(x, [factor * dice.between(2, 5), 2], { linear: true })
  answerWith(graph, graph.node('Sigmoid', [logits.name]))
  const of = (side: Side, width: number) => new Array<Side>(width).fill(side)
  const other = dice.pick<Side>(['candidate', 'cross'])
  const list = (name: string, size: number) => ({
    name,
    size,
    members: [{ input: name, columns: Array.from({ length: size }, (_, i) => i), padding: 0 }],
  })
  return {
    graph,
    kind,
    lists: [list('hist', length), list('tags', 2)],
    sides: {
      hist: of('context', length),
      item: of(dice.chance(0.9) ? 'candidate' : 'cross', 1),
      tags: of(other, 2),
      dense: dice.shuffled<Side>(['context', dice.pick(['context', 'candidate', 'cross'])]),
    },
  }
}

class AttentionWriter {
  readonly #graph: Graph
  readonly #dice: Dice
  readonly #length: number
  readonly #dim: number
  readonly #factor: number
  readonly #keys: string
  /** [batch, dim] */
  readonly query: string
  readonly #table: string

  constructor(graph: Graph, dice: Dice, { length, dim, factor }: { length: number; dim: number; factor: number }) {
    this.#graph = graph
    this.#dice = dice
    this.#length = length
    this.#dim = dim
    this.#factor = factor
    this.#table = graph.constant('table', dice.floats(vocabulary * dim), [vocabulary, dim])
    this.#keys = graph.node('Gather', [this.#table, 'hist'])
    this.query = this.#reshape(graph.node('Gather', [this.#table, 'item']), dim)
  }

  /** The history as the candidate sees it, [batch, dim]. */
  attend(kind: RandomAttention['kind']): string {
    switch (kind) {
      case 'dot product':
        return this.#pool(this.#masked(this.#dotProduct()))
      case 'multi-head':
        return this.#multiHead()
      case 'DIN':
        return this.#pool(this.#dice.chance(0.5) ? this.#masked(this.#unit()) : this.#silenced(this.#unit()))
      case 'last item':
        return this.#lastItem()
    }
  }

  /** The mean of the candidate's tags, of which id 0 counts as nothing. */
  tags(): string {
    const graph = this.#graph
    const known = graph.node('Cast', [graph.node('Not', [this.#isPadding('tags')])], { attributes: { to: 1 } })
    const values = graph.node('Mul', [graph.node('Gather', [this.#table, 'tags']), this.#reshape(known, 2, 1)])
    return this.#sum(values)
  }

  #isPadding(ids: string): string {
    return this.#graph.node('Equal', [ids, this.#graph.constant('padding', BigInt64Array.of(0n), [])])
  }

  /** Scores [batch, L] of which those of padding count for nothing after a Softmax. */
  #masked(scores: string, mask = this.#isPadding('hist')): string {
    const graph = this.#graph
    const least = graph.constant('least', Float32Array.of(-1e9), [])
    const given = this.#dice.chance(0.5)
      ? graph.node('Where', [graph.node('Not', [graph.node('Not', [mask])]), least, scores])
      : graph.node('Where', [graph.node('Not', [mask]), scores, least])
    return graph.node('Softmax', [given], { attributes: { axis: -1 } })
  }

  /** Scores [batch, L] times 0 for padding. */
  #silenced(scores: string): string {
    const known = this.#graph.node('Not', [this.#isPadding('hist')])
    return this.#graph.node('Mul', [scores, this.#graph.node('Cast', [known], { attributes: { to: 1 } })])
  }

  /** [batch, L] */
  #dotProduct(): string {
    const graph = this.#graph
    const row = this.#reshape(this.query, 1, this.#dim)
    switch (this.#dice.below(4)) {
      case 0:
        return this.#reshape(graph.node('MatMul', [this.#keys, this.#reshape(this.query, this.#dim, 1)]), this.#length)
      case 1: {
        const turned = graph.node('Transpose', [this.#keys], { attributes: { perm: [0, 2, 1] } })
        return this.#reshape(graph.node('MatMul', [row, turned]), this.#length)
      }
      case 2:
        return this.#sum(graph.node('Mul', [this.#keys, this.#repeated(row)]), 2)
      default:
        return graph.node('Einsum', [this.#keys, this.query], { attributes: { equation: 'bld,bd->bl' } })
    }
  }

  /** DIN's activation unit, [batch, L]: of any of the four parts in any order. */
  #unit(): string {
    const graph = this.#graph
    const dice = this.#dice
    const row = this.#reshape(this.query, 1, this.#dim)
    const query = () => (dice.chance(0.7) ? this.#repeated(row) : row)
    const all = [
      this.#keys,
      this.#repeated(row),
      graph.node('Sub', dice.shuffled([this.#keys, query()])),
      graph.node('Mul', dice.shuffled([this.#keys, query()])),
    ]
    const parts = dice.shuffled(all).slice(0, dice.between(2, 4))
    let x = graph.node('Concat', parts, { attributes: { axis: dice.pick([2, -1]) } })
    let width = parts.length * this.#dim
    for (let layer = dice.between(1, 2); layer > 0; layer--) {
      const n = this.#factor * dice.between(2, 4)
      x = this.#layer(x, width, n)
      const slopes = () => graph.constant('slopes', dice.floats(n), [n])
      x = dice.chance(0.7) ? graph.node(dice.pick(['Relu', 'Tanh']), [x]) : graph.node('PRelu', [x, slopes()])
      width = n
    }
    return this.#reshape(this.#layer(x, width, 1), this.#length)
  }

  #layer(x: string, k: number, n: number): string {
    const graph = this.#graph
    const product = graph.node('MatMul', [
      x,
      graph.constant('kernel', this.#dice.floats(k * n, 1 / Math.sqrt(this.#factor)), [k, n]),
    ])
    return graph.node('Add', this.#dice.shuffled([product, graph.constant('bias', this.#dice.floats(n), [n])]))
  }

  /** With projections, [batch, dim]. */
  #multiHead(): string {
    const graph = this.#graph
    const heads = this.#dice.pick([1, 2])
    const each = this.#dim / heads
    const split = (x: string, steps: number) =>
      graph.node('Transpose', [this.#reshape(this.#layer(x, this.#dim, this.#dim), steps, heads, each)], {
        attributes: { perm: [0, 2, 1, 3] },
      })
    const query = split(this.#reshape(this.query, 1, this.#dim), 1)
    const keys = graph.node('Transpose', [split(this.#keys, this.#length)], { attributes: { perm: [0, 1, 3, 2] } })
    const scores = graph.node('MatMul', [query, keys])
    const scale = graph.constant('scale', Float32Array.of(Math.sqrt(each)), [])
    const mask = this.#reshape(this.#isPadding('hist'), 1, 1, this.#length)
    const weights = this.#masked(graph.node('Div', [scores, scale]), mask)
    const values = graph.node('MatMul', [weights, split(this.#keys, this.#length)])
    const joined = graph.node('Transpose', [values], { attributes: { perm: [0, 2, 1, 3] } })
    return this.#reshape(this.#layer(this.#reshape(joined, this.#dim), this.#dim, this.#dim), this.#dim)
  }

  /** Self-attention over the history with the candidate as its last item, as in BST; the mean of all. */
  #lastItem(): string {
    const graph = this.#graph
    const row = this.#reshape(this.query, 1, this.#dim)
    const all = graph.node('Concat', [this.#keys, row], { attributes: { axis: 1 } })
    const [queries, keys, values] = [0, 1, 2].map(() => this.#layer(all, this.#dim, this.#dim)) as [
      string,
      string,
      string,
    ]
    const turned = graph.node('Transpose', [keys], { attributes: { perm: [0, 2, 1] } })
    const weights = graph.node('Softmax', [graph.node('MatMul', [queries, turned])], { attributes: { axis: -1 } })
    return this.#sum(graph.node('MatMul', [weights, values]))
  }

  /** The weighted sum [batch, dim] of the history. */
  #pool(weights: string): string {
    const graph = this.#graph
    if (this.#dice.chance(0.5)) {
      const product = graph.node('MatMul', [this.#reshape(weights, 1, this.#length), this.#keys])
      return this.#reshape(product, this.#dim)
    }
    return this.#sum(graph.node('Mul', this.#dice.shuffled([this.#reshape(weights, this.#length, 1), this.#keys])))
  }

  #sum(x: string, axis = 1): string {
    const axes = this.#graph.integers([axis])
    return this.#graph.node('ReduceSum', [x, axes], { attributes: { keepdims: 0 } })
  }

  /** [batch, 1, dim] → [batch, L, dim], as PyTorch's exporters write it. */
  #repeated(row: string): string {
    const graph = this.#graph
    const target = this.#dice.chance(0.5)
      ? graph.node('Shape', [this.#keys])
      : graph.integers([1, this.#length, this.#dice.pick([1, this.#dim])])
    return graph.node('Expand', [row, target])
  }

  #reshape(name: string, ...sides: number[]): string {
    return this.#graph.node('Reshape', [name, this.#graph.integers([-1, ...sides])])
  }
}
