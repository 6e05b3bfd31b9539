import { Compile } from 'typebox/compile'
import { Settings } from 'typebox/system'
import type { Problem } from '../../model/errors.ts'
import { invalidRequest, maxProblems } from '../../model/features/problems.ts'
import { maxTasks, PredictEnvelope } from '../../schemas/predict.ts'

const envelope = Compile(PredictEnvelope)
type SchemaError = ReturnType<typeof envelope.Errors>[number]

/**
 * Checks the body of `POST /predict`, but not yet the rows: these are the feature encoder's. Throws INVALID_REQUEST with
 * every problem and its JSON pointer.
 */
export function checkEnvelope(body: unknown): PredictEnvelope {
  const bad = badTasks(body)
  if (bad !== undefined) throw invalidRequest([bad])
  if (envelope.Check(body)) return body
  throw invalidRequest(allProblems(envelope, body))
}

/** Everything in which a body is not as its schema says. */
export function allProblems(schema: { Errors(value: unknown): SchemaError[] }, body: unknown): Problem[] {
  return allErrors(schema, body).flatMap(({ keyword, instancePath, message }) => {
    // Said already, of each by its name, with the keyword `boolean`.
    if (keyword === 'additionalProperties') return []
    return [{ path: instancePath, message: keyword === 'boolean' ? 'is not known here' : message }]
  })
}

/** The same where null is as good as absent: only what else there could be helps. */
export function helpfulProblems(schema: { Errors(value: unknown): SchemaError[] }, body: unknown): Problem[] {
  return allProblems(schema, body).filter(({ message }) => !/^must be null$|anyOf/.test(message))
}

/** TypeBox hashes tasks to find repeated ones: millions of them, or deeply nested ones, are refused before. */
function badTasks(body: unknown): Problem | undefined {
  const tasks: unknown = (body as PredictEnvelope | null)?.tasks
  if (!Array.isArray(tasks)) return undefined
  if (tasks.length > maxTasks) return { path: '/tasks', message: `must not have more than ${maxTasks} items` }
  const nested = tasks.findIndex((task) => typeof task === 'object')
  return nested < 0 ? undefined : { path: `/tasks/${nested}`, message: 'must be string' }
}

/** TypeBox gathers eight errors unless told otherwise, for the whole process: so it is told for this call alone. */
function allErrors(schema: { Errors(value: unknown): SchemaError[] }, body: unknown): SchemaError[] {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: maxProblems })
  try {
    return schema.Errors(body)
  } finally {
    Settings.Set({ maxErrors })
  }
}
