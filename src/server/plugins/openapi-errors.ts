import type { ProblemCode, ProblemDetails } from '../../schemas/problem.ts'
import { problemDetails, problemTable } from '../errors/problem-details.ts'
import { component } from './openapi-components.ts'

/** Appears in examples. */
const exampleId = '0d4f3c5e-6d6b-4f0e-9a4f-8a4f3a1b2c3d'

/** Responses of a route for these codes, each with an example. Codes that share a status share a response. */
export function problemResponses(...codes: ProblemCode[]): Record<number, unknown> {
  return errorResponses(codes, 'application/problem+json', 'ProblemDetails', exampleOf)
}

/** The same for routes of the Open Inference Protocol, which knows an error's text alone. */
export function inferErrorResponses(...codes: ProblemCode[]): Record<number, unknown> {
  return textResponses(codes, 'input "dense"[7, 0] must be finite')
}

/** And for those of TensorFlow Serving, which has the same. */
export function servingErrorResponses(...codes: ProblemCode[]): Record<number, unknown> {
  return textResponses(codes, '/instances/7/price must be a number, not a string')
}

function textResponses(codes: ProblemCode[], invalid: string): Record<number, unknown> {
  return errorResponses(codes, 'application/json', 'InferError', (code) => ({
    error: code === 'INVALID_REQUEST' ? invalid : exampleOf(code).detail,
  }))
}

function errorResponses(
  codes: ProblemCode[],
  type: string,
  schema: string,
  example: (code: ProblemCode) => unknown,
): Record<number, unknown> {
  const responses: Record<number, unknown> = {}
  for (const status of new Set(codes.map((code) => problemTable[code].status))) {
    const sharing = codes.filter((code) => problemTable[code].status === status)
    responses[status] = {
      description: sharing.map((code) => `${code}: ${problemTable[code].title}`).join('. '),
      content: {
        [type]: {
          schema: component(schema),
          examples: Object.fromEntries(sharing.map((code) => [code, { value: example(code) }])),
        },
      },
    }
  }
  return responses
}

/** The response to a request that is not valid HTTP, on any path. */
export const unreadable = {
  description: 'INVALID_REQUEST: The request could not be read',
  content: {
    'application/problem+json': {
      schema: { $ref: '#/components/schemas/ProblemDetails' },
      examples: { INVALID_REQUEST: { value: unreadableExample() } },
    },
  },
}

function unreadableExample(): ProblemDetails {
  const message = 'The request has larger headers than are read'
  return problemDetails('INVALID_REQUEST', message, exampleId, { errors: [{ path: '', message }] })
}

function exampleOf(code: ProblemCode): ProblemDetails {
  const id = exampleId
  switch (code) {
    case 'INVALID_REQUEST':
      return problemDetails(code, '/candidates/7/price must be a number, not a string', id, {
        errors: [{ path: '/candidates/7/price', message: 'must be a number, not a string' }],
      })
    case 'DEADLINE_EXCEEDED':
      return problemDetails(code, "The request's deadline passed while it waited", id, { stage: 'queue' })
    default:
      return problemDetails(code, problemTable[code].title, id)
  }
}
