import { nameOfDefault, number } from '../../../parts/format.ts'
import type { Notes, StoredValue } from './entities.ts'
import { type Field, itemsOf, textOfValue, type Value } from './model.ts'

/** The values that a field takes, in a few words. */
export function describeField(field: Field): string {
  const { list, length } = field
  if (length !== undefined) return `${number(length, 9)} numbers`
  if (list === undefined) return describeItem(field)
  const weighted = list.weighted ? ' with a weight each' : ''
  return `list of at most ${number(list.max, 9)} values${weighted}; each is ${describeItem(field).replace(/^(?=whole|number)/, 'a ')}`
}

/** The same of one value of a list. */
function describeItem(field: Field): string {
  const { kind, values, minimum, maximum, usual, exclusive_minimum, encoding } = field
  if (values !== undefined) return `one of ${number(values.count, 9)} values`
  if (kind === 'integer' && minimum !== undefined && maximum !== undefined)
    return `whole number, ${number(minimum, 9)} to ${number(maximum, 9)}`
  if (kind === 'hash') return `any text, hashed into ${number(encoding.buckets ?? 0, 9)} buckets`
  const bound = exclusive_minimum === undefined ? '' : `, above ${number(exclusive_minimum)}`
  if (usual !== undefined) return `number, usually ${number(usual[0]!)} to ${number(usual[1]!)}${bound}`
  return `number${bound}`
}

/** The problem of a field: without a value that it needs, what to do, else what the server says. */
export function fieldProblem(field: Field, value: Value | undefined, problem: string | undefined): string | undefined {
  if (!field.required || value !== undefined) return problem
  return `${field.name} is empty. Enter a value: the model has no default for it.`
}

/** The effect of not sending a value that is not required. */
export function describeMissing(field: Field): string {
  return `not sent: counts as ${nameOfDefault(field)}`
}

/** The value that counts where a field of an entity is not sent. `hasKey`: the key is. */
export function describeStored(field: Field, stored: StoredValue | undefined, hasKey: boolean): string {
  if (stored?.isDefault === false) return 'stored in the table'
  if (field.missing === 'error') return stored === undefined && hasKey ? 'not sent' : 'not stored: enter a value'
  return `not stored: counts as ${nameOfDefault(field)}`
}

/** The row of a key. `note`: what the table has of it; undefined: no key is given, or none is looked up yet. */
export function describeKey({ keyOf }: Field, note: Notes[string] | undefined): string {
  const { features, table, name } = keyOf!
  const count = features.length === 1 ? '1 field' : `${number(features.length, 9)} fields`
  const row = note === undefined ? '' : note.found ? '; found' : '; the table does not have it'
  return `key of ${count} in the table ${table?.name ?? name}${row}`
}

/** A stored value in an empty input. */
export const textOfStored = (value: Value | undefined): string | undefined =>
  typeof value === 'object' ? itemsOf(value).join(', ') : textOfValue(value) || undefined

/** The element of a field of the context. */
export const contextId = (index: number): string => `context-${index}`

/** The element of a candidate's cell. */
export const cellId = (key: number, column: string): string =>
  `cell-${key}-${column.replace(/[^A-Za-z0-9]/g, letterCode)}`

/** Ids of elements have no spaces. */
const letterCode = (letter: string) => `_${letter.codePointAt(0)!.toString(16)}_`
