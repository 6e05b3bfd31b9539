import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { ModelError, reasonOf } from '../../model/errors.ts'
import { invalidRequest } from '../../model/features/problems.ts'
import type { PendingPrediction, Query } from '../../model/prediction/model.ts'
import type { Lease } from '../../model/registry/registry.ts'
import type { ServerContext } from '../context.ts'
import { encodeAnswer } from './infer-answer.ts'
import { inferSchema, inferVersionSchema } from './infer-docs.ts'
import { type InferBody, inputsOf, inTermsOf, readBody, readInputs } from './infer-request.ts'
import { deadlineOf, headerDeadline, outcomeOf } from './predict.ts'

type InferRoute = FastifyRequest<{ Params: { model: string; version?: string } }>

/** `POST /v2/models/{model}[/versions/{version}]/infer`: the Open Inference Protocol, tensors as JSON or as bytes. */
export async function inferRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const { metrics, admission, deadlineMs } = context
  const counted = new WeakSet<FastifyRequest>()
  // What a body is called makes no difference: clients send no type, or a form's.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  const route: Omit<RouteOptions, 'url' | 'schema'> = {
    method: 'POST',
    // The body is bytes, read below.
    validatorCompiler: () => () => true,
    // Before the body is read: a flood is refused by its headers.
    onRequest(request, reply, done) {
      try {
        admission.enter(headerDeadline(request.headers['x-deadline-ms']) ?? deadlineMs)
        reply.raw.once('close', () => admission.leave())
        done()
      } catch (error) {
        metrics.shed('busy')
        done(error as Error)
      }
    },
    handler(request, reply) {
      counted.add(request)
      return infer(context, request as InferRoute, reply)
    },
    errorHandler(error, request, reply) {
      // A body that can't be read never reaches the handler.
      if (!counted.has(request)) {
        const outcome = request.raw.readableAborted ? 'cancelled' : outcomeOf(error)
        metrics.request(undefined, outcome, reply.elapsedTime / 1000)
      }
      // The application's handler answers, where an Error is thrown: anything else would be sent as it is.
      throw error instanceof Error ? error : new Error(reasonOf(error))
    },
  }
  app.route({ ...route, url: '/v2/models/:model/infer', schema: inferSchema })
  app.route({ ...route, url: '/v2/models/:model/versions/:version/infer', schema: inferVersionSchema })
}

async function infer(context: ServerContext, request: InferRoute, reply: FastifyReply): Promise<FastifyReply> {
  let lease: Lease | undefined
  let outcome = 'ok'
  try {
    const { headers, params } = request
    const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const body = readBody(bytes, headers['inference-header-content-length'] as string | undefined)
    const { timeout } = body.request.parameters ?? {}
    const asked = timeout ? timeout / 1000 : undefined
    const deadline = context.clock.now() - reply.elapsedTime + deadlineOf(asked, headers, context.deadlineMs)
    lease = context.registry.acquire(params.model, params.version)
    const { model } = lease
    const pending = predict(lease, body, deadline)
    context.metrics.encoded(model, pending.rows, pending.encodeSeconds)
    // The request's own signal fires as soon as a body has been read; the answer's `close` comes when the client is gone.
    reply.raw.once('close', () => {
      if (!reply.raw.writableEnded) pending.cancel()
    })
    const table = await pending.table
    context.metrics.predicted(model, table)
    return send(reply, encodeAnswer(model.manifest, body.request, table))
  } catch (error) {
    outcome = outcomeOf(error)
    throw error
  } finally {
    context.metrics.request(lease?.model, outcome, reply.elapsedTime / 1000)
    lease?.release()
  }
}

/** Hands the request's tensors to the model; what is wrong with them is told by the tensors' own names. */
function predict({ model }: Lease, body: InferBody, deadline: number): PendingPrediction {
  const inputs = inputsOf(model)
  const rows = readInputs(body, inputs)
  const { outputs } = body.request
  const tasks = outputs?.length ? outputs.map(({ name }) => name) : undefined
  const query: Query = { rows, tasks, deadline }
  try {
    return model.predict(query)
  } catch (error) {
    if (!(error instanceof ModelError && error.problems)) throw error
    throw invalidRequest(inTermsOf(body, inputs, error.problems))
  }
}

function send(reply: FastifyReply, { body, headerLength }: ReturnType<typeof encodeAnswer>): FastifyReply {
  if (headerLength === undefined) return reply.type('application/json').send(body)
  return reply.header('inference-header-content-length', headerLength).type('application/octet-stream').send(body)
}
