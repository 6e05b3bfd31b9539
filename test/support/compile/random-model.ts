import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { onnxruntime as ort } from '../../../src/base/onnxruntime.ts'
import type { CompiledPlan } from '../../../src/model/contracts/compiled-plan.ts'
import type { Batch } from '../../../src/model/contracts/engine.ts'
import { prepare } from '../../../src/model/graph/compile/prepare.ts'
import type { PrepareRequest } from '../../../src/model/graph/compile/prepare-request.ts'
import type { JudgedRows } from '../../../src/model/graph/int8/judge.ts'
import type { InputRows } from '../../../src/model/graph/int8/observe-ranges.ts'
import type { FieldIds } from '../../../src/model/graph/int8/quantised-table.ts'
import type { Graph } from '../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../src/model/graph/ir/tensor-shape.ts'
import type { Side } from '../../../src/model/graph/sides/split-graphs.ts'
import { fc } from '../cases.ts'
import { Dice } from './dice.ts'
import { type Answers, answersOf, answerWith, emptyGraph } from './run-graph.ts'

/** A multi-gate mixture of experts as somebody might export it. */
export interface RandomModel {
  seed: number
  /** Ids of each sparse field; all look up one table, one after the other. */
  fields: number[]
  /** Numeric fields. */
  dense: number
  ids: 'int32' | 'int64' | 'float32'
  dim: number
  experts: number
  layers: number
  width: number
  tasks: number
  /** log(1 + |x|) of every numeric field beside itself. */
  logs: boolean
  /** The sides of the sparse fields, then of the numeric ones. */
  sides: Side[]
}

export const output = 'probabilities'
const side = fc.constantFrom<Side>('context', 'candidate', 'cross')

export const randomModel: fc.Arbitrary<RandomModel> = fc
  .record({
    seed: fc.nat(),
    fields: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }),
    dense: fc.integer({ min: 0, max: 4 }),
    ids: fc.constantFrom('int32', 'int64', 'float32'),
    dim: fc.integer({ min: 1, max: 5 }),
    experts: fc.integer({ min: 1, max: 3 }),
    layers: fc.integer({ min: 1, max: 3 }),
    width: fc.integer({ min: 1, max: 20 }),
    tasks: fc.integer({ min: 1, max: 3 }),
    logs: fc.boolean(),
    sides: fc.array(side, { minLength: 8, maxLength: 8 }),
  })
  .filter(({ fields, dense }) => fields.length + dense > 0)

/** One model that every way of computing fits: fields of each side, gates, two layers. */
export const exampleModel: RandomModel = {
  seed: 1,
  fields: [5, 9, 12],
  dense: 3,
  ids: 'int32',
  dim: 4,
  experts: 2,
  layers: 2,
  width: 16,
  tasks: 2,
  logs: false,
  sides: ['context', 'candidate', 'cross', 'context', 'candidate', 'cross', 'cross', 'cross'],
}

const dtypes = { int32: DataType.INT32, int64: DataType.INT64, float32: DataType.FLOAT }

/** The ids of each field in the table. */
export function fieldIds({ fields }: RandomModel): FieldIds[] {
  return fields.map((ids, i) => ({ offset: fields.slice(0, i).reduce((sum, size) => sum + size, 0), ids }))
}

export function sidesOf({ fields, dense, sides }: RandomModel): Record<string, Side[]> {
  return {
    ...(fields.length > 0 ? { sparse: sides.slice(0, fields.length) } : {}),
    ...(dense > 0 ? { dense: sides.slice(fields.length, fields.length + dense) } : {}),
  }
}

/**
 * Inputs `sparse` [batch, fields] and `dense` [batch, numeric fields], where there are such; output `probabilities`.
 */
export function buildModel(model: RandomModel): Graph {
  const { fields, dense, dim, experts, layers, width, tasks } = model
  const dice = new Dice(model.seed)
  const graph = emptyGraph({
    ...(fields.length > 0 ? { sparse: { dtype: dtypes[model.ids], dims: [-1, fields.length] } } : {}),
    ...(dense > 0 ? { dense: floatShape(-1, dense) } : {}),
  })
  const parts: string[] = []
  let k = 0
  if (fields.length > 0) {
    const rows = fields.reduce((sum, size) => sum + size, 0)
    const table = graph.constant('table', dice.floats(rows * dim), [rows, dim])
    const ids =
      model.ids === 'float32' ? graph.node('Cast', ['sparse'], { attributes: { to: DataType.INT32 } }) : 'sparse'
    parts.push(reshape(graph, graph.node('Gather', [table, ids]), [-1, fields.length * dim]))
    k += fields.length * dim
  }
  if (dense > 0) {
    parts.push('dense')
    k += dense
    if (model.logs) {
      const one = graph.constant('one', Float32Array.of(1), [1])
      parts.push(graph.node('Log', [graph.node('Add', [graph.node('Abs', ['dense']), one])]))
      k += dense
    }
  }
  const x = parts.length === 1 ? parts[0]! : graph.node('Concat', parts, { attributes: { axis: 1 } })

  const gemm = (name: string, from: string, rows: number, columns: number) =>
    graph.node('Gemm', [
      from,
      graph.constant(`${name}/kernel`, dice.floats(rows * columns, Math.sqrt(6 / (rows + columns))), [rows, columns]),
      graph.constant(`${name}/bias`, dice.floats(columns, 0.1), [columns]),
    ])
  const stack: string[] = []
  for (let e = 0; e < experts; e++) {
    let hidden = x
    for (let layer = 0; layer < layers; layer++)
      hidden = graph.node('Relu', [gemm(`expert${e}_${layer}`, hidden, layer === 0 ? k : width, width)])
    stack.push(reshape(graph, hidden, [-1, 1, width]))
  }
  const all = stack.length === 1 ? stack[0]! : graph.node('Concat', stack, { attributes: { axis: 1 } })
  const logits = Array.from({ length: tasks }, (_, task) => {
    const gate = graph.node('Softmax', [gemm(`gate${task}`, x, k, experts)], { attributes: { axis: 1 } })
    const mixed = graph.node('MatMul', [reshape(graph, gate, [-1, 1, experts]), all])
    const tower = graph.node('Relu', [gemm(`tower${task}`, reshape(graph, mixed, [-1, width]), width, width)])
    return gemm(`logit${task}`, tower, width, 1)
  })
  const joined = tasks === 1 ? logits[0]! : graph.node('Concat', logits, { attributes: { axis: 1 } })
  graph.node('Sigmoid', [joined], { outputs: [output] })
  answerWith(graph, output)
  return graph
}

function reshape(graph: Graph, name: string, sides: number[]): string {
  return graph.node('Reshape', [name, graph.integers(sides)])
}

/** Random rows, their ids within their fields. */
export function rowsOf(model: RandomModel, rows: number, seed: number): InputRows & Batch {
  const dice = new Dice(seed)
  const blocks = fieldIds(model)
  const ids = Array.from({ length: rows }, () => blocks.map(({ offset, ids }) => offset + dice.below(ids))).flat()
  return {
    rows,
    inputs: {
      ...(blocks.length > 0 ? { sparse: model.ids === 'float32' ? Float32Array.from(ids) : Int32Array.from(ids) } : {}),
      ...(model.dense > 0 ? { dense: dice.floats(rows * model.dense, 2) } : {}),
    },
  }
}

/** Rows to set scales and rows to judge with; labels that the graph's own answers make likely. */
export async function quantizationOf(
  model: RandomModel,
  graph: Graph,
  rows = 400,
): Promise<{ scales: InputRows; judged: JudgedRows }> {
  const judged = rowsOf(model, rows, model.seed + 1)
  const probabilities = await savedAnswers(graph, judged)
  const dice = new Dice(model.seed)
  return {
    scales: rowsOf(model, rows, model.seed + 2),
    judged: {
      ...judged,
      labels: probabilities.map((p) => (dice.chance(p) ? 1 : 0)),
      tasks: Array.from({ length: model.tasks }, (_, i) => `task${i}`),
    },
  }
}

/** The answers of the graph as it was saved. */
export async function savedAnswers(graph: Graph, batch: Batch): Promise<Float32Array> {
  const [answers] = (await answersOf(graph, [feedsFor(graph, batch)])) as [Answers]
  return answers[output]!.values
}

function feedsFor(graph: Graph, { rows, inputs }: Batch) {
  return Object.fromEntries(
    graph.inputs.map(({ name, type }) => {
      if (type?.value.case !== 'tensorType') throw new Error(`the input ${name} is no tensor`)
      const values = inputs[name]!
      const dims = [rows, values.length / rows]
      const { elemType } = type.value.value
      if (elemType === DataType.INT64) return [name, new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims)]
      if (elemType === DataType.FLOAT) return [name, new ort.Tensor('float32', Float32Array.from(values), dims)]
      return [name, new ort.Tensor('int32', Int32Array.from(values), dims)]
    }),
  )
}

/** Writes a graph as `model.onnx`, and answers what asks for its plan. */
export async function requestFor(
  model: RandomModel,
  folder: string,
  changes: Partial<PrepareRequest> = {},
): Promise<PrepareRequest> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'model.onnx'), buildModel(model).toBytes())
  return {
    source: { folder, format: 'onnx', file: 'model.onnx', outputs: [output] },
    output,
    sides: sidesOf(model),
    fields: model.fields.length > 0 ? { sparse: fieldIds(model) } : {},
    precision: 'float32',
    quantization: undefined,
    identity: JSON.stringify(model),
    cache: undefined,
    now: Date.now(),
    ...changes,
  }
}

/** A plan of the model, written to a folder, that is gone after `use`. */
export async function withPlan<T>(
  model: RandomModel,
  folder: string,
  use: (plan: CompiledPlan) => Promise<T>,
  changes: Partial<PrepareRequest> = {},
): Promise<T> {
  const { plan, problem } = await prepare(await requestFor(model, folder, changes))
  if (plan === undefined) throw new Error(problem)
  try {
    return await use(plan)
  } finally {
    await rm(dirname(plan.folder), { recursive: true })
  }
}

/** The largest absolute difference; NaN equals NaN, and nothing else. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let most = 0
  for (let i = 0; i < a.length; i++) {
    if (Number.isNaN(a[i]) && Number.isNaN(b[i])) continue
    const apart = Math.abs(a[i]! - b[i]!)
    most = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : Math.max(most, apart)
  }
  return most
}
