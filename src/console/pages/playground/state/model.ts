import type { EntityDetails } from '../../../../schemas/entity-details.ts'
import { isObject } from '../../../../schemas/json.ts'
import type { FieldDetails, ModelDetails } from '../../../../schemas/models.ts'
import { own } from '../../../parts/format.ts'

type TaskDetails = NonNullable<ModelDetails['tasks']>[number]

/** A value of a list, a number of a vector, or the one value of any other field. */
export type Item = string | number

/** A list with a weight for each value. A weight that is a text is none: the server explains the mistake. */
export interface Weighted {
  values: readonly Item[]
  weights: readonly Item[]
}

/** A value that a client may send. A field without one is not sent. */
export type Value = Item | readonly Item[] | Weighted

/** Values by field. Names are the model's: read them by `valueAt`, since one may be called `constructor`. */
export type Values = Readonly<Record<string, Value>>

/** Users or candidates whose features come from a table. */
export type Entity = Pick<EntityDetails, 'name' | 'key' | 'side' | 'features' | 'unknown' | 'first_keys'> & {
  table?: { name: string } | undefined
}

/** A field of a model, as `GET /models/{model}` describes it. */
export type Field = Omit<FieldDetails, 'values'> & {
  values?: { count: number; first: string[] }
  /** A table has it, by the key of this entity. */
  entity?: Entity
  /** The key of this entity. */
  keyOf?: Entity
}

/** Whether a field has several values: a list or a vector. */
export const isSeveral = ({ list, length }: Pick<Field, 'list' | 'length'>): boolean =>
  list !== undefined || length !== undefined

export interface Task extends Pick<TaskDetails, 'name' | 'description' | 'product' | 'gate'> {
  /** How the network's probability, or the product, is corrected. */
  calibration?: { method: string }
}

/** One of the bins of a field's values in the drift reference. `share`: of all values. */
export interface Bin {
  label: string
  value?: Item | undefined
  low?: number | undefined
  high?: number | undefined
  share: number
}

/** Bins by field. */
export type Reference = ReadonlyMap<string, readonly Bin[]>

export function valueAt(values: Values, name: string): Value | undefined {
  return own(values, name)
}

/** Values by name, without those that are undefined. */
export function valuesOf(entries: readonly (readonly [name: string, value: Value | undefined])[]): Values {
  return Object.fromEntries(entries.filter((entry): entry is [string, Value] => entry[1] !== undefined))
}

/** With one value replaced; undefined: it is not sent. */
export function withValue(values: Values, name: string, value: Value | undefined): Values {
  const { [name]: _, ...rest } = values
  return value === undefined ? rest : { ...rest, [name]: value }
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i

/**
 * A value of a text that somebody typed. A text that is not a number stays a text where a number is wanted: the server
 * explains the mistake. An empty one is not sent.
 */
export function valueOfText(text: string, type: Field['type']): Item | undefined {
  if (text === '') return undefined
  if (type === 'string') return text
  const trimmed = text.trim()
  const value = decimal.test(trimmed) ? Number(trimmed) : Number.NaN
  return Number.isFinite(value) ? value : text
}

/** The same of a table's cell, in which lists and vectors are JSON, or values with commas between them. */
export function valueOfCell(text: string, field: Pick<Field, 'type' | 'list' | 'length'>): Value | undefined {
  const { type } = field
  return isSeveral(field) && text !== '' ? readItems(text, type) : valueOfText(text, type)
}

/** Several values of a text: JSON of an array or of a weighted list, or values between commas, tabs or lines. */
export function readItems(text: string, type: Field['type']): readonly Item[] | Weighted {
  if (/^\s*[[{]/.test(text)) {
    const read = valueOfJson(jsonOf(text))
    if (typeof read === 'object') return read
  }
  const separator = type === 'string' ? /[,\n\t]/ : /[,;\s]+/
  return text.split(separator).flatMap((part) => valueOfText(part.trim(), type) ?? [])
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function textOfValue(value: Value | undefined): string {
  if (value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** A value of parsed JSON; all but texts, numbers and lists of them become texts, which the server rejects. */
export function valueOfJson(value: unknown): Value | undefined {
  if (value === null || value === undefined) return undefined
  if (isItem(value)) return value
  if (Array.isArray(value)) return value.map(itemOfJson)
  if (!isObject(value) || !Array.isArray(value.values) || !Array.isArray(value.weights)) return JSON.stringify(value)
  return { values: value.values.map(itemOfJson), weights: value.weights.map(itemOfJson) }
}

const itemOfJson = (value: unknown): Item => (isItem(value) ? value : JSON.stringify(value))

export const isItem = (value: unknown): value is Item => typeof value === 'string' || typeof value === 'number'

export function isValue(value: unknown): value is Value {
  const isItems = (values: unknown) => Array.isArray(values) && values.every(isItem)
  return isItem(value) || isItems(value) || (isObject(value) && isItems(value.values) && isItems(value.weights))
}

/** The values of a list, or the numbers of a vector. */
export function itemsOf(value: Value | undefined): readonly Item[] {
  if (value === undefined) return []
  if (typeof value !== 'object') return [value]
  return 'weights' in value ? value.values : value
}

/** Whether two values are the same, or both are missing. */
export const isSame = (a: Value | undefined, b: Value | undefined): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b))
