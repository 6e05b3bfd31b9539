import type { FastifyRequest } from 'fastify'
import type { BatchCall } from '../../model/batching/contract.ts'
import type { LoadedModel } from '../../model/prediction/contract.ts'

/* Traces of requests as the server sees them; open-telemetry.ts makes them. All times are in ms on the service's clock. */

export interface Traces {
  /** Begins a request's trace, or continues that of its W3C `traceparent` header. */
  begin(request: FastifyRequest, arrived: number): RequestTrace
  /** Sends what has not been sent, for a limited time. Idempotent. */
  close(): Promise<void>
}

export interface RequestTrace {
  /** For log lines. */
  ids: { trace_id: string; span_id: string; trace_flags: string }
  /** Value of the W3C `traceresponse` header. */
  header: string
  /** The trace's id, if it is kept. */
  sampledId: string | undefined
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
