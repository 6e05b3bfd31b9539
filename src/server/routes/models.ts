import type { FastifyInstance } from 'fastify'
import { noModel } from '../../model/registry/find.ts'
import type { ModelDetails, ModelList, ModelStatus } from '../../schemas/models.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import type { ServerContext } from '../request/context.ts'
import { modelsOf } from '../request/models-of.ts'
import { json, ofModel } from '../request/route-docs.ts'
import type { ModelView } from '../security/model-view.ts'
import { describeVersion } from './describe-model.ts'
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
      response: {
        200: json('ModelList', 'Every model in the folder, failed versions with their reason', modelListExample),
        ...problemResponses('INTERNAL'),
      },
    },
    handler: async (request): Promise<ModelList> => ({ models: modelsOf(request, registry).list() }),
  })

  app.route<{ Params: { model: string } }>({
    method: 'GET',
    url: '/models/:model',
    schema: {
      operationId: 'getModel',
      tags: ['models'],
      summary: 'Describe a model: fields, tasks, architecture, quality, plan',
      params: ofModel,
      response: {
        200: json('ModelDetails', 'The model and its default version', modelDetailsExample),
        ...problemResponses('MODEL_NOT_FOUND', 'INTERNAL'),
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
      return describeVersion(status, live.model, app.prefix)
    },
  })
}

/** The status of a model. Throws MODEL_NOT_FOUND. */
export function statusOf(models: Pick<ModelView, 'list'>, name: string): ModelStatus {
  const known = models.list()
  const status = known.find((candidate) => candidate.name === name)
  if (status !== undefined) return status
  throw noModel(
    name,
    known.map((model) => model.name),
  )
}
