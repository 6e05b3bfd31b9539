import type { Graph } from '../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../src/model/graph/ir/tensor-shape.ts'
import type { Side, Sides } from '../../../src/model/graph/sides/split-graphs.ts'
import { Dice } from './dice.ts'
import type { Columns } from './random-graph.ts'
import { answerWith, emptyGraph, vocabulary } from './run-graph.ts'
import { Writer } from './writer.ts'

type Activation = 'Relu' | 'Tanh' | 'Silu' | 'LayerNormalization'

/** Ids in a sequence, and the dimension of their embeddings. */
const [steps, dim] = [4, 3]

/**
 * A model of towers: what users did is pooled or attended to, users and candidates have layers of their own, and meet
 * late, in a product or in further layers.
 */
export function randomTowers(
  seed: number,
  { activations = ['Relu', 'Tanh', 'Silu', 'LayerNormalization'] }: { activations?: Activation[] } = {},
): { graph: Graph; sides: Sides } {
  const dice = new Dice(seed)
  const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, 2 * steps] }, dense: floatShape(-1, 6) })
  const towers = new Towers(graph, dice, activations)
  const user = towers.tower(0)
  const candidate = towers.tower(1)
  const cross = towers.dense(4, 6)
  const met = dice.shuffled([
    ...(dice.chance(0.6) ? [towers.dot(user, candidate)] : []),
    ...(dice.chance(0.4) ? [towers.attention(candidate)] : []),
    ...(dice.chance(0.7) ? [towers.layers([user, candidate, ...(dice.chance(0.5) ? [cross] : [])])] : []),
    ...(dice.chance(0.3) ? [towers.outer(user, candidate)] : []),
    ...(dice.chance(0.3) ? [towers.wide(towers.dense(2, 4), towers.dense(4, 5))] : []),
    towers.layers(dice.chance(0.5) ? [user, cross] : [candidate, cross]),
  ])
  const logits = towers.layers(met, 2)
  answerWith(graph, graph.node('Sigmoid', [logits.name]), ...(dice.chance(0.2) ? [user.name] : []))
  // Most often the tower's columns have the side of its name.
  const side = (usual: Side): Side => (dice.chance(0.9) ? usual : dice.pick(['context', 'candidate', 'cross']))
  const [contexts, candidates] = [side('context'), side('candidate')]
  const ofSteps = (one: Side) => new Array<Side>(steps).fill(one)
  return {
    graph,
    sides: {
      ids: [...ofSteps(contexts), ...ofSteps(candidates)],
      dense: [contexts, contexts, candidates, candidates, side('cross'), side('cross')],
    },
  }
}

class Towers {
  readonly #graph: Graph
  readonly #dice: Dice
  readonly #write: Writer
  readonly #table: string
  readonly #activations: Activation[]

  constructor(graph: Graph, dice: Dice, activations: Activation[]) {
    this.#activations = activations
    this.#graph = graph
    this.#dice = dice
    this.#write = new Writer(graph, dice)
    this.#table = graph.constant('table', dice.floats(vocabulary * dim), [vocabulary, dim])
  }

  /** The tower of one side, which reads half of the ids, and two numbers. */
  tower(half: number): Columns {
    const pooled = this.#pool(this.#sequence(half), this.#ids(half))
    const x = this.#write.concat([pooled, this.dense(2 * half, 2 * half + 2)])
    return this.layers([x], this.#dice.between(2, 5))
  }

  dense(from: number, to: number): Columns {
    return { name: this.#slice('dense', from, to), n: to - from }
  }

  /** One to three layers, of any activation. */
  layers(parts: Columns[], n = this.#dice.between(1, 4)): Columns {
    let x = parts.length === 1 ? parts[0]! : this.#write.concat(parts)
    for (let layer = this.#dice.between(0, 2); layer > 0; layer--)
      x = this.#activate(this.#write.dense(x, this.#dice.between(2, 6)))
    return this.#write.dense(x, n)
  }

  dot(a: Columns, b: Columns): Columns {
    const n = Math.min(a.n, b.n)
    const product = this.#graph.node('Mul', [this.#slice(a.name, 0, n), this.#slice(b.name, 0, n)])
    return { name: this.#graph.node('ReduceSum', [product, this.#graph.integers([1])]), n: 1 }
  }

  /** A product of few numbers that is so wide that it is cheaper to compute than to keep. */
  wide(a: Columns, b: Columns): Columns {
    const product = this.#graph.node('Mul', [this.#write.dense(a, 40).name, b.name])
    return { name: this.#graph.node('ReduceSum', [product, this.#graph.integers([1])]), n: 1 }
  }

  outer(a: Columns, b: Columns): Columns {
    const [left, right] = [this.#reshape(a.name, a.n, 1), this.#reshape(b.name, 1, b.n)]
    return { name: this.#reshape(this.#graph.node('Mul', [left, right]), a.n * b.n), n: a.n * b.n }
  }

  /** The user's sequence, weighted by how well it fits the candidate. */
  attention(candidate: Columns): Columns {
    const sequence = this.#sequence(0)
    const query = this.#reshape(this.#write.dense(candidate, dim).name, dim, 1)
    const fit = this.#graph.node('MatMul', [sequence, query]) // [batch, steps, 1]
    const weights = this.#graph.node('Softmax', [fit], { attributes: { axis: 1 } })
    const weighted = this.#graph.node('Mul', [sequence, weights])
    const sum = this.#graph.node('ReduceSum', [weighted, this.#graph.integers([1])], { attributes: { keepdims: 0 } })
    return { name: sum, n: dim }
  }

  #ids(half: number): string {
    return this.#slice('ids', half * steps, (half + 1) * steps)
  }

  /** Embeddings, [batch, steps, dim]: of a slice, or a slice of all. */
  #sequence(half: number): string {
    if (this.#dice.chance(0.5)) return this.#graph.node('Gather', [this.#table, this.#ids(half)])
    return this.#slice(this.#graph.node('Gather', [this.#table, 'ids']), half * steps, (half + 1) * steps)
  }

  #pool(sequence: string, ids: string): Columns {
    const graph = this.#graph
    const over = graph.integers([1])
    switch (this.#dice.below(4)) {
      case 0: {
        // The mean of what is not padding.
        const known = graph.node('Greater', [ids, graph.constant('zero', BigInt64Array.of(0n), [])])
        const mask = this.#reshape(graph.node('Cast', [known], { attributes: { to: DataType.FLOAT } }), steps, 1)
        const sum = graph.node('ReduceSum', [graph.node('Mul', [sequence, mask]), over], {
          attributes: { keepdims: 0 },
        })
        const count = graph.node('ReduceSum', [mask, over], { attributes: { keepdims: 0 } })
        const one = graph.constant('one', Float32Array.of(1), [])
        return { name: graph.node('Div', [sum, graph.node('Max', [count, one])]), n: dim }
      }
      case 1: {
        // Self-attention, and a mean.
        const matrix = () => this.#write.constant('kernel', this.#dice.floats(dim * dim), [dim, dim])
        const project = () => graph.node('MatMul', [sequence, matrix()])
        const keys = graph.node('Transpose', [project()], { attributes: { perm: [0, 2, 1] } })
        const weights = graph.node('Softmax', [graph.node('MatMul', [project(), keys])], { attributes: { axis: 2 } })
        const attended = graph.node('MatMul', [weights, project()])
        return { name: graph.node('ReduceMean', [attended], { attributes: { axes: [1], keepdims: 0 } }), n: dim }
      }
      case 2: {
        // A learned query for every row, expanded as PyTorch writes it.
        const shape = graph.node('Shape', [this.#dice.chance(0.5) ? 'ids' : sequence])
        const rows = graph.node('Slice', [shape, graph.integers([0]), graph.integers([1])])
        const target = graph.node('Concat', [rows, graph.integers([dim, 1])], { attributes: { axis: 0 } })
        const query = graph.node('Expand', [graph.constant('query', this.#dice.floats(dim), [1, dim, 1]), target])
        const fit = graph.node('MatMul', [sequence, query])
        return { name: this.#reshape(fit, steps), n: steps }
      }
      default:
        return { name: this.#reshape(sequence, steps * dim), n: steps * dim }
    }
  }

  #activate({ name, n }: Columns): Columns {
    const graph = this.#graph
    const activation = this.#dice.pick(this.#activations)
    switch (activation) {
      case 'Silu':
        return { name: graph.node('Mul', [name, graph.node('Sigmoid', [name])]), n }
      case 'LayerNormalization': {
        const vector = () => graph.constant('norm', this.#dice.floats(n), [n])
        const inputs = [name, vector(), vector()]
        return { name: graph.node('LayerNormalization', inputs, { attributes: { axis: -1 } }), n }
      }
      default:
        return { name: graph.node(activation, [name]), n }
    }
  }

  #slice(name: string, from: number, to: number): string {
    const graph = this.#graph
    return graph.node('Slice', [name, ...[from, to, 1].map((place) => graph.integers([place]))])
  }

  #reshape(name: string, ...sides: number[]): string {
    return this.#graph.node('Reshape', [name, this.#graph.integers([-1, ...sides])])
  }
}
