import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { OutputTensor } from '../../../model/prediction/tensors.ts'
import { predictBody } from '../../body/predict-body.ts'
import { acceptAnyType, bytesOf } from '../../body/raw-body.ts'
import type { ServerContext } from '../../request/context.ts'
import { answerPrediction, deadlineOf } from '../../request/exchange.ts'
import { admittedRequest, bodyOptions, predictionRoute } from '../../request/prediction-route.ts'
import { encodeAnswer, outputsOf } from './infer-answer.ts'
import { inferSchema, inferVersionSchema } from './infer-docs.ts'
import { type InferAsked, inferFormat } from './infer-format.ts'

/** Smallest answer that is compressed where its client would like that, bytes: below, it costs more than it saves. */
const worthwhile = 1024

type InferRoute = FastifyRequest<{ Params: { model: string; version?: string } }>

/** `POST /v2/models/{model}[/versions/{version}]/infer`: the Open Inference Protocol, tensors as JSON or as bytes. */
export async function inferRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  acceptAnyType(app, bodyOptions(context))

  const route: Omit<RouteOptions, 'url' | 'schema'> = {
    ...predictionRoute(context),
    compress: { encodings: ['gzip', 'deflate', 'identity'], threshold: worthwhile, zlibOptions: { level: 1 } },
    handler: (request, reply) => infer(context, request as InferRoute, reply),
  }
  app.route({ ...route, url: '/v2/models/:model/infer', schema: inferSchema })
  app.route({ ...route, url: '/v2/models/:model/versions/:version/infer', schema: inferVersionSchema })
}

function infer(context: ServerContext, request: InferRoute, reply: FastifyReply): Promise<Buffer> {
  const { headers, params } = request
  let asked: InferAsked
  let outputs: readonly OutputTensor[]
  return answerPrediction(
    context,
    request[admittedRequest]!,
    (acquire, arrived) => {
      const headerLength = headers['inference-header-content-length'] as string | undefined
      return predictBody(context.reader, inferFormat, { bytes: bytesOf(request), headerLength }, (given) => {
        asked = given
        const { timeout } = asked.parameters ?? {}
        const deadline = arrived + deadlineOf(timeout ? timeout / 1000 : undefined, headers, context.deadlineMs)
        const model = acquire(params.model, params.version)
        outputs = outputsOf(asked, model.tensors.outputs)
        const tasks = asked.outputs?.length ? outputs.flatMap((output) => output.tasks) : undefined
        return { model, tasks, deadline }
      })
    },
    ({ manifest }, table) => {
      const { body: answer, headerLength } = encodeAnswer(manifest, asked, outputs, table)
      if (headerLength === undefined) reply.type('application/json')
      else reply.header('inference-header-content-length', headerLength).type('application/octet-stream')
      return answer
    },
  )
}
