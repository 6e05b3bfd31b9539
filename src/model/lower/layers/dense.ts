import { activate } from './activation.ts'
import { type Lowering, only, unsupported } from './layer-lowering.ts'

/** [B, …, in] → [B, …, units]: MatMul, Add where there is a bias, and the activation where there is one. */
export const lowerDense: Lowering = (application) => {
  const { layer, graph, output, weight } = application
  const { units, use_bias: biased = true, activation = 'linear' } = layer.config
  const input = only(application)
  if (typeof units !== 'number') throw unsupported(layer, 'has no units')
  if (input.dtype !== 'float32') throw unsupported(layer, `is supported on float32, not ${input.dtype}`)

  const active = activation !== null && activation !== 'linear'
  const steps = [...(biased ? ['Add'] : []), ...(active ? ['activation'] : [])]
  const name = (step: string) =>
    steps.at(-1) === step || steps.length === 0 ? output : graph.fresh(`${output}:${step}`)

  const kernel = weight('kernel', [input.dims.at(-1)!, units]) // [in, units]
  let result = graph.node('MatMul', [input.name, kernel], name('MatMul')) // [B, …, units]
  if (biased) result = graph.node('Add', [result, weight('bias', [units])], name('Add')) // [B, …, units]
  if (active) activate(application, activation, result, output) // [B, …, units]
  return { name: output, dtype: 'float32', dims: [...input.dims.slice(0, -1), units] }
}
