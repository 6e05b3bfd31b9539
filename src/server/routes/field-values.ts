import type { FastifyInstance, FastifyReply } from 'fastify'
import { listNames, suggestNames } from '../../model/base/known-names.ts'
import type { FieldValues } from '../../schemas/models.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import { type QuerySchema, queryCompiler } from '../plugins/query.ts'
import { askModel } from '../protocols/open-inference/infer-metadata.ts'
import type { ServerContext } from '../request/context.ts'
import { modelsOf } from '../request/models-of.ts'
import { json, ofField } from '../request/route-docs.ts'
import { fieldValuesExample } from './models-docs.ts'

const page = {
  type: 'object' as const,
  properties: {
    offset: {
      type: 'integer' as const,
      minimum: 0,
      default: 0,
      description: 'Number of values to skip',
    },
    limit: {
      type: 'integer' as const,
      minimum: 1,
      maximum: 1000,
      default: 100,
      description: 'Maximum number of values',
    },
  },
} satisfies QuerySchema

interface FieldValuesRoute {
  Params: { model: string; field: string }
  Querystring: { offset: number; limit: number }
}

/** `GET /models/{model}/fields/{field}/values`: a vocabulary, page by page. */
export async function fieldValuesRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  app.route<FieldValuesRoute>({
    method: 'GET',
    url: '/models/:model/fields/:field/values',
    schema: {
      operationId: 'getFieldValues',
      tags: ['models'],
      summary: 'List the known values of a vocabulary field of the default version, in pages',
      params: ofField,
      querystring: page,
      response: {
        200: json('FieldValues', 'One page, in id order', fieldValuesExample),
        ...problemResponses('INVALID_REQUEST', 'NOT_FOUND', 'MODEL_NOT_FOUND', 'INTERNAL', 'NOT_READY'),
      },
    },
    validatorCompiler: queryCompiler,
    handler: async (request, reply): Promise<FieldValues | FastifyReply> =>
      askModel(modelsOf(request, context.registry), { model: request.params.model }, ({ manifest }) => {
        const {
          params,
          query: { offset, limit },
        } = request
        const { name, version, features } = manifest
        const field = features.find((candidate) => candidate.name === params.field)
        if (field?.kind !== 'vocabulary') {
          const names = features.map((feature) => feature.name)
          const detail = field
            ? `${field.name} is ${field.kind === 'integer' ? 'an' : 'a'} ${field.kind} field of ${name}, which has no list of values; those that have one: ${listNames(features.flatMap(vocabularyName)) || 'none'}`
            : `${name} has no field of this name${suggestNames(params.field, names)}`
          return sendProblem(reply, {
            body: problemDetails('NOT_FOUND', detail, reply.request.id),
            retryAfterSeconds: undefined,
          })
        }
        const { values } = field
        return {
          model: name,
          version,
          field: field.name,
          total: values.length,
          offset,
          values: values.slice(offset, offset + limit),
        }
      }),
  })
}

function vocabularyName({ name, kind }: { name: string; kind: string }): string[] {
  return kind === 'vocabulary' ? [name] : []
}
