import { Compile } from 'typebox/compile'
import { Settings } from 'typebox/system'
import { invalidRequest, maxProblems } from '../../model/features/problems.ts'
import { PredictEnvelope } from '../../schemas/predict.ts'

const envelope = Compile(PredictEnvelope)

/**
 * Checks the body of `POST /predict`, but not yet the rows: these are the feature encoder's. Fastify calls it in place of
 * its own validator; the error lists every problem with its JSON pointer.
 */
export function validateEnvelope(body: unknown): { value: unknown } | { error: Error } {
  if (envelope.Check(body)) return { value: body }
  const problems = allErrors(body).flatMap(({ keyword, instancePath, message, params }) => {
    // Said again, by name, with additionalProperties.
    if (keyword === 'boolean') return []
    if (keyword === 'additionalProperties') {
      const { additionalProperties } = params as { additionalProperties: string[] }
      return additionalProperties.map((name) => ({ path: `${instancePath}/${name}`, message: 'is not known here' }))
    }
    return [{ path: instancePath, message }]
  })
  return { error: invalidRequest(problems.slice(0, maxProblems)) }
}

/** TypeBox gathers eight errors unless told otherwise, for the whole process: so it is told for this call alone. */
function allErrors(body: unknown): ReturnType<typeof envelope.Errors> {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: maxProblems })
  try {
    return envelope.Errors(body)
  } finally {
    Settings.Set({ maxErrors })
  }
}
