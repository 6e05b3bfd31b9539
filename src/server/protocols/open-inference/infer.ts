import type { FastifyInstance, RouteOptions } from 'fastify'
import { acceptAnyType } from '../../body/raw-body.ts'
import type { ServerContext } from '../../request/context.ts'
import { bodyOptions, predictionRoute } from '../../request/prediction-route.ts'
import { type FastProtocol, plainName } from '../../request/protocol.ts'
import { encodeAnswer, outputsOf } from './infer-answer.ts'
import { inferSchema, inferVersionSchema } from './infer-docs.ts'
import { type InferAsked, inferFormat } from './infer-format.ts'

/** Smallest answer that is compressed where its client would like that, bytes: below, it costs more than it saves. */
const worthwhile = 1024

interface InferParams {
  model: string
  version?: string | undefined
}

const paths = new RegExp(`^/v2/models/(${plainName})(?:/versions/(${plainName}))?/infer$`)

const lengthHeader = 'inference-header-content-length'

/** The Open Inference Protocol, tensors as JSON or as bytes. */
export const inferProtocol: FastProtocol<InferParams, InferAsked> = {
  format: inferFormat,
  lengthHeader,
  target({ parameters }, { model, version }) {
    const { timeout } = parameters ?? {}
    return { model, version, deadlineMs: timeout ? timeout / 1000 : undefined }
  },
  ask(asked, { tensors }) {
    const outputs = outputsOf(asked, tensors.outputs)
    return { tasks: asked.outputs?.length ? outputs.flatMap(({ tasks }) => tasks) : undefined, whole: true }
  },
  write(table, asked, { manifest, tensors }) {
    const { headerLength, body } = encodeAnswer(manifest, asked, outputsOf(asked, tensors.outputs), table)
    if (headerLength === undefined) return { headers: ['content-type', 'application/json'], body }
    return { headers: [lengthHeader, String(headerLength), 'content-type', 'application/octet-stream'], body }
  },
  ordinary: {
    match(url) {
      const [, model, version] = paths.exec(url) ?? []
      return model === undefined ? undefined : { model, version }
    },
    types: new Set([undefined, 'application/json', 'application/octet-stream']),
    // Where its client would like that, a large response is compressed.
    asksMore: ({ 'accept-encoding': accepts = 'identity' }) => accepts !== 'identity',
    problemsAsText: true,
  },
}

/** `POST /v2/models/{model}[/versions/{version}]/infer`. */
export async function inferRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  acceptAnyType(app, bodyOptions(context))
  const route: Omit<RouteOptions, 'url'> = {
    ...predictionRoute(context, inferProtocol),
    compress: { encodings: ['gzip', 'deflate', 'identity'], threshold: worthwhile, zlibOptions: { level: 1 } },
  }
  app.route({ ...route, url: '/v2/models/:model/infer', schema: inferSchema })
  app.route({ ...route, url: '/v2/models/:model/versions/:version/infer', schema: inferVersionSchema })
}
