import { ModelError } from '../../../../base/errors.ts'
import type { AttributeValue } from '../../ir/attributes.ts'
import type { Graph } from '../../ir/graph.ts'
import { operators } from '../../operators/table.ts'
import type { Layer } from './layers-model.ts'

/** A tensor of the graph under construction; its first dimension is the batch, of any size, and not listed. */
export interface Value {
  name: string
  dtype: 'float32' | 'int32'
  /** The dimensions after the batch. */
  dims: number[]
}

/** One application of a layer, to be lowered to ONNX nodes. */
export interface Application {
  layer: Layer
  inputs: Value[]
  /** Required name of the output. */
  output: string
  graph: Graph
  /** Appends a node with one output, named `output` exactly; returns `output`. */
  node(opType: string, input: string[], output: string, attributes?: Record<string, AttributeValue>): string
  /** A list of integers as operators take for shapes and axes, one constant for equal lists. Returns its name. */
  integers(values: number[]): string
  /** Whether the layer is lowered as it computes in training. */
  training: boolean
  /** The layer's weight of that name as a constant of the graph, shared by all its applications; checks its shape. */
  weight(name: string, shape: number[]): string
  /** A new input of the graph, float32 [B, …dims], for a mask of this application; its name. */
  mask(dims: number[]): string
  /**
   * The input of the graph, int32 [items], with the places of the values of lists among [B · L]; the same for all
   * applications that name the layer of its mask.
   */
  items(mask: string): string
}

/** Adds the nodes of one application; returns its output. Throws UNSUPPORTED_GRAPH naming the layer. */
export type Lowering = (application: Application) => Value

export function unsupported(layer: Layer, what: string): ModelError {
  return new ModelError('UNSUPPORTED_GRAPH', `layer ${layer.name} (${layer.className}): ${what}`)
}

/** The only input; it must have `rank` dimensions after the batch, if that is given. */
export function only({ layer, inputs }: Application, rank?: number): Value {
  const [input] = inputs
  if (input === undefined || inputs.length !== 1) throw unsupported(layer, `has ${inputs.length} inputs, not one`)
  if (rank !== undefined && input.dims.length !== rank)
    throw unsupported(layer, `is supported on inputs of rank ${rank + 1}, not ${input.dims.length + 1}`)
  return input
}

/** An axis of a tensor with `rank` dimensions, the batch included, as an index from 0. */
export function axisOf(layer: Layer, axis: unknown, rank: number): number {
  const single = Array.isArray(axis) && axis.length === 1 ? axis[0] : axis
  const index = typeof single === 'number' && single < 0 ? single + rank : single
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 1 || index >= rank)
    throw unsupported(layer, `the axis ${JSON.stringify(axis)} is not supported`)
  return index
}

/** Operators of ONNX by the activations of Keras that they are. */
const activations = new Map(
  [...operators].flatMap(([opType, { keras }]) => (keras === undefined ? [] : [[keras, opType]])),
)

/** Applies the activation of this name to `input`; softmax runs over the last dimension. */
export function activate({ layer, node }: Application, activation: unknown, input: string, output: string): string {
  if (activation === 'softmax') return node('Softmax', [input], output, { axis: -1 })
  const operator = typeof activation === 'string' && activations.get(activation)
  if (!operator) throw unsupported(layer, `the activation ${JSON.stringify(activation)} is not supported`)
  return node(operator, [input], output)
}

export const lowerActivation: Lowering = (application) => {
  const input = only(application)
  activate(application, application.layer.config.activation, input.name, application.output)
  return same(input, application)
}

/** max_value as Keras has it: null for none. */
export const lowerReLU: Lowering = (application) => {
  const { layer, graph, output, node } = application
  const input = only(application)
  const { max_value: most, negative_slope: slope, threshold } = layer.config
  if (slope || threshold) throw unsupported(layer, 'a negative slope or a threshold is not supported')
  if (most === null || most === undefined) {
    node('Relu', [input.name], output)
  } else if (typeof most === 'number') {
    const bound = (name: string, value: number) => graph.constant(`${output}:${name}`, Float32Array.of(value), [])
    node('Clip', [input.name, bound('min', 0), bound('max', most)], output)
  } else throw unsupported(layer, 'max_value is no number')
  return same(input, application)
}

export const lowerSoftmax: Lowering = (application) => {
  const { layer, output, node } = application
  const input = only(application)
  const axis = axisOf(layer, layer.config.axis ?? -1, input.dims.length + 1)
  node('Softmax', [input.name], output, { axis })
  return same(input, application)
}

/** Identity at inference; in training, a product with a mask that the caller draws. */
export const lowerDropout: Lowering = (application) => {
  const { layer, output, training, mask, node } = application
  const input = only(application)
  if (!training) node('Identity', [input.name], output)
  else {
    const { noise_shape: noise } = layer.config
    if (noise !== null && noise !== undefined) throw unsupported(layer, 'noise_shape is not supported in training')
    node('Mul', [input.name, mask(input.dims)], output)
  }
  return same(input, application)
}

function same(input: Value, { output }: Application): Value {
  return { ...input, name: output }
}

/** [B, …, in] → [B, …, units]: MatMul, Add where there is a bias, and the activation where there is one. */
export const lowerDense: Lowering = (application) => {
  const { layer, graph, output, weight, node } = application
  const { units, use_bias: biased = true, activation = 'linear' } = layer.config
  const input = only(application)
  if (typeof units !== 'number') throw unsupported(layer, 'has no units')
  if (input.dtype !== 'float32') throw unsupported(layer, `is supported on float32, not ${input.dtype}`)

  const active = activation !== null && activation !== 'linear'
  const steps = [...(biased ? ['Add'] : []), ...(active ? ['activation'] : [])]
  const name = (step: string) =>
    steps.at(-1) === step || steps.length === 0 ? output : graph.fresh(`${output}:${step}`)

  const kernel = weight('kernel', [input.dims.at(-1)!, units]) // [in, units]
  let result = node('MatMul', [input.name, kernel], name('MatMul')) // [B, …, units]
  if (biased) result = node('Add', [result, weight('bias', [units])], name('Add')) // [B, …, units]
  if (active) activate(application, activation, result, output) // [B, …, units]
  return { name: output, dtype: 'float32', dims: [...input.dims.slice(0, -1), units] }
}

/** Ids [B, …] → rows of the table [B, …, d]. */
export const lowerEmbedding: Lowering = (application) => {
  const { layer, graph, output, weight, node } = application
  const { input_dim: ids, output_dim: width, mask_zero: masked } = layer.config
  const input = only(application)
  if (masked) throw unsupported(layer, 'mask_zero is not supported')
  if (typeof ids !== 'number' || typeof width !== 'number') throw unsupported(layer, 'has no sizes')

  // Float ids are cut to integers, as TensorFlow.js does. 6 is ONNX' number for int32.
  const indices =
    input.dtype === 'int32' ? input.name : node('Cast', [input.name], graph.fresh(`${output}:ids`), { to: 6 }) // [B, …]
  const table = weight('embeddings', [ids, width]) // [ids, d]
  node('Gather', [table, indices], output, { axis: 0 }) // [B, …, d]
  return { name: output, dtype: 'float32', dims: [...input.dims, width] }
}

/**
 * [B, C] → [B, C]: γ·(x − mean) / √(variance + ε) + β, with the moving mean and variance; in training, with those of
 * the batch, and `momentum` says how much of the moving ones a step keeps.
 */
export const lowerBatchNormalization: Lowering = (application) => {
  const { layer, graph, output, weight, training, node } = application
  const { axis = -1, epsilon = 1e-3, scale = true, center = true, momentum = 0.99 } = layer.config
  const input = only(application, 1)
  axisOf(layer, axis, 2)
  if (typeof epsilon !== 'number') throw unsupported(layer, 'epsilon is no number')
  if (typeof momentum !== 'number') throw unsupported(layer, 'momentum is no number')

  const width = input.dims[0]!
  const filled = (name: string, value: number) =>
    graph.constant(`${output}:${name}`, new Float32Array(width).fill(value), [width])
  const gamma = scale ? weight('gamma', [width]) : filled('gamma', 1)
  const beta = center ? weight('beta', [width]) : filled('beta', 0)
  const mean = weight('moving_mean', [width])
  const variance = weight('moving_variance', [width])
  const trained = { training_mode: 1, momentum: { float: momentum } }
  const parameters = { epsilon: { float: epsilon }, ...(training && trained) }
  node('BatchNormalization', [input.name, gamma, beta, mean, variance], output, parameters) // [B, C]
  return { name: output, dtype: 'float32', dims: input.dims }
}

/** x · scale + offset, element by element. */
export const lowerRescaling: Lowering = (application) => {
  const { layer, graph, output, node } = application
  const { scale, offset = 0 } = layer.config
  const input = only(application)
  if (typeof scale !== 'number' || typeof offset !== 'number')
    throw unsupported(layer, 'scale and offset are supported as numbers alone')
  if (input.dtype !== 'float32') throw unsupported(layer, `is supported on float32, not ${input.dtype}`)
  const constant = (name: string, value: number) => graph.constant(`${output}:${name}`, Float32Array.of(value), [])
  const product = offset === 0 ? output : graph.fresh(`${output}:Mul`)
  node('Mul', [input.name, constant('scale', scale)], product)
  if (offset !== 0) node('Add', [product, constant('offset', offset)], output)
  return { ...input, name: output }
}
