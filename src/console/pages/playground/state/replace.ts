import { nameOfDefault } from '../../../parts/format.ts'
import type { PredictBody, Target } from './form.ts'
import { bySequence } from './lists.ts'
import {
  type Bin,
  type Field,
  type Item,
  isSame,
  isSeveral,
  type Reference,
  type Value,
  type Values,
  valueAt,
  valuesOf,
  withValue,
} from './model.ts'
import type { Prediction } from './ranking.ts'

/** Fields of which it is asked at most. */
export const mostFields = 500

/** Fields per request: a request has a row per field, so that its size grows with their square. */
export const fieldsPerRequest = 128

/** A field's value, and the one that takes its place. */
interface Change {
  field: string
  /** Its value now; undefined: it is not sent. */
  now: Value | undefined
  /** Undefined where another candidate does not have it. */
  value: Value | undefined
}

/** A value that takes the place of a field's own; of a sequence, those of all its lists. */
export interface Substitute extends Change {
  /**
   * `default`: the model's own, by not sending it; `commonest`, `middle`: of the drift reference; `empty`: a list
   * without values, or a vector of zeros; `other`: of another candidate.
   */
  kind: 'default' | 'commonest' | 'middle' | 'empty' | 'other'
  /** The name of the value where it stands for others. */
  title?: string
  /** The other lists of the sequence: they must stay equally long. */
  rest?: readonly Change[]
}

/** The changes of a field, or of the lists of a sequence. */
export const changesOf = ({ rest = [], ...first }: Substitute): readonly Change[] => [first, ...rest]

export interface Asked {
  substitutes: Substitute[]
  body: PredictBody
}

/** Requests that replace one field per row, after a row in which none is replaced. */
export interface Replacement {
  requests: Asked[]
  /** Required fields of which the reference has no value. */
  unknown: string[]
  /** Fields that are not sent now. */
  absent: string[]
  /** Fields beyond the most that are asked. */
  beyond: number
}

/** Requests that show what changes when a field is missing. */
export function planMissing(
  target: Target,
  values: Values,
  fields: readonly Field[],
  reference: Reference,
): Replacement {
  const unknown: string[] = []
  const absent: string[] = []
  const substitutes: Substitute[] = []
  for (const group of bySequence(fields.slice(0, mostFields))) {
    const sent = group.filter(({ name }) => valueAt(values, name) !== undefined)
    const names = group.map(({ name }) => name)
    if (sent.length === 0) absent.push(...names)
    else {
      const substitute = missingOf(sent, values, reference.get(group[0]!.name) ?? [])
      if (substitute === undefined) unknown.push(...names)
      else substitutes.push(substitute)
    }
  }
  const beyond = Math.max(0, fields.length - mostFields)
  return { requests: requestsOf(target, values, fields, substitutes), unknown, absent, beyond }
}

/**
 * Requests that show what changes when a field has the value of another candidate. Fields in which the two agree are
 * left out.
 */
export function planOther(target: Target, values: Values, other: Values, fields: readonly Field[]): Replacement {
  const differing = bySequence(fields).flatMap((group): Substitute[] => {
    const [first, ...rest] = group.map(
      ({ name: field }): Change => ({ field, now: valueAt(values, field), value: valueAt(other, field) }),
    )
    const substitute: Substitute = { ...first!, kind: 'other', ...(rest.length > 0 && { rest }) }
    return isUnchanged(substitute) ? [] : [substitute]
  })
  return {
    requests: requestsOf(target, values, fields, differing.slice(0, mostFields)),
    unknown: [],
    absent: [],
    beyond: Math.max(0, differing.length - mostFields),
  }
}

/**
 * Requests that show what changes when a row has a value of another row: of each of the `others` rows that follow it,
 * in a circle.
 */
export function planExchanged(
  target: Target,
  rows: readonly Values[],
  fields: readonly Field[],
  others: number,
): Replacement[] {
  return rows.flatMap((row, i) =>
    Array.from({ length: others }, (_, k) => planOther(target, row, rows[(i + 1 + k) % rows.length]!, fields)),
  )
}

/** At least one request. */
function requestsOf(target: Target, values: Values, fields: readonly Field[], substitutes: Substitute[]): Asked[] {
  const sent = valuesOf(fields.map(({ name }) => [name, valueAt(values, name)]))
  return chunks(substitutes, fieldsPerRequest).map((chunk) => ({
    substitutes: chunk,
    body: requestOf(target, sent, chunk),
  }))
}

/**
 * A field may be in the context or in the candidates, whatever its side: those of a request that are replaced are in
 * its candidates, all others in its context.
 */
function requestOf({ model, version }: Target, sent: Values, chunk: readonly Substitute[]): PredictBody {
  const names = new Set(chunk.flatMap((substitute) => changesOf(substitute).map(({ field }) => field)))
  const part = (isMoved: boolean) =>
    Object.fromEntries(Object.entries(sent).filter(([name]) => names.has(name) === isMoved))
  const base: Values = part(true)
  const rows = chunk.map((substitute) =>
    changesOf(substitute).reduce(
      (row, { field, value }) => withValue(row, field, substitute.kind === 'default' ? undefined : value),
      base,
    ),
  )
  return {
    model,
    ...(version === undefined ? {} : { version }),
    context: part(false),
    candidates: [base, ...rows],
    options: { partial: true },
  }
}

function missingOf(group: readonly Field[], values: Values, bins: readonly Bin[]): Substitute | undefined {
  const changes = (substituteOf: (field: Field) => Value) => {
    const [first, ...rest] = group.map(
      (field): Change => ({ field: field.name, now: valueAt(values, field.name), value: substituteOf(field) }),
    )
    return { ...first!, ...(rest.length > 0 && { rest }) }
  }
  const [field] = group
  if (!group.some(({ required }) => required))
    return { ...changes((one) => one.default ?? ''), kind: 'default', title: nameOfDefault(field!) }
  if (isSeveral(field!))
    return {
      ...changes(({ length = 0 }) => new Array<number>(length).fill(0)),
      kind: 'empty',
      title: field!.length === undefined ? 'an empty list' : 'zeros',
    }
  const typical = typicalOf(bins)
  return typical && { ...changes(() => typical.value), kind: typical.kind }
}

/** The commonest value. Bins of numbers are ranges with as many values each: of those, one in the middle. */
export function typicalOf(bins: readonly Bin[]): { kind: 'commonest' | 'middle'; value: Value } | undefined {
  const known = bins.filter((bin): bin is Bin & { value: Item } => bin.value !== undefined)
  const [first] = known
  if (first === undefined) return undefined
  if (first.low === undefined && first.high === undefined) {
    const { value } = known.reduce((best, bin) => (bin.share > best.share ? bin : best))
    return { kind: 'commonest', value }
  }
  const half = known.reduce((sum, { share }) => sum + share, 0) / 2
  let below = 0
  const middle = known.find(({ share }) => {
    below += share
    return below >= half
  })
  return { kind: 'middle', value: (middle ?? first).value }
}

export interface Effect extends Substitute {
  /** The score with the value that it has, and with the substitute. */
  with: number
  without: number
}

/** The effects of a request's fields on a score. `predictions`: its answer. */
export function effectsOf(
  asked: Asked,
  predictions: readonly (Prediction | null)[],
  score: (prediction: Prediction | null | undefined) => number | undefined,
): Effect[] {
  const base = score(predictions[0])
  if (base === undefined) return []
  return asked.substitutes.flatMap((substitute, i) => {
    const without = score(predictions[i + 1])
    return without === undefined ? [] : [{ ...substitute, with: base, without }]
  })
}

/**
 * The effect of the bid, which is no field of the model: it changes the expected revenue, not the probabilities.
 * `score`: of the candidate's prediction with a bid.
 */
export function effectOfBid(
  now: Value | undefined,
  value: Value | undefined,
  score: (bid: Value | undefined) => number | undefined,
): Effect[] {
  const [base, without] = [score(now), score(value)]
  if (isSame(now, value) || base === undefined || without === undefined) return []
  return [{ field: 'bid', now, kind: 'other', value, with: base, without }]
}

/** The value is the one that counts when the field is missing: taking it away changes nothing. */
export const isUnchanged = (substitute: Substitute): boolean =>
  changesOf(substitute).every(({ now, value }) => isSame(now, value))

/** Largest first; fields that are unchanged last. */
export function bySize(effects: readonly Effect[]): Effect[] {
  const size = (effect: Effect) => (isUnchanged(effect) ? -1 : Math.abs(effect.with - effect.without))
  return [...effects].sort((a, b) => size(b) - size(a))
}

/** How much a field, or a sequence, changes a score in the mean, whether up or down. */
export interface MeanEffect {
  field: string
  size: number
  /** Standard error of `size`. */
  error: number
}

/**
 * Over this many pairs of rows, largest first. A field of which both rows have the same value changes nothing. Pairs of
 * the same rows are not independent: the error is that of as many effects as there are rows.
 */
export function meanEffects(
  effects: readonly Effect[],
  fields: readonly Field[],
  { pairs, rows }: { pairs: number; rows: number },
): MeanEffect[] {
  const sums = new Map(
    bySequence(fields).map((group) => {
      const names = group.map(({ name }) => name)
      return [names[0]!, { field: names.join(', '), sum: 0, squares: 0 }]
    }),
  )
  for (const effect of effects) {
    const of = sums.get(effect.field)!
    const size = Math.abs(effect.with - effect.without)
    of.sum += size
    of.squares += size ** 2
  }
  return [...sums.values()]
    .map(({ field, sum, squares }) => {
      const size = sum / pairs
      return { field, size, error: Math.sqrt(Math.max(0, squares / pairs - size ** 2) / rows) }
    })
    .sort((a, b) => b.size - a.size)
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.max(1, Math.ceil(items.length / size)) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  )
}
