import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import type { LayersModel } from '../lower/layers/layers-model.ts'
import { answer, inputsOf, type ModelShape } from './layers.ts'
import { LayersBuilder } from './layers-builder.ts'
import { architectureOf } from './table.ts'

/**
 * A new model with initial weights.
 *
 * Inputs `sparse` int32 [B, F] and `dense` float32 [B, D], either absent if it has no columns; output
 * `probabilities` float32 [B, T]. `graphOutputs` names the other layers to read.
 * Throws INVALID_BUNDLE if there is no field.
 */
export function buildArchitecture(options: ArchitectureOptions, shape: ModelShape): LayersModel {
  const layers = new LayersBuilder(shape.seed)
  const inputs = inputsOf(layers, shape)
  const logits = architectureOf(options.name).logits(layers, options, inputs, shape) // T × [B, 1]
  return answer(layers, options.name, inputs, logits)
}
