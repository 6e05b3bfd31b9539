import * as Type from 'typebox'
import {
  depth,
  dropout,
  type embeddingOptions,
  GateFunction,
  type hiddenOptions,
  outputForm,
  width,
  widths,
} from '../../../schemas/architecture.ts'
import type { Values } from './architecture.ts'
import { evenWidths, type ModelInputs, type ModelShape, mlp, stack } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'
import { embedSide } from './side-inputs.ts'

const optionalCount = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 65536, description }))

/** Options of experts, of their gates and of those of one side. */
export const expertOptions = {
  num_hidden_expert: depth('Layers of each expert, the linear output layer included'),
  dim_hidden_expert: width(64, "Width of an expert's layers and of its output"),
  dropout_expert: dropout('the experts'),
  dims_expert: Type.Optional(
    widths(1, "Widths of an expert's layers, the output's last, in place of num_hidden_expert and dim_hidden_expert"),
  ),
  output_expert: outputForm('an expert'),
  gate_function: Type.Optional(
    Type.Union(GateFunction.anyOf, {
      description: "What a gate's scores become before they weigh the experts; default: softmax",
    }),
  ),
  gate_temperature: Type.Optional(
    Type.Number({ exclusiveMinimum: 0, description: "Divides a gate's scores before its function; default: 1" }),
  ),
  num_experts_context: optionalCount('Further experts that read only the fields of the context'),
  num_experts_candidate: optionalCount('Further experts that read only the fields of the candidate'),
}

export const expertStackOptions = {
  num_experts: Type.Integer({
    minimum: 0,
    maximum: 65536,
    default: 4,
    description: 'Number of experts E that read every field; 0 only beside experts of one side',
  }),
  ...expertOptions,
}

type ExpertOptions = Values<typeof expertOptions & typeof hiddenOptions>
type SideExpertsOptions = Values<typeof expertOptions & typeof hiddenOptions & typeof embeddingOptions>

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
  {
    gate_function: activation = 'softmax',
    gate_temperature: temperature = 1,
  }: Pick<ExpertOptions, 'gate_function' | 'gate_temperature'> = {},
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
