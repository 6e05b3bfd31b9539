import type { FastifyInstance } from 'fastify'
import type { LoadedModel } from '../../model/prediction/model.ts'
import type { InferLive, InferModel, InferReady, InferServer } from '../../schemas/infer.ts'
import type { ServerContext } from '../context.ts'
import { unreadyReasons } from '../readiness.ts'
import {
  inferLiveSchema,
  inferModelReadySchema,
  inferModelSchema,
  inferModelVersionReadySchema,
  inferModelVersionSchema,
  inferReadySchema,
  inferServerSchema,
} from './infer-docs.ts'

/** Extensions of the protocol that this server has, by the names that its clients look for. */
const extensions = ['binary_tensor_data']

/** What clients of the Open Inference Protocol ask before they send anything: health, and what tensors a model takes. */
export async function inferMetadataRoutes(
  app: FastifyInstance,
  { context, version }: { context: ServerContext; version: string },
): Promise<void> {
  const { registry } = context
  const serializerCompiler = () => JSON.stringify
  const get = (url: string, schema: object) => ({ method: 'GET', url, schema, serializerCompiler }) as const

  app.route({
    ...get('/v2', inferServerSchema),
    handler: async (): Promise<InferServer> => ({ name: 'multigate', version, extensions }),
  })
  app.route({
    ...get('/v2/health/live', inferLiveSchema),
    handler: async (): Promise<InferLive> => ({ live: true }),
  })
  app.route({
    ...get('/v2/health/ready', inferReadySchema),
    handler: async (_, reply): Promise<InferReady> => {
      const ready = (await unreadyReasons(context)).length === 0
      if (!ready) reply.status(503)
      return { ready }
    },
  })

  /** What a model that answers says of itself; throws as a request to it would. */
  function ask<T>({ model: name, version }: Asked, answer: (model: LoadedModel) => T): T {
    const { model, release } = registry.acquire(name, version)
    try {
      return answer(model)
    } finally {
      release()
    }
  }
  const describe = (asked: Asked): InferModel => ask(asked, (model) => describeModel(model, versionsOf(asked.model)))
  const versionsOf = (name: string) =>
    (registry.list().find((model) => model.name === name)?.versions ?? [])
      .filter(({ state }) => state === 'ready')
      .map(({ version }) => version)
  const ready = (asked: Asked): InferReady => ask(asked, ({ manifest }) => ({ name: manifest.name, ready: true }))

  for (const [path, modelSchema, readySchema] of [
    ['/v2/models/:model', inferModelSchema, inferModelReadySchema],
    ['/v2/models/:model/versions/:version', inferModelVersionSchema, inferModelVersionReadySchema],
  ] as const) {
    app.route<{ Params: Asked }>({ ...get(path, modelSchema), handler: async ({ params }) => describe(params) })
    app.route<{ Params: Asked }>({ ...get(`${path}/ready`, readySchema), handler: async ({ params }) => ready(params) })
  }
}

/** The protocol's names. */
const datatypeNames = { int32: 'INT32', int64: 'INT64', float32: 'FP32' } as const

interface Asked {
  model: string
  version?: string
}

function describeModel(model: LoadedModel, versions: string[]): InferModel {
  const { manifest, engine } = model
  return {
    name: manifest.name,
    versions,
    platform: `${engine}_${manifest.graph.format}`,
    inputs: model.tensors.inputs.map(({ name, dtype, dims }) => ({
      name,
      datatype: datatypeNames[dtype],
      shape: [-1, ...dims],
    })),
    outputs: model.tensors.outputs.map(({ name, dims }) => ({ name, datatype: 'FP32', shape: [-1, ...dims] })),
  }
}
