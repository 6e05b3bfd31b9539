import { product } from '../../../base/arrays.ts'
import { ModelError } from '../../../base/errors.ts'
import type { GraphSource } from '../../../model/contracts/engine.ts'
import { isFixedWeight } from '../../../model/graph/architectures/fixed-weights.ts'
import { constantOf, floatsOf } from '../../../model/graph/ir/constants.ts'
import { dtypeOf, sidesOf } from '../../../model/graph/ir/declared.ts'
import type { Graph } from '../../../model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../../../model/graph/ir/onnx_pb.ts'
import { traceShapes } from '../../../model/graph/ir/shapes.ts'
import { declare, floatShape } from '../../../model/graph/ir/tensor-shape.ts'
import { readComplete, readWhole } from '../../../model/graph/lower/read-graph.ts'
import { Appender } from '../../../model/graph/operators/appender.ts'
import type { Bundle } from '../../../model/serving/bundle/read.ts'
import { bindingsOf } from '../../../model/serving/prediction/bindings.ts'
import { lookUpTables } from './make-training-step.ts'
import type { Network } from './network.ts'

/**
 * The graph of an ONNX version, whatever made it. Its weights are trained: matrices of products, biases, scales of
 * normalisations and embedding tables; other constants and normalisations' statistics are not. `frozen` weights stay
 * unchanged.
 *
 * Rejects with UNSUPPORTED_GRAPH where nothing can be trained.
 */
export async function onnxNetwork(bundle: Bundle, frozen: (name: string) => boolean): Promise<Network> {
  const { manifest, folder } = bundle
  const { file } = manifest.graph
  const { sparse, dense, probabilities, joined } = bindingsOf(manifest)
  const source: GraphSource = {
    ...{ folder, file, format: 'onnx', outputs: [probabilities] },
    ...(joined && { joined }),
  }
  const graph = await readComplete(source)
  const names = weightsOf(graph)
  const trained = new Set(names.filter((name) => !frozen(name)))
  if (names.length === 0) throw new ModelError('UNSUPPORTED_GRAPH', `${file}: there is no weight to train`)
  const values = (name: string): Float32Array => {
    const constant = graph.constants.get(name)
    const floats = constant && floatsOf(constant)
    if (floats === undefined) throw new Error(`there is no weight ${name}`)
    return floats
  }
  return {
    title: file,
    architecture: manifest.architecture,
    names,
    size: [...trained].reduce((sum, name) => sum + product(graph.dimsOf(name)!), 0),
    async open() {
      const training = graph.copy()
      if (sparse !== undefined) takeInt32(training, sparse)
      await traceShapes(training)
      const logits = logitsOf(training, probabilities)
      // Nodes that no output reads are dropped.
      training.outputs.splice(0, Infinity, declare(logits, training.shapes.get(logits) ?? floatShape()))
      return {
        training,
        inference: training.copy(),
        logits,
        inputs: { sparse, dense },
        trained,
        masks: [],
        l2: new Map(),
      }
    },
    values,
    async save(valuesOf) {
      const whole = await readWhole({ folder, file, format: 'onnx', outputs: [] })
      for (const name of trained) {
        const changed = valuesOf(name)
        const before = whole.constants.get(name)
        if (changed && before) whole.constants.set(name, constantOf(name, changed.slice(), before.dims.map(Number)))
      }
      const { graph: described } = manifest
      return { graph: described, files: { [file]: whole.toBytes() } }
    },
  }
}

/** Makes an input of ids int32, as training rows are. */
function takeInt32(graph: Graph, name: string): void {
  const index = graph.inputs.findIndex((input) => input.name === name)
  const input = graph.inputs[index]
  const wanted = input && dtypeOf(input)
  if (wanted === undefined || wanted === DataType.INT32) return
  const readers = [...graph.nodes]
  const ids = graph.node('Cast', [name], { attributes: { to: wanted } })
  for (const node of readers) node.input = node.input.map((read) => (read === name ? ids : read))
  graph.inputs[index] = declare(name, { dtype: DataType.INT32, dims: [-1, ...(sidesOf(graph, input!) ?? [])] })
  graph.touch()
}

/** Names of the constants that training changes. */
function weightsOf(graph: Graph): string[] {
  const names = new Set(lookUpTables(graph))
  const add = (name: string | undefined, fewest: number) => {
    const constant = name === undefined ? undefined : graph.constants.get(name)
    if (constant === undefined || isFixedWeight(constant.name)) return
    if (constant.dataType === DataType.FLOAT && product(constant.dims.map(Number)) >= fewest) names.add(constant.name)
  }
  const isProduct = (node: NodeProto | undefined) => ['MatMul', 'Gemm', 'Einsum'].includes(node?.opType ?? '')
  for (const node of graph.nodes) {
    const [a, b, c] = node.input
    if (isProduct(node)) {
      add(a, 2)
      add(b, 1)
      if (node.opType === 'Gemm') add(c, 1)
    } else if (node.opType === 'BatchNormalization' || node.opType === 'LayerNormalization') {
      add(b, 1)
      add(c, 1)
    } else if (node.opType === 'Add') {
      // A bias: what else is added need not be a weight.
      if (isProduct(graph.producer(a!))) add(b, 1)
      if (isProduct(graph.producer(b!))) add(a, 1)
    }
  }
  return [...names]
}

/** Probabilities closer to 0 and 1 have no logit in float32. */
const closest = 1e-6

/** Operators that move numbers and change none. */
const moving = new Set(['Concat', 'Flatten', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze'])

/**
 * The tensor of logits behind probabilities, of their shape: what the sigmoids read, wherever they stand; computed of
 * the probabilities where there is no sigmoid. Adds nodes to the graph, whose shapes must be known.
 */
export function logitsOf(graph: Graph, probabilities: string): string {
  const producer = graph.producer(probabilities)
  if (producer?.opType === 'Sigmoid') return producer.input[0]!
  if (producer === undefined || !moving.has(producer.opType)) return logOdds(new Appender(graph), probabilities)
  const { opType, input, attribute } = producer
  const moved = opType === 'Concat' ? input.length : 1
  const inputs = input.map((name, i) => (i < moved ? logitsOf(graph, name) : name))
  const shape = graph.shapes.get(probabilities)
  const logits = graph.node(opType, inputs, shape && { shape })
  graph.producer(logits)!.attribute = [...attribute]
  return logits
}

function logOdds(append: Appender, probabilities: string): string {
  const bounds = [append.scalar(closest), append.scalar(1 - closest)]
  const clipped = append.op('Clip', [probabilities, ...bounds], append.dims(probabilities))
  const rest = append.subtract(append.scalar(1), clipped)
  return append.subtract(append.unary('Log', clipped), append.unary('Log', rest))
}
