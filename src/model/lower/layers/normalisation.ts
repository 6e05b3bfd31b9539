import { axisOf, type Lowering, only, unsupported } from './layer-lowering.ts'

/**
 * [B, C] → [B, C]: γ·(x − mean) / √(variance + ε) + β, with the moving mean and variance; in training, with those of the batch,
 * and `momentum` says how much of the moving ones a step keeps.
 */
export const lowerBatchNormalization: Lowering = (application) => {
  const { layer, graph, output, weight, training } = application
  const { axis = -1, epsilon = 1e-3, scale = true, center = true, momentum = 0.99 } = layer.config
  const input = only(application, 1)
  axisOf(layer, axis, 2)
  if (typeof epsilon !== 'number') throw unsupported(layer, 'epsilon is no number')
  if (typeof momentum !== 'number') throw unsupported(layer, 'momentum is no number')

  const width = input.dims[0]!
  const filled = (name: string, value: number) =>
    graph.constant(`${output}:${name}`, 'float32', [width], new Uint8Array(new Float32Array(width).fill(value).buffer))
  const gamma = scale ? weight('gamma', [width]) : filled('gamma', 1)
  const beta = center ? weight('beta', [width]) : filled('beta', 0)
  const mean = weight('moving_mean', [width])
  const variance = weight('moving_variance', [width])
  const trained = { training_mode: { int: 1 }, momentum: { float: momentum } }
  const parameters = { epsilon: { float: epsilon }, ...(training && trained) }
  graph.node('BatchNormalization', [input.name, gamma, beta, mean, variance], output, parameters) // [B, C]
  return { name: output, dtype: 'float32', dims: input.dims }
}
