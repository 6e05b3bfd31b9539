import type { ProblemCode } from '../../schemas/problem.ts'
import { component } from '../plugins/openapi-components.ts'

/*
 * Parts that the descriptions of several routes share.
 */

const parameters = {
  model: { type: 'string', description: "The model's name", examples: ['ads-funnel'] },
  version: { type: 'string', description: 'One of its versions', examples: ['1'] },
  field: { type: 'string', description: 'One of its fields', examples: ['country'] },
  label: { type: 'string', description: 'A label of one of its versions', examples: ['stable'] },
}

const params = (...names: (keyof typeof parameters)[]) => ({
  type: 'object',
  properties: Object.fromEntries(names.map((name) => [name, parameters[name]])),
  required: names,
})

/** Schemas of the parameters that a path names. */
export const ofModel = params('model')
export const ofField = params('model', 'field')
export const ofVersion = params('model', 'version')
export const ofVersionField = params('model', 'version', 'field')
export const ofLabel = params('model', 'label')

/** An answer as the component of that name, with an example. */
export const json = (name: string, description: string, value: unknown) => ({
  description,
  content: { 'application/json': { schema: component(name), examples: { answer: { value } } } },
})

/** Why a prediction is refused, whatever the protocol. */
export const predictionErrors: ProblemCode[] = [
  'INVALID_REQUEST',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'MODEL_NOT_FOUND',
  'VERSION_NOT_FOUND',
  'TOO_MANY_ROWS',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'QUEUE_FULL',
  'RATE_LIMITED',
  'MODEL_FAILED',
  'INTERNAL',
  'NOT_READY',
  'DRAINING',
  'DEADLINE_EXCEEDED',
]

/** Tensors of one user, and the ads of campaigns c9 and c4. */
export const idRows = [
  [8, 47, 60, 96, 97, 105, 4491, 4563, 4577, 4582],
  [8, 47, 60, 96, 97, 105, 4436, 4563, 4577, 4582],
]
export const numberRows = [
  [1.777, 1.588, 0.075, 2.705, 0.957],
  [1.777, 0.659, 0.075, 2.705, 0.957],
]
