import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import { ModelError } from '../base/errors.ts'
import type { LayersModel } from '../lower/layers/layers-model.ts'
import { optionProblems } from './check-options.ts'
import { answer, inputsOf, type ModelShape } from './layers.ts'
import { LayersBuilder } from './layers-builder.ts'
import { architectureOf } from './table.ts'

/**
 * A new model with initial weights.
 *
 * Inputs `sparse` int32 [B, F] and `dense` float32 [B, D], either absent if it has no columns; output
 * `probabilities` float32 [B, T]. `graphOutputs` names the other layers to read.
 * Throws INVALID_BUNDLE if there is no field, or if the options contradict themselves, the tasks or the sides.
 */
export function buildArchitecture(options: ArchitectureOptions, shape: ModelShape): LayersModel {
  const problems = optionProblems(options, shape).map(({ path, message }) => `${path.slice(1)} ${message}`)
  if (problems.length > 0) throw new ModelError('INVALID_BUNDLE', `${options.name}: ${problems.join('; ')}`)
  const layers = new LayersBuilder(shape.seed)
  const inputs = inputsOf(layers, shape)
  const logits = architectureOf(options.name).logits(layers, options, inputs, shape) // T × [B, 1]
  return answer(layers, options.name, inputs, logits)
}
