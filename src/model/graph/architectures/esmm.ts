import { embeddingOptions, hiddenOptions } from '../../../schemas/architecture.ts'
import { type Architecture, tower, towerOptions } from './architecture.ts'
import { towerColumns } from './diagram.ts'
import { embedInputs } from './layers.ts'

const options = { ...embeddingOptions, ...towerOptions, ...hiddenOptions }

/**
 * ESMM: the tasks share the embedding, and each has a tower of its own on it. Which products of probabilities are
 * trained is the training's affair.
 *
 * X. Ma et al., Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click Conversion Rate, SIGIR
 * 2018.
 */
export const esmm: Architecture<typeof options> = {
  name: 'esmm',
  options,
  description: 'ESMM: a tower per task; the tasks share the embedding alone',
  title: 'Entire space model (ESMM)',
  about:
    'Tasks share the embeddings alone. The derived task is trained over all rows, so that the second step is not judged on clicked rows only.',
  logits(layers, options, inputs, shape) {
    const flat = embedInputs(layers, inputs, options, shape) // [B, (F + D)·d]
    return shape.tasks.map((task) => tower(layers, flat, task, options))
  },
  diagram: (options, tasks) => towerColumns(options, tasks, () => 'embedding'),
}
