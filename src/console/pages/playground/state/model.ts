import type { FieldDetails, ModelDetails } from '../../../../schemas/models.ts'
import { own } from '../../../parts/format.ts'

type TaskDetails = NonNullable<ModelDetails['tasks']>[number]

/** A value that a client may send. A field without one is not sent. */
export type Value = string | number | (string | number)[]

/** Values by field. Names are the model's: read them by `valueAt`, since one may be called `constructor`. */
export type Values = Readonly<Record<string, Value>>

/** A field of a model, as `GET /models/{model}` describes it. */
export type Field = Omit<FieldDetails, 'values'> & { values?: { count: number; first: string[] } }

export interface Task extends Pick<TaskDetails, 'name' | 'description' | 'product' | 'gate'> {
  /** How the network's probability, or the product, is corrected. */
  calibration?: { method: string }
}

/** One of the bins of a field's values in the drift reference. `share`: of all values. */
export interface Bin {
  label: string
  value?: Value | undefined
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
export function valueOfText(text: string, type: Field['type']): Value | undefined {
  if (text === '') return undefined
  if (type === 'string') return text
  const trimmed = text.trim()
  const value = decimal.test(trimmed) ? Number(trimmed) : Number.NaN
  return Number.isFinite(value) ? value : text
}

export function textOfValue(value: Value | undefined): string {
  return value === undefined ? '' : String(value)
}

/** A value of parsed JSON; all but texts and numbers become texts, which the server rejects. */
export function valueOfJson(value: unknown): Value | undefined {
  if (value === null || value === undefined) return undefined
  if (typeof value === 'string' || typeof value === 'number') return value
  return JSON.stringify(value)
}
