import { clearField, create } from '@bufbuild/protobuf'
import type { Graph } from '../../../src/model/graph/ir/graph.ts'
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  type TensorProto,
  TensorProtoSchema,
} from '../../../src/model/graph/ir/onnx_pb.ts'
import type { Dice } from './dice.ts'
import type { Columns } from './random-graph.ts'

interface MlpOptions {
  /** Whether the last layer has no activation. */
  linear?: boolean
  /** Tensors in the middle are added to it. */
  middle?: Columns[]
}

/** Writes parts of a model into a graph, each in one of the ways in which exporters and people write them. */
export class Writer {
  readonly graph: Graph
  readonly #dice: Dice

  constructor(graph: Graph, dice: Dice) {
    this.graph = graph
    this.#dice = dice
  }

  /** A constant of the graph, or a node that answers it. */
  readonly constant = (wanted: string, values: Float32Array | BigInt64Array, dims: number[]): string => {
    const { graph } = this
    const name = graph.constant(wanted, values, dims)
    if (!this.#dice.chance(0.25)) return name
    const t = graph.constants.get(name)!
    const output = graph.node('Constant', [])
    graph.constants.delete(name)
    graph.producer(output)!.attribute.push(this.#held(t, values, dims))
    return output
  }

  /** One of the ways in which a Constant node holds its value. */
  #held(t: TensorProto, values: Float32Array | BigInt64Array, dims: number[]): AttributeProto {
    const list = values instanceof Float32Array ? { floats: [...values] } : { ints: [...values] }
    if (dims.length === 1 && this.#dice.chance(0.3)) {
      const floats = values instanceof Float32Array
      const [name, type] = floats ? ['value_floats', AttributeType.FLOATS] : ['value_ints', AttributeType.INTS]
      return create(AttributeProtoSchema, { name: name as string, type: type as AttributeType, ...list })
    }
    if (this.#dice.chance(0.3)) {
      // As onnx.helper.make_tensor writes them.
      clearField(t, TensorProtoSchema.field.rawData)
      if (values instanceof Float32Array) t.floatData = [...values]
      else t.int64Data = [...values]
    }
    return create(AttributeProtoSchema, { name: 'value', type: AttributeType.TENSOR, t })
  }

  integers(...values: number[]): string {
    return this.constant('integers', BigInt64Array.from(values, BigInt), [values.length])
  }

  /** x·W, with a bias or without. */
  dense({ name, n: k }: Columns, n: number): Columns {
    const { graph } = this
    const dice = this.#dice
    const weights = dice.floats(k * n, 2 / Math.sqrt(k))
    const bias = dice.floats(n)
    if (dice.chance(0.1)) {
      const turned = dice.chance(0.5)
      const w = this.constant('kernel', weights, turned ? [n, k] : [k, n])
      const product = graph.node('Einsum', [name, w], { attributes: { equation: turned ? 'bk,nk->bn' : 'bk,kn->bn' } })
      return { name: graph.node('Add', [product, this.constant('bias', bias, [n])]), n }
    }
    if (dice.chance(0.5)) {
      const turned = dice.chance(0.3)
      const dims = turned ? [n, k] : [k, n]
      const w = this.constant('kernel', weights, dims)
      const matrix = turned ? graph.node('Transpose', [w], dice.chance(0.5) ? { attributes: { perm: [1, 0] } } : {}) : w
      const product = graph.node('MatMul', [name, matrix])
      if (dice.chance(0.3)) return { name: product, n }
      const b = this.constant('bias', bias, dice.pick([[n], [1, n]]))
      return { name: graph.node('Add', dice.shuffled([product, b])), n }
    }
    const transB = dice.below(2)
    const inputs = [name, this.constant('kernel', weights, transB ? [n, k] : [k, n])]
    const shape = dice.pick([[n], [1, n], n === 1 ? [] : [1]])
    if (dice.chance(0.7)) inputs.push(this.constant('bias', bias.slice(0, shape.at(-1) ?? 1), shape))
    const factors = dice.chance(0.2) ? { alpha: { float: 0.5 }, beta: { float: 2 } } : {}
    return { name: graph.node('Gemm', inputs, { attributes: { ...(transB ? { transB } : {}), ...factors } }), n }
  }

  /** Scaling and shifting of columns. */
  norm({ name, n }: Columns): Columns {
    const { graph } = this
    const dice = this.#dice
    const vector = (least: number) => {
      const values = dice.floats(n).map((value) => least + Math.abs(value))
      return this.constant('statistics', values, [n])
    }
    const signed = () => this.constant('statistics', dice.floats(n), dice.pick([[n], [1, n]]))
    switch (dice.below(3)) {
      case 0: {
        const inputs = [name, vector(0.5), this.constant('beta', dice.floats(n), [n]), vector(0), vector(0.3)]
        return { name: graph.node('BatchNormalization', inputs, { attributes: { epsilon: { float: 1e-3 } } }), n }
      }
      case 1:
        return {
          name: graph.node('Add', dice.shuffled([graph.node('Mul', dice.shuffled([name, vector(0.5)])), signed()])),
          n,
        }
      default:
        return { name: graph.node('Div', [graph.node('Sub', [name, signed()]), vector(0.5)]), n }
    }
  }

  /** Nodes that change nothing. */
  detour(columns: Columns): Columns {
    const { graph } = this
    const { name, n } = columns
    switch (this.#dice.below(9)) {
      case 0:
        return { name: graph.node('Identity', [name]), n }
      case 1:
        return { name: graph.nodeOf('Dropout', [name], 1)[0]!, n }
      case 2:
        return { name: graph.node('Cast', [name], { attributes: { to: DataType.FLOAT } }), n }
      case 3: {
        const longer = graph.node('Unsqueeze', [name, this.integers(1)])
        return { name: graph.node('Squeeze', [longer, this.integers(1)]), n }
      }
      case 4: {
        const column = graph.node('Reshape', [name, this.integers(-1, n, 1)])
        const row = graph.node('Transpose', [column], { attributes: { perm: [0, 2, 1] } })
        return this.flatten({ name: row, n })
      }
      default:
        return columns
    }
  }

  /** [batch, …] → [batch, n] */
  flatten({ name, n }: Columns): Columns {
    const { graph } = this
    switch (this.#dice.below(3)) {
      case 0:
        return { name: graph.node('Flatten', [name]), n }
      case 1:
        return { name: graph.node('Reshape', [name, this.integers(-1, n)]), n }
      default: {
        // The target comes from the shape that is computed.
        const shape = graph.node('Shape', [name])
        const batch = graph.node('Gather', [shape, this.integers(0)], { attributes: { axis: 0 } })
        const target = graph.node('Concat', [batch, this.integers(n)], { attributes: { axis: 0 } })
        return { name: graph.node('Reshape', [name, target], { attributes: { allowzero: 0 } }), n }
      }
    }
  }

  /** Layers of these widths, each with an activation. */
  mlp(x: Columns, widths: number[], { linear = false, middle = [] }: MlpOptions = {}): Columns {
    return widths.reduce((input, n, i) => {
      const dense = this.detour(this.dense(input, n))
      const scaled = this.#dice.chance(0.5) ? this.norm(dense) : dense
      if (linear && i === widths.length - 1) return scaled
      middle.push(scaled)
      const active = { name: this.graph.node(this.#dice.chance(0.85) ? 'Relu' : 'Tanh', [scaled.name]), n }
      middle.push(active)
      return this.#dice.chance(0.15) ? this.norm(active) : this.detour(active)
    }, x)
  }

  /** Side by side, perhaps one pair first. */
  concat(parts: Columns[]): Columns {
    const { graph } = this
    const dice = this.#dice
    const n = parts.reduce((sum, part) => sum + part.n, 0)
    const axis = () => ({ attributes: { axis: dice.pick([1, -1]) } })
    const names = parts.map(({ name }) => name)
    if (names.length > 2 && dice.chance(0.3)) names.unshift(graph.node('Concat', names.splice(0, 2), axis()))
    return { name: graph.node('Concat', names, axis()), n }
  }

  softmax({ name, n }: Columns): Columns {
    return { name: this.graph.node('Softmax', [name], { attributes: { axis: this.#dice.pick([1, -1]) } }), n }
  }

  /** All columns of a tensor, in parts, each [batch] or [batch, n]. */
  pick({ name, n }: Columns): Columns[] {
    const { graph } = this
    const dice = this.#dice
    const attributes = { axis: dice.pick([1, -1]) }
    switch (dice.below(n > 1 ? 4 : 2)) {
      case 0:
        return Array.from({ length: n }, (_, i) => {
          const index = this.constant('column', BigInt64Array.of(BigInt(dice.pick([i, i - n]))), [1])
          return { name: graph.node('Gather', [name, index], { attributes }), n: 1 }
        })
      case 1: {
        const order = dice.shuffled(Array.from({ length: n }, (_, i) => i))
        const ends = dice.chance(0.5) ? [n] : [dice.between(1, n), n]
        return ends.flatMap((end, i) => {
          const indexes = order.slice(i === 0 ? 0 : ends[i - 1], end)
          if (indexes.length === 0) return []
          return [{ name: graph.node('Gather', [name, this.integers(...indexes)], { attributes }), n: indexes.length }]
        })
      }
      case 2: {
        const first = dice.between(1, n - 1)
        const sizes = [first, n - first]
        const names = graph.nodeOf('Split', [name, this.integers(...sizes)], 2, { attributes })
        return sizes.map((size, i) => ({ name: names[i]!, n: size }))
      }
      default: {
        const first = dice.between(1, n - 1)
        const bounds = [
          [0, first],
          [first - n, dice.chance(0.5) ? n : 2 ** 31],
        ]
        return bounds.map(([from, to], i) => {
          const step = dice.chance(0.5) ? [this.integers(1)] : []
          const inputs = [name, this.integers(from!), this.integers(to!), this.integers(dice.pick([1, -1])), ...step]
          return { name: graph.node('Slice', inputs), n: i === 0 ? first : n - first }
        })
      }
    }
  }

  readonly mixingWays = ['row', 'column', 'sum', 'sum of columns', 'einsum', 'turned einsum', 'joined'] as const

  /** Σ_e gate[e]·expert[e] */
  mix(experts: Columns[], gate: Columns, way: (typeof this.mixingWays)[number]): Columns {
    const { graph } = this
    const dice = this.#dice
    const { n } = experts[0]!
    const count = experts.length
    const axis = (axis: number) => ({ attributes: { axis } })
    const each = (...sides: number[]) =>
      experts.map(({ name }) =>
        dice.chance(0.5)
          ? graph.node('Reshape', [name, this.integers(-1, ...sides)])
          : graph.node('Unsqueeze', [name, this.integers(sides[0] === 1 && sides.length > 1 ? 1 : 2)]),
      )
    const rows = () => graph.node('Concat', each(1, n), axis(1)) // [batch, E, H]
    const columns = () =>
      dice.chance(0.5)
        ? graph.node('Concat', each(n, 1), axis(dice.pick([2, -1])))
        : graph.node('Transpose', [rows()], { attributes: { perm: [0, 2, 1] } }) // [batch, H, E]
    const asRow = () => graph.node('Unsqueeze', [gate.name, this.integers(1)])
    const asColumn = () => graph.node('Unsqueeze', [gate.name, this.integers(dice.pick([2, -1]))])
    const drop = (name: string, side: number) => graph.node('Squeeze', [name, this.integers(side)])
    const sum = (a: string, b: string, over: number) => {
      const product = graph.node('Mul', dice.shuffled([a, b]))
      const keepdims = dice.below(2)
      const total = graph.node('ReduceSum', [product, this.integers(over)], { attributes: { keepdims } })
      return keepdims ? drop(total, over) : total
    }
    const einsum = (equation: string, ...operands: string[]) =>
      graph.node('Einsum', operands, { attributes: { equation } })
    switch (way) {
      case 'row':
        return { name: drop(graph.node('MatMul', [asRow(), rows()]), 1), n }
      case 'column':
        return { name: drop(graph.node('MatMul', [columns(), asColumn()]), 2), n }
      case 'sum':
        return { name: sum(rows(), asColumn(), 1), n }
      case 'sum of columns':
        return { name: sum(columns(), asRow(), 2), n }
      case 'einsum':
        return { name: einsum('be,beh->bh', gate.name, rows()), n }
      case 'turned einsum':
        return { name: einsum('bhe, be -> bh', columns(), gate.name), n }
      case 'joined': {
        const stack = graph.node('Reshape', [this.concat(experts).name, this.integers(-1, count, n)])
        return { name: drop(graph.node('MatMul', [asRow(), stack]), 1), n }
      }
    }
  }
}
