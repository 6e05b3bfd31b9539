import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { LayoutEntity } from '../../../model/serving/features/entities.ts'
import type { FieldColumn } from '../../../model/serving/features/field-column.ts'
import type { LoadedModel } from '../../../model/serving/prediction/loaded-model.ts'
import type { InferLive, InferModel, InferReady, InferServer } from '../../../schemas/infer.ts'
import type { ServerContext } from '../../request/context.ts'
import { modelsOf, unreadyReasons } from '../../request/own-models.ts'
import type { ModelView } from '../../security/areas.ts'
import {
  inferLiveSchema,
  inferModelReadySchema,
  inferModelSchema,
  inferModelVersionReadySchema,
  inferModelVersionSchema,
  inferReadySchema,
  inferServerSchema,
} from './infer-docs.ts'
import { offsetsName, weightsName } from './infer-lists.ts'
import { datatypesOf } from './infer-tensors.ts'

/** Extensions of the protocol that this server has, by the names that its clients look for. */
const extensions = ['binary_tensor_data', 'model_configuration', 'statistics']
/** And where administration is enabled. */
const adminExtensions = ['model_repository']

/**
 * Routes that clients of the Open Inference Protocol ask before they send anything: health, and what tensors a model
 * takes.
 */
export async function inferMetadataRoutes(
  app: FastifyInstance,
  { context, version }: { context: ServerContext; version: string },
): Promise<void> {
  const { registry, admin } = context
  const get = (url: string, schema: object) => ({ method: 'GET', url, schema }) as const

  app.route({
    ...get('/v2', inferServerSchema),
    handler: async (): Promise<InferServer> => ({
      name: 'multigate',
      version,
      extensions: admin ? [...extensions, ...adminExtensions] : extensions,
    }),
  })
  app.route({
    ...get('/v2/health/live', inferLiveSchema),
    config: { probes: true },
    handler: async (): Promise<InferLive> => ({ live: true }),
  })
  app.route({
    ...get('/v2/health/ready', inferReadySchema),
    config: { probes: true },
    handler: async (_, reply): Promise<InferReady | Buffer> => {
      const reasons = await unreadyReasons(context)
      if (reasons.length === 0) return { ready: true }
      const answer: InferReady = { ready: false, error: reasons.join('; ') }
      // As all errors: bare `application/json`, which only bytes keep.
      reply.status(503).type('application/json')
      return Buffer.from(JSON.stringify(answer))
    },
  })

  const inferModelOf = (request: AskingRequest): InferModel =>
    askModel(modelsOf(request, registry), request.params, (model) =>
      describeModel(model, versionsOf(request.params.model)),
    )
  const versionsOf = (name: string) =>
    (registry.list().find((model) => model.name === name)?.versions ?? [])
      .filter(({ state }) => state === 'ready')
      .map(({ version }) => version)
  const ready = (request: AskingRequest): InferReady =>
    askModel(modelsOf(request, registry), request.params, ({ manifest }) => ({
      name: manifest.name,
      ready: true,
    }))

  for (const [path, modelSchema, readySchema] of [
    ['/v2/models/:model', inferModelSchema, inferModelReadySchema],
    ['/v2/models/:model/versions/:version', inferModelVersionSchema, inferModelVersionReadySchema],
  ] as const) {
    app.route<{ Params: AskedModel }>({ ...get(path, modelSchema), handler: async (request) => inferModelOf(request) })
    app.route<{ Params: AskedModel }>({
      ...get(`${path}/ready`, readySchema),
      handler: async (request) => ready(request),
    })
  }
}

/** The protocol's names of datatypes. */
export const datatypeNames = { int32: 'INT32', int64: 'INT64', float32: 'FP32', bool: 'BOOL' } as const

/** The model, and perhaps the version, that a path names. */
export interface AskedModel {
  model: string
  version?: string
}

/** A request whose path names a model. */
export type AskingRequest = FastifyRequest<{ Params: AskedModel }>

/** Asks a model that answers about itself; throws as a request to it would. */
export function askModel<T>(
  models: Pick<ModelView, 'acquire'>,
  { model: name, version }: AskedModel,
  answer: (model: LoadedModel) => T,
): T {
  const { model, release } = models.acquire(name, version)
  try {
    return answer(model)
  } finally {
    release()
  }
}

/** The engine that computes, and the format of the saved graph. */
export const platformOf = ({ engine, manifest }: LoadedModel): string => `${engine}_${manifest.graph.format}`

function describeModel(model: LoadedModel, versions: string[]): InferModel {
  const { manifest, tensors, manifestless, encoder } = model
  const shape = (dims: number[]) => [-1, ...dims]
  return {
    name: manifest.name,
    versions,
    platform: platformOf(model),
    inputs: tensors.inputs.map(({ name, dtype, dims }) => ({
      name,
      datatype: datatypeNames[dtype],
      shape: shape(dims),
    })),
    outputs: tensors.outputs.map(({ name, dims }) => ({ name, datatype: 'FP32', shape: shape(dims) })),
    parameters: {
      datatypes: Object.fromEntries(tensors.inputs.map((input) => [input.name, [...datatypesOf(input)]])),
      // Not among the inputs: clients that make data of their own send all of those.
      ...(manifestless ? {} : { features: encoder.layout.slots.map(describeFeature) }),
      ...(encoder.layout.entities && { keys: encoder.layout.entities.all.map(describeKey) }),
    },
  }
}

/** The datatype that suits the values of a field. */
const featureDatatypes = {
  vocabulary: 'BYTES',
  hash: 'BYTES',
  integer: 'INT64',
  numeric: 'FP64',
  vector: 'FP32',
} as const

/** A key may be sent in place of the features of its entity. */
function describeKey({ key: name, side, slots }: LayoutEntity) {
  return { name, datatype: 'BYTES' as const, shape: [-1], side, instead_of: [...slots].map((slot) => slot.name) }
}

function describeFeature({ group, width, weights, encoder: { field, missing } }: FieldColumn) {
  const { name, side, kind } = field
  const shape = group === undefined ? [-1] : [-1, group.exact ? width : -1]
  return {
    name,
    datatype: featureDatatypes[kind],
    shape,
    side,
    required: typeof missing === 'string',
    ...(group === undefined || group.exact ? {} : { offsets: offsetsName(name) }),
    ...(weights === undefined ? {} : { weights: weightsName(name) }),
  }
}
