import { describe } from '../../../model/features/field.ts'
import { invalidRequest } from '../../../model/features/problems.ts'
import { ServingEnvelope } from '../../../schemas/serving.ts'
import type { JsonBounds } from '../../body/json-bounds.ts'
import { readJson } from '../../body/read-json.ts'
import { suggestKeys } from '../../errors/suggest-keys.ts'
import { createChecker, helpfulProblems } from '../../plugins/validation.ts'

const schema = createChecker(ServingEnvelope)

/** A body whose form is known, but not yet its model. */
export interface ServingBody {
  form: 'instances' | 'inputs'
  /** What stands under that key. */
  values: unknown
  context: unknown
  signature: string | undefined
  /** It may hold strings as base64. */
  base64: boolean
}

/** Reads a body, and checks what stands around its values. Throws INVALID_REQUEST. */
export function readServingBody(bytes: Buffer, bounds?: JsonBounds): ServingBody {
  const body = readJson(bytes, bounds)
  if (!schema.Check(body)) throw invalidRequest(helpfulProblems(schema, body).map(suggestKeys(ServingEnvelope)))
  const { instances, inputs, context, signature_name: signature } = body
  if (instances !== undefined && inputs !== undefined)
    throw invalidRequest([{ path: '/inputs', message: 'is given beside instances: only one form is possible' }])
  if (instances === undefined && inputs === undefined)
    throw invalidRequest([{ path: '', message: 'must have instances (rows) or inputs (columns)' }])
  const form = instances === undefined ? 'inputs' : 'instances'
  if (form === 'instances' && (!Array.isArray(instances) || instances.length === 0)) {
    const given = Array.isArray(instances) ? 'an empty one' : describe(instances)
    throw invalidRequest([{ path: '/instances', message: `must be an array of at least one row, not ${given}` }])
  }
  // The key may be written with escapes.
  const base64 = bytes.includes('"b64"') || bytes.includes('\\u')
  return { form, values: instances ?? inputs, context, signature: signature || undefined, base64 }
}
