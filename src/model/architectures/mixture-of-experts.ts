import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { MixtureOfExpertsOptions } from '../../schemas/architecture.ts'
import { expertStack, gateExperts } from './experts.ts'
import { embedInputs, type ModelShape } from './layers.ts'
import { answer, tower } from './towers.ts'

/**
 * Mixture of experts: one gate mixes the experts, and every task's tower reads the same mixture.
 *
 * R. Jacobs et al., Adaptive Mixtures of Local Experts, Neural Computation 3, 1991; as "OMoE" in J. Ma et al., KDD 2018.
 */
export function mixtureOfExperts(options: MixtureOfExpertsOptions, shape: ModelShape): LayersModel {
  const embedded = embedInputs(options, shape) // flat [B, (F + D)·d]
  const experts = expertStack(embedded.flat, options, shape.seed) // [B, E, H]
  const mixed = gateExperts(embedded.flat, experts, { gate: 'gate', mix: 'mix' }, shape.seed, options.gate_function) // [B, H]
  const logits = shape.tasks.map((task) => tower(mixed, task, options, shape.seed)) // T × [B, 1]
  return answer(options.name, embedded, logits)
}
