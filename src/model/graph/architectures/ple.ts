import * as Type from 'typebox'
import { embeddingOptions, hiddenOptions, width } from '../../../schemas/architecture.ts'
import { type Architecture, tower, towerOptions } from './architecture.ts'
import { type Box, type Column, count, gateBox, idsOf, layersNote, towerColumns } from './diagram.ts'
import { expert, expertOptions, gateExperts, sideExperts } from './experts.ts'
import { embedInputs, stack } from './layers.ts'

const options = {
  ...embeddingOptions,
  num_levels: Type.Integer({ minimum: 1, maximum: 16, default: 2, description: 'Levels of experts; 1 is CGC' }),
  num_experts_task: width(1, "Number of each task's own experts, in every level"),
  num_experts_shared: width(1, 'Number of experts that all tasks share, in every level'),
  ...expertOptions,
  ...towerOptions,
  ...hiddenOptions,
}

/**
 * Progressive layered extraction: in every level, each task mixes experts of its own and shared ones, in that order,
 * and a shared gate mixes all of them for the shared experts of the next level. One level is CGC, customised gate
 * control.
 *
 * H. Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for Personalized
 * Recommendations, RecSys 2020. Experts of one side, which the paper does not have, are shared ones of the first level.
 */
export const ple: Architecture<typeof options> = {
  name: 'ple',
  options,
  description: 'PLE: in every level, each task mixes experts of its own with shared ones',
  title: 'Progressive layered extraction (PLE)',
  about:
    'Each task has experts of its own beside shared ones. In every level, gates mix them, so that tasks share only what helps both.',
  logits(layers, options, inputs, shape) {
    const { num_levels: levels, num_experts_task, num_experts_shared } = options
    const flat = embedInputs(layers, inputs, options, shape) // [B, (F + D)·d]
    let own = shape.tasks.map(() => flat) // T × [B, any]
    let shared = flat
    for (let level = 0; level < levels; level++) {
      const last = level === levels - 1
      const at = `level_${level}`
      const group = (x: typeof flat, name: string, count: number) =>
        Array.from({ length: count }, (_, e) => expert(layers, x, `${at}/${name}/expert_${e}`, options)) // [B, H]
      const owned = shape.tasks.map((task, t) => group(own[t]!, `task_${task}`, num_experts_task))
      const common = group(shared, 'shared', num_experts_shared)
      if (level === 0) common.push(...sideExperts(layers, inputs, options, shape))
      const gate = (x: typeof flat, name: string, experts: typeof common, suffix: string) => {
        const names = { gate: last ? name : `${at}/${name}`, mix: `${at}/mix${suffix}` }
        return gateExperts(layers, x, stack(layers, `${at}/experts${suffix}`, experts), names, options) // [B, H]
      }
      // The shared gate reads what the shared experts read, not what the tasks' gates answer.
      const extracted = last ? shared : gate(shared, 'gate', [...owned.flat(), ...common], '')
      own = shape.tasks.map((task, t) => gate(own[t]!, `gate_${task}`, [...owned[t]!, ...common], `_${task}`))
      shared = extracted
    }
    return shape.tasks.map((task, t) => tower(layers, own[t]!, task, options))
  },
  gate: (task) => `gate_${task}`,
  diagram: (options, tasks) => {
    const levels = Number(options.num_levels)
    const columns: Column[] = []
    let own = tasks.map(() => 'embedding')
    let shared = 'embedding'
    for (let level = 1; level <= levels; level++) {
      const at = (part: string) => `${part} ${level}`
      const groups: Box[] = tasks.map((task, t) => ({
        id: at(`experts of ${task}`),
        title: `${count(options.num_experts_task, 'expert')} of ${task}`,
        reads: [own[t]!],
      }))
      const common: Box = {
        id: at('shared experts'),
        title: `${count(options.num_experts_shared, 'shared expert')}`,
        note: layersNote(options, 'expert'),
        reads: [shared],
      }
      const name = levels === 1 ? '' : ` ${level}`
      columns.push({ title: `Experts${name}`, boxes: [...groups, common] })
      const gates = tasks.map((task, t) =>
        gateBox(at(`gate ${task}`), `Gate of ${task}`, 'weighs its experts', [own[t]!, groups[t]!.id, common.id]),
      )
      const all = [shared, ...idsOf(groups), common.id]
      if (level < levels) gates.push(gateBox(at('shared gate'), 'Shared gate', 'weighs all experts', all))
      columns.push({ title: `Gates${name}`, boxes: gates })
      own = tasks.map((task) => at(`gate ${task}`))
      shared = at('shared gate')
    }
    return [...columns, ...towerColumns(options, tasks, (task) => `gate ${task} ${levels}`)]
  },
}
