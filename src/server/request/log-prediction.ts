import type { IncomingHttpHeaders } from 'node:http'
import { ModelError } from '../../base/errors.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { PredictOptions } from '../../schemas/predict.ts'
import { traceIdOf } from '../plugins/request-id.ts'
import type { LoggedRequest, PredictionLog } from '../prediction-log/prediction-log.ts'
import { type Exchange, lowest } from './admit.ts'
import type { ServerContext } from './context.ts'
import type { Target } from './protocol.ts'

/** How a request ended; times on the clock, ms. */
export interface LogEnd {
  protocol: { format: { name: string }; lengthHeader?: string }
  asked: unknown
  target: Target | undefined
  model: LoadedModel | undefined
  /** Whether it is the version that is pinned. */
  isPinned: boolean
  outcome: string
  /** The error that it failed by. */
  failure: unknown
  began: number
  writeSeconds: number | undefined
  now: number
}

/** The length of a body's JSON part, where the protocol has a header for it. */
export function headerLengthOf(
  { lengthHeader }: Pick<LogEnd['protocol'], 'lengthHeader'>,
  headers: IncomingHttpHeaders,
) {
  return lengthHeader && (headers[lengthHeader] as string | undefined)
}

/** The header of requests that are to be recorded whatever the sampling says. */
const logHeader = 'x-multigate-log'

/** A request that may be logged: those of the console are not. */
export function beginLog(
  log: PredictionLog,
  { guard, admin }: Pick<ServerContext, 'guard' | 'admin'>,
  { headers, id, key }: Exchange,
  body: Buffer,
): LoggedRequest | undefined {
  if (headers.priority === lowest) return undefined
  // Who may administer the server may fill its disk.
  const isAlways = headers[logHeader] === 'always' && (guard === undefined ? admin : key?.scopes.has('admin') === true)
  return log.begin({ id, traceId: traceIdOf(headers.traceparent), body, isAlways })
}

/** Logs it, unless it asks not to be observed. */
export function endLog(
  log: PredictionLog,
  logged: LoggedRequest,
  { headers, arrived, key, pending }: Exchange,
  { protocol, asked, target, model, isPinned, outcome, failure, began, writeSeconds, now }: LogEnd,
): void {
  const options = (asked as { options?: PredictOptions } | undefined)?.options
  if (pending?.observed === false || options?.observe === false) return
  const isRead = Number.isFinite(began)
  const encode = pending && rounded(pending.encodeSeconds * 1000)
  const write = writeSeconds === undefined ? undefined : rounded(writeSeconds * 1000)
  log.ended(logged, {
    protocol: protocol.format.name,
    headerLength: headerLengthOf(protocol, headers),
    key: key?.id,
    model,
    isPinned,
    target,
    rank: options?.rank,
    outcome,
    problems: failure instanceof ModelError ? failure.problems : undefined,
    deadlineMs: target?.deadlineMs,
    ms: {
      total: rounded(now - arrived),
      // A large body is read in another thread, which begins at a time that nobody knows.
      receive: isRead ? rounded(began - arrived) : undefined,
      encode,
      compute: isRead && write !== undefined ? rounded(now - began - encode! - write) : undefined,
      write,
    },
  })
}

const rounded = (ms: number) => Math.round(ms * 1000) / 1000
