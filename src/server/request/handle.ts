import { ModelError, type ModelErrorCode } from '../../base/errors.ts'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import { translated } from '../../model/serving/features/problems.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { Lease } from '../../model/serving/registry/registry.ts'
import type { BodyRows } from '../body/body-format.ts'
import { openBody, type ReadBody } from '../body/open-body.ts'
import { outcomeOf } from '../errors/problem-details.ts'
import { viewFor } from '../security/areas.ts'
import type { Exchange } from './admit.ts'
import type { ServerContext } from './context.ts'
import { deadlineOf } from './deadline.ts'
import { beginLog, endLog, headerLengthOf } from './log-prediction.ts'
import type { Protocol, Target, WrittenResponse } from './protocol.ts'

/**
 * Answers a request whose body has arrived: reads it, leases a version, predicts, writes. Where nothing has to be
 * waited for, as with a few rows of a small model, all of it happens in this turn of the event loop. Rejects with what
 * is wrong with the request.
 */
export async function handle<Params, Asked>(
  context: ServerContext,
  exchange: Exchange,
  protocol: Protocol<Params, Asked>,
  params: Params,
  bytes: Buffer,
): Promise<WrittenResponse> {
  const { clock, guard, metrics, reader } = context
  const { headers, key, stages, ticket } = exchange
  exchange.bodySettled = true
  let began = clock.now()
  /** The last time that the clock was read. */
  let now = began
  let outcome = 'ok'
  let body: ReadBody<Asked> | undefined
  let target: Target | undefined
  let lease: Lease | undefined
  let found: BodyRows | undefined
  let table: PredictionTable | undefined
  let writeSeconds: number | undefined
  let failure: unknown
  const logged = context.predictionLog && beginLog(context.predictionLog, context, exchange, bytes)
  try {
    const headerLength = headerLengthOf(protocol, headers)
    const opening = openBody(reader, protocol.format, { bytes, headerLength })
    // Another thread reads a large one: for admission, this thread never began.
    if (opening instanceof Promise) began = Number.POSITIVE_INFINITY
    body = opening instanceof Promise ? await opening : opening
    const { asked } = body
    target = protocol.target(asked, params)
    const deadline = ticket.earliestArrival + deadlineOf(target.deadlineMs, headers, context.deadlineMs)

    lease = leaseFor(context, exchange, protocol, target, asked, params)
    const { model } = lease
    stages?.leased(model)

    const question = protocol.ask(asked, model)
    const finding = body.rowsFor(model, logged ? { ...question, follower: logged } : question)
    found = finding instanceof Promise ? await finding : finding
    stages?.read()
    const { tasks, options, problems, whole } = question
    const query = {
      rows: found.rows,
      tasks,
      options,
      problems,
      whole,
      deadline,
      tenant: key?.tenant,
      begun: stages?.begun,
      follower: logged,
    }
    const pending = model.predict(query)
    exchange.pending = pending
    now = clock.now()
    ticket.wasRead(pending.engineSeconds, began, now)
    stages?.encoded(pending)
    if (key !== undefined) guard?.limits.rows(key, pending.rows)
    // The client left while a large body was read.
    if (exchange.response.destroyed) pending.cancel()
    table = pending.computed
    if (table === undefined) {
      table = await pending.table
      now = clock.now()
    }
    stages?.computed(table)

    const computed = now
    const answer = protocol.write(table, asked, model, exchange.id)
    now = clock.now()
    writeSeconds = (now - computed) / 1000
    return answer
  } catch (error) {
    failure = error
    now = clock.now()
    if (exchange.pending === undefined) ticket.wasRead(undefined, began, now)
    body?.close?.()
    outcome = outcomeOf(error)
    const told = found?.inTermsOf === undefined ? error : translated(error, found.inTermsOf)
    throw target !== undefined && target.model === undefined ? ofDefault(told, lease?.model) : told
  } finally {
    const seconds = (now - exchange.arrived) / 1000
    const { model } = lease ?? {}
    const accepted = exchange.pending
    metrics.ended({ model, key, outcome, seconds, accepted, table, writeSeconds, traceId: stages?.traceId })
    if (logged) {
      const isPinned = lease?.isPinned ?? false
      const end = { protocol, asked: body?.asked, target, model, isPinned, outcome, failure, began, now, writeSeconds }
      endLog(context.predictionLog!, logged, exchange, end)
    }
    lease?.release()
  }
}

function leaseFor<Params, Asked>(
  { registry }: ServerContext,
  { key }: Exchange,
  { notFound }: Protocol<Params, Asked>,
  { model, version, label }: Target,
  asked: Asked,
  params: Params,
): Lease {
  try {
    return viewFor(registry, key).acquire(model, version, label)
  } catch (error) {
    throw notFound === undefined ? error : notFound(error, asked, params)
  }
}

/** Codes of errors that a request has for its model alone: a client that names no model may mean another one. */
const ofRequests: readonly ModelErrorCode[] = ['INVALID_REQUEST', 'TOO_MANY_ROWS']

function ofDefault(error: unknown, model: LoadedModel | undefined): unknown {
  if (!(error instanceof ModelError && model !== undefined && ofRequests.includes(error.code))) return error
  const { code, message, problems } = error
  return new ModelError(code, message, {
    ...(problems && { problems }),
    defaultModel: model.manifest.name,
    cause: error,
  })
}
