import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ModelError, reasonOf } from '../../model/errors.ts'
import { invalidRequest } from '../../model/features/problems.ts'
import { writeAnswer } from '../../model/prediction/answer.ts'
import type { LoadedModel, PendingPrediction, QueryRows } from '../../model/prediction/model.ts'
import type { Lease } from '../../model/registry/registry.ts'
import type { PredictEnvelope } from '../../schemas/predict.ts'
import type { ServerContext } from '../context.ts'
import { toProblem } from '../errors.ts'
import { readJson } from '../json/read-body.ts'
import { readTensors } from '../json/read-tensors.ts'
import { checkEnvelope } from '../plugins/validation.ts'
import { predictSchema } from './predict-docs.ts'

/** `POST /predict`: the probability of every task for every candidate. */
export async function predictRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const { metrics, admission, deadlineMs } = context
  const counted = new WeakSet<FastifyRequest>()
  // Read by the handler, which goes on to the tensors without a stop.
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  app.route({
    method: 'POST',
    url: '/predict',
    schema: predictSchema,
    // Body and headers are described for /docs, and checked below.
    validatorCompiler: () => () => true,
    serializerCompiler: () => JSON.stringify,
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
      return predict(context, request as FastifyRequest<{ Body: Buffer | undefined }>, reply)
    },
    errorHandler(error, request, reply) {
      // A body that can't be read, or has another shape, never reaches the handler.
      if (!counted.has(request)) {
        const outcome = request.raw.readableAborted ? 'cancelled' : outcomeOf(error)
        metrics.request(undefined, outcome, reply.elapsedTime / 1000)
      }
      // The application's handler answers, where an Error is thrown: anything else would be sent as it is.
      throw error instanceof Error ? error : new Error(reasonOf(error))
    },
  })
}

async function predict(
  context: ServerContext,
  request: FastifyRequest<{ Body: Buffer | undefined }>,
  reply: FastifyReply,
): Promise<Buffer> {
  let lease: Lease | undefined
  let outcome = 'ok'
  try {
    const bytes = request.body ?? Buffer.alloc(0)
    const body = checkEnvelope(readTensors(bytes) ?? readJson(bytes))
    if (body.version !== undefined && body.label !== undefined) {
      throw invalidRequest([{ path: '/label', message: 'is given beside version: one of them is enough' }])
    }
    const rows = rowsOf(body)
    const asked = body.options?.deadline_ms
    const deadline = context.clock.now() - reply.elapsedTime + deadlineOf(asked, request.headers, context.deadlineMs)
    lease = context.registry.acquire(body.model, body.version, body.label)
    const { model } = lease
    const pending = model.predict({ rows, tasks: body.tasks, options: body.options, deadline })
    return await answer(context, request, reply, model, rows, pending)
  } catch (error) {
    outcome = outcomeOf(error)
    throw error
  } finally {
    context.metrics.request(lease?.model, outcome, reply.elapsedTime / 1000)
    lease?.release()
  }
}

/** `cancelled`, or the code of the error that the client gets. */
export function outcomeOf(error: unknown): string {
  if (error instanceof ModelError && error.code === 'CANCELLED') return 'cancelled'
  return toProblem(error, '').body.code.toLowerCase()
}

async function answer(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  model: LoadedModel,
  rows: QueryRows,
  pending: PendingPrediction,
): Promise<Buffer> {
  context.metrics.encoded(model, pending.rows, pending.encodeSeconds)
  // The request's own signal fires as soon as a body has been read; the answer's `close` comes when the client is gone.
  reply.raw.once('close', () => {
    if (!reply.raw.writableEnded) pending.cancel()
  })
  const table = await pending.table
  context.metrics.predicted(model, table)
  const { name, version } = model.manifest
  const form = rows.form === 'columns' ? 'columns' : 'rows'
  reply.header('content-type', 'application/json; charset=utf-8')
  return writeAnswer({ model: name, version, request_id: request.id }, table, form)
}

/** Which of the three forms the body has. */
function rowsOf({ context, candidates, sparse, dense }: PredictEnvelope): QueryRows {
  if (sparse !== undefined || dense !== undefined) {
    const named = [
      ['/context', context],
      ['/candidates', candidates],
    ].filter(([, value]) => value !== undefined)
    if (named.length === 0) return { form: 'tensors', sparse, dense }
    throw invalidRequest(
      named.map(([path]) => ({
        path: path as string,
        message: 'is given beside tensors (sparse, dense): only one form is possible',
      })),
    )
  }
  const byColumn = typeof candidates === 'object' && candidates !== null && !Array.isArray(candidates)
  return { form: byColumn ? 'columns' : 'rows', context, candidates }
}

/** Milliseconds from arrival: the body's word, else the header's, else the configured default. */
export function deadlineOf(asked: number | undefined, headers: FastifyRequest['headers'], fallback: number): number {
  if (asked !== undefined) return asked
  const header = headers['x-deadline-ms']
  if (header === undefined) return fallback
  const value = headerDeadline(header)
  if (value !== undefined) return value
  const message = 'The header x-deadline-ms must be a number of milliseconds, above 0 and at most 600000'
  throw new ModelError('INVALID_REQUEST', message, { problems: [{ path: '', message }] })
}

/** The header's deadline, ms; undefined where it is none. */
export function headerDeadline(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string' || header.trim() === '') return undefined
  const value = Number(header)
  return value > 0 && value <= 600_000 ? value : undefined
}
