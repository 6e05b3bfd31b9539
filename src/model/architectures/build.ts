import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import { layerKit } from './kit.ts'
import { embedInputs, type ModelShape } from './layers.ts'
import { architectureOf } from './table.ts'
import { answer } from './towers.ts'

/**
 * A new model with fresh weights, on TensorFlow.js' current backend, which must be set and ready.
 *
 * Inputs `sparse` int32 [B, F] and `dense` float32 [B, D], either absent if it has no columns; output
 * `probabilities` float32 [B, T]. `graphOutputs` names the other layers to read.
 * Throws INVALID_BUNDLE if there is no field.
 */
export function buildArchitecture(options: ArchitectureOptions, shape: ModelShape): LayersModel {
  const embedded = embedInputs(options, shape) // flat [B, (F + D)·d]
  const logits = architectureOf(options.name).logits(layerKit, options, embedded.flat, shape) // T × [B, 1]
  return answer(options.name, embedded, logits)
}
