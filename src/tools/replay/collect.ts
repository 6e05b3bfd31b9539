import { createUniform } from '../../base/hash.ts'
import { logit } from '../../model/quality/metrics.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import { ByValue, Differences, rounding } from './differences.ts'
import type { ReplayedRequest } from './replay.ts'

/** Requests whose time is measured. */
const mostTimed = 200
/** Requests of a task with another winner that are listed. */
const mostWinners = 20
/** Values of a slice that are kept apart; others share one. */
const mostValues = 100
/** Differences of a slice's value that quantiles are taken of. */
const keptPerValue = 4000

/** A candidate that was or is the best of its request. */
export interface Winner {
  id: string | null
  place: number
  probability: number
}

/** A request in which another candidate comes first. */
export interface ChangedWinner {
  request: string
  task: string
  before: Winner
  after: Winner
  /** By how much the new winner moved past the old one, as logits. */
  gap: number
  /** Fields in which the two differ: the old winner's value, and the new one's. */
  values: Record<string, [before: FeatureValue, after: FeatureValue]>
}

/** How a task's answers differ, as a whole and by the values of fields. */
export class TaskDifferences extends Differences {
  readonly fields = new Map<string, ByValue>()
  /** By field and value. */
  readonly slices = new Map<string, Map<string, Differences>>()
  readonly changed: ChangedWinner[] = []
}

/** The value of a slice that stands for all beyond the first hundred. */
export const otherValues = 'other values'

/** Collects the differences of replayed requests, in bounded memory. */
export class Collector {
  readonly tasks = new Map<string, TaskDifferences>()
  /** By field, how many candidates have a value that the newer version does not know. */
  readonly unknown = new Map<string, number>()
  readonly versions = new Set<string>()
  requests = 0
  rows = 0
  /** Candidates with an unknown value. */
  strangers = 0
  /** Candidates that have no answer, as tables lack their keys. */
  leftOut = 0
  /** A few requests, drawn evenly. */
  readonly timed: ReplayedRequest[] = []
  readonly #random: () => number
  readonly #slices: readonly string[]

  constructor(tasks: readonly string[], { seed, slices }: { seed: number; slices: readonly string[] }) {
    const random = createUniform(seed)
    this.#random = random
    this.#slices = slices
    for (const task of tasks) this.tasks.set(task, new TaskDifferences(random))
  }

  add(request: ReplayedRequest): void {
    this.requests++
    this.rows += request.rows
    if (request.version !== undefined) this.versions.add(request.version)
    const place = this.timed.length < mostTimed ? this.timed.length : Math.floor(this.#random() * this.requests)
    if (place < mostTimed) this.timed[place] = request
    for (const fields of request.unknown) {
      if (fields === undefined || fields === null || fields.length === 0) continue
      this.strangers++
      const names = new Set(fields.map((field) => field.replace(/\[\d+\]$/, '')))
      for (const name of names) this.unknown.set(name, (this.unknown.get(name) ?? 0) + 1)
    }
    const classes = Object.entries(request.values).map(([field, all]) => [field, all.map(classOf)] as const)
    for (const [task, found] of this.tasks) this.#addTask(found, task, request, classes)
  }

  #addTask(
    found: TaskDifferences,
    task: string,
    request: ReplayedRequest,
    classes: readonly (readonly [field: string, values: readonly string[]])[],
  ): void {
    const [before, after] = [request.before[task]!, request.after[task]!]
    for (let row = 0; row < request.rows; row++) {
      const shift = found.addRow(before[row]!, after[row]!)
      if (shift === undefined) continue
      for (const [field, values] of classes) {
        const byValue = found.fields.get(field) ?? new ByValue()
        found.fields.set(field, byValue)
        byValue.add(values[row]!, shift)
      }
    }
    for (const [field, values] of classes) {
      if (!this.#slices.includes(field)) continue
      const slices = values.map((value) => this.#slice(found, field, value))
      for (let row = 0; row < request.rows; row++) slices[row]!.addRow(before[row]!, after[row]!)
      if (slices.every((slice) => slice === slices[0])) slices[0]!.addRanking(before, after)
    }
    const winners = found.addRanking(before, after)
    if (winners) addWinner(found.changed, task, request, winners)
  }

  #slice({ slices }: TaskDifferences, field: string, value: string): Differences {
    const values = slices.get(field) ?? new Map<string, Differences>()
    slices.set(field, values)
    const name = values.has(value) || values.size < mostValues ? value : otherValues
    const slice = values.get(name) ?? new Differences(this.#random, keptPerValue)
    values.set(name, slice)
    return slice
  }
}

/** Keeps the requests in which the winner was passed by most. */
function addWinner(
  changed: ChangedWinner[],
  task: string,
  request: ReplayedRequest,
  [old, now]: readonly [number, number],
): void {
  const [before, after] = [request.before[task]!, request.after[task]!]
  const gap = logit(after[now]!) - logit(after[old]!) + logit(before[old]!) - logit(before[now]!)
  if (!(gap > rounding) || (changed.length >= mostWinners && gap <= changed.at(-1)!.gap)) return
  const winner = (place: number, of: Float64Array) => ({ id: request.ids[place]!, place, probability: of[place]! })
  const values = Object.entries(request.values)
    .map(([field, all]): [string, [FeatureValue, FeatureValue]] => [field, [all[old]!, all[now]!]])
    .filter(([, [a, b]]) => JSON.stringify(a) !== JSON.stringify(b))
  changed.push({
    ...{ request: request.id, task, gap, before: winner(old, before), after: winner(now, after) },
    values: Object.fromEntries(values),
  })
  changed.sort((a, b) => b.gap - a.gap).splice(mostWinners)
}

/** The value of a slice; numbers have two digits. */
export function classOf(value: FeatureValue): string {
  if (typeof value === 'number') return String(Number(value.toPrecision(2)))
  if (value === null || value === undefined) return 'no value'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
