import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { PendingPrediction } from '../../model/serving/prediction/loaded-model.ts'
import { type ProblemAnswer, problemDetails, retryAfter } from '../errors/problem-details.ts'
import type { AdmittedEntry, Refusal } from '../overload/admission.ts'
import { traceIdOf } from '../plugins/request-id.ts'
import type { Key } from '../security/keyring.ts'
import type { ServerContext } from './context.ts'
import { headerDeadline } from './deadline.ts'
import type { RequestStages } from './request-timeline.ts'

/** The headers of a request to be predicted, whichever way it came. */
export interface Arrival {
  readonly headers: IncomingHttpHeaders
  readonly id: string
  readonly response: ServerResponse
  /** The name of its protocol. */
  readonly protocol: string
  /** The one that it came with; undefined where clients need none. */
  readonly key: Key | undefined
  /** On the clock, ms. */
  readonly arrived: number
  /** Size of its body, as far as its headers tell; undefined where they don't. */
  readonly bytes: number | undefined
}

/** A request to be predicted, from its admission to its answer. */
export interface Exchange extends Omit<Arrival, 'bytes'> {
  readonly ticket: AdmittedEntry
  /** Undefined where its timeline isn't kept. */
  stages: RequestStages | undefined
  pending: PendingPrediction | undefined
  /** Its body has come, or never will. */
  bodySettled: boolean
}

/**
 * The header `priority` (RFC 9218) of requests that are admitted only while hardly anything waits, as the console's.
 */
export const lowest = 'u=7'

/** Admits a request by its headers alone, before its body is read; or says why not. `now`: on the clock, ms. */
export function admit(context: ServerContext, arrival: Arrival, now: number): Exchange | Refusal {
  const { admission, deadlineMs, metrics } = context
  const { headers, id, response, protocol, key, arrived, bytes } = arrival
  const deadline = headerDeadline(headers['x-deadline-ms']) ?? deadlineMs
  const ticket = admission.enter(deadline, bytes, key?.id, headers.priority === lowest, now)
  if (!ticket.admitted) {
    metrics.shed('busy')
    metrics.ended({ key, outcome: 'queue_full', seconds: (now - arrived) / 1000 })
    logUnread(context, arrival, 'queue_full', now)
    return ticket
  }
  const exchange: Exchange = {
    headers,
    id,
    response,
    protocol,
    key,
    arrived,
    ticket,
    stages: undefined,
    pending: undefined,
    bodySettled: false,
  }
  // The request's own signal fires as soon as a body has been read; the response's `close` comes when the client is
  // gone.
  response.on('close', () => {
    ticket.leave()
    if (!response.writableEnded) exchange.pending?.cancel()
  })
  return exchange
}

/** The answer to a request that would be too late. */
export function busyProblem({ message, retryAfterSeconds }: Refusal, id: string): ProblemAnswer {
  const body = problemDetails('QUEUE_FULL', message, id)
  return { body, retryAfterSeconds: retryAfter(retryAfterSeconds) }
}

/** Counts an admitted request whose body will never come whole, or can't be read. */
export function abandon(context: ServerContext, exchange: Exchange, outcome: string): void {
  if (exchange.bodySettled) return
  exchange.bodySettled = true
  const { key, arrived } = exchange
  const now = context.clock.now()
  context.metrics.ended({ key, outcome, seconds: (now - arrived) / 1000 })
  logUnread(context, exchange, outcome, now)
}

/** Records a request whose body was not read, or not whole; those of the console are not recorded. */
function logUnread(
  { predictionLog }: ServerContext,
  { headers, id, protocol, key, arrived }: Omit<Arrival, 'bytes'>,
  outcome: string,
  now: number,
): void {
  if (predictionLog === undefined || headers.priority === lowest) return
  const ms = { total: Math.round((now - arrived) * 1000) / 1000 }
  const request = { id, traceId: traceIdOf(headers.traceparent) }
  predictionLog.unread(request, { protocol, key: key?.id, outcome, ms })
}
