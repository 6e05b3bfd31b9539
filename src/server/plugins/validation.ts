import { Compile } from 'typebox/compile'
import { invalidRequest } from '../../model/features/problems.ts'
import { PredictEnvelope } from '../../schemas/predict.ts'

const envelope = Compile(PredictEnvelope)

/**
 * Checks the body of `POST /predict`, but not yet the rows: these are the feature encoder's. Fastify calls it in place of
 * its own validator; the error lists every problem with its JSON pointer.
 */
export function validateEnvelope(body: unknown): { value: unknown } | { error: Error } {
  if (envelope.Check(body)) return { value: body }
  const problems = envelope.Errors(body).flatMap(({ keyword, instancePath, message, params }) => {
    if (keyword === 'additionalProperties') {
      const { additionalProperties } = params as { additionalProperties: string[] }
      return additionalProperties.map((name) => ({ path: `${instancePath}/${name}`, message: 'is not known here' }))
    }
    return [{ path: instancePath, message }]
  })
  return { error: invalidRequest(problems.slice(0, 100)) }
}
