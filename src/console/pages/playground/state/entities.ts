import type { FetchedFeatures } from '../../../../schemas/predict.ts'
import { own } from '../../../parts/format.ts'
import { type Candidate, candidatesOf, type Form } from './form.ts'
import {
  type Entity,
  type Field,
  isValue,
  textOfValue,
  type Value,
  type Values,
  valueAt,
  valuesOf,
  withValue,
} from './model.ts'

/** Rows of tables for keys, by entity. */
export type Notes = FetchedFeatures['context']

/** Rows of tables for the keys of a form. */
export interface Stored {
  context: Notes
  /** By the key of the candidate in the form. */
  candidates: ReadonlyMap<number, Notes>
}

export const nothingStored: Stored = { context: {}, candidates: new Map() }

/** The fields of a form: those of the model, of which a table may have some, and before them the keys. */
export function withKeys(fields: readonly Field[], entities: readonly Entity[] = []): readonly Field[] {
  if (entities.length === 0) return fields
  const entityOf = new Map(entities.flatMap((entity) => entity.features.map((name) => [name, entity])))
  const keyOf = new Map(entities.map((entity) => [entity.key, entity]))
  const marked = fields.map((field): Field => {
    const [entity, isKeyOf] = [entityOf.get(field.name), keyOf.get(field.name)]
    if (entity === undefined && isKeyOf === undefined) return field
    return { ...field, ...(entity && { entity, required: false }), ...(isKeyOf && { keyOf: isKeyOf }) }
  })
  const keys = entities.filter(({ key }) => !fields.some(({ name }) => name === key))
  return [...keys.map(keyField), ...marked]
}

/** A key that is no field of the model. */
const keyField = (entity: Entity): Field => ({
  name: entity.key,
  side: entity.side,
  kind: 'hash',
  type: 'string',
  required: false,
  missing: 'default',
  encoding: {},
  keyOf: entity,
})

/** The key that names candidates; undefined where the model has none. */
export const candidateKey = (fields: readonly Field[]): string | undefined =>
  fields.find(({ keyOf }) => keyOf?.side === 'candidate')?.name

/**
 * A form that names keys in place of what tables have: those of the form before, or else the first ones of the table.
 * Without any it stays unchanged.
 */
export function byKeys(form: Form, entities: readonly Entity[] = [], before?: Form): Form {
  const context = entities.reduce((values, entity) => {
    const key = entity.side === 'context' && before ? valueAt(before.context, entity.key) : undefined
    return key === undefined ? values : named(entity, key, values)
  }, form.context)
  const entity = entities.find(({ side }) => side === 'candidate')
  if (entity === undefined) return { ...form, context }
  const used = new Set(before?.candidates.flatMap(({ values }) => valueAt(values, entity.key) ?? []))
  const keys = used.size > 0 ? [...used] : (entity.first_keys ?? [])
  if (keys.length === 0 || form.candidates.length === 0) return { ...form, context }
  const rows = keys.map((key, i) => {
    const { id: _, bid: __, ...values } = form.candidates[i % form.candidates.length]!.values
    return named(entity, key, values)
  })
  return { ...form, context, candidates: candidatesOf(rows, form.candidates[0]!.key) }
}

/** Without what a table has of the key. */
function named({ key: name, features }: Entity, key: Value, values: Values): Values {
  return { [name]: key, ...[...features, name].reduce((all, feature) => withValue(all, feature, undefined), values) }
}

/** Rows that an answer has for the keys of the form that it answers. */
export function storedOf(features: FetchedFeatures | undefined, candidates: readonly Candidate[]): Stored {
  if (features === undefined) return nothingStored
  return {
    context: features.context,
    candidates: new Map(
      candidates.flatMap(({ key }, i) => (features.candidates[i] ? [[key, features.candidates[i]]] : [])),
    ),
  }
}

/** The row of a table for the key in `values`; undefined: there is no key, or its answer is still to come. */
export function noteOf({ name, key }: Entity, values: Values, notes: Notes | undefined): Notes[string] | undefined {
  const note = own(notes, name)
  return note !== undefined && textOfValue(valueAt(values, key)) === note.key ? note : undefined
}

/** The value that counts where a field of an entity is not sent. */
export interface StoredValue {
  /** Undefined: the table has none, and the model no default. */
  value: Value | undefined
  /** It is the default of the model. */
  isDefault: boolean
}

export function storedValue(
  { name, entity }: Field,
  values: Values,
  notes: Notes | undefined,
): StoredValue | undefined {
  const note = entity && noteOf(entity, values, notes)
  // Without a row, defaults stand in only where the model says so.
  if (note === undefined || (!note.found && entity?.unknown !== 'defaults')) return undefined
  const [fetched, usual] = [own(note.fetched, name), own(note.defaults, name)]
  if (isValue(fetched)) return { value: fetched, isDefault: false }
  if (usual === undefined) return undefined
  return { value: isValue(usual) ? usual : undefined, isDefault: true }
}

/** The same form with the values of tables in place of keys. */
export function withStored(form: Form, fields: readonly Field[], { context, candidates }: Stored): Form {
  const keys = fields.flatMap(({ keyOf }) => keyOf ?? [])
  if (keys.length === 0) return form
  return {
    ...form,
    context: unfold(form.context, keys, context),
    candidates: form.candidates.map(({ key, values }) => ({ key, values: unfold(values, keys, candidates.get(key)) })),
  }
}

function unfold(values: Values, entities: readonly Entity[], notes: Notes | undefined): Values {
  return entities.reduce((all, entity) => {
    const fetched = Object.entries(noteOf(entity, values, notes)?.fetched ?? {})
    const known = valuesOf(fetched.map(([name, value]) => [name, isValue(value) ? value : undefined]))
    return { ...known, ...withValue(all, entity.key, undefined) }
  }, values)
}

/**
 * The candidates for a form of requests in which all have the same features. Those that only some send are filled from
 * the table; where only some have a key, values take the place of all keys.
 */
export function inColumns(form: Form, fields: readonly Field[], stored: Stored): Form {
  const key = candidateKey(fields)
  const has = ({ values }: Candidate, name: string) => valueAt(values, name) !== undefined
  if (key === undefined || !form.candidates.some((one) => has(one, key))) return form
  const whole = withStored(form, fields, stored).candidates
  if (!form.candidates.every((one) => has(one, key))) return { ...form, candidates: whole }
  const partial = fields.filter(
    ({ name, entity }) => entity?.key === key && form.candidates.some((one) => has(one, name)),
  )
  const candidates = form.candidates.map(({ key, values }, i) => {
    const filled = valuesOf(partial.map(({ name }) => [name, valueAt(whole[i]!.values, name)]))
    return { key, values: { ...values, ...filled } }
  })
  return { ...form, candidates }
}

/** A candidate of which only the key is sent is that key. */
export function withBareKeys<Body extends { candidates: readonly Values[] }>(body: Body, key: string | undefined) {
  if (key === undefined) return body
  const candidates = body.candidates.map((values) => {
    const value = valueAt(values, key)
    return value !== undefined && Object.keys(values).length === 1 ? value : values
  })
  return { ...body, candidates }
}
