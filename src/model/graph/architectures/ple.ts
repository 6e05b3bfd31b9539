import type { PleOptions } from '../../../schemas/architecture.ts'
import { type Architecture, tower } from './architecture.ts'
import { expert, gateExperts, sideExperts } from './experts.ts'
import { embedInputs, stack } from './layers.ts'

/**
 * Progressive layered extraction: in every level, each task mixes experts of its own and shared ones, in that order,
 * and a shared gate mixes all of them for the shared experts of the next level. One level is CGC, customised gate
 * control.
 *
 * H. Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for Personalized
 * Recommendations, RecSys 2020. Experts of one side, which the paper does not have, are shared ones of the first level.
 */
export const ple: Architecture<PleOptions> = {
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
}
