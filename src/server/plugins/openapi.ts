import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { TSchema } from 'typebox'
import {
  InferAnswer,
  InferError,
  InferLive,
  InferModel,
  InferReady,
  InferRequest,
  InferServer,
} from '../../schemas/infer.ts'
import { ModelDetails, ModelList, Probe } from '../../schemas/models.ts'
import { ColumnsRequest, PredictAnswer, PredictRequest, RowsRequest, TensorsRequest } from '../../schemas/predict.ts'
import { type ProblemCode, ProblemDetails } from '../../schemas/problem.ts'
import {
  ServingAnswer,
  ServingInputs,
  ServingInstances,
  ServingMetadata,
  ServingModels,
  ServingRequest,
  ServingStatus,
} from '../../schemas/serving.ts'
import { problemDetails, problemTable } from '../errors.ts'

/** The forms of a request, by a name that readers see. */
const requestForms = [
  { title: 'Rows', ...RowsRequest },
  { title: 'Columns', ...ColumnsRequest },
  { title: 'Tensors', ...TensorsRequest },
]

const servingForms = [
  { title: 'Instances', ...ServingInstances },
  { title: 'Inputs', ...ServingInputs },
]

const components: Record<string, TSchema> = {
  PredictRequest: { ...PredictRequest, title: 'PredictRequest', anyOf: requestForms },
  PredictAnswer,
  ProblemDetails,
  ModelList,
  ModelDetails,
  Probe,
  InferRequest,
  InferAnswer,
  InferServer,
  InferModel,
  InferLive,
  InferReady,
  InferError,
  ServingRequest: { ...ServingRequest, title: 'ServingRequest', anyOf: servingForms },
  ServingAnswer,
  ServingModels,
  ServingStatus,
  ServingMetadata,
}

/** OpenAPI 3.1 at `/docs/json` and `/docs/yaml`, and Swagger UI at `/docs`. Registered before the routes. */
export const openapi = fastifyPlugin(async (app: FastifyInstance, { version }: { version: string }) => {
  for (const [name, schema] of Object.entries(components))
    app.addSchema({ ...(withEnums(schema) as TSchema), $id: name })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'multigate',
        version,
        description:
          'Online inference for multi-task ranking models: one user, N candidates, the probability of every task.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'prediction', description: 'Probabilities for candidates' },
        {
          name: 'open inference protocol',
          description: 'Version 2, with binary tensors, as KServe, Triton and MLServer speak it',
        },
        {
          name: 'tensorflow serving',
          description: 'Its REST interface, which is version 1 of KServe’s protocol too',
        },
        { name: 'models', description: 'What is served' },
        { name: 'operation', description: 'Probes and metrics' },
      ],
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `schema-${i}`),
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { tryItOutEnabled: true, defaultModelsExpandDepth: 0, displayRequestDuration: true },
    theme: {
      title: 'multigate',
      // There is one document, and one server: no need to choose.
      css: [{ filename: 'theme.css', content: '.swagger-ui .topbar, .swagger-ui .scheme-container { display: none }' }],
    },
  })
})

/** Unions of bare literals as one `enum`, which readers and generators of clients understand better. */
function withEnums(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withEnums)
  if (typeof schema !== 'object' || schema === null) return schema
  const entries = Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
    if (key !== 'anyOf' || !Array.isArray(value) || !value.every(isLiteral)) return [[key, withEnums(value)]]
    return [
      ['type', 'string'],
      ['enum', value.map((literal) => literal.const)],
    ]
  })
  return Object.fromEntries(entries)
}

function isLiteral(schema: { const?: unknown; description?: string }): boolean {
  return typeof schema.const === 'string' && schema.description === undefined
}

/** A reference to one of the document's components. */
export function component(name: keyof typeof components): { $ref: string } {
  return { $ref: `${name}#` }
}

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

function exampleOf(code: ProblemCode): ProblemDetails {
  const id = '0d4f3c5e-6d6b-4f0e-9a4f-8a4f3a1b2c3d'
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
