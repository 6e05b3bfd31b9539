import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { TSchema } from 'typebox'
import type { Violation } from '../../base/errors.ts'
import { murmur3 } from '../../base/hash.ts'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import type { BatchCall } from '../../model/serving/batching/submission.ts'
import type { LoadedModel, PendingPrediction } from '../../model/serving/prediction/loaded-model.ts'
import { InferRequest } from '../../schemas/infer.ts'
import { PredictRequest } from '../../schemas/predict.ts'
import type { RequestRecord } from '../../schemas/requests.ts'
import { ServingRequest } from '../../schemas/serving.ts'
import { bodyBytes } from '../body/raw-body.ts'
import { sentProblemOf } from '../errors/sent-problem.ts'
import { traceIdOf, type traceLogger } from '../plugins/request-id.ts'
import { clientOf } from '../security/guarded.ts'
import type { RequestTrace, TraceIds, Traces } from '../telemetry/traces.ts'
import { holdBody } from './redact-body.ts'
import type { RequestRecorder } from './request-recorder.ts'

/**
 * Follows each request from its headers to the end of its answer: what it asked, how it ended, and how long each stage
 * took. The request log, recorded predictions and traces are made of it; it exists only where one of them is on.
 */
export interface RequestTimeline {
  /** Creates the logger of a request, with the ids of its trace; undefined where traces are off. */
  childLogger: typeof traceLogger | undefined
  /** From now on until its answer has been sent, or its connection has closed. */
  follow(request: FastifyRequest, reply: FastifyReply): void
  /** A request has been admitted; where it is followed, answers what notes its stages. */
  admitted(request: FastifyRequest): RequestStages | undefined
}

/** Notes when a request to be predicted reaches each stage, in this order. */
export interface RequestStages {
  /** A version has been found for it. */
  leased(model: LoadedModel): void
  /** Its body has been read. */
  read(): void
  encoded(accepted: Pick<PendingPrediction, 'rows' | 'encodeSeconds'>): void
  /** Some of its rows have left the queue. */
  begun(at: number, call: BatchCall): void
  computed(table: PredictionTable): void
  /** Id of the trace that it is in, if the trace is kept. */
  traceId: string | undefined
}

export interface RequestTimelineOptions {
  /** Share of the requests that are logged, 0 to 1; server errors are always logged. Undefined: none is logged. */
  sample: number | undefined
  recorder?: RequestRecorder | undefined
  traces?: Traces | undefined
  /** Milliseconds, monotonic. */
  now(): number
}

/** The state of a request; times in ms on the clock. */
interface Entry {
  arrived: number
  admitted?: number
  model?: LoadedModel
  rows?: number
  tasks?: string[]
  /** All of its body has come. */
  received?: number
  /** Its body has been read. */
  read?: number
  /** It has been encoded. */
  encoded?: number
  /** Its first rows have left the queue. */
  begun?: number
  /** Its last rows have been computed, and the answer composed. */
  computed?: number
  trace?: RequestTrace | undefined
}

/** A client that closed its connection before its answer: no status was sent, and this is what proxies log. */
const clientClosedRequest = 499

export function createRequestTimeline({ sample, recorder, traces, now }: RequestTimelineOptions): RequestTimeline {
  /** Others than traced requests are followed, too. */
  const keepsAll = sample !== undefined || recorder !== undefined
  const entries = new WeakMap<FastifyRequest, Entry>()
  const traceIds = new WeakMap<object, TraceIds>()

  function write(request: FastifyRequest, { raw }: FastifyReply, entry: Entry): void {
    const status = raw.writableEnded ? raw.statusCode : clientClosedRequest
    const ended = now()
    entry.trace?.end({ ...entry, status, ended })
    const logged = sample !== undefined && (isServerError(status) || murmur3(request.id, 0) < sample * 2 ** 32)
    // Other requests, such as the console's own, would push out the predictions.
    const kept = request.routeOptions.config?.predicts === true ? recorder : undefined
    if (!logged && kept === undefined) return
    const { arrived, model, rows, tasks } = entry
    const record: RequestRecord = {
      method: request.method,
      // A query may hold values of fields by mistake.
      url: request.url.split('?', 1)[0]!,
      status,
      ...(model && { model: model.manifest.name, version: model.manifest.version }),
      ...(rows !== undefined && { rows }),
      ...(tasks && { tasks }),
      ...stagesOf(entry, ended),
      total_ms: rounded(ended - arrived),
    }
    if (logged) request.log.info(record, 'request')
    const trace_id = traceIds.get(request.raw)?.trace_id ?? traceIdOf(request.raw.headers.traceparent)
    kept?.add(
      {
        request_id: request.id,
        ...(trace_id !== undefined && { trace_id }),
        ended: new Date().toISOString(),
        client: clientOf(request),
        ...record,
        ...sentProblemOf(request, (problem) => knownProblem(problem, model)),
      },
      () => holdBody(bodyBytes(request), { features: model?.manifest.features, valid: entry.encoded !== undefined }),
    )
  }

  return {
    childLogger:
      traces &&
      ((logger, bindings, options, raw) => {
        const ids = traces.identify(raw.headers)
        traceIds.set(raw, ids)
        return logger.child({ ...bindings, ...ids }, options)
      }),
    follow(request, reply) {
      const entry: Entry = { arrived: now() }
      const ids = traceIds.get(request.raw)
      if (ids !== undefined) {
        reply.header('traceresponse', `00-${ids.trace_id}-${ids.span_id}-${ids.trace_flags}`)
        if (ids.trace_flags === '01') entry.trace = traces?.begin(ids, request, entry.arrived)
        else if (!keepsAll) return
      }
      entries.set(request, entry)
      noteEndOf(request, entry, now)
      reply.raw.once('close', () => write(request, reply, entry))
    },
    admitted(request) {
      const entry = entries.get(request)
      if (entry === undefined) return undefined
      entry.admitted = now()
      return {
        traceId: entry.trace?.id,
        leased(model) {
          entry.model = model
        },
        read() {
          entry.read = now()
        },
        encoded({ rows, encodeSeconds }) {
          // Where it was computed immediately, that was over before it was known.
          entry.encoded = entry.read! + encodeSeconds * 1000
          entry.rows = rows
        },
        begun(at, call) {
          entry.begun ??= at
          entry.trace?.computing(at, call)
        },
        computed({ tasks }) {
          entry.computed = now()
          entry.tasks = tasks.map(([name]) => name)
        },
      }
    },
  }
}

function noteEndOf({ raw }: FastifyRequest, entry: Entry, now: () => number): void {
  raw.once('end', () => {
    entry.received = now()
  })
}

const isServerError = (status: number) => status >= 500

/** Milliseconds of each stage that the request reached. */
function stagesOf({ arrived, received, encoded, begun, computed }: Entry, ended: number): Partial<RequestRecord> {
  const receive_ms = rounded((received ?? encoded ?? ended) - arrived)
  if (encoded === undefined) return { receive_ms, read_ms: rounded(ended - arrived) }
  const read = { receive_ms, read_ms: rounded(encoded - arrived) }
  // Rows that need no engine, none at all, never wait.
  const started = begun === undefined ? (computed ?? ended) : Math.max(begun, encoded)
  const queue_ms = rounded(started - encoded)
  if (begun === undefined && computed === undefined) return { ...read, queue_ms }
  const compute_ms = rounded((computed ?? ended) - started)
  if (computed === undefined) return { ...read, queue_ms, compute_ms }
  return { ...read, queue_ms, compute_ms, write_ms: rounded(ended - computed) }
}

const rounded = (ms: number) => Math.round(ms * 1000) / 1000

/** Probes, scrapes, the console and the documentation: they come by the clock, or to look. */
const unfollowed = /^\/(?:livez|readyz|metrics|docs(?:\/.*)?|debug\/.*|console\/.*|v2\/health\/(?:live|ready))?$/

/** Follows every request of the application that is worth it. */
export const requestFollowing = fastifyPlugin(
  async (app: FastifyInstance, { timeline }: { timeline: RequestTimeline }) => {
    app.addHook('onRequest', (request, reply, done) => {
      const path = request.routeOptions.url?.slice(app.prefix.length)
      if (path === undefined || !unfollowed.test(path)) timeline.follow(request, reply)
      done()
    })
  },
)

/** Properties that bodies of predictions can have, whatever the model. */
const ofRequests = new Set<string>()
for (const schema of [PredictRequest, InferRequest, ServingRequest]) addProperties(schema)

/** Six digits number the rows of any request; more may be a client's own, a phone number say. */
const index = /^\d{1,6}$/

/** Indices of a tensor's value: `[3, 1]`. */
const indices = /^\[\d+(?:, \d+)*\]$/

/** The model that a request was for, as far as it has names. */
type Named = Pick<LoadedModel, 'manifest' | 'tensors'>

/** Quotations in messages follow a colon, or stand in quotation marks; suggestions follow a semicolon. */
const quotes = /[:;]|,? "|, not \[/

/** A problem without names and values that the client made up, which may be anything. */
export function knownProblem({ path, message }: Violation, model?: Named): Violation {
  return { path: knownPath(path, model), message: message.split(quotes, 1)[0]! }
}

/**
 * `*` stands for names that are not those of the request's schema or of the model's fields, tensors and tasks; indices
 * stay.
 */
function knownPath(path: string, model: Named | undefined): string {
  const isKnown = (name: string) => ofRequests.has(name) || (model !== undefined && isOf(model, name))
  const step = (escaped: string) =>
    index.test(escaped) || isKnown(escaped.replaceAll('~1', '/').replaceAll('~0', '~')) ? escaped : '*'
  const steps = ([_, ...parts]: string[]) => parts.map((part) => `/${step(part)}`).join('')
  if (path.startsWith('/')) return steps(path.split('/'))
  if (path.startsWith('?')) return isKnown(path.slice(1)) ? path : '?*'
  const [what] = /^(?:in|out)put /.exec(path) ?? []
  // The model, or a header.
  if (what === undefined) return path
  const [, quoted, rest = ''] = /^\w+ ("(?:[^"\\]|\\.)*")(.*)$/s.exec(path) ?? []
  const name = quoted !== undefined && isKnown(JSON.parse(quoted)) ? quoted : '*'
  if (indices.test(rest)) return what + name + rest
  return what + name + steps(rest.split('/'))
}

function isOf({ manifest, tensors }: Named, name: string): boolean {
  return [manifest.features, manifest.tasks, manifest.derived, tensors.inputs, tensors.outputs].some((named) =>
    named.some((one) => one.name === name),
  )
}

function addProperties(schema: TSchema | object): void {
  for (const [key, value] of Object.entries(schema)) {
    if (typeof value !== 'object' || value === null) continue
    if (key === 'properties') for (const name of Object.keys(value)) ofRequests.add(name)
    addProperties(value)
  }
}
