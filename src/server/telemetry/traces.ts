import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { BatchCall } from '../../model/serving/batching/submission.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'

/*
 * Traces of requests as the server sees them; open-telemetry.ts makes them. All times are in ms on the service's clock.
 */

/** Identifies a request's span, in log lines too. */
export interface TraceIds {
  trace_id: string
  span_id: string
  /** `01`: the trace is kept. */
  trace_flags: '00' | '01'
}

export interface Traces {
  /** A span of a new trace, or of that in the W3C `traceparent` header. Decides whether the trace is kept; cheap. */
  identify(headers: IncomingHttpHeaders): TraceIds
  /** Begins the span of a request whose trace is kept. */
  begin(ids: TraceIds, request: FastifyRequest, arrived: number): RequestTrace
  /** Sends what has not been sent, for a limited time. Idempotent. */
  close(): Promise<void>
}

export interface RequestTrace {
  id: string
  /** Rows of the request are being computed by this call. */
  computing(at: number, call: BatchCall): void
  end(request: TracedRequest): void
}

/** A request that has ended; stages that it did not reach are undefined. */
export interface TracedRequest {
  arrived: number
  admitted?: number
  read?: number
  encoded?: number
  begun?: number
  computed?: number
  ended: number
  status: number
  model?: LoadedModel
  rows?: number
}
