import type { Collector } from './collect.ts'

/** A condition that a replay must meet: a figure of every task, and its bound. */
export interface Condition {
  figure: keyof typeof figures
  bound: number
}

export interface ConditionOutcome {
  condition: string
  found: string
  passed: boolean
}

interface Figure {
  /** Whether the bound is the least that passes, or the most. */
  least: boolean
  words: string
  /** By task; null where there is nothing to judge. */
  of(collector: Collector): Map<string, number | null>
}

type Task = Collector['tasks'] extends Map<string, infer T> ? T : never

const perTask = (of: (task: Task) => number | null) => (collector: Collector) =>
  new Map([...collector.tasks].map(([name, task]) => [name, of(task)]))
const share = (part: number, of: number) => (of === 0 ? null : part / of)

export const figures = {
  same: {
    least: true,
    words: 'share of the candidates whose probability is the same within 1e-6',
    of: perTask(({ same, rows }) => share(same, rows)),
  },
  overlap: {
    least: true,
    words: 'mean share of the top ten that stays',
    of: perTask(({ overlap }) => (overlap.count === 0 ? null : overlap.mean)),
  },
  correlation: {
    least: true,
    words: "mean of Kendall's τ",
    of: perTask(({ correlation }) => (correlation.count === 0 ? null : correlation.mean)),
  },
  winners: {
    least: false,
    words: 'share of the requests with another winner',
    of: perTask(({ winners, requests }) => share(winners, requests)),
  },
  shift: {
    least: false,
    words: 'difference of the logit that one candidate in a hundred exceeds',
    of: perTask(({ logit }) => {
      const [low, high] = logit.quantiles([0.005, 0.995]) as [number, number]
      return Number.isNaN(low) ? null : Math.max(Math.abs(low), Math.abs(high))
    }),
  },
  unknown: {
    least: false,
    words: 'share of the candidates with a value that the version does not know',
    of: ({ strangers, rows }) => new Map([['all tasks', share(strangers, rows)]]),
  },
} satisfies Record<string, Figure>

/** Reads `overlap=.9,winners=.05`. Throws an Error that says what is wrong. */
export function parseGate(text: string): Condition[] {
  return text.split(',').map((part) => {
    const [, name = '', value = ''] = /^\s*(\w+)\s*=\s*(\S+)\s*$/.exec(part) ?? []
    const bound = Number(value)
    if (!Object.hasOwn(figures, name) || value === '' || !Number.isFinite(bound) || bound < -1)
      throw new Error(`${JSON.stringify(part)} must be a figure and its bound, of ${Object.keys(figures).join(', ')}.`)
    return { figure: name as Condition['figure'], bound }
  })
}

/** One outcome per condition and task. */
export function judge(conditions: readonly Condition[], collector: Collector): ConditionOutcome[] {
  return conditions.flatMap(({ figure, bound }) => {
    const { least, of } = figures[figure] as Figure
    return [...of(collector)].map(([task, found]): ConditionOutcome => {
      const passed = found === null || (least ? found >= bound : found <= bound)
      const condition = `${task}: ${figure} at ${least ? 'least' : 'most'} ${bound}`
      return { condition, found: found === null ? 'nothing to judge' : String(Number(found.toPrecision(4))), passed }
    })
  })
}
