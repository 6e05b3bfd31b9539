import type { Manifest } from '../../schemas/manifest.ts'
import type { PredictOptions } from '../../schemas/predict.ts'
import { Problems } from '../features/problems.ts'
import { portsOf } from './inputs.ts'

/** What a request wants of a model, checked against it. */
export interface Plan {
  /** Tasks to answer, in the order asked for. */
  tasks: string[]
  /** Tasks whose raw probabilities to answer. */
  raw: string[]
  /** Per task to answer gates of, the graph's output. */
  gates: [task: string, output: string][]
  /** How to score candidates: the product of these tasks, times `factor` and the bid where `bids`. */
  rank: { tasks: string[]; bids: boolean; topK: number } | undefined
  /** Outputs of the graph to compute. */
  outputs: readonly string[]
}

/** Checks `tasks` and `options` against the model; throws INVALID_REQUEST with all that is wrong. */
export type Planner = (tasks: string[] | undefined, options: PredictOptions) => Plan

/** Expected revenue per thousand impressions. */
export const ecpm = 'ecpm'

export function createPlanner(manifest: Manifest): Planner {
  const base = manifest.tasks.map(({ name }) => name)
  const derived = new Map(manifest.derived.map(({ name, product }) => [name, product]))
  const all = [...base, ...derived.keys()]
  const gateOutputs = manifest.graph.outputs.gates ?? {}
  const { probabilities } = portsOf(manifest)
  // The same array each time, so that the batcher sees at once that requests of a batch want the same.
  const plain = [probabilities]
  const withGates = [probabilities, ...new Set(Object.values(gateOutputs))]

  return (asked, options) => {
    const problems = new Problems()
    const tasks = asked ?? all
    tasks.forEach((name, i) => {
      if (!all.includes(name)) problems.add(`/tasks/${i}`, `is no task of this model; it has ${all.join(', ')}`)
    })
    const needed = base.filter(
      (name) => tasks.includes(name) || tasks.some((task) => derived.get(task)?.includes(name)),
    )
    if (options.gates && Object.keys(gateOutputs).length === 0)
      problems.add('/options/gates', 'is not possible: the model has no gates')
    const plan: Plan = {
      tasks,
      raw: options.raw ? needed : [],
      gates: options.gates
        ? needed.flatMap((name) => (Object.hasOwn(gateOutputs, name) ? [[name, gateOutputs[name]!]] : []))
        : [],
      rank: undefined,
      outputs: options.gates ? withGates : plain,
    }
    if (options.rank) {
      const { by, top_k } = options.rank
      const product =
        by === ecpm && base.includes('ctr')
          ? ['ctr', 'cvr'].filter((name) => base.includes(name))
          : (derived.get(by) ?? [by])
      if (by === ecpm && !base.includes('ctr'))
        problems.add('/options/rank/by', 'ecpm needs a task called ctr, which this model has not')
      else if (by !== ecpm && !all.includes(by))
        problems.add('/options/rank/by', `is no task of this model; it has ${all.join(', ')}`)
      plan.rank = { tasks: product, bids: by === ecpm, topK: top_k ?? Number.POSITIVE_INFINITY }
    }
    problems.throwIfAny()
    return plan
  }
}
