import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { listNames, suggestNames } from '../../model/base/known-names.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { FieldValues } from '../../schemas/models.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import { type QuerySchema, queryCompiler } from '../plugins/query.ts'
import { type AskedModel, askModel } from '../protocols/open-inference/infer-metadata.ts'
import type { ServerContext } from '../request/context.ts'
import { modelsOf } from '../request/models-of.ts'
import { json, ofField, ofVersionField } from '../request/route-docs.ts'
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
  Params: AskedModel & { field: string }
  Querystring: { offset: number; limit: number }
}

const defaultPath = {
  url: '/models/:model/fields/:field/values',
  operationId: 'getFieldValues',
  summary: 'List the known values of a vocabulary field of the default version, in pages',
  params: ofField,
}

const versionPath = {
  url: '/models/:model/versions/:version/fields/:field/values',
  operationId: 'getVersionFieldValues',
  summary: 'List the known values of a vocabulary field of a version, in pages',
  params: ofVersionField,
}

/** `GET /models/{model}[/versions/{version}]/fields/{field}/values`: a vocabulary, page by page. */
export async function fieldValuesRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  for (const { url, ...documented } of [defaultPath, versionPath])
    app.route<FieldValuesRoute>({
      method: 'GET',
      url,
      schema: {
        ...documented,
        tags: ['models'],
        querystring: page,
        response: {
          200: json('FieldValues', 'One page, in id order', fieldValuesExample),
          ...problemResponses(
            'INVALID_REQUEST',
            'NOT_FOUND',
            'MODEL_NOT_FOUND',
            ...(url === versionPath.url ? (['VERSION_NOT_FOUND'] as const) : []),
            'INTERNAL',
            'NOT_READY',
          ),
        },
      },
      validatorCompiler: queryCompiler,
      handler: async (request, reply) =>
        askModel(modelsOf(request, context.registry), request.params, ({ manifest }) =>
          listValues(manifest, request, reply),
        ),
    })
}

function listValues(
  { name, version, features }: Manifest,
  { params, query: { offset, limit } }: Pick<FastifyRequest<FieldValuesRoute>, 'params' | 'query'>,
  reply: FastifyReply,
): FieldValues | FastifyReply {
  const field = features.find((candidate) => candidate.name === params.field)
  if (field?.kind !== 'vocabulary') {
    const names = features.map((feature) => feature.name)
    const detail = field
      ? `${field.name} is ${field.kind === 'integer' ? 'an' : 'a'} ${field.kind} field of ${name}, which has no list of values; those that have one: ${listNames(features.flatMap(vocabularyName)) || 'none'}`
      : `${name} has no field of this name${suggestNames(params.field, names)}`
    return sendProblem(reply, { body: problemDetails('NOT_FOUND', detail, reply.request.id) })
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
}

function vocabularyName({ name, kind }: { name: string; kind: string }): string[] {
  return kind === 'vocabulary' ? [name] : []
}
