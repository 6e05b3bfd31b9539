import { type LayersModel, layers, model, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import type { ActivationName, Normalisation } from '../../schemas/architecture.ts'
import { type EmbeddedInputs, join, mlp } from './layers.ts'

export interface TowersOptions {
  num_hidden_tasks: number
  dim_hidden_tasks: number
  dropout_tasks: number
  activation?: ActivationName
  normalisation?: Normalisation
}

/** Task t's tower: an MLP from `x` [B, any] to its logit [B, 1]. */
export function tower(x: SymbolicTensor, task: string, options: TowersOptions, seed: number): SymbolicTensor {
  return mlp(x, `tower_${task}`, seed, {
    depth: options.num_hidden_tasks,
    hidden: options.dim_hidden_tasks,
    output: 1,
    dropout: options.dropout_tasks,
    activation: options.activation,
    normalisation: options.normalisation,
  })
}

/** The model with these logits, T × [B, 1]: layers `logits` [B, T] and `probabilities` [B, T], its output. */
export function answer(name: string, { inputs }: EmbeddedInputs, logits: SymbolicTensor[]): LayersModel {
  const concatenated = join('logits', logits) // [B, T]
  const sigmoid = layers.activation({ name: 'probabilities', activation: 'sigmoid' })
  const probabilities = sigmoid.apply(concatenated) as SymbolicTensor // [B, T]
  return model({ name, inputs, outputs: probabilities })
}
