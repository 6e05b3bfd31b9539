import type { FastifyInstance } from 'fastify'
import type { LoadedModel } from '../../../model/serving/prediction/loaded-model.ts'
import type { Registry } from '../../../model/serving/registry/registry.ts'
import type { InferConfig, InferStatisticsList } from '../../../schemas/infer-model.ts'
import type { ServerContext } from '../../request/context.ts'
import { modelsOf, ownStatistics } from '../../request/own-models.ts'
import { keyOfRequest } from '../../security/guarded.ts'
import { type AskedModel, type AskingRequest, askModel, datatypeNames, platformOf } from './infer-metadata.ts'
import {
  inferAllStatisticsSchema,
  inferConfigSchema,
  inferStatisticsSchema,
  inferVersionConfigSchema,
  inferVersionStatisticsSchema,
} from './infer-model-docs.ts'

/** Routes that Triton's own tools ask about a model: its configuration, and what it has done. */
export async function inferModelRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const { registry, peers } = context
  const get = (url: string, schema: object) => ({ method: 'GET', url, schema }) as const

  const all = async () => (await peers?.statistics()) ?? ownStatistics(context)
  const config = (request: AskingRequest) =>
    askModel(modelsOf(request, registry), request.params, (model) => describeConfig(model, registry.mode))
  async function statistics(request: AskingRequest): Promise<InferStatisticsList> {
    askModel(modelsOf(request, registry), request.params, () => undefined)
    const { model, version } = request.params
    const stats = (await all()).filter((one) => one.name === model && (version ?? one.version) === one.version)
    return { model_stats: stats }
  }

  app.route({
    ...get('/v2/models/stats', inferAllStatisticsSchema),
    handler: async (request): Promise<InferStatisticsList> => {
      const models = keyOfRequest(request)?.models
      return { model_stats: (await all()).filter(({ name }) => models === undefined || models.has(name)) }
    },
  })
  for (const [path, configSchema, statisticsSchema] of [
    ['/v2/models/:model', inferConfigSchema, inferStatisticsSchema],
    ['/v2/models/:model/versions/:version', inferVersionConfigSchema, inferVersionStatisticsSchema],
  ] as const) {
    app.route<{ Params: AskedModel }>({
      ...get(`${path}/config`, configSchema),
      handler: async (request) => config(request),
    })
    app.route<{ Params: AskedModel }>({
      ...get(`${path}/stats`, statisticsSchema),
      handler: (request) => statistics(request),
    })
  }
}

/** As Triton's ModelConfig; of its tools, perf_analyzer wants `max_batch_size` to be at least what it sends. */
function describeConfig(model: LoadedModel, mode: Registry['mode']): InferConfig {
  const { manifest, engine, plan, limits, tensors } = model
  const tensor = (name: string, datatype: string, dims: number[]) => ({
    name,
    data_type: `TYPE_${datatype}`,
    ...(dims.length > 0 ? { dims } : { dims: [1], reshape: { shape: [] } }),
  })
  return {
    name: manifest.name,
    platform: platformOf(model),
    backend: engine,
    version_policy: mode === 'all' ? { all: {} } : { latest: { num_versions: 1 } },
    max_batch_size: limits.maxRequestRows,
    input: tensors.inputs.map(({ name, dtype, dims }) => tensor(name, datatypeNames[dtype], dims)),
    output: tensors.outputs.map(({ name, dims }) => tensor(name, 'FP32', dims)),
    instance_group: [{ name: manifest.name, kind: 'KIND_CPU', count: plan.workers }],
    dynamic_batching: { max_queue_delay_microseconds: Math.round(limits.maxDelayMs * 1000) },
    default_model_filename: manifest.graph.file,
  }
}
