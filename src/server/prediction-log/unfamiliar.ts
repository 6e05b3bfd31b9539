import { type ColumnGroup, type FieldColumn, unknownTest } from '../../model/serving/features/field-column.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import { isObject } from '../../schemas/json.ts'

/** Names of fields, of a request or of a candidate. */
export interface Unfamiliar {
  /** Those with a value that the version does not know; of a list with the value's place, as in `tags[3]`. */
  unknown: string[] | undefined
  /** Lists with more values than the version takes. */
  cut: string[] | undefined
}

/** Adds what is unfamiliar of a field's value; `other`: the value of another field in the same place. */
export type Judge = (value: unknown, found: Unfamiliar, other: (name: string) => unknown) => void

/** Most unknown values that are named for a request or a candidate. */
const mostUnknown = 100

/** How values are judged, by field; none for fields that know every value. */
export function judgesOf({ slots }: Layout, hasVocabulary: (name: string) => boolean): ReadonlyMap<string, Judge> {
  return new Map(
    slots.flatMap((slot): [string, Judge][] => {
      const { name, encoder, group } = slot
      if (encoder.field.kind === 'vector' || !hasVocabulary(name)) return []
      if (group !== undefined) return [[name, judgeList(slot, group)]]
      const isUnknown = unknownTest(encoder)
      if (isUnknown === undefined) return []
      return [[name, judge]]
      function judge(value: unknown, found: Unfamiliar): void {
        if (value === null || value === undefined) return
        const code = encoder.encode(value)
        if (typeof code === 'number' && isUnknown!(code)) addUnknown(found, name)
      }
    }),
  )
}

function judgeList({ name, encoder }: FieldColumn, { members, max }: ColumnGroup): Judge {
  const isUnknown = unknownTest(encoder)
  return (given, found, other) => {
    const values = itemsOf(given)
    let kept = 0
    for (const [i, value] of values.entries()) {
      const code = encoder.item(value)
      if (code !== undefined) kept++
      if (code === undefined || (typeof code === 'number' && isUnknown?.(code))) addUnknown(found, `${name}[${i}]`)
    }
    if (kept <= max) return
    // A sequence does without the places at which one of its lists does without a value.
    const others = members.filter((one) => one.name !== name)
    const lists = others.map((one) => ({ encoder: one.encoder, values: itemsOf(other(one.name)) }))
    const isKept = (_: unknown, i: number) =>
      encoder.item(values[i]) !== undefined &&
      lists.every(({ encoder, values }) => i >= values.length || encoder.item(values[i]) !== undefined)
    if (values.filter(isKept).length > max) found.cut = [...(found.cut ?? []), name]
  }
}

function itemsOf(given: unknown): readonly unknown[] {
  const values = isObject(given) ? given.values : given
  return Array.isArray(values) ? values : []
}

function addUnknown(found: Unfamiliar, name: string): void {
  if (found.unknown === undefined) found.unknown = [name]
  else if (found.unknown.length < mostUnknown) found.unknown.push(name)
}

/** Both together. */
export const joined = (one: Unfamiliar | undefined, other: Unfamiliar | undefined): Unfamiliar => ({
  unknown: concat(one?.unknown, other?.unknown),
  cut: concat(one?.cut, other?.cut),
})

const concat = (one: string[] | undefined, other: string[] | undefined) =>
  one === undefined || other === undefined ? (one ?? other) : [...one, ...other]
