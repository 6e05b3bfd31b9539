import type { ActivationName, GateFunction, Normalisation } from '../../schemas/architecture.ts'
import { mlp, stack } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

export interface ExpertsOptions {
  num_experts: number
  num_hidden_expert: number
  dim_hidden_expert: number
  dropout_expert: number
  activation?: ActivationName
  normalisation?: Normalisation
}

/** E experts, each an MLP of its own over the same input: [B, any] → [B, E, H]. */
export function expertStack(layers: LayersBuilder, x: SymbolicTensor, options: ExpertsOptions): SymbolicTensor {
  const experts = Array.from(
    { length: options.num_experts },
    (_, e) =>
      mlp(layers, x, `expert_${e}`, {
        depth: options.num_hidden_expert,
        hidden: options.dim_hidden_expert,
        output: options.dim_hidden_expert,
        dropout: options.dropout_expert,
        activation: options.activation,
        normalisation: options.normalisation,
      }), // [B, H]
  )
  return stack(layers, 'experts', experts) // [B, E, H]
}

/**
 * A gate, `g = f(x·Wg)` without bias, f softmax by default, and what it lets through, `Σ_e g_e f_e`.
 *
 * x [B, any], experts [B, E, H] → [B, H]. The gate's layer is `gate`, its output [B, E].
 */
export function gateExperts(
  layers: LayersBuilder,
  x: SymbolicTensor,
  experts: SymbolicTensor,
  names: { gate: string; mix: string },
  activation: GateFunction = 'softmax',
): SymbolicTensor {
  const gate = layers.dense(names.gate, x, experts.dims[0]!, { useBias: false, activation }) // [B, E]
  return layers.dot(names.mix, gate, experts, [1, 1]) // [B, H]
}
