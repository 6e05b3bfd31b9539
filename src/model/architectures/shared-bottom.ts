import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { SharedBottomOptions } from '../../schemas/architecture.ts'
import { embedInputs, type ModelShape, mlp } from './layers.ts'
import { answer, tower } from './towers.ts'

/**
 * Shared bottom: one encoder for all tasks, a tower per task on top.
 *
 * R. Caruana, Multitask Learning, Machine Learning 28, 1997.
 */
export function sharedBottom(options: SharedBottomOptions, shape: ModelShape): LayersModel {
  const embedded = embedInputs(options, shape) // flat [B, (F + D)·d]
  const shared = mlp(embedded.flat, 'shared', shape.seed, {
    depth: options.num_hidden_shared,
    hidden: options.dim_hidden_shared,
    output: options.dim_hidden_shared,
    dropout: options.dropout_shared,
    activation: options.activation,
    normalisation: options.normalisation,
  }) // [B, H]
  const logits = shape.tasks.map((task) => tower(shared, task, options, shape.seed)) // T × [B, 1]
  return answer(options.name, embedded, logits)
}
