import { product } from '../../../base/arrays.ts'
import { ModelError } from '../../../base/errors.ts'
import { differentiate } from '../../../model/graph/gradients/differentiate.ts'
import { leaveOutDifferences } from '../../../model/graph/gradients/leave-out-differences.ts'
import { intAttribute } from '../../../model/graph/ir/attributes.ts'
import type { Graph } from '../../../model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../../../model/graph/ir/onnx_pb.ts'
import { traceShapes } from '../../../model/graph/ir/shapes.ts'
import { declare, floatShape } from '../../../model/graph/ir/tensor-shape.ts'
import { appendLoss, type LossOptions } from './loss.ts'
import type { Items, Mask, Parameter, Place, Statistic, Table, TrainingStep } from './training-step.ts'

/** A network to train, as graphs that share their constants. */
export interface TrainableGraph {
  /** With `masks` as inputs, and normalisations in training mode where they shall use the batch's statistics. */
  training: Graph
  inference: Graph
  /** The tensor of logits [B, T] in both. */
  logits: string
  inputs: { sparse: string | undefined; dense: string | undefined }
  /** Names of the constants that are trained, tables among them. */
  trained: ReadonlySet<string>
  masks: Mask[]
  /** Inputs of `training` with the places of values; default: none. */
  items?: Items[]
  /** Penalty on the squares of each table's rows; none for others. */
  l2: ReadonlyMap<string, number>
  /** By tensor of ids, the id of places without a value, which masks leave out. */
  paddings?: ReadonlyMap<string, number>
  /** Tables whose columns have nothing in common. */
  columnwise?: ReadonlySet<string>
}

/** Parameter of uncertainty weights, which is no part of the network. */
export const logVarianceName = 'loss/log_variance'

/** Floats that a processor's cache line holds: each tensor starts at one. */
const line = 16

/**
 * The graphs of a training step: forward and backward in one, with the loss; and the forward graph for inference. Both
 * take the weights as inputs. The graphs are changed.
 *
 * Rejects with UNSUPPORTED_GRAPH naming the node where an operator has no rule.
 */
export async function makeTrainingStep(
  network: TrainableGraph,
  loss: Omit<LossOptions, 'logVariance'> & { uncertainty: boolean },
  /** Learning rate of row-wise Adagrad, which steps tables; undefined: Adam does. */
  adagrad?: number,
): Promise<TrainingStep> {
  const { training, inference, logits, inputs, trained, masks } = network
  await traceShapes(training)
  await traceShapes(inference)
  const tasks = training.shapes.get(logits)?.dims[1]
  if (tasks === undefined) throw new ModelError('UNSUPPORTED_GRAPH', `the width of the logits ${logits} is not known`)

  leaveOutDifferences(training, trained)
  const indexes = indexGraph(training)
  const cut = cutLookUps(training)
  cutLookUps(inference)
  const tables = tablesOf(training, cut, network, adagrad)
  const dense = [...training.constants].flatMap(([name, { dims }]) =>
    trained.has(name) && !tables.some((table) => table.name === name) ? [{ name, dims: dims.map(Number) }] : [],
  )
  if (loss.uncertainty) dense.push({ name: logVarianceName, dims: [loss.terms.length] })
  for (const { name, dims } of dense) makeInput(training, name, dims)
  const scalar = appendLoss(training, logits, { ...loss, logVariance: loss.uncertainty ? logVarianceName : undefined })
  training.outputs.splice(0, Infinity, declare(scalar, floatShape()))
  training.tidy()
  checkTables(training, tables)

  const lookedUp = cut.filter(({ table }) => trained.has(table))
  const { gradients, normalisations } = differentiate(training, scalar, [
    ...dense.map(({ name }) => name),
    ...lookedUp.map(({ input }) => input),
  ])
  // Several tensors may have one gradient; each has an output of its own.
  const taken = new Set<string>()
  const own = (gradient: string): string => {
    if (!taken.has(gradient)) {
      taken.add(gradient)
      return gradient
    }
    return training.node('Identity', [gradient], { shape: training.shapes.get(gradient)! })
  }
  const place = layout()
  const parameters = dense.flatMap(({ name, dims }): Parameter[] => {
    const gradient = gradients.get(name)
    if (gradient === undefined)
      throw new ModelError('UNSUPPORTED_GRAPH', `the loss does not depend on the weight ${name}`)
    return [{ ...place(name, dims), gradient: own(gradient) }]
  })
  const end = place.end()
  const statistics = normalisations.flatMap(({ movingMean, movingVariance, mean, variance, momentum }): Statistic[] =>
    [
      { name: movingMean, batch: mean },
      { name: movingVariance, batch: variance },
    ].map(({ name, batch }) => ({ ...place(name, inference.dimsOf(name)!), batch, momentum })),
  )
  for (const { name, dims } of [...parameters, ...statistics])
    if (inference.constants.has(name)) makeInput(inference, name, dims)
  inference.outputs.splice(0, Infinity, declare(logits, floatShape(-1, tasks)))

  const outputs = [...parameters.map(({ gradient }) => gradient), ...statistics.map(({ batch }) => batch)]
  const lookUps = cut.map(({ table, input, indexes, dims }) => {
    const gradient = gradients.get(input)
    const index = tables.findIndex(({ name }) => name === table)
    const padding = network.paddings?.get(indexes)
    return { table: index, input, indexes, dims, padding, gradient: gradient && own(gradient) }
  })
  for (const { gradient } of lookUps) if (gradient !== undefined) outputs.push(gradient)
  training.outputs.push(...outputs.map((name) => declare(name, floatShape())))
  for (const output of training.outputs) forgetShape(output)
  for (const graph of [training, inference]) dropUnread(graph)
  return {
    step: training.toBytes(),
    inference: inference.toBytes(),
    indexes,
    inputs,
    reads: { step: readBy(training, inputs), inference: readBy(inference, inputs) },
    parameters,
    statistics,
    size: place.end(),
    trained: end,
    tables,
    lookUps,
    masks,
    items: network.items ?? [],
    loss: scalar,
    logits,
    tasks,
    terms: loss.terms.length,
  }
}

/** Lays tensors one after the other. */
function layout() {
  let offset = 0
  const place = (name: string, dims: number[]): Place => {
    const size = product(dims)
    const placed = { name, dims, offset, size }
    offset = Math.ceil((offset + size) / line) * line
    return placed
  }
  return Object.assign(place, { end: () => offset })
}

/** The graph that computes look-ups' indexes; undefined where all of them are inputs. */
function indexGraph(graph: Graph): Uint8Array | undefined {
  const copy = graph.copy()
  const inputs = new Set(graph.inputs.map(({ name }) => name))
  const computed = [...new Set(cutLookUps(copy).map(({ indexes }) => indexes))].filter((name) => !inputs.has(name))
  if (computed.length === 0) return undefined
  const indexes = graph.copy()
  indexes.outputs.splice(0, Infinity, ...computed.map((name) => declare(name, graph.shapes.get(name)!)))
  // Masks of dropout are read elsewhere alone.
  dropUnread(indexes)
  return indexes.toBytes()
}

function tablesOf(
  graph: Graph,
  cut: readonly CutLookUp[],
  { trained, l2, columnwise }: TrainableGraph,
  rate: number | undefined,
): Table[] {
  return [...new Set(cut.map(({ table }) => table))].map((name) => {
    const [rows, width] = graph.dimsOf(name) as [number, number]
    const adagrad = rate === undefined ? undefined : { rate, groups: columnwise?.has(name) ? width : 1 }
    return { name, rows, width, trained: trained.has(name), l2: l2.get(name) ?? 0, adagrad }
  })
}

/**
 * Throws UNSUPPORTED_GRAPH where a trained table is a weight, too: the graph without its look-ups would keep the rows
 * of the start.
 */
function checkTables(graph: Graph, tables: readonly Table[]): void {
  for (const { name, trained } of tables) {
    const [reader] = trained ? graph.users(name) : []
    if (reader !== undefined)
      throw new ModelError(
        'UNSUPPORTED_GRAPH',
        `the table ${name} can't be trained, since ${reader.opType} ${reader.name || reader.output[0]} reads it other than by ids of the batch: freeze it`,
      )
  }
}

/** Makes a constant, or a name that is new, an input of fixed sides. */
function makeInput(graph: Graph, name: string, dims: number[]): void {
  graph.constants.delete(name)
  graph.inputs.push(declare(name, floatShape(...dims)))
  graph.shapes.set(name, floatShape(...dims))
}

/** ONNX Runtime infers it; declared, a side that is not exact would be a fault. */
function forgetShape(output: Graph['outputs'][number]): void {
  if (output.type?.value.case === 'tensorType') delete output.type.value.value.shape
}

/** A graph asks for all its inputs, read or not. */
function dropUnread(graph: Graph): void {
  graph.tidy()
  const read = new Set(graph.nodes.flatMap(({ input }) => input))
  graph.inputs.splice(0, Infinity, ...graph.inputs.filter(({ name }) => read.has(name)))
}

function readBy(graph: Graph, { sparse, dense }: TrainingStep['inputs']): string[] {
  const names = graph.inputs.map(({ name }) => name)
  return names.filter((name) => name === sparse || name === dense)
}

/** A look-up that was cut out of a graph. */
export interface CutLookUp {
  table: string
  /** The graph's new input: float32 [rows, …dims, width]. */
  input: string
  /** Tensor with the rows' numbers. */
  indexes: string
  dims: number[]
}

/** Whether a node looks up rows of a constant table by what the batch says. */
function isLookUp(graph: Graph, node: NodeProto): boolean {
  const [table, indexes] = node.input as [string, string]
  return (
    node.opType === 'Gather' &&
    intAttribute(node, 'axis', 0) === 0 &&
    graph.dimsOf(table)?.length === 2 &&
    graph.constants.get(table)!.dataType === DataType.FLOAT &&
    !graph.constants.has(indexes)
  )
}

/** Names of the tables that look-ups read. */
export const lookUpTables = (graph: Graph): string[] => [
  ...new Set(graph.nodes.filter((node) => isLookUp(graph, node)).map(({ input }) => input[0]!)),
]

/**
 * Makes every look-up's output an input of the graph. `output` keeps its name, so that the same look-up has the same
 * name in every graph made of one model. Shapes must be known.
 */
export function cutLookUps(graph: Graph): CutLookUp[] {
  const cut: CutLookUp[] = []
  for (const node of graph.nodes.filter((node) => isLookUp(graph, node))) {
    const [table, indexes] = node.input as [string, string]
    const name = node.output[0]!
    const shape = graph.shapes.get(name)
    if (shape === undefined) throw new Error(`the shape of the tensor ${name} is not known`)
    graph.nodes.splice(graph.nodes.indexOf(node), 1)
    graph.inputs.push(declare(name, shape))
    cut.push({ table, input: name, indexes, dims: shape.dims.slice(1, -1) })
  }
  graph.touch()
  return cut
}
