import { isObject } from '../../../schemas/json.ts'
import { number } from '../../parts/format.ts'
import type { Field, Item, Values } from '../playground/state/model.ts'
import { hasFields, readBody } from '../playground/state/paste.ts'
import type { RequestRecord } from './stages.ts'

/** The values of a recorded request of `POST /predict`, as it names them. */
export interface BodyValues {
  context: Values
  candidates: readonly Values[]
}

/**
 * Undefined where the body was not kept, has tensors, or is no such body. `keyName`: of candidates that are a key
 * alone; the server echoes it as their id.
 */
export function valuesOfBody(
  { url, body }: Pick<RequestRecord, 'url' | 'body'>,
  keyName = 'id',
): BodyValues | undefined {
  if (!isPredict(url) || !isObject(body) || !hasFields(body)) return undefined
  try {
    return readBody(body, keyName)
  } catch {
    return undefined
  }
}

export const isPredict = (url: string): boolean => /(?:^|\/)predict$/.test(url)

/** The names that occur: `id` and `bid`, those of fields in the order of the model, and others. */
export function namesOf(rows: readonly Values[], fields: readonly Pick<Field, 'name'>[]): string[] {
  const found = new Set(rows.flatMap((row) => Object.keys(row)))
  const known = ['id', 'bid', ...fields.map(({ name }) => name)].filter((name) => found.has(name))
  return [...new Set([...known, ...found])]
}

/** Numbers of a vector that its summary names. */
const mostNamed = 3

/** A vector in a few words: `768 numbers: 0.12, −0.4, 3, …`. */
export function describeVector(value: readonly Item[]): string {
  const named = value.slice(0, mostNamed).map((item) => (typeof item === 'number' ? number(item) : item))
  if (value.length > mostNamed) named.push('…')
  const count = value.length === 1 ? '1 number' : `${number(value.length, 9)} numbers`
  return named.length === 0 ? 'no numbers' : `${count}: ${named.join(', ')}`
}
