import type { ActivationName, GateFunction, Normalisation } from '../../../schemas/architecture.ts'
import { evenWidths, type ModelInputs, type ModelShape, mlp, stack } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'
import { embedSide } from './side-inputs.ts'

export interface ExpertOptions {
  num_hidden_expert: number
  dim_hidden_expert: number
  dropout_expert: number
  dims_expert?: number[]
  output_expert?: 'linear' | 'hidden'
  activation?: ActivationName
  normalisation?: Normalisation
}

export interface SideExpertsOptions extends ExpertOptions {
  dim_emb: number
  embedding_l2: number
  num_experts_context?: number
  num_experts_candidate?: number
}

export interface GateOptions {
  gate_function?: GateFunction
  gate_temperature?: number
}

/** One expert: an MLP [B, any] → [B, H]. */
export function expert(layers: LayersBuilder, x: SymbolicTensor, name: string, options: ExpertOptions): SymbolicTensor {
  return mlp(layers, x, name, {
    widths: options.dims_expert ?? evenWidths(options.num_hidden_expert, options.dim_hidden_expert),
    output: options.output_expert,
    dropout: options.dropout_expert,
    activation: options.activation,
    normalisation: options.normalisation,
  })
}

/** Experts, each an MLP of its own: those that read `flat` [B, any], then those of one side: [B, E, H]. */
export function expertStack(
  layers: LayersBuilder,
  flat: SymbolicTensor,
  inputs: ModelInputs,
  options: SideExpertsOptions & { num_experts: number },
  shape: ModelShape,
): SymbolicTensor {
  const experts = Array.from({ length: options.num_experts }, (_, e) => expert(layers, flat, `expert_${e}`, options))
  return stack(layers, 'experts', [...experts, ...sideExperts(layers, inputs, options, shape)])
}

/** Experts that read only the features of the context, then those that read only the candidate's; each [B, H]. */
export function sideExperts(
  layers: LayersBuilder,
  inputs: ModelInputs,
  options: SideExpertsOptions,
  shape: ModelShape,
): SymbolicTensor[] {
  const counts = { context: options.num_experts_context ?? 0, candidate: options.num_experts_candidate ?? 0 }
  return (['context', 'candidate'] as const).flatMap((side) => {
    if (counts[side] === 0) return []
    const features = embedSide(layers, inputs, options, shape, side) // [B, any]
    return Array.from({ length: counts[side] }, (_, e) => expert(layers, features, `expert_${side}_${e}`, options))
  })
}

/**
 * A gate, `g = f(x·Wg / τ)` without bias, f softmax and τ 1 by default, and what it lets through, `Σ_e g_e f_e`.
 *
 * x [B, any], experts [B, E, H] → [B, H]. The gate's layer is `gate`, its output [B, E].
 */
export function gateExperts(
  layers: LayersBuilder,
  x: SymbolicTensor,
  experts: SymbolicTensor,
  names: { gate: string; mix: string },
  { gate_function: activation = 'softmax', gate_temperature: temperature = 1 }: GateOptions = {},
): SymbolicTensor {
  const weights = () => {
    const count = experts.dims[0]!
    if (temperature === 1) return layers.dense(names.gate, x, count, { useBias: false, activation })
    const scores = layers.dense(`${names.gate}/scores`, x, count, { useBias: false })
    const scaled = layers.rescaling(`${names.gate}/scaled`, scores, 1 / temperature)
    return layers.activation(names.gate, scaled, activation)
  }
  return layers.dot(names.mix, weights(), experts, [1, 1]) // [B, E], [B, E, H] → [B, H]
}
