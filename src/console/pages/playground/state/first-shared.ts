import { listed } from '../../../parts/format.ts'
import { firstForm } from './draw.ts'
import { byKeys, withKeys } from './entities.ts'
import { candidatesOf, type Form } from './form.ts'
import { type Field, type Values, valueAt, valuesOf } from './model.ts'
import { readJson } from './paste.ts'
import type { Details, Known } from './server.ts'
import { decodeBody, decodeShared, fitForm, type Shared } from './state-codec.ts'

/** The state that the page begins with, and a note about it where a link could not be followed wholly. */
export interface First {
  shared: Shared
  note: string | undefined
}

/** Reads what the address says: a shared state, a recorded body, or nothing. Never rejects. */
export async function firstShared(query: URLSearchParams, details: Details, known: Known): Promise<First> {
  const own = (details.fields ?? []) as Field[]
  const fields = withKeys(own, details.entities)
  const plain = (): Shared => ({ form: byKeys(firstForm(own, details.example, known), details.entities) })
  const state = query.get('s')
  const body = query.get('body')
  try {
    if (state !== null) return fitted(await decodeShared(state), fields, plain)
    if (body !== null) return recorded(decodeBody(body), fields)
    return { shared: plain(), note: undefined }
  } catch (error) {
    const reason =
      error instanceof SyntaxError || error instanceof DOMException
        ? 'it is damaged or cut off'
        : (error as Error).message
    return { shared: plain(), note: `This link can’t be read: ${reason}. Here is an example instead.` }
  }
}

/** Share of a model's fields that a form has to have to be of use to it. */
const fewestKept = 0.2

function fitted(shared: Shared, fields: readonly Field[], plain: () => Shared): First {
  if (shared.inputs !== undefined && fields.length === 0) return { shared, note: undefined }
  const { form, leftOut } = fitForm(shared.form, fields)
  const hasAny =
    Object.keys(form.context).length > 0 || form.candidates.some(({ values }) => Object.keys(values).length > 0)
  const sent = new Set([form.context, ...form.candidates.map(({ values }) => values)].flatMap(Object.keys))
  const kept = fields.filter(({ name }) => sent.has(name)).length
  // A form of another model would be filled with examples, but for a field or two.
  const isForeign = leftOut.length > 0 && kept < fields.length * fewestKept
  if (!hasAny || form.candidates.length === 0 || isForeign)
    return { shared: plain(), note: 'The link is about a model with other fields. Here is an example instead.' }
  const { form: filled, added } = leftOut.length === 0 ? { form, added: [] } : fillRequired(form, plain().form, fields)
  const notes = [
    ...(leftOut.length > 0 ? [`Left out, since this model has no such field: ${listed(leftOut)}.`] : []),
    ...(added.length > 0 ? [`Filled with examples, since this model needs them: ${listed(added)}.`] : []),
  ]
  return { shared: { ...shared, form: filled }, note: notes.length === 0 ? undefined : notes.join(' ') }
}

/** Required fields that no part of a form has come from an example: the form was of another model. */
function fillRequired(form: Form, example: Form, fields: readonly Field[]): { form: Form; added: string[] } {
  const isIn = (values: Values, name: string) => valueAt(values, name) !== undefined
  const missing = fields.filter(
    ({ name, required }) =>
      required && !isIn(form.context, name) && !form.candidates.some(({ values }) => isIn(values, name)),
  )
  const taken = (from: Values) => valuesOf(missing.map(({ name }) => [name, valueAt(from, name)]))
  const candidates = form.candidates.map((candidate, i) => ({
    ...candidate,
    values: { ...candidate.values, ...taken(example.candidates[i % example.candidates.length]!.values) },
  }))
  return {
    form: { ...form, context: { ...form.context, ...taken(example.context) }, candidates },
    added: missing.map(({ name }) => name),
  }
}

function recorded(body: unknown, fields: readonly Field[]): First {
  const { inputs } = (body ?? {}) as { inputs?: unknown }
  if (fields.length === 0 && inputs !== undefined)
    return {
      shared: { form: { context: {}, candidates: [], moved: [] }, inputs: JSON.stringify(inputs, null, 2) },
      note: undefined,
    }
  const { context = {}, candidates, moved, notes } = readJson(body, fields)
  return {
    shared: { form: { context, candidates: candidatesOf(candidates), moved } },
    note: notes.length === 0 ? undefined : notes.join(' '),
  }
}
