import { embeddingOptions, hiddenOptions } from '../../../schemas/architecture.ts'
import { type Architecture, tower, towerOptions } from './architecture.ts'
import { expertBoxes, gateBox, idsOf, towerColumns, weighs } from './diagram.ts'
import { expertStack, expertStackOptions, gateExperts } from './experts.ts'
import { expertSizes, expertsOf, expertWeights, gatePerTask, towerSizes, towerWeights } from './keras-class.ts'
import { embedInputs } from './layers.ts'

const options = { ...embeddingOptions, ...expertStackOptions, ...towerOptions, ...hiddenOptions }

/**
 * Mixture of experts: one gate mixes the experts, and every task's tower reads the same mixture.
 *
 * R. Jacobs et al., Adaptive Mixtures of Local Experts, Neural Computation 3, 1991; as "OMoE" in J. Ma et al., KDD
 * 2018.
 */
export const mixtureOfExperts: Architecture<typeof options> = {
  name: 'mixture_of_experts',
  aliases: ['moe', 'omoe'],
  options,
  description: 'Mixture of experts: one gate mixes the experts for every task',
  title: 'Mixture of experts',
  about:
    'Experts are networks that look at the same fields. One gate says, for each row, how much each expert counts; all tasks read the same mixture.',
  logits(layers, options, inputs, shape) {
    const flat = embedInputs(layers, inputs, options, shape) // [B, (F + D)·d]
    const experts = expertStack(layers, flat, inputs, options, shape) // [B, E, H]
    const mixed = gateExperts(layers, flat, experts, { gate: 'gate', mix: 'mix' }, options) // [B, H]
    return shape.tasks.map((task) => tower(layers, mixed, task, options))
  },
  gate: () => 'gate',
  diagram: (options, tasks) => {
    const experts = expertBoxes(options)
    return [
      { title: 'Experts', boxes: experts },
      {
        title: 'Gate',
        boxes: [gateBox('gate', 'Gate of all tasks', weighs(experts), ['embedding', ...idsOf(experts)])],
      },
      ...towerColumns(options, tasks, () => 'gate'),
    ]
  },
  keras: {
    className: 'MixtureOfExperts',
    keras3: true,
    matches: (parts) => parts.gates > 0 && !parts.transfers && !gatePerTask(parts),
    encoders: ({ gateWidth }) => gateWidth,
    options: (sizes) => ({ ...expertSizes(sizes), ...towerSizes(sizes) }),
    weights: (options, flat, tasks) => [
      ...expertWeights(options, flat),
      {
        name: 'gate/kernel',
        shape: [flat, options.num_experts],
        keras2: 'layers/dense/vars/0',
        keras3: 'gate/vars/0',
      },
      ...towerWeights(options, options.dim_hidden_expert, tasks, options.num_experts),
    ],
    forward(row, options, tasks) {
      const mixed = row.mix('gate', expertsOf(row, options))
      return tasks.map((task) => row.mlp(mixed, `tower_${task}`))
    },
  },
}
