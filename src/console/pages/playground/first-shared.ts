import { firstForm } from './draw.ts'
import { candidatesOf } from './form.ts'
import type { Field } from './model.ts'
import { readJson } from './paste.ts'
import type { Details, Known } from './server.ts'
import { decodeBody, decodeShared, fitForm, type Shared } from './state-codec.ts'

/** What the page begins with, and a word about it where a link could not be followed wholly. */
export interface First {
  shared: Shared
  note: string | undefined
}

/** Reads what the address says: a shared state, a recorded body, or nothing. Never rejects. */
export async function firstShared(query: URLSearchParams, details: Details, known: Known): Promise<First> {
  const fields = (details.fields ?? []) as Field[]
  const plain = (): Shared => ({ form: firstForm(fields, details.example, known) })
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

function fitted(shared: Shared, fields: readonly Field[], plain: () => Shared): First {
  if (shared.inputs !== undefined && fields.length === 0) return { shared, note: undefined }
  const { form, leftOut } = fitForm(shared.form, fields)
  const hasAny =
    Object.keys(form.context).length > 0 || form.candidates.some(({ values }) => Object.keys(values).length > 0)
  if (!hasAny || form.candidates.length === 0)
    return { shared: plain(), note: 'The link is about a model with other fields. Here is an example instead.' }
  return {
    shared: { ...shared, form },
    note:
      leftOut.length === 0
        ? undefined
        : `Left out, since this model has no such field: ${leftOut.slice(0, 8).join(', ')}.`,
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
