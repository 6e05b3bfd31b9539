import { type LayersModel, layers, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import type { AitmOptions } from '../../schemas/architecture.ts'
import { dense, embedInputs, type ModelShape, mlp, stack } from './layers.ts'
import { answer } from './towers.ts'

/**
 * AITM: each task receives, by attention, what the task before it learnt.
 *
 * D. Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions, KDD 2021, in the form of the
 * reference implementation: one attention block for all transfers, its scores not divided by √H, its two positions
 * summed.
 */
export function aitm(options: AitmOptions, shape: ModelShape): LayersModel {
  const { tasks, seed } = shape
  const embedded = embedInputs(options, shape) // flat [B, (F + D)·d]
  const towers = tasks.map((task) =>
    mlp(embedded.flat, `tower_${task}`, seed, {
      depth: options.num_hidden_tower,
      hidden: options.dim_hidden_tower,
      output: options.dim_hidden_tower,
      dropout: options.dropout_tower,
      activation: options.activation,
      normalisation: options.normalisation,
    }),
  ) // T × [B, H]
  const attend = attention(options.dim_hidden_tower, seed)
  let known = towers[0]! // [B, H]
  const logits = tasks.map((task, t) => {
    if (t > 0) {
      const transferred = dense(`transfer_${task}`, options.dim_hidden_tower, seed).apply(known) as SymbolicTensor // [B, H]
      known = attend(`attend_${task}`, transferred, towers[t]!) // [B, H]
    }
    return mlp(known, `head_${task}`, seed, {
      depth: options.num_hidden_head,
      hidden: options.dim_hidden_head,
      output: 1,
      dropout: options.dropout_proj_head,
      activation: options.activation,
      normalisation: options.normalisation,
    }) // [B, 1]
  })
  return answer(options.name, embedded, logits)
}

/** Self-attention over two positions, summed: [B, H], [B, H] → [B, H]. Its three kernels serve every transfer. */
function attention(width: number, seed: number) {
  const project = (name: string) => dense(`attention/${name}`, width, seed, { useBias: false })
  const [query, key, value] = [project('query'), project('key'), project('value')]

  return (name: string, transferred: SymbolicTensor, own: SymbolicTensor): SymbolicTensor => {
    const pair = stack(`${name}/pair`, [transferred, own]) // [B, 2, H]
    const q = query.apply(pair) as SymbolicTensor // [B, 2, H]
    const k = key.apply(pair) as SymbolicTensor // [B, 2, H]
    const v = value.apply(pair) as SymbolicTensor // [B, 2, H]
    const scores = layers.dot({ name: `${name}/scores`, axes: [2, 2] }).apply([q, k]) as SymbolicTensor // [B, 2, 2]
    const softmax = layers.activation({ name: `${name}/weights`, activation: 'softmax' })
    const weights = softmax.apply(scores) as SymbolicTensor // [B, 2, 2]
    const mixed = layers.dot({ name: `${name}/mixed`, axes: [2, 1] }).apply([weights, v]) as SymbolicTensor // [B, 2, H]
    // No standard layer sums over positions; twice the mean of two is the sum, exactly.
    const mean = layers.globalAveragePooling1d({ name: `${name}/mean` }).apply(mixed) as SymbolicTensor // [B, H]
    return layers.add({ name: `${name}/sum` }).apply([mean, mean]) as SymbolicTensor // [B, H]
  }
}
