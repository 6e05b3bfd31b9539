import * as Type from 'typebox'
import {
  depth,
  dropout,
  embeddingOptions,
  hiddenOptions,
  outputForm,
  width,
  widths,
} from '../../../schemas/architecture.ts'
import { type Architecture, tower, towerOptions } from './architecture.ts'
import { layersNote, towerColumns } from './diagram.ts'
import { mlpWeights, towerSizes, towerWeights } from './keras-class.ts'
import { embedInputs, evenWidths, mlp } from './layers.ts'

const options = {
  ...embeddingOptions,
  num_hidden_shared: depth('Layers of the shared encoder, the linear output layer included'),
  dim_hidden_shared: width(64, "Width of the shared encoder's layers and of its output"),
  dropout_shared: dropout('the shared encoder'),
  dims_shared: Type.Optional(
    widths(
      1,
      "Widths of the shared encoder's layers, the output's last, in place of num_hidden_shared and dim_hidden_shared",
    ),
  ),
  output_shared: outputForm('the shared encoder'),
  ...towerOptions,
  ...hiddenOptions,
}

/**
 * Shared bottom: one encoder for all tasks, a tower per task on top.
 *
 * R. Caruana, Multitask Learning, Machine Learning 28, 1997.
 */
export const sharedBottom: Architecture<typeof options> = {
  name: 'shared_bottom',
  options,
  description: 'Shared bottom: one encoder, a tower per task',
  title: 'Shared bottom',
  about: 'All tasks share one encoder; each has a tower of its own on it.',
  logits(layers, options, inputs, shape) {
    const flat = embedInputs(layers, inputs, options, shape) // [B, (F + D)·d]
    const shared = mlp(layers, flat, 'shared', {
      widths: options.dims_shared ?? evenWidths(options.num_hidden_shared, options.dim_hidden_shared),
      output: options.output_shared,
      dropout: options.dropout_shared,
      activation: options.activation,
      normalisation: options.normalisation,
    }) // [B, H]
    return shape.tasks.map((task) => tower(layers, shared, task, options))
  },
  diagram: (options, tasks) => [
    {
      title: 'Shared layers',
      boxes: [{ id: 'shared', title: 'Shared encoder', note: layersNote(options, 'shared'), reads: ['embedding'] }],
    },
    ...towerColumns(options, tasks, () => 'shared'),
  ],
  keras: {
    className: 'SharedBottom',
    keras3: true,
    lacks: { dims_shared: undefined, output_shared: 'linear' },
    matches: ({ gates, transfers }) => gates === 0 && !transfers,
    encoders: () => 1,
    options: (sizes) => ({
      num_hidden_shared: sizes.first.depth,
      dim_hidden_shared: sizes.first.output,
      dropout_shared: 0,
      ...towerSizes(sizes),
    }),
    weights(options, flat, tasks) {
      const width = options.dim_hidden_shared
      const shared = { depth: options.num_hidden_shared, hidden: width, output: width }
      return [
        ...mlpWeights('shared', flat, shared, options, { keras2: 'shared_encoder', keras3: 'layers/mlp' }),
        ...towerWeights(options, width, tasks, 1),
      ]
    },
    forward({ flat, mlp }, _, tasks) {
      const shared = mlp(flat, 'shared')
      return tasks.map((task) => mlp(shared, `tower_${task}`))
    },
  },
}
