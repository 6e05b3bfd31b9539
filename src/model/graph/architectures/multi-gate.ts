import { embeddingOptions, hiddenOptions } from '../../../schemas/architecture.ts'
import { type Architecture, tower, towerOptions } from './architecture.ts'
import { expertBoxes, gateBox, idsOf, towerColumns, weighs } from './diagram.ts'
import { expertStack, expertStackOptions, gateExperts } from './experts.ts'
import { expertSizes, expertsOf, expertWeights, gatePerTask, nth, towerSizes, towerWeights } from './keras-class.ts'
import { embedInputs } from './layers.ts'

const options = { ...embeddingOptions, ...expertStackOptions, ...towerOptions, ...hiddenOptions }

/**
 * Multi-gate mixture of experts (MMoE): each task mixes the shared experts with a gate of its own.
 *
 * J. Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts, KDD 2018.
 */
export const multiGate: Architecture<typeof options> = {
  name: 'multi_gate',
  aliases: ['mmoe'],
  options,
  description: 'Multi-gate mixture of experts (MMoE): each task mixes the experts with a gate of its own',
  title: 'Multi-gate mixture of experts (MMoE)',
  about:
    'Experts are networks that look at the same fields. Each task has a gate, which says for each row how much each expert counts for this task: the mixture goes to the task’s tower.',
  logits(layers, options, inputs, shape) {
    const flat = embedInputs(layers, inputs, options, shape) // [B, (F + D)·d]
    const experts = expertStack(layers, flat, inputs, options, shape) // [B, E, H]
    return shape.tasks.map((task) => {
      const names = { gate: `gate_${task}`, mix: `mix_${task}` }
      const mixed = gateExperts(layers, flat, experts, names, options) // [B, H]
      return tower(layers, mixed, task, options)
    })
  },
  gate: (task) => `gate_${task}`,
  diagram: (options, tasks) => {
    const experts = expertBoxes(options)
    return [
      { title: 'Experts', boxes: experts },
      {
        title: 'Gates',
        boxes: tasks.map((task) =>
          gateBox(`gate ${task}`, `Gate of ${task}`, weighs(experts), ['embedding', ...idsOf(experts)]),
        ),
      },
      ...towerColumns(options, tasks, (task) => `gate ${task}`),
    ]
  },
  keras: {
    className: 'MultiGateMixtureOfExperts',
    keras3: true,
    matches: (parts) => !parts.transfers && gatePerTask(parts),
    encoders: ({ gateWidth }) => gateWidth,
    options: (sizes) => ({ ...expertSizes(sizes), ...towerSizes(sizes) }),
    weights: (options, flat, tasks) => [
      ...expertWeights(options, flat),
      ...tasks.map((task, t) => ({
        name: `gate_${task}/kernel`,
        shape: [flat, options.num_experts],
        keras2: `layers/${nth('dense', t)}/vars/0`,
        keras3: `gates/${nth('dense', t)}/vars/0`,
      })),
      ...towerWeights(options, options.dim_hidden_expert, tasks, options.num_experts),
    ],
    forward(row, options, tasks) {
      const experts = expertsOf(row, options)
      return tasks.map((task) => row.mlp(row.mix(`gate_${task}`, experts), `tower_${task}`))
    },
  },
}
