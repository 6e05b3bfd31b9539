import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { MultiGateOptions } from '../../schemas/architecture.ts'
import { expertStack, gateExperts } from './experts.ts'
import { embedInputs, type ModelShape } from './layers.ts'
import { answer, tower } from './towers.ts'

/**
 * Multi-gate mixture of experts (MMoE): each task mixes the shared experts with a gate of its own.
 *
 * J. Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts, KDD 2018.
 */
export function multiGate(options: MultiGateOptions, shape: ModelShape): LayersModel {
  const embedded = embedInputs(options, shape) // flat [B, (F + D)·d]
  const experts = expertStack(embedded.flat, options, shape.seed) // [B, E, H]
  const logits = shape.tasks.map((task) => {
    const names = { gate: `gate_${task}`, mix: `mix_${task}` }
    const mixed = gateExperts(embedded.flat, experts, names, shape.seed, options.gate_function) // [B, H]
    return tower(mixed, task, options, shape.seed) // [B, 1]
  })
  return answer(options.name, embedded, logits)
}
