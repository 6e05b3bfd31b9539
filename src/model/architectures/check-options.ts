import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import { closestName } from '../base/closest-name.ts'
import type { Violation } from '../base/errors.ts'
import type { ModelShape } from './layers.ts'

type AnyOption = Partial<Record<string, unknown>>

/**
 * What a schema cannot say of an architecture's options, for a model with these tasks and sides. Paths are below the options.
 */
export function optionProblems(
  options: ArchitectureOptions,
  { tasks, sides }: { tasks: readonly string[]; sides?: ModelShape['sides'] | undefined },
): Violation[] {
  const { num_experts, dims_tasks } = options as AnyOption
  const problems: Violation[] = []
  let ofSides = 0
  for (const side of ['context', 'candidate'] as const) {
    const option = `num_experts_${side}`
    const count = Number((options as AnyOption)[option] ?? 0)
    ofSides += count
    if (count === 0) continue
    if (sides === undefined || ![...sides.sparse, ...sides.dense].includes(side))
      problems.push({ path: `/${option}`, message: `needs a field of the side ${side}, and there is none` })
  }
  if (num_experts === 0 && ofSides === 0)
    problems.push({
      path: '/num_experts',
      message: 'must be at least 1 without num_experts_context and num_experts_candidate',
    })
  if (typeof dims_tasks === 'object' && dims_tasks !== null && !Array.isArray(dims_tasks)) {
    for (const task of tasks)
      if (!Object.hasOwn(dims_tasks, task))
        problems.push({ path: '/dims_tasks', message: `lacks the task ${JSON.stringify(task)}` })
    for (const name of Object.keys(dims_tasks)) {
      if (tasks.includes(name)) continue
      const meant = closestName(name, tasks)
      const hint = `: ${tasks.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`
      problems.push({ path: `/dims_tasks/${name}`, message: `is not one of the tasks${hint}` })
    }
  }
  return problems
}
