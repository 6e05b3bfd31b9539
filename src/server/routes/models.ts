import type { FastifyInstance } from 'fastify'
import type { Drift } from '../../model/serving/drift/monitor.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import { noModel } from '../../model/serving/registry/find.ts'
import type { ModelDetails, ModelList, ModelStatus, VersionStatus } from '../../schemas/models.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import type { ServerContext } from '../request/context.ts'
import { modelsOf, ownDrift } from '../request/own-models.ts'
import { json, ofModel } from '../request/route-docs.ts'
import type { ModelView } from '../security/areas.ts'
import { keyOfRequest } from '../security/guarded.ts'
import { describeVersion } from './describe-model.ts'
import { tablesFor } from './feature-tables.ts'
import { modelDetailsExample, modelListExample } from './models-docs.ts'

/** `GET /models` and `GET /models/{model}`: the served models, and the details of each. */
export async function modelRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const { registry } = context

  app.route({
    method: 'GET',
    url: '/models',
    schema: {
      operationId: 'listModels',
      tags: ['models'],
      summary: 'List models and the state of their versions',
      description: 'Failed and unloaded models are listed too, with the reason.',
      response: {
        200: json('ModelList', 'Every model in the folder, failed versions with their reason', modelListExample),
        ...problemResponses('INTERNAL'),
      },
    },
    handler: async (request): Promise<ModelList> => {
      const models = modelsOf(request, registry)
      const drifts = (await context.peers?.drift()) ?? ownDrift(context)
      const driftOf = new Map(drifts.map(({ model, version, drift }) => [`${model}/${version}`, drift]))
      const live = new Map(models.live().map(({ name, version, model }) => [`${name}/${version}`, model]))
      const summarised = models.list().map((status) => ({
        ...status,
        versions: status.versions.map((one) => {
          const key = `${status.name}/${one.version}`
          return { ...one, ...summarise(live.get(key), driftOf.get(key)) }
        }),
      }))
      const key = keyOfRequest(request)
      const administration = context.admin && (key === undefined || key.scopes.has('admin'))
      const { unreadable } = registry.summary()
      const tables = tablesFor(request, context).length
      return {
        models: summarised,
        ...(unreadable !== undefined && { unreadable }),
        ...(tables > 0 && { feature_tables: tables }),
        administration,
      }
    },
  })

  app.route<{ Params: { model: string } }>({
    method: 'GET',
    url: '/models/:model',
    schema: {
      operationId: 'getModel',
      tags: ['models'],
      summary: 'Describe a model: fields, tasks, architecture, quality, plan',
      description: 'A model that answers nothing has only its status.',
      params: ofModel,
      response: {
        200: json('ModelDetails', 'The model and its default version', modelDetailsExample),
        ...problemResponses('MODEL_NOT_FOUND', 'INTERNAL', 'NOT_READY'),
      },
    },
    handler: async (request): Promise<ModelDetails> => {
      const { model: name } = request.params
      const models = modelsOf(request, registry)
      const status = statusOf(models, name)
      // A model that is not served has only its status.
      const answering = status.default_version
      const live = models.live().find((entry) => entry.name === name && entry.version === answering)
      if (live === undefined) return status as ModelDetails
      return describeVersion(context, status, live.model, `${app.prefix}/models/${encodeURIComponent(name)}`)
    },
  })
}

/** The list's figures of a version that is loaded. */
function summarise(model: LoadedModel | undefined, drift: Drift | undefined): Pick<VersionStatus, 'drift' | 'auc'> {
  if (model === undefined) return {}
  const quality = Object.entries(model.manifest.quality ?? {})
  return {
    ...(drift === undefined ? {} : { drift }),
    ...(quality.length === 0 ? {} : { auc: Object.fromEntries(quality.map(([task, { auc }]) => [task, auc])) }),
  }
}

/** The status of a model. Throws MODEL_NOT_FOUND, or NOT_READY where the models folder has never been read. */
export function statusOf(models: Pick<ModelView, 'list' | 'requireScan'>, name: string): ModelStatus {
  const known = models.list()
  const status = known.find((candidate) => candidate.name === name)
  if (status !== undefined) return status
  models.requireScan()
  throw noModel(
    name,
    known.map((model) => model.name),
  )
}
