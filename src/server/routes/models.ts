import type { FastifyInstance } from 'fastify'
import { type CatalogueDescription, catalogueBytes } from '../../model/contracts/catalogue.ts'
import type { LoadedModel } from '../../model/prediction/contract.ts'
import { noModel } from '../../model/registry/find.ts'
import type { ModelDetails, ModelList } from '../../schemas/models.ts'
import { residentBytes } from '../metrics/graph-metrics.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import type { ServerContext } from '../request/context.ts'
import { modelsOf } from '../request/models-of.ts'
import { json, ofModel } from '../request/route-docs.ts'
import { describeFields } from './describe-fields.ts'
import { exampleOf } from './example.ts'
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
      const known = models.list()
      const status = known.find((candidate) => candidate.name === name)
      if (status === undefined)
        throw noModel(
          name,
          known.map((model) => model.name),
        )
      // A model that is not served has only its status.
      const answering = status.default_version
      const live = models.live().find((entry) => entry.name === name && entry.version === answering)
      if (live === undefined) return status as ModelDetails
      return { ...status, ...describeModel(live.model, app.prefix), ...(await memoryOf(live.model)) } as ModelDetails
    },
  })
}

/** Nothing where the engine doesn't count. */
async function memoryOf(model: LoadedModel): Promise<Pick<ModelDetails, 'memory'>> {
  const stats = await model.graphStats().catch(() => undefined)
  return stats === undefined ? {} : { memory: residentBytes(stats) }
}

function describeCatalogue(
  catalogue: CatalogueDescription,
): NonNullable<NonNullable<ModelDetails['plan']>['catalogue']> {
  const { rows, precision, made } = catalogue
  return { rows, precision, bytes: catalogueBytes(catalogue), made_at: new Date(made).toISOString() }
}

function describeModel(
  { manifest, encoder, tensors, engine, plan }: LoadedModel,
  prefix: string,
): Partial<ModelDetails> {
  const { version, description, architecture, quality, provenance, graph } = manifest
  return {
    version,
    ...(description === undefined ? {} : { description }),
    ...(architecture === undefined ? {} : { architecture }),
    fields: describeFields(manifest, encoder.layout, prefix),
    inputs: tensors.inputs.map(({ name, dtype, dims }) => ({ name, dtype, shape: dims })),
    tasks: [
      ...manifest.tasks.map((task) => ({ ...task, gate: graph.outputs.gates?.[task.name] !== undefined })),
      ...manifest.derived,
    ],
    ...exampleOf(manifest),
    ...(quality === undefined ? {} : { quality }),
    plan: {
      engine,
      graph: graph.format,
      workers: plan.workers,
      max_batch_rows: plan.maxBatchRows,
      precision: plan.precision,
      tables: plan.tables,
      compiled: plan.compiled,
      compile_seconds: plan.compileSeconds,
      split_by_side: plan.split,
      notes: plan.notes,
      ...(plan.verdict === undefined ? {} : { int8_check: plan.verdict }),
      ...(plan.tablesVerdict === undefined ? {} : { tables_check: plan.tablesVerdict }),
      ...(plan.catalogue === undefined ? {} : { catalogue: describeCatalogue(plan.catalogue) }),
    },
    ...(provenance === undefined ? {} : { provenance }),
  }
}
