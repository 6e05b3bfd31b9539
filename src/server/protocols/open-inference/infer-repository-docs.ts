import type { ProblemCode } from '../../../schemas/problem.ts'
import { component } from '../../plugins/openapi-components.ts'
import { inferErrorResponses } from '../../plugins/openapi-errors.ts'
import { json, ofModel } from '../../request/route-docs.ts'
import { tags } from './infer-docs.ts'

const enabled = 'Only where administration is enabled (`MULTIGATE_ADMIN`).'

const errors: ProblemCode[] = [
  'INVALID_REQUEST',
  'FORBIDDEN',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'INTERNAL',
  'DRAINING',
]

const body = (name: string, examples: Record<string, { value: unknown }>) => ({
  content: { 'application/json': { schema: { allOf: [component(name)], 'x-examples': examples } } },
})

export const inferIndexSchema = {
  operationId: 'inferIndex',
  tags,
  summary: 'Every version in the folder of models, and its state',
  description: enabled,
  body: body('InferIndexRequest', { all: { value: {} }, ready: { value: { ready: true } } }),
  response: {
    200: json('InferIndex', 'By model, the highest version first', [
      { name: 'ads-funnel', version: '2', state: 'UNAVAILABLE', reason: 'model.json is not what the manifest says' },
      { name: 'ads-funnel', version: '1', state: 'READY', reason: '' },
      { name: 'census-income', version: '1', state: 'UNAVAILABLE', reason: 'it was unloaded' },
    ]),
    ...inferErrorResponses(...errors.filter((code) => code !== 'DRAINING')),
  },
}

export const inferLoadSchema = {
  operationId: 'inferLoad',
  tags,
  summary: 'Scan the folder now, and serve a model',
  description:
    `${enabled} Serves an unloaded model again and retries failed versions. Responds when they are ` +
    'loaded in all processes; 503 with the reason if one is not.',
  params: ofModel,
  body: body('InferRepositoryRequest', { plain: { value: {} } }),
  response: {
    200: json('InferRepositoryAnswer', 'It is served', { name: 'ads-funnel', load: true }),
    ...inferErrorResponses(...errors, 'MODEL_NOT_FOUND', 'NOT_READY'),
  },
}

export const inferUnloadSchema = {
  operationId: 'inferUnload',
  tags,
  summary: 'Take a model out of service',
  description: `${enabled} It stays out of service until it is loaded on demand; accepted requests are answered.`,
  params: ofModel,
  body: body('InferRepositoryRequest', { plain: { value: { parameters: { unload_dependents: false } } } }),
  response: {
    200: json('InferRepositoryAnswer', 'It is no longer served', { name: 'ads-funnel', unload: true }),
    ...inferErrorResponses(...errors, 'MODEL_NOT_FOUND', 'NOT_READY'),
  },
}
