import type { ActivationName, Normalisation } from '../../schemas/architecture.ts'
import { evenWidths, mlp } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

export interface TowersOptions {
  num_hidden_tasks: number
  dim_hidden_tasks: number
  dropout_tasks: number
  /** Of the hidden layers, for all tasks or for each. */
  dims_tasks?: number[] | Record<string, number[]>
  activation?: ActivationName
  normalisation?: Normalisation
}

/** Task t's tower: an MLP from `x` [B, any] to its logit [B, 1]. */
export function tower(layers: LayersBuilder, x: SymbolicTensor, task: string, options: TowersOptions): SymbolicTensor {
  const { dims_tasks: dims, num_hidden_tasks, dim_hidden_tasks } = options
  const hidden = Array.isArray(dims) ? dims : dims?.[task]
  return mlp(layers, x, `tower_${task}`, {
    widths: hidden === undefined ? evenWidths(num_hidden_tasks, dim_hidden_tasks, 1) : [...hidden, 1],
    dropout: options.dropout_tasks,
    activation: options.activation,
    normalisation: options.normalisation,
  })
}
