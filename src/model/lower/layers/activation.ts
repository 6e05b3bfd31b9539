import type { Value } from '../../graph/graph-builder.ts'
import { type Application, axisOf, type Lowering, only, unsupported } from './layer-lowering.ts'

const operators: Record<string, string> = { linear: 'Identity', relu: 'Relu', sigmoid: 'Sigmoid', tanh: 'Tanh' }

/** Applies the activation of this name to `input`; softmax runs over the last dimension. */
export function activate({ layer, graph }: Application, activation: unknown, input: string, output: string): string {
  if (activation === 'softmax') return graph.node('Softmax', [input], output, { axis: { int: -1 } })
  const operator = typeof activation === 'string' && Object.hasOwn(operators, activation) && operators[activation]
  if (!operator) throw unsupported(layer, `the activation ${JSON.stringify(activation)} is not supported`)
  return graph.node(operator, [input], output)
}

export const lowerActivation: Lowering = (application) => {
  const input = only(application)
  activate(application, application.layer.config.activation, input.name, application.output)
  return same(input, application)
}

/** max_value as Keras has it: null for none. */
export const lowerReLU: Lowering = (application) => {
  const { layer, graph, output } = application
  const input = only(application)
  const { max_value: most, negative_slope: slope, threshold } = layer.config
  if (slope || threshold) throw unsupported(layer, 'a negative slope or a threshold is not supported')
  if (most === null || most === undefined) {
    graph.node('Relu', [input.name], output)
  } else if (typeof most === 'number') {
    const bound = (name: string, value: number) =>
      graph.constant(`${output}:${name}`, 'float32', [], new Uint8Array(Float32Array.of(value).buffer))
    graph.node('Clip', [input.name, bound('min', 0), bound('max', most)], output)
  } else throw unsupported(layer, 'max_value is no number')
  return same(input, application)
}

export const lowerSoftmax: Lowering = (application) => {
  const { layer, graph, output } = application
  const input = only(application)
  const axis = axisOf(layer, layer.config.axis ?? -1, input.dims.length + 1)
  graph.node('Softmax', [input.name], output, { axis: { int: axis } })
  return same(input, application)
}

/** Identity at inference; in training, a product with a mask that the caller draws. */
export const lowerDropout: Lowering = (application) => {
  const { layer, graph, output, training, mask } = application
  const input = only(application)
  if (!training) graph.node('Identity', [input.name], output)
  else {
    const { noise_shape: noise } = layer.config
    if (noise !== null && noise !== undefined) throw unsupported(layer, 'noise_shape is not supported in training')
    graph.node('Mul', [input.name, mask(input.dims)], output)
  }
  return same(input, application)
}

function same(input: Value, { output }: Application): Value {
  return { ...input, name: output }
}
