import { drawItem } from './draw.ts'
import { type Field, type Item, itemsOf, type Value, type Values, valueAt, withValue } from './model.ts'
import type { Prediction } from './ranking.ts'

/** The weights of a list, 1 where it has none. */
export const weightsOf = (value: Value | undefined): readonly Item[] =>
  typeof value === 'object' && 'weights' in value ? value.weights : itemsOf(value).map(() => 1)

const listOf = ({ list }: Field, values: readonly Item[], weights: readonly Item[]): Value =>
  list?.weighted ? { values, weights } : values

/** These fields, those of a sequence side by side, at the place of the first. */
export function bySequence(fields: readonly Field[]): Field[][] {
  const sequences = new Map<string, Field[]>()
  return fields.flatMap((field) => {
    const { sequence } = field
    const found = sequence === undefined ? undefined : sequences.get(sequence)
    if (found !== undefined) {
      found.push(field)
      return []
    }
    const group = [field]
    if (sequence !== undefined) sequences.set(sequence, group)
    return [group]
  })
}

/** The fields among these whose lists stay as long as this one's, itself among them. */
export const sequenceOf = (field: Field, fields: readonly Field[]): readonly Field[] =>
  field.sequence === undefined ? [field] : fields.filter(({ sequence }) => sequence === field.sequence)

/** Values of a list that others take the place of. */
export interface Splice {
  at: number
  /** How many go. */
  count: number
  values: readonly Item[]
  /** A weight of each value; default: 1. */
  weights?: readonly Item[]
}

/**
 * With values of a list replaced. Items that this adds to the lists of its sequence, or removes, do so in all of them:
 * `sequence`, the list among them. An added item is as the last of its list, until the reader changes it.
 */
export function withSplice(values: Values, field: Field, splice: Splice, sequence: readonly Field[]): Values {
  const { at, count } = splice
  const { length } = itemsOf(valueAt(values, field.name))
  const kept = Math.min(count, splice.values.length)
  return sequence.reduce((all, member) => {
    const before = valueAt(values, member.name)
    const [items, weights] = [[...itemsOf(before)], [...weightsOf(before)]]
    if (member === field) {
      const given = splice.weights ?? splice.values.map((_, i) => (i < count ? weights[at + i] : undefined) ?? 1)
      items.splice(at, count, ...splice.values)
      weights.splice(at, count, ...given)
    } else {
      const insert = (place: number, gone: number, size: number) => {
        const added = new Array<Item>(Math.max(0, size)).fill(items.at(-1) ?? usualItem(member))
        items.splice(place, gone, ...added)
        weights.splice(place, gone, ...added.map(() => 1))
      }
      insert(items.length, 0, length - items.length)
      insert(at + kept, count - kept, splice.values.length - kept)
    }
    return withValue(all, member.name, listOf(member, items, weights))
  }, values)
}

/** With another weight of a value. */
export function withWeight(values: Values, field: Field, at: number, weight: Item): Values {
  const before = valueAt(values, field.name)
  const weights = weightsOf(before).map((one, i) => (i === at ? weight : one))
  return withValue(values, field.name, listOf(field, itemsOf(before), weights))
}

const usualItem = (field: Field): Item => drawItem(field, [], () => 0.5)

/** Values that a model doesn't know, by field. */
export type Unknown = ReadonlyMap<string, ReadonlySet<Item>>

const ofList = /^(.*)\[(\d+)\]$/s

/** The values of a row that its answer says are unknown: `country`, or `tags[2]` in a list. */
export function unknownIn(values: Values, prediction: Prediction | null | undefined): Unknown {
  const found = new Map<string, Set<Item>>()
  const names = Array.isArray(prediction?.unknown) ? (prediction.unknown as string[]) : []
  for (const name of names) {
    const [, list, place] = Object.hasOwn(values, name) ? [] : (ofList.exec(name) ?? [])
    const item = itemsOf(valueAt(values, list ?? name))[Number(place ?? 0)]
    if (item === undefined) continue
    const items = found.get(list ?? name) ?? new Set()
    found.set(list ?? name, items.add(item))
  }
  return found
}

export type Fate = 'unknown' | 'dropped' | 'cut'

/** The fate of each value of a list; undefined: it is taken. */
export interface Fates {
  of: readonly (Fate | undefined)[]
  /** Number of values that are left out as unknown, and of those that are cut. */
  dropped: number
  cut: number
}

/** A value that is dropped is so in all lists of its sequence; a list that is too long then is cut. */
export function fatesOf(field: Field, values: Values, sequence: readonly Field[], unknown: Unknown): Fates {
  const items = itemsOf(valueAt(values, field.name))
  const isUnknown = ({ name }: Field, at: number) => {
    const item = itemsOf(valueAt(values, name))[at]
    return item !== undefined && (unknown.get(name)?.has(item) ?? false)
  }
  const isDropped = (at: number) =>
    sequence.some((member) => member.out_of_vocabulary === 'drop' && isUnknown(member, at))
  const places = items.map((_, at) => at).filter((at) => !isDropped(at))
  const { max = places.length, keep = 'first' } = field.list ?? {}
  const beyond = Math.max(0, places.length - max)
  const cut = new Set(keep === 'last' ? places.slice(0, beyond) : places.slice(places.length - beyond))
  return {
    of: items.map((_, at) => {
      if (cut.has(at)) return 'cut'
      if (isDropped(at)) return 'dropped'
      return isUnknown(field, at) ? 'unknown' : undefined
    }),
    dropped: items.length - places.length,
    cut: beyond,
  }
}
