import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { type ExportResult, ExportResultCode, parseTraceParent, W3CTraceContextPropagator } from '@opentelemetry/core'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type IdGenerator,
  RandomIdGenerator,
  SamplingDecision,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { FastifyRequest } from 'fastify'
import type { BatchCall } from '../../model/serving/batching/submission.ts'
import type { RequestTrace, TracedRequest, TraceIds, Traces } from './traces.ts'

/*
 * Traces by OpenTelemetry: loaded only where they are on. A request's span has one child for each stage. Each engine
 * call that holds rows of a traced request has a span `batch`, which the `infer` spans of its requests link to.
 */

export interface OpenTelemetryOptions {
  exporter: SpanExporter
  /**
   * Share of the traces that begin here and are kept, 0 to 1; traces that began elsewhere are kept if their parent is.
   */
  sample: number
  /** Version of multigate. */
  version: string
  /** Milliseconds, monotonic: the clock of all times. */
  now(): number
  /** ms since 1970 */
  wallClock(): number
  /** Spans were sent, or could not be sent. */
  onExported(spans: number, error: Error | undefined): void
}

/** Spans that wait to be sent; further ones are dropped. */
const mostWaiting = 2048
/** Time for one export, ms. */
const exportTimeout = 5_000
/** Time for the last spans when the service stops, ms. */
const longestClose = 2_000

export function createOpenTelemetry(options: OpenTelemetryOptions): Traces {
  const { exporter, sample, version, now, wallClock } = options
  const processor = new BatchSpanProcessor({
    exporter: counted(exporter, options.onExported),
    maxQueueSize: mostWaiting,
    exportTimeoutMillis: exportTimeout,
    scheduledDelayMillis: 1_000,
  })
  const ids = new PresetIds()
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'multigate', 'service.version': version }))
      .merge(detectResources({ detectors: [envDetector] })),
    // `identify` has decided before a span begins.
    sampler: new AlwaysOnSampler(),
    idGenerator: ids,
    spanProcessors: [processor],
  })
  const tracer = provider.getTracer('multigate', version)
  const sampler = new TraceIdRatioBasedSampler(sample)
  const shared: Shared = { tracer, calls: new WeakMap(), ids, now, wallClock }
  let closed: Promise<void> | undefined
  return {
    identify({ traceparent }) {
      const parent = typeof traceparent === 'string' ? parseTraceParent(traceparent) : null
      const trace_id = parent?.traceId ?? ids.random.generateTraceId()
      const isKept =
        parent === null
          ? sampler.shouldSample(ROOT_CONTEXT, trace_id).decision === SamplingDecision.RECORD_AND_SAMPLED
          : (parent.traceFlags & TraceFlags.SAMPLED) !== 0
      return { trace_id, span_id: ids.random.generateSpanId(), trace_flags: isKept ? '01' : '00' }
    },
    begin: (ids, request, arrived) => new OpenTelemetryTrace(shared, ids, request, arrived),
    close: () => {
      closed ??= Promise.race([provider.shutdown().catch(() => undefined), pause(longestClose)])
      return closed
    },
  }
}

/** Random ids, but for the next span those that were chosen for it. */
class PresetIds implements IdGenerator {
  readonly random = new RandomIdGenerator()
  #next: TraceIds | undefined

  /** Runs `start` with these ids for the first span that it starts. */
  with<T>(ids: TraceIds, start: () => T): T {
    this.#next = ids
    try {
      return start()
    } finally {
      this.#next = undefined
    }
  }

  generateTraceId = () => this.#next?.trace_id ?? this.random.generateTraceId()
  generateSpanId = () => this.#next?.span_id ?? this.random.generateSpanId()
}

/** The parts that all traces share. */
interface Shared {
  tracer: Tracer
  /** The span of each call that holds rows of a traced request. */
  calls: WeakMap<BatchCall, Span>
  ids: PresetIds
  now(): number
  wallClock(): number
}

const propagator = new W3CTraceContextPropagator()
const headers: TextMapGetter<FastifyRequest['headers']> = {
  get: (carrier, key) => carrier[key],
  keys: (carrier) => Object.keys(carrier),
}

class OpenTelemetryTrace implements RequestTrace {
  readonly id: string
  readonly #shared: Shared
  readonly #span: Span
  readonly #context: Context
  /** Time of the wall clock minus the service's, ms: a clock that jumps tears no trace apart. */
  readonly #epoch: number
  /** When the last call with rows of the request ended. */
  #inferred: number | undefined

  constructor(shared: Shared, ids: TraceIds, request: FastifyRequest, arrived: number) {
    this.id = ids.trace_id
    const { method, url, id, routeOptions } = request
    this.#shared = shared
    this.#epoch = shared.wallClock() - shared.now()
    const parent = propagator.extract(ROOT_CONTEXT, request.headers, headers)
    const route = routeOptions.url
    const attributes: Attributes = {
      'http.request.method': method,
      'url.path': url.split('?', 1)[0],
      'multigate.request_id': id,
      ...(route !== undefined && { 'http.route': route }),
    }
    const startTime = this.#epoch + arrived
    const name = route === undefined ? method : `${method} ${route}`
    const options = { kind: SpanKind.SERVER, startTime, attributes }
    this.#span = shared.ids.with(ids, () => shared.tracer.startSpan(name, options, parent))
    this.#context = trace.setSpan(parent, this.#span)
  }

  computing(at: number, call: BatchCall): void {
    const { tracer, calls } = this.#shared
    const infer = tracer.startSpan('infer', { startTime: this.#epoch + at }, this.#context)
    let batch = calls.get(call)
    if (batch === undefined) {
      batch = this.#startBatch(at, call, infer)
      calls.set(call, batch)
    }
    infer.addLink({ context: batch.spanContext() })
    batch.addLink({ context: infer.spanContext() })
    call.onEnd.push((ended) => {
      this.#inferred = ended
      infer.end(this.#epoch + ended)
    })
  }

  end(request: TracedRequest): void {
    const span = this.#span
    const { admitted, read, encoded, begun, computed, ended, status, model, rows } = request
    this.#stage('admission', request.arrived, admitted)
    this.#stage('read', admitted, read ?? (admitted === undefined ? undefined : ended))
    this.#stage('encode', read, encoded ?? (read === undefined ? undefined : ended))
    const started = begun === undefined || encoded === undefined ? computed : Math.max(begun, encoded)
    this.#stage('queue', encoded, started ?? (encoded === undefined ? undefined : ended))
    this.#stage('compose', this.#inferred ?? started, computed)
    this.#stage('write', computed, computed === undefined ? undefined : ended)
    span.setAttribute('http.response.status_code', status)
    if (model !== undefined) {
      const { name, version } = model.manifest
      span.setAttributes({ 'multigate.model': name, 'multigate.version': version })
    }
    if (rows !== undefined) span.setAttribute('multigate.rows', rows)
    if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end(this.#epoch + ended)
  }

  /** A child of the first request's span. */
  #startBatch(at: number, call: BatchCall, infer: Span): Span {
    const attributes = { 'multigate.batch.rows': call.rows, 'multigate.batch.requests': call.requests }
    const parent = trace.setSpan(ROOT_CONTEXT, infer)
    const batch = this.#shared.tracer.startSpan('batch', { startTime: this.#epoch + at, attributes }, parent)
    call.onEnd.push((ended) => batch.end(this.#epoch + ended))
    return batch
  }

  #stage(name: string, start: number | undefined, end: number | undefined): void {
    if (start === undefined || end === undefined) return
    const span = this.#shared.tracer.startSpan(name, { startTime: this.#epoch + start }, this.#context)
    span.end(this.#epoch + Math.max(start, end))
  }
}

/** Counts what is sent. */
function counted(exporter: SpanExporter, onExported: OpenTelemetryOptions['onExported']): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, (result: ExportResult) => {
        const failed = result.code === ExportResultCode.FAILED
        onExported(spans.length, failed ? (result.error ?? new Error('the spans were refused')) : undefined)
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush && { forceFlush: () => exporter.forceFlush!() }),
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
