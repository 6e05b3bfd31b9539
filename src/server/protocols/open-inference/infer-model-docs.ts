import type { InferConfig, InferDuration, InferStatisticsList } from '../../../schemas/infer-model.ts'
import type { ProblemCode } from '../../../schemas/problem.ts'
import { component } from '../../plugins/openapi-components.ts'
import { inferErrorResponses } from '../../plugins/openapi-errors.ts'
import { optionalBody } from '../../plugins/openapi-schemas.ts'
import { json, ofModel, ofVersion } from '../../request/route-docs.ts'
import { tags } from './infer-docs.ts'

const errors = inferErrorResponses('MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'INTERNAL', 'NOT_READY', 'DRAINING')

const configExample: InferConfig = {
  name: 'ads-funnel',
  platform: 'onnx_layers',
  backend: 'onnx',
  version_policy: { latest: { num_versions: 1 } },
  max_batch_size: 10_000,
  input: [
    { name: 'sparse', data_type: 'TYPE_INT32', dims: [10] },
    { name: 'dense', data_type: 'TYPE_FP32', dims: [5] },
  ],
  output: ['ctr', 'cvr', 'ctcvr'].map((name) => ({ name, data_type: 'TYPE_FP32', dims: [1] })),
  instance_group: [{ name: 'ads-funnel', kind: 'KIND_CPU', count: 2 }],
  dynamic_batching: { max_queue_delay_microseconds: 0 },
  default_model_filename: 'model.json',
}

const duration = (count: number, ns: number): InferDuration => ({ count, ns })
const statisticsExample: InferStatisticsList = {
  model_stats: [
    {
      name: 'ads-funnel',
      version: '1',
      last_inference: 1_767_225_600_000,
      inference_count: 250,
      execution_count: 3,
      inference_stats: {
        success: duration(4, 5_320_000),
        fail: duration(1, 210_000),
        queue: duration(4, 410_000),
        compute_input: duration(4, 620_000),
        compute_infer: duration(4, 2_900_000),
        compute_output: duration(4, 130_000),
        cache_hit: duration(0, 0),
      },
      batch_stats: [
        {
          batch_size: 50,
          compute_input: duration(0, 0),
          compute_infer: duration(1, 480_000),
          compute_output: duration(0, 0),
        },
        {
          batch_size: 100,
          compute_input: duration(0, 0),
          compute_infer: duration(2, 1_700_000),
          compute_output: duration(0, 0),
        },
      ],
    },
  ],
}

const config = {
  tags,
  description: 'For perf_analyzer. `max_batch_size` is the most rows of a request; the server forms its own batches.',
  response: { 200: json('InferConfig', "The model's configuration in Triton's words", configExample), ...errors },
}
const statistics = {
  tags,
  description: 'Counted since a version was loaded, whatever the protocol; all processes together.',
  response: { 200: json('InferStatisticsList', 'One entry per version', statisticsExample), ...errors },
}

export const inferConfigSchema = {
  ...config,
  operationId: 'inferConfig',
  summary: 'Configuration of a model, as Triton has it',
  params: ofModel,
}
export const inferVersionConfigSchema = {
  ...config,
  operationId: 'inferVersionConfig',
  summary: 'Configuration of one version of a model, as Triton has it',
  params: ofVersion,
}
export const inferAllStatisticsSchema = {
  ...statistics,
  operationId: 'inferAllStatistics',
  summary: 'What every version has done, as Triton has it',
  response: { 200: statistics.response[200], ...inferErrorResponses('INTERNAL') },
}
export const inferStatisticsSchema = {
  ...statistics,
  operationId: 'inferStatistics',
  summary: 'What the versions of a model have done, as Triton has it',
  params: ofModel,
}
export const inferVersionStatisticsSchema = {
  ...statistics,
  operationId: 'inferVersionStatistics',
  summary: 'What one version of a model has done, as Triton has it',
  params: ofVersion,
}

const enabled = 'Only where administration is enabled (`MULTIGATE_ADMIN`).'

const repositoryErrors: ProblemCode[] = [
  'INVALID_REQUEST',
  'FORBIDDEN',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'INTERNAL',
  'DRAINING',
]

const body = (name: string, examples: Record<string, { value: unknown }>) => ({
  content: {
    'application/json': { schema: { allOf: [component(name)], 'x-examples': examples, [optionalBody]: true } },
  },
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
    ...inferErrorResponses(...repositoryErrors.filter((code) => code !== 'DRAINING')),
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
    ...inferErrorResponses(...repositoryErrors, 'MODEL_NOT_FOUND', 'NOT_READY'),
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
    ...inferErrorResponses(...repositoryErrors, 'MODEL_NOT_FOUND', 'NOT_READY'),
  },
}
