import { embeddingOptions, hiddenOptions } from '../../../schemas/architecture.ts'
import { type Architecture, tower, towerOptions } from './architecture.ts'
import { towerColumns } from './diagram.ts'
import { embedInputs } from './layers.ts'

const options = { ...embeddingOptions, ...towerOptions, ...hiddenOptions }

/** Single task: a network per task, which shares nothing with the others; what multi-task learning is compared with. */
export const singleTask: Architecture<typeof options> = {
  name: 'single_task',
  options,
  description: 'Single task: a network per task, with an embedding of its own',
  title: 'Single tasks',
  about: 'Each task has a network of its own, embeddings included.',
  logits(layers, options, inputs, shape) {
    return shape.tasks.map((task) => {
      const names = {
        table: `embedding_${task}`,
        flat: `embedding_${task}/flat`,
        dense: `dense_embedding_${task}`,
        features: `features_${task}`,
      }
      const flat = embedInputs(layers, inputs, options, shape, names) // [B, (F + D)·d]
      return tower(layers, flat, task, options)
    })
  },
  ownEmbeddings: true,
  diagram: (options, tasks) => towerColumns(options, tasks, (task) => `embedding ${task}`),
}
