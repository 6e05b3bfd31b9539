import type { Values } from './model.ts'

/** A prediction of the server: a probability by task, among other things. */
export type Prediction = Record<string, unknown>

/** A measure that candidates can be ranked by, beside tasks: expected revenue per thousand impressions. */
export const ecpm = 'ecpm'

export function probabilityOf(prediction: Prediction | null | undefined, task: string): number | undefined {
  if (prediction === null || prediction === undefined || !Object.hasOwn(prediction, task)) return undefined
  const value = prediction[task]
  return typeof value === 'number' ? value : undefined
}

/** The part of a task that ranking needs. */
type RankedTask = { name: string; product?: readonly string[] | undefined }

/**
 * The tasks whose product is the probability that an impression earns its bid, as the server's `rank` takes them: of a
 * conversion where the model has cvr, else of a click. Undefined without a task called ctr.
 */
export function earningTasks(tasks: readonly RankedTask[]): string[] | undefined {
  const factors = ['ctr', 'cvr'].filter((name) =>
    tasks.some((task) => task.name === name && task.product === undefined),
  )
  if (factors[0] !== 'ctr') return undefined
  const composed = tasks.find(
    ({ product }) => product?.length === factors.length && factors.every((name) => product.includes(name)),
  )
  return composed !== undefined && factors.length > 1 ? [composed.name] : factors
}

/** Names of all that candidates can be ranked by. */
export function scoreNames(tasks: readonly RankedTask[]): string[] {
  return [...tasks.map(({ name }) => name), ...(earningTasks(tasks) === undefined ? [] : [ecpm])]
}

/** The value that orders a candidate: the probability of a task, or what it earns. */
export function scoreOf(
  prediction: Prediction | null | undefined,
  bid: unknown,
  by: string,
  tasks: readonly RankedTask[],
): number | undefined {
  if (by !== ecpm) return probabilityOf(prediction, by)
  const factors = earningTasks(tasks)
  if (factors === undefined || typeof bid !== 'number') return undefined
  let score = 1000 * bid
  for (const task of factors) {
    const probability = probabilityOf(prediction, task)
    if (probability === undefined) return undefined
    score *= probability
  }
  return score
}

/** Ranks from 1, best first; ties keep the order of the request; undefined without a score. */
export function ranksOf(scores: readonly (number | undefined)[]): (number | undefined)[] {
  const order = scores
    .flatMap((score, i) => (score === undefined ? [] : [{ score, i }]))
    .sort((a, b) => b.score - a.score || a.i - b.i)
  const ranks = new Array<number | undefined>(scores.length).fill(undefined)
  for (const [rank, { i }] of order.entries()) ranks[i] = rank + 1
  return ranks
}

/** The answer for one candidate, kept by the candidate's key. */
export interface Standing {
  rank: number | undefined
  /** The value that the rank is by. */
  score: number | undefined
  prediction: Prediction | null
  /** The candidate's values that it answers. */
  values: Values
}

/** Which of the candidates to look into: the one that the reader chose, else the best-ranked one, else the first. */
export function placeToLookInto(
  candidates: readonly { key: number }[],
  chosen: number | undefined,
  standings: ReadonlyMap<number, Pick<Standing, 'rank'>>,
): number {
  const place = candidates.findIndex(({ key }) => key === chosen)
  if (place >= 0) return place
  const ranks = candidates.map(({ key }) => standings.get(key)?.rank ?? Number.POSITIVE_INFINITY)
  return ranks.reduce((best, rank, i) => (rank < ranks[best]! ? i : best), 0)
}

/** `+2`: two places better than before; undefined where there is nothing to compare. */
export function movementOf(before: Pick<Standing, 'rank'> | undefined, now: number | undefined): number | undefined {
  if (before?.rank === undefined || now === undefined) return undefined
  return before.rank - now
}

/** Changes below this share of a probability are noise: the server computes in float32, in batches of any size. */
const noise = 1e-5

/** How far a probability is from another; undefined where that is noise, or one is missing. */
export function differenceOf(now: number | undefined, before: number | undefined): number | undefined {
  if (before === undefined || now === undefined) return undefined
  return Math.abs(now - before) <= noise * Math.max(Math.abs(before), Math.abs(now)) ? undefined : now - before
}

/** The change since before; undefined where there is none, or there is nothing to compare. */
export function changeOf(
  before: Pick<Standing, 'prediction'> | undefined,
  now: Prediction | null,
  task: string,
): number | undefined {
  return differenceOf(probabilityOf(now, task), probabilityOf(before?.prediction, task))
}
