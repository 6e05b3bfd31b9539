import { own } from '../../../parts/format.ts'

/** A value that a client may send. A field without one is not sent. */
export type Value = string | number

/** Values by field. Names are the model's: read them by `valueAt`, since one may be called `constructor`. */
export type Values = Readonly<Record<string, Value>>

/** A field of a model, as `GET /models/{model}` describes it. */
export interface Field {
  name: string
  side: 'context' | 'candidate' | 'cross'
  kind: string
  type: 'string' | 'integer' | 'number'
  required: boolean
  missing: 'error' | 'default'
  default?: Value | undefined
  out_of_vocabulary?: 'bucket' | 'error' | undefined
  values?: { count: number; first: string[] } | undefined
  minimum?: number | undefined
  maximum?: number | undefined
  exclusive_minimum?: number | undefined
  usual?: number[] | undefined
  encoding: { buckets?: number | undefined }
}

export interface Task {
  name: string
  description?: string | undefined
  product?: string[] | undefined
  /** How the network's probability, or the product, is corrected. */
  calibration?: { method: string } | undefined
  gate?: boolean | undefined
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
