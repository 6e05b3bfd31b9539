import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { inTerms } from '../../model/features/problems.ts'
import type { LoadedModel, PendingPrediction } from '../../model/prediction/model.ts'
import type { QueryRows } from '../../model/prediction/query-rows.ts'
import type { OutputTensor } from '../../model/prediction/tensors.ts'
import type { InferRequest } from '../../schemas/infer.ts'
import type { ServerContext } from '../context.ts'
import { answerPrediction, bodyCounting, deadlineOf, predictionRoute } from '../prediction-route.ts'
import { acceptAnyType, bytesOf } from '../raw-body.ts'
import { encodeAnswer, outputsOf } from './infer-answer.ts'
import { inferSchema, inferVersionSchema } from './infer-docs.ts'
import { readRows } from './infer-features.ts'
import { inTermsOf, readBody } from './infer-request.ts'

/** Smallest answer that is compressed where its client would like that, bytes: below, it costs more than it saves. */
const worthwhile = 4096

type InferRoute = FastifyRequest<{ Params: { model: string; version?: string } }>

/** `POST /v2/models/{model}[/versions/{version}]/infer`: the Open Inference Protocol, tensors as JSON or as bytes. */
export async function inferRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  acceptAnyType(app, bodyCounting(context))

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
  let asked: InferRequest
  let outputs: readonly OutputTensor[]
  return answerPrediction(
    context,
    request,
    reply,
    (acquire, arrived) => {
      const body = readBody(bytesOf(request), headers['inference-header-content-length'] as string | undefined)
      asked = body.request
      const { timeout } = asked.parameters ?? {}
      const deadline = arrived + deadlineOf(timeout ? timeout / 1000 : undefined, headers, context.deadlineMs)
      const model = acquire(params.model, params.version)
      outputs = outputsOf(asked, model.tensors.outputs)
      return predict(model, readRows(body, model), asked.outputs?.length ? outputs : undefined, deadline)
    },
    ({ manifest }, table) => {
      const { body: answer, headerLength } = encodeAnswer(manifest, asked, outputs, table)
      if (headerLength === undefined) reply.type('application/json')
      else reply.header('inference-header-content-length', headerLength).type('application/octet-stream')
      return answer
    },
  )
}

/** Hands the request's tensors to the model; what is wrong with them is told by the tensors' own names. */
function predict(
  model: LoadedModel,
  rows: QueryRows,
  outputs: readonly OutputTensor[] | undefined,
  deadline: number,
): PendingPrediction {
  return inTerms(inTermsOf, () => model.predict({ rows, tasks: outputs?.flatMap(({ tasks }) => tasks), deadline }))
}
