import type { ActivationName, Normalisation } from '../../schemas/architecture.ts'
import { mlp } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

export interface TowersOptions {
  num_hidden_tasks: number
  dim_hidden_tasks: number
  dropout_tasks: number
  activation?: ActivationName
  normalisation?: Normalisation
}

/** Task t's tower: an MLP from `x` [B, any] to its logit [B, 1]. */
export function tower(layers: LayersBuilder, x: SymbolicTensor, task: string, options: TowersOptions): SymbolicTensor {
  return mlp(layers, x, `tower_${task}`, {
    depth: options.num_hidden_tasks,
    hidden: options.dim_hidden_tasks,
    output: 1,
    dropout: options.dropout_tasks,
    activation: options.activation,
    normalisation: options.normalisation,
  })
}
