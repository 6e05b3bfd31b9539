import type { FastifyInstance, RouteOptions } from 'fastify'
import type { OutputTensor } from '../../../model/serving/prediction/tensors.ts'
import { predictBody } from '../../body/predict-body.ts'
import { acceptAnyType, bodyBytes } from '../../body/raw-body.ts'
import type { ServerContext } from '../../request/context.ts'
import { answerPrediction, deadlineOf, type Exchange } from '../../request/exchange.ts'
import {
  admittedRequest,
  bodyOptions,
  type OrdinaryRoute,
  plainName,
  predictionRoute,
} from '../../request/prediction-route.ts'
import { type EncodedAnswer, encodeAnswer, outputsOf } from './infer-answer.ts'
import { inferSchema, inferVersionSchema } from './infer-docs.ts'
import { type InferAsked, inferFormat } from './infer-format.ts'

/** Smallest answer that is compressed where its client would like that, bytes: below, it costs more than it saves. */
const worthwhile = 1024

interface InferParams {
  model: string
  version?: string | undefined
}

/** `POST /v2/models/{model}[/versions/{version}]/infer`: the Open Inference Protocol, tensors as JSON or as bytes. */
export async function inferRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  acceptAnyType(app, bodyOptions(context))

  const route: Omit<RouteOptions, 'url' | 'schema'> = {
    ...predictionRoute(context),
    compress: { encodings: ['gzip', 'deflate', 'identity'], threshold: worthwhile, zlibOptions: { level: 1 } },
    async handler(request, reply) {
      const exchange = request[admittedRequest]!
      const answer = await infer(context, exchange, request.params as InferParams, bodyBytes(request))
      reply.headers(headersOf(answer))
      return answer.body
    },
  }
  app.route({ ...route, url: '/v2/models/:model/infer', schema: inferSchema })
  app.route({ ...route, url: '/v2/models/:model/versions/:version/infer', schema: inferVersionSchema })
}

const paths = new RegExp(`^/v2/models/(${plainName})(?:/versions/(${plainName}))?/infer$`)

export const inferRoute: OrdinaryRoute<InferParams> = {
  match(url) {
    const [, model, version] = paths.exec(url) ?? []
    return model === undefined ? undefined : { model, version }
  },
  types: new Set([undefined, 'application/json', 'application/octet-stream']),
  // Where its client would like that, a large response is compressed.
  asksMore: ({ 'accept-encoding': accepts = 'identity' }) => accepts !== 'identity',
  problemsAsText: true,
  async respond(context, exchange, params, bytes) {
    const answer = await infer(context, exchange, params, bytes)
    return { headers: Object.entries(headersOf(answer)).flat(), body: answer.body }
  },
}

function headersOf({ headerLength }: EncodedAnswer): Record<string, string> {
  if (headerLength === undefined) return { 'content-type': 'application/json' }
  return { 'inference-header-content-length': String(headerLength), 'content-type': 'application/octet-stream' }
}

function infer(context: ServerContext, exchange: Exchange, params: InferParams, bytes: Buffer): Promise<EncodedAnswer> {
  const { headers } = exchange
  let asked: InferAsked
  let outputs: readonly OutputTensor[]
  return answerPrediction(
    context,
    exchange,
    (acquire, arrived) => {
      const headerLength = headers['inference-header-content-length'] as string | undefined
      return predictBody(context.reader, inferFormat, { bytes, headerLength }, (given) => {
        asked = given
        const { timeout } = asked.parameters ?? {}
        const deadline = arrived + deadlineOf(timeout ? timeout / 1000 : undefined, headers, context.deadlineMs)
        const model = acquire(params.model, params.version)
        outputs = outputsOf(asked, model.tensors.outputs)
        const tasks = asked.outputs?.length ? outputs.flatMap((output) => output.tasks) : undefined
        return { model, tasks, deadline }
      })
    },
    ({ manifest }, table) => encodeAnswer(manifest, asked, outputs, table),
  )
}
