import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { ModelError } from '../../model/errors.ts'
import { invalidRequest } from '../../model/features/problems.ts'
import type { LoadedModel, PendingPrediction, Query } from '../../model/prediction/model.ts'
import type { ServerContext } from '../context.ts'
import { answerPrediction, deadlineOf, predictionRoute } from '../prediction-route.ts'
import { encodeAnswer } from './infer-answer.ts'
import { inferSchema, inferVersionSchema } from './infer-docs.ts'
import { type InferBody, inTermsOf, readBody, readInputs } from './infer-request.ts'

type InferRoute = FastifyRequest<{ Params: { model: string; version?: string } }>

/** `POST /v2/models/{model}[/versions/{version}]/infer`: the Open Inference Protocol, tensors as JSON or as bytes. */
export async function inferRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  // What a body is called makes no difference: clients send no type, or a form's.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  const route: Omit<RouteOptions, 'url' | 'schema'> = {
    ...predictionRoute(context),
    handler: (request, reply) => infer(context, request as InferRoute, reply),
  }
  app.route({ ...route, url: '/v2/models/:model/infer', schema: inferSchema })
  app.route({ ...route, url: '/v2/models/:model/versions/:version/infer', schema: inferVersionSchema })
}

function infer(context: ServerContext, request: InferRoute, reply: FastifyReply): Promise<Buffer> {
  const { headers, params } = request
  let body: InferBody
  return answerPrediction(
    context,
    request,
    reply,
    (acquire, arrived) => {
      const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      body = readBody(bytes, headers['inference-header-content-length'] as string | undefined)
      const { timeout } = body.request.parameters ?? {}
      const deadline = arrived + deadlineOf(timeout ? timeout / 1000 : undefined, headers, context.deadlineMs)
      return predict(acquire(params.model, params.version), body, deadline)
    },
    ({ manifest }, table) => {
      const { body: answer, headerLength } = encodeAnswer(manifest, body.request, table)
      if (headerLength === undefined) reply.type('application/json')
      else reply.header('inference-header-content-length', headerLength).type('application/octet-stream')
      return answer
    },
  )
}

/** Hands the request's tensors to the model; what is wrong with them is told by the tensors' own names. */
function predict(model: LoadedModel, body: InferBody, deadline: number): PendingPrediction {
  const rows = { form: 'inputs' as const, inputs: readInputs(body, model.tensors.inputs) }
  const { outputs } = body.request
  const tasks = outputs?.length ? outputs.map(({ name }) => name) : undefined
  const query: Query = { rows, tasks, deadline }
  try {
    return model.predict(query)
  } catch (error) {
    if (!(error instanceof ModelError && error.problems)) throw error
    throw invalidRequest(inTermsOf(body, error.problems))
  }
}
