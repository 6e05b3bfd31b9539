import { listNames, suggestNames } from '../../../base/names.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { PredictOptions } from '../../../schemas/predict.ts'
import type { Violations } from '../features/problems.ts'
import { bindingsOf } from './bindings.ts'

/** A request's demands on a model, checked against the model. */
export interface RequestPlan {
  /** Tasks to answer, in the order asked for. */
  tasks: string[]
  /** Tasks whose raw probabilities to answer. */
  raw: string[]
  /** Per task to answer gates of, the graph's output. */
  gates: [task: string, output: string][]
  /** How to score candidates: the product of these tasks; where `bids`, times 1,000 and the bid. */
  rank: { tasks: string[]; bids: boolean; topK: number } | undefined
  /** Rows that can't be answered are left out; else they refuse the request. */
  partial: boolean
  /** Whether to answer what tables had for the request's keys. */
  features: boolean
  /** Outputs of the graph to compute. */
  outputs: readonly string[]
}

/**
 * Checks `tasks` and `options` against the model. Adds its findings to `problems`; if there are any, the plan is
 * meaningless.
 */
export type Planner = (tasks: string[] | undefined, options: PredictOptions, problems: Violations) => RequestPlan

/** Expected revenue per thousand impressions. */
export const ecpm = 'ecpm'

export function createPlanner(manifest: Manifest): Planner {
  const base = manifest.tasks.map(({ name }) => name)
  const derived = new Map(manifest.derived.map(({ name, product }) => [name, product]))
  const all = [...base, ...derived.keys()]
  const gateOutputs = manifest.graph.outputs.gates ?? {}
  const { probabilities } = bindingsOf(manifest)
  const earning = earningTasks(manifest)
  // The same array each time, so that the batcher can compare by identity.
  const plain = [probabilities]
  const withGates = [probabilities, ...new Set(Object.values(gateOutputs))]

  const unknownTask = (name: string, names: readonly string[]) => () =>
    `is no task of this model${suggestNames(name, names)}`

  const usual: RequestPlan = {
    tasks: all,
    raw: [],
    gates: [],
    rank: undefined,
    partial: false,
    features: false,
    outputs: plain,
  }

  return (asked, options, problems) => {
    const { raw, gates, unknown, rank, partial, features } = options
    if (!(asked || raw || gates || unknown || rank || partial || features)) return usual
    const tasks = asked ?? all
    tasks.forEach((name, i) => {
      if (!all.includes(name)) problems.add(`/tasks/${i}`, unknownTask(name, all))
    })
    const needed = base.filter(
      (name) => tasks.includes(name) || tasks.some((task) => derived.get(task)?.includes(name)),
    )
    if (gates && Object.keys(gateOutputs).length === 0)
      problems.add('/options/gates', 'is not possible: the model has no gates')
    if (unknown && all.includes('unknown'))
      problems.add('/options/unknown', 'is not possible: the model has a task called unknown')
    const plan: RequestPlan = {
      tasks,
      raw: raw ? needed : [],
      gates: gates
        ? needed.flatMap((name) => (Object.hasOwn(gateOutputs, name) ? [[name, gateOutputs[name]!]] : []))
        : [],
      rank: undefined,
      partial: partial === true,
      features: features === true,
      outputs: gates ? withGates : plain,
    }
    if (rank) {
      const { by, top_k } = rank
      const click = base.includes('ctr')
      if (by === ecpm && !click)
        problems.add(
          '/options/rank/by',
          `ecpm needs a task named ctr, and multiplies it by cvr where there is one: this model has ${listNames(all)}; name the probability of a click ctr, and of a conversion after it cvr, in its manifest`,
        )
      else if (by !== ecpm && !all.includes(by))
        problems.add('/options/rank/by', unknownTask(by, click ? [...all, ecpm] : all))
      else
        plan.rank = { tasks: by === ecpm ? earning : [by], bids: by === ecpm, topK: top_k ?? Number.POSITIVE_INFINITY }
    }
    return plan
  }
}

/** The tasks whose product is the probability that an impression earns its bid: of a conversion, else of a click. */
function earningTasks({ tasks, derived }: Manifest): string[] {
  const factors = ['ctr', 'cvr'].filter((name) => tasks.some((task) => task.name === name))
  const composed = derived.find(
    ({ product }) => product.length === factors.length && factors.every((name) => product.includes(name)),
  )
  return composed && factors.length > 1 ? [composed.name] : factors
}
