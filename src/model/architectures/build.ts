import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import { aitm } from './aitm.ts'
import type { ModelShape } from './layers.ts'
import { mixtureOfExperts } from './mixture-of-experts.ts'
import { multiGate } from './multi-gate.ts'
import { sharedBottom } from './shared-bottom.ts'

/**
 * A new model with fresh weights, on TensorFlow.js' current backend, which must be set and ready.
 *
 * Inputs `sparse` int32 [B, F] and `dense` float32 [B, D], either absent where it has no columns; output
 * `probabilities` float32 [B, T]. `graphOutputs` names the layers to read besides.
 * Throws INVALID_BUNDLE where there is no field at all.
 */
export function buildArchitecture(options: ArchitectureOptions, shape: ModelShape): LayersModel {
  switch (options.name) {
    case 'shared_bottom':
      return sharedBottom(options, shape)
    case 'mixture_of_experts':
      return mixtureOfExperts(options, shape)
    case 'multi_gate':
      return multiGate(options, shape)
    case 'aitm':
      return aitm(options, shape)
  }
}
