import type { FastifyInstance } from 'fastify'
import { ModelError } from '../../../base/errors.ts'
import type { ModelStatus, VersionStatus } from '../../../schemas/models.ts'
import type {
  ServingMetadata,
  ServingModels,
  ServingState,
  ServingStatus,
  ServingVersionStatus,
} from '../../../schemas/serving.ts'
import type { ServerContext } from '../../request/context.ts'
import { modelsOf } from '../../request/own-models.ts'
import type { ModelView } from '../../security/areas.ts'
import { find, type ServingParams, servingLabel, servingModel, servingVersion } from './serving.ts'
import { servingMetadataSchemas, servingModelsSchema, servingStatusSchemas } from './serving-docs.ts'
import { describeSignatures } from './serving-signatures.ts'

/**
 * Routes that clients of TensorFlow Serving and of KServe's version 1 ask before they send anything: states, and
 * signatures.
 */
export async function servingMetadataRoutes(
  app: FastifyInstance,
  { context: { registry } }: { context: ServerContext },
): Promise<void> {
  const get = (url: string, schema: object, answer: (params: ServingParams, models: ModelView) => Answer) =>
    app.route<{ Params: ServingParams }>({
      method: 'GET',
      url,
      schema,
      // A string would be given a charset, which not all clients expect.
      handler: async (request, reply) => {
        const described = answer(request.params, modelsOf(request, registry))
        return reply.type('application/json').send(Buffer.from(JSON.stringify(described)))
      },
    })

  const metadata = (params: ServingParams, models: ModelView): ServingMetadata => {
    const { model, release } = find(params, (...asked) => models.acquire(...asked))
    try {
      return describeSignatures(model)
    } finally {
      release()
    }
  }
  const status = (params: ServingParams, models: ModelView) => {
    models.requireScan()
    return describeStatus(
      params,
      models.list().find(({ name }) => name === params.model),
    )
  }

  get('/v1/models', servingModelsSchema, (_, models) => ({ models: models.list().map(({ name }) => name) }))
  for (const [i, path] of [servingModel, servingVersion, servingLabel].entries()) {
    get(path, servingStatusSchemas[i]!, status)
    get(`${path}/metadata`, servingMetadataSchemas[i]!, metadata)
  }
}

type Answer = ServingModels | ServingStatus | ServingMetadata

/** The protocol's names. */
const states: Record<LoadedStatus['state'], ServingState> = {
  loading: 'LOADING',
  ready: 'AVAILABLE',
  scheduled: 'AVAILABLE',
  draining: 'UNLOADING',
  failed: 'END',
}

/** All versions, or the one asked for; throws in TensorFlow Serving's words where there is none. */
function describeStatus({ model, version, label }: ServingParams, known: ModelStatus | undefined): ServingStatus {
  if (known === undefined) throw new ModelError('MODEL_NOT_FOUND', `Could not find any versions of model ${model}`)
  const labels = known.labels ?? {}
  const wanted = label === undefined ? version : Object.hasOwn(labels, label) ? labels[label] : ''
  const loaded = known.versions.filter(isLoaded)
  const versions = loaded.filter((candidate) => wanted === undefined || candidate.version === wanted)
  if (wanted !== undefined && versions.length === 0) {
    const which = label === undefined ? `version ${version}` : `a version labelled ${label}`
    throw new ModelError('VERSION_NOT_FOUND', `Could not find ${which} of model ${model}`)
  }
  return {
    name: model,
    ready: versions.some(({ state }) => states[state] === 'AVAILABLE'),
    model_version_status: versions.map(describeVersion),
  }
}

type LoadedStatus = VersionStatus & { state: Exclude<VersionStatus['state'], 'not_loaded'> }

const isLoaded = (status: VersionStatus): status is LoadedStatus => status.state !== 'not_loaded'

function describeVersion({ version, state, error }: LoadedStatus): ServingVersionStatus {
  const status: ServingVersionStatus['status'] =
    error === undefined ? { error_code: 'OK', error_message: '' } : { error_code: 'UNKNOWN', error_message: error }
  return { version, state: states[state], status }
}
