import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { TSchema } from 'typebox'
import {
  InferAnswer,
  InferError,
  InferInput,
  InferLive,
  InferModel,
  InferOutput,
  InferReady,
  InferRequest,
  InferRequestedOutput,
  InferServer,
  InferTensor,
} from '../../schemas/infer.ts'
import { InferConfig, InferStatisticsList } from '../../schemas/infer-model.ts'
import {
  InferIndex,
  InferIndexRequest,
  InferRepositoryAnswer,
  InferRepositoryRequest,
} from '../../schemas/infer-repository.ts'
import {
  FieldDetails,
  FieldValues,
  ModelDetails,
  ModelList,
  ModelStatus,
  Probe,
  VersionStatus,
} from '../../schemas/models.ts'
import {
  Candidate,
  CandidateColumns,
  ColumnsRequest,
  Context,
  DenseRequest,
  FeatureValue,
  InputsRequest,
  PredictAnswer,
  Prediction,
  PredictionColumns,
  PredictOptions,
  PredictRequest,
  RankOptions,
  RowsRequest,
  TensorsRequest,
} from '../../schemas/predict.ts'
import { type ProblemCode, ProblemDetails, ProblemItem } from '../../schemas/problem.ts'
import {
  ServingAnswer,
  ServingColumns,
  ServingContext,
  ServingInputs,
  ServingInstance,
  ServingInstances,
  ServingMetadata,
  ServingModels,
  ServingOutputs,
  ServingPrediction,
  ServingPredictions,
  ServingRequest,
  ServingSignatureDef,
  ServingStatus,
  ServingVersionStatus,
} from '../../schemas/serving.ts'
import { problemDetails, problemTable } from '../errors/problem-details.ts'
import { documentSchemas, finishDocument, nameOf, referenceTo } from './openapi-schemas.ts'

/** Appears in examples. */
const exampleId = '0d4f3c5e-6d6b-4f0e-9a4f-8a4f3a1b2c3d'

const components: Record<string, TSchema> = {
  PredictRequest,
  RowsRequest,
  ColumnsRequest,
  TensorsRequest,
  DenseRequest,
  InputsRequest,
  Context,
  FeatureValue,
  Candidate,
  CandidateColumns,
  PredictOptions,
  RankOptions,
  PredictAnswer,
  Prediction,
  PredictionColumns,
  ProblemDetails,
  ProblemItem,
  ModelList,
  ModelStatus,
  VersionStatus,
  ModelDetails,
  FieldDetails,
  FieldValues,
  Probe,
  InferRequest,
  InferInput,
  InferRequestedOutput,
  InferAnswer,
  InferOutput,
  InferServer,
  InferModel,
  InferTensor,
  InferLive,
  InferReady,
  InferConfig,
  InferStatisticsList,
  InferIndexRequest,
  InferIndex,
  InferRepositoryRequest,
  InferRepositoryAnswer,
  InferError,
  ServingRequest,
  ServingInstances,
  ServingInstance,
  ServingInputs,
  ServingContext,
  ServingAnswer,
  ServingPredictions,
  ServingPrediction,
  ServingOutputs,
  ServingColumns,
  ServingModels,
  ServingStatus,
  ServingVersionStatus,
  ServingMetadata,
  ServingSignatureDef,
}

/** OpenAPI 3.1 at `/docs/json` and `/docs/yaml`, and Swagger UI at `/docs`. Registered before the routes. */
export const openapi = fastifyPlugin(async (app: FastifyInstance, { version }: { version: string }) => {
  for (const schema of Object.values(documentSchemas(components))) app.addSchema(schema)
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
      servers: [{ url: app.prefix || '/', description: 'This server' }],
      // Whoever reaches the port may ask: keys are the business of what stands before it.
      security: [],
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
    transformObject: (document) =>
      'openapiObject' in document ? finishDocument(document.openapiObject, unreadable) : document.swaggerObject,
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) =>
        typeof json.$id === 'string' ? nameOf(json.$id) : `schema-${i}`,
    },
  })
  // In a context of its own: no other answer has these headers.
  await app.register(async (docs) => {
    docs.addHook('onSend', (_request, reply, _payload, done) => {
      reply.headers(docsHeaders)
      done()
    })
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      ...(app.prefix && { indexPrefix: app.prefix }),
      uiHooks: { onRequest: answerOnce(app) },
      uiConfig: { tryItOutEnabled: true, defaultModelsExpandDepth: 0, displayRequestDuration: true },
      theme: {
        title: 'multigate',
        // There is one document, and one server: no need to choose.
        css: [
          { filename: 'theme.css', content: '.swagger-ui .topbar, .swagger-ui .scheme-container { display: none }' },
        ],
      },
    })
  })
})

/**
 * What a browser is to do with the documentation: run the scripts of this server alone, and show it in no other site's frame.
 * Swagger UI writes style attributes.
 */
const docsHeaders = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/** Answers the document, of which there is one, from memory: to write it anew takes milliseconds, of the thread that answers everybody. */
function answerOnce(app: FastifyInstance): onRequestHookHandler {
  const formats = {
    json: { type: 'application/json; charset=utf-8', write: () => JSON.stringify(app.swagger()) },
    yaml: { type: 'application/x-yaml', write: () => app.swagger({ yaml: true }) },
  }
  const written = new Map<string, Buffer>()
  return (request, reply, done) => {
    const format = /\/(json|yaml)$/.exec(request.routeOptions.url ?? '')?.[1] as keyof typeof formats | undefined
    if (format === undefined) return done()
    const { type, write } = formats[format]
    const document = written.get(format) ?? Buffer.from(write())
    written.set(format, document)
    reply.type(type).send(document)
  }
}

/** A reference to one of the document's components. */
export function component(name: keyof typeof components): { $ref: string } {
  return referenceTo(name)
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

/** What any request can be answered that is no proper HTTP, whatever it asks. */
const unreadable = {
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
