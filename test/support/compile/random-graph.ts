import type { Graph } from '../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape, type TensorShape } from '../../../src/model/graph/ir/tensor-shape.ts'
import { Dice } from './dice.ts'
import { answerWith, emptyGraph, vocabulary } from './run-graph.ts'
import { Writer } from './writer.ts'

/** A tensor [batch, n]. */
export interface Columns {
  name: string
  n: number
}

export interface RandomGraphOptions {
  /** Whether tensors in the middle may be outputs, and be read by other parts too. */
  shared?: boolean
  /**
   * Whether features may be anything but columns of the inputs, each for itself; then tables may be weights of
   * products, too.
   */
  wild?: boolean
  /** Whether each field may have an input of its own. */
  apart?: boolean
}

/** A table that several look-ups, and products, may read. */
interface Table {
  name: string
  dim: number
}

/** Rows of a table: more than there are ids. */
const tableRows = vocabulary + 1

/**
 * A multi-task model like those that people export: tables and dense columns, experts and gates or a shared bottom,
 * towers, probabilities. Its sizes, and how each part is written down, are random.
 */
export function randomGraph(
  seed: number,
  { shared = true, wild = true, apart = true }: RandomGraphOptions = {},
): Graph {
  const dice = new Dice(seed)
  const { graph, features, tables } = randomFeatures(dice, { wild, apart })
  const write = new Writer(graph, dice)
  const middle: Columns[] = []
  const plain = write.detour(features)
  const x = wild && dice.chance(0.25) ? write.concat([plain, tied(write, dice, plain, dice.pick(tables))]) : plain
  const towers = dice.between(1, 3)
  const width = dice.between(1, 6)
  const inputs = dice.chance(0.7)
    ? mixtures(write, dice, x, { tasks: towers, width, middle })
    : Array.from({ length: towers }, () => undefined)
  const bottom = inputs[0] === undefined ? write.mlp(x, [dice.between(1, 6), width], { middle }) : x
  const logits = inputs.map((input) =>
    write.mlp(input ?? bottom, dice.chance(0.7) ? [dice.between(1, 5), 1] : [1], { linear: true, middle }),
  )
  const joined = logits.length > 1 && dice.chance(0.6) ? [write.concat(logits)] : logits
  const answers = joined.map(({ name }) => graph.node('Sigmoid', [name]))
  if (shared && dice.chance(0.4))
    answers.push(
      ...dice
        .shuffled(middle)
        .slice(0, dice.between(1, 2))
        .map((c) => c.name),
    )
  answerWith(graph, ...new Set(answers))
  return graph
}

interface Sizes {
  tasks: number
  width: number
  middle: Columns[]
}

/** The mixtures that the towers read, one per task. */
function mixtures(write: Writer, dice: Dice, x: Columns, { tasks, width, middle }: Sizes): Columns[] {
  const layers = Array.from({ length: dice.between(0, 2) }, () => dice.between(1, 5))
  const linear = dice.chance(0.5)
  const experts = Array.from({ length: dice.between(2, 4) }, () => write.mlp(x, [...layers, width], { linear, middle }))
  const way = dice.pick(write.mixingWays)
  return Array.from({ length: tasks }, () => {
    const logits = write.dense(x, experts.length)
    const gate = dice.chance(0.9)
      ? write.softmax(logits)
      : { name: write.graph.node('Sigmoid', [logits.name]), n: logits.n }
    middle.push(gate)
    const mixed = write.mix(experts, gate, dice.chance(0.8) ? way : dice.pick(write.mixingWays))
    middle.push(mixed)
    return mixed
  })
}

/** A graph that has inputs and what is made of them, side by side, and no outputs yet. */
function randomFeatures(
  dice: Dice,
  { wild, apart: mayBeApart }: { wild: boolean; apart: boolean },
): { graph: Graph; features: Columns; tables: Table[] } {
  const fields = dice.between(1, 4)
  const dense = dice.between(dice.chance(0.2) ? 0 : 1, 3)
  const dtype = dice.pick([DataType.INT32, DataType.INT64, DataType.FLOAT])
  // One input for all fields, or one a field, [batch] or [batch, 1].
  const apart = mayBeApart && dice.chance(0.25)
  const inputs: Record<string, TensorShape> = {}
  if (apart) for (let i = 0; i < fields; i++) inputs[`id:${i}`] = { dtype, dims: dice.pick([[-1], [-1, 1]]) }
  else inputs.ids = { dtype, dims: [-1, fields] }
  if (dense > 0) inputs.dense = floatShape(-1, dense)
  const graph = emptyGraph(inputs)
  const write = new Writer(graph, dice)
  const embeddings = new Embeddings(write, dice, wild)
  const integers = (name: string, n: number): Columns =>
    dtype === DataType.FLOAT
      ? { name: graph.node('Cast', [name], { attributes: { to: DataType.INT64 } }), n }
      : { name, n }
  const parts = apart
    ? Array.from({ length: fields }, (_, i) => embeddings.embed(integers(`id:${i}`, 1), inputs[`id:${i}`]!.dims.length))
    : embeddings.embedAll(integers('ids', fields), dtype !== DataType.INT32)
  if (dense > 0) parts.push(...denseFeatures(write, dice, { name: 'dense', n: dense }, wild))
  const features = parts.length === 1 && dice.chance(0.5) ? parts[0]! : write.concat(dice.shuffled(parts))
  return { graph, features, tables: embeddings.tables }
}

/** Look-ups, of which several may read one table. */
class Embeddings {
  readonly tables: Table[] = []
  readonly #write: Writer
  readonly #dice: Dice
  readonly #wild: boolean

  constructor(write: Writer, dice: Dice, wild: boolean) {
    this.#write = write
    this.#dice = dice
    this.#wild = wild
  }

  /** Ids [batch, n] by one look-up, or by one for each part. */
  embedAll(ids: Columns, wide: boolean): Columns[] {
    const dice = this.#dice
    if (dice.chance(0.5)) return this.#write.pick(ids).map((picked) => this.embed(picked))
    const parts = [this.embed(wide && dice.chance(0.3) ? countedFromEnd(this.#write.graph, ids) : ids)]
    // As of a wide and a deep part.
    if (dice.chance(0.2)) parts.push(this.embed(ids))
    if (this.#wild && ids.n > 1 && dice.chance(0.2)) parts.push(this.embed(this.#crossed(ids)))
    return parts
  }

  /** Rows of a table for every id, flattened. */
  embed(ids: Columns, rank = 2): Columns {
    const { graph } = this.#write
    const dice = this.#dice
    const { name: table, dim } = this.#table()
    // A column of ids by itself is [batch, 1] or [batch].
    const alone = rank === 2 && ids.n === 1 && dice.chance(0.5)
    const name = alone ? graph.node('Squeeze', [ids.name, this.#write.integers(1)]) : ids.name
    const looked = graph.node('Gather', [table, this.#changed(name)], { attributes: { axis: 0 } })
    return this.#write.flatten({
      name: this.#wild && dice.chance(0.1) ? this.#moved(looked, table) : looked,
      n: ids.n * dim,
    })
  }

  #table(): Table {
    const { graph, constant } = this.#write
    const dice = this.#dice
    if (this.tables.length > 0 && dice.chance(0.4)) {
      const { name, dim } = dice.pick(this.tables)
      return { name: dice.chance(0.2) ? graph.node('Identity', [name]) : name, dim }
    }
    const dim = dice.between(1, 4)
    const table = { name: constant('table', dice.floats(tableRows * dim), [tableRows, dim]), dim }
    this.tables.push(table)
    return table
  }

  /** Other ids of the table, in the places of these. */
  #changed(ids: string): string {
    const { graph } = this.#write
    const dice = this.#dice
    if (dice.chance(0.75)) return ids
    const wide = graph.node('Cast', [ids], { attributes: { to: DataType.INT64 } })
    const number = (value: number) => graph.constant('number', BigInt64Array.of(BigInt(value)), [])
    switch (dice.below(3)) {
      case 0:
        return graph.node('Add', [wide, number(1)])
      case 1:
        return graph.node('Clip', [wide, number(0), number(tableRows - 1)])
      default:
        return graph.node('Mod', [wide, number(dice.pick([tableRows, 3]))])
    }
  }

  /** The larger of each two neighbours among ids [batch, n]: [batch, n − 1]. */
  #crossed({ name, n }: Columns): Columns {
    const { graph } = this.#write
    const part = (from: number) =>
      graph.node('Slice', [name, graph.integers([from]), graph.integers([from + n - 1]), graph.integers([1])])
    return { name: graph.node('Max', [part(0), part(1)]), n: n - 1 }
  }

  /** Rows and one that is added to all of them. */
  #moved(rows: string, table: string): string {
    const { graph } = this.#write
    const fixed = graph.node('Gather', [table, graph.constant('padding', BigInt64Array.of(2n), [])])
    return graph.node('Add', [rows, fixed])
  }
}

/** x·T', as where what is predicted is compared with every row of a table; [batch, rows]. */
function tied(write: Writer, dice: Dice, x: Columns, { name: table, dim }: Table): Columns {
  const { graph } = write
  const { name } = write.dense(x, dim)
  const product = () => {
    switch (dice.below(3)) {
      case 0:
        return graph.node('MatMul', [name, graph.node('Transpose', [table])])
      case 1:
        return graph.node('Gemm', [name, table], { attributes: { transB: 1 } })
      default:
        return graph.node('Einsum', [name, table], { attributes: { equation: 'bk,nk->bn' } })
    }
  }
  return { name: product(), n: tableRows }
}

/** x < 0 ? x + rows : x, as Keras 3 writes it for tf2onnx; ids are int64. */
function countedFromEnd(graph: Graph, ids: Columns): Columns {
  const { name } = ids
  const below = graph.node('Less', [name, graph.constant('zero', BigInt64Array.of(0n), [])])
  const number = (condition: string) => graph.node('Cast', [condition], { attributes: { to: DataType.INT64 } })
  const raised = graph.node('Add', [name, graph.constant('rows', BigInt64Array.of(BigInt(tableRows)), [])])
  const shifted = graph.node('Mul', [number(below), raised])
  const kept = graph.node('Mul', [name, number(graph.node('Not', [below]))])
  return { name: graph.node('Add', [shifted, kept]), n: ids.n }
}

function denseFeatures(write: Writer, dice: Dice, dense: Columns, wild: boolean): Columns[] {
  if (wild && dice.chance(0.5)) return [write.dense(dense, dense.n * dice.between(1, 4))]
  if (dice.chance(0.5)) return [dice.chance(0.5) ? dense : elementwise(write, dice, dense)]
  const parts = write.pick(dense).map((part) => (dice.chance(0.5) ? elementwise(write, dice, part) : part))
  // Columns that are prepared one by one are often scaled together.
  return dice.chance(0.3) ? [elementwise(write, dice, write.concat(parts))] : parts
}

/** Functions of single values. */
function elementwise({ graph, constant }: Writer, dice: Dice, { name, n }: Columns): Columns {
  const vector = () =>
    dice.chance(0.5) ? constant('vector', dice.floats(n), [n]) : constant('one', dice.floats(1), [])
  switch (dice.below(5)) {
    case 0: {
      const positive = graph.node('Add', [graph.node('Abs', [name]), constant('one', Float32Array.of(1), [])])
      return { name: graph.node('Log', [positive]), n }
    }
    case 1:
      return { name: graph.node('Mul', dice.shuffled([graph.node('Sub', [name, vector()]), vector()])), n }
    case 2:
      return { name: graph.node('Clip', [name, '', constant('most', Float32Array.of(0.4), [])]), n }
    case 3:
      return {
        name: graph.node('Min', [graph.node('Max', [name, vector()]), constant('one', Float32Array.of(0.5), [1])]),
        n,
      }
    default: {
      const condition = graph.node('Greater', [name, vector()])
      return { name: graph.node('Where', [condition, name, graph.node('Neg', [name])]), n }
    }
  }
}
