import { ModelError, type Violation } from '../../../base/errors.ts'
import type { ArchitectureOptions } from '../../../schemas/architecture.ts'
import { didYouMean } from '../../../schemas/closest-name.ts'
import type { LayersModel } from '../lower/layers/layers-model.ts'
import { answer, inputsOf, type ModelShape } from './layers.ts'
import { LayersBuilder } from './layers-builder.ts'
import { architectureOf } from './table.ts'
import { widePart } from './wide-part.ts'

/**
 * A new model with initial weights.
 *
 * Inputs `sparse` int32 [B, F] and `dense` float32 [B, D], either absent if it has no columns; output
 * `probabilities` float32 [B, T]. `graphOutputs` names the other layers to read.
 * Throws INVALID_BUNDLE if there is no field, or if the options contradict themselves, the tasks or the sides.
 */
export function buildArchitecture(options: ArchitectureOptions, shape: ModelShape): LayersModel {
  const problems = optionProblems(options, shape).map(({ path, message }) => `${path.slice(1)} ${message}`)
  if (problems.length > 0) throw new ModelError('INVALID_BUNDLE', `${options.name}: ${problems.join('; ')}`)
  const layers = new LayersBuilder(shape.seed)
  const inputs = inputsOf(layers, shape)
  const logits = architectureOf(options.name).logits(layers, options, inputs, shape) // T × [B, 1]
  for (const [task, logit] of (shape.startLogits ?? []).entries()) layers.startBias(logits[task]!, logit)
  return answer(
    layers,
    options.name,
    inputs,
    logits,
    options.wide ? widePart(layers, inputs, options, shape) : undefined,
  )
}

/** Names of a model's output layers; a manifest's `graph.outputs`. */
export interface GraphOutputs {
  /** [B, T] */
  probabilities: string
  /** [B, T] */
  logits: string
  /** Per task, the layer of its gate weights [B, E], if the architecture has gates. */
  gates?: Record<string, string>
}

/** Needs no TensorFlow.js. */
export function graphOutputs(options: ArchitectureOptions, tasks: string[]): GraphOutputs {
  const architecture = architectureOf(options.name)
  return {
    probabilities: 'probabilities',
    logits: 'logits',
    ...(architecture.gate && { gates: Object.fromEntries(tasks.map((task) => [task, architecture.gate!(task)])) }),
  }
}

type AnyOption = Partial<Record<string, unknown>>

/**
 * Problems with an architecture's options that a schema cannot state, for a model with these tasks and sides. Paths are
 * below the options.
 */
export function optionProblems(
  options: ArchitectureOptions,
  { tasks, sides }: { tasks: readonly string[]; sides?: ModelShape['sides'] | undefined },
): Violation[] {
  const { num_experts, dims_tasks } = options as AnyOption
  const problems: Violation[] = []
  if (options.wide_l2 !== undefined && !options.wide)
    problems.push({ path: '/wide_l2', message: 'has no effect without wide: true' })
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
      const message = `is not one of the tasks: ${tasks.join(', ')}${didYouMean(name, tasks)}`
      problems.push({ path: `/dims_tasks/${name}`, message })
    }
  }
  return problems
}
