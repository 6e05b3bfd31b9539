import { layers, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import type { ActivationName, GateFunction, Normalisation } from '../../schemas/architecture.ts'
import { dense, mlp, stack } from './layers.ts'

export interface ExpertsOptions {
  num_experts: number
  num_hidden_expert: number
  dim_hidden_expert: number
  dropout_expert: number
  activation?: ActivationName
  normalisation?: Normalisation
}

/** E experts, each an MLP of its own over the same input: [B, any] → [B, E, H]. */
export function expertStack(x: SymbolicTensor, options: ExpertsOptions, seed: number): SymbolicTensor {
  const experts = Array.from(
    { length: options.num_experts },
    (_, e) =>
      mlp(x, `expert_${e}`, seed, {
        depth: options.num_hidden_expert,
        hidden: options.dim_hidden_expert,
        output: options.dim_hidden_expert,
        dropout: options.dropout_expert,
        activation: options.activation,
        normalisation: options.normalisation,
      }), // [B, H]
  )
  return stack('experts', experts) // [B, E, H]
}

/**
 * A gate, `g = f(x·Wg)` without bias, f softmax by default, and what it lets through, `Σ_e g_e f_e`.
 *
 * x [B, any], experts [B, E, H] → [B, H]. The gate's layer is `gate`, its output [B, E].
 */
export function gateExperts(
  x: SymbolicTensor,
  experts: SymbolicTensor,
  names: { gate: string; mix: string },
  seed: number,
  activation: GateFunction = 'softmax',
): SymbolicTensor {
  const count = experts.shape[1]!
  const gate = dense(names.gate, count, seed, { useBias: false, activation }).apply(x) as SymbolicTensor // [B, E]
  return layers.dot({ name: names.mix, axes: [1, 1] }).apply([gate, experts]) as SymbolicTensor // [B, H]
}
