import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { reasonOf } from '../../model/base/errors.ts'
import { type ProblemAnswer, toProblem } from '../errors/problem-details.ts'
import type { Refusal } from '../overload/admission.ts'
import { ignoreRest } from '../overload/ignore-rest.ts'
import { countUnread } from '../overload/unread-answers.ts'
import { requestIdOf, traceIdOf } from '../plugins/request-id.ts'
import { fault } from '../plugins/strict-http.ts'
import { predict, predictPath, predictType } from '../protocols/predict/predict.ts'
import type { ServerContext } from '../request/context.ts'
import { busyProblem, closeWith, type Exchange, headerDeadline, outcomeOf } from '../request/exchange.ts'
import type { Denial } from '../security/guard.ts'
import { denialHeaders, denialProblem } from '../security/guarded.ts'
import type { Key } from '../security/keyring.ts'

/** Largest body that comes this way, bytes: a single packet may hold nearly as much. */
const mostBytes = 1 << 16

const problemType = 'application/problem+json'

/** Stands for a request's id. */
const placeholder = '<request id>'

/** Refusals that are kept, by their messages. */
const mostRefusals = 1000

interface KeptRefusal {
  status: number
  before: string
  after: string
  retryAfter: string
}

export interface FastPathOptions {
  context: ServerContext
  log: Pick<FastifyBaseLogger, 'child'>
  /** Largest body, bytes. */
  maxBodyBytes: number
}

/**
 * Answers the ordinary requests of a server, `POST /predict` with a small JSON body, without Fastify's hooks, streams and promises, which cost
 * more than a small model. The answers are the same; all that is not ordinary is left to Fastify.
 *
 * A server whose requests are followed (logged, kept or traced) has no fast path.
 */
export function addFastPath(server: Server, options: FastPathOptions): void {
  if (options.context.timeline !== undefined) return
  const path = new FastPath(options)
  const rest = server.listeners('request') as RequestListener[]
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    if (path.takes(request, response)) path.answer(request, response)
    else for (const listener of rest) listener.call(server, request, response)
  })
}

/** A request that came this way. */
interface Asked {
  request: IncomingMessage
  response: ServerResponse
  id: string
  /** On the clock, ms. */
  arrived: number
}

class FastPath {
  readonly #context: ServerContext
  readonly #log: FastPathOptions['log']
  readonly #mostBytes: number
  readonly #unread: Parameters<typeof countUnread>[3]

  readonly #refusals = new Map<string, KeptRefusal>()
  #unsent: { socket: Socket; response: ServerResponse; body: string }[] = []

  constructor({ context, log, maxBodyBytes }: FastPathOptions) {
    this.#context = context
    this.#log = log
    this.#mostBytes = Math.min(mostBytes, maxBodyBytes)
    this.#unread = { answers: context.answers, onGivenUp: () => context.metrics.shed('unread') }
  }

  /** Whether a request is ordinary; nothing has been done about it if not. */
  takes(request: IncomingMessage, { socket }: ServerResponse): boolean {
    if (request.url !== predictPath || request.method !== 'POST') return false
    // Pipelined behind others, or as its connection is about to be closed.
    if (socket === null || this.#context.drain.draining) return false
    return isPlain(request.headers) && this.#fits(request.headers) && fault(request) === undefined
  }

  #fits({ 'content-length': length }: IncomingHttpHeaders): boolean {
    return length !== undefined && Number(length) <= this.#mostBytes
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const { access, clock } = this.#context
    const { headers } = request
    const asked: Asked = { request, response, id: requestIdOf(request), arrived: clock.now() }
    const entered = access?.guard.enter(headers, 'predict')
    if (entered === undefined || !('code' in entered)) {
      if (entered?.concurrentRequests !== undefined) response.once('close', () => access!.guard.limits.end(entered))
      this.#admit(asked, entered)
      return
    }
    access!.metrics.denied(entered.reason)
    if (entered.delayMs === 0) this.#deny(asked, entered)
    else {
      ignoreRest(request.socket)
      const timer = setTimeout(() => this.#deny(asked, entered), entered.delayMs)
      response.once('close', () => clearTimeout(timer))
    }
  }

  #deny(asked: Asked, denial: Denial): void {
    const headers = Object.entries(denialHeaders(denial)).flat()
    if (denial.delayMs > 0) headers.push('connection', 'close')
    this.#sendProblem(asked, denialProblem(denial, asked.id), headers)
  }

  #admit(asked: Asked, key: Key | undefined): void {
    const { admission, clock, deadlineMs, metrics } = this.#context
    const { request, response, id, arrived } = asked
    const { headers } = request
    const elapsed = () => clock.now() - arrived
    const deadline = headerDeadline(headers['x-deadline-ms']) ?? deadlineMs
    const ticket = admission.enter(deadline, Number(headers['content-length']), key?.id)
    if (!ticket.admitted) {
      metrics.shed('busy')
      metrics.request(undefined, 'queue_full', elapsed() / 1000)
      this.#refuse(asked, ticket)
      return
    }
    const exchange: Exchange = { headers, id, response, ticket, key, elapsed, pending: undefined, handled: false }
    closeWith(exchange)
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.once('end', () => {
      const body = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
      predict(this.#context, exchange, body).then(
        (answer) => this.#send(asked, 200, ['content-type', predictType], answer.toString('latin1')),
        (error) => this.#sendError(asked, error),
      )
    })
    // Its client has gone before all of it came.
    request.once('error', () => {
      if (!exchange.handled) metrics.request(undefined, 'cancelled', elapsed() / 1000)
      response.destroy()
    })
  }

  /** Refusals are many, and alike: each is written once. */
  #refuse(asked: Asked, refusal: Refusal): void {
    const { id } = asked
    let known = this.#refusals.get(refusal.message)
    if (known === undefined) {
      const { body, retryAfterSeconds } = busyProblem(refusal, placeholder)
      const [before = '', after = ''] = JSON.stringify(body).split(placeholder)
      known = { status: body.status, before, after, retryAfter: String(retryAfterSeconds) }
      if (this.#refusals.size >= mostRefusals) this.#refusals.clear()
      this.#refusals.set(refusal.message, known)
    }
    const { status, before, after, retryAfter } = known
    this.#send(asked, status, ['content-type', problemType, 'retry-after', retryAfter], `${before}${id}${after}`)
  }

  #sendError(asked: Asked, error: unknown): void {
    if (outcomeOf(error) === 'cancelled') {
      asked.response.destroy()
      return
    }
    const problem = toProblem(error, asked.id)
    const { status, code, detail } = problem.body
    if (status === 500) this.#logger(asked).error({ err: asError(error), code }, detail)
    else this.#logger(asked).debug({ code }, detail)
    this.#sendProblem(asked, problem)
  }

  /** Of one request. */
  #logger({ request, id }: Asked) {
    const traceId = traceIdOf(request.headers.traceparent)
    return this.#log.child({ request_id: id, ...(traceId && { trace_id: traceId }) })
  }

  #sendProblem(asked: Asked, { body, retryAfterSeconds }: ProblemAnswer, more: string[] = []): void {
    const headers = ['content-type', problemType, ...more]
    if (retryAfterSeconds !== undefined) headers.push('retry-after', String(retryAfterSeconds))
    this.#send(asked, body.status, headers, Buffer.from(JSON.stringify(body)).toString('latin1'))
  }

  /** `body`: its bytes as Latin-1; as text it leaves in one piece with its headers. */
  #send({ request, response, id }: Asked, status: number, headers: string[], body: string): void {
    headers.push('x-request-id', id, 'content-length', String(body.length))
    if (this.#context.drain.draining) headers.push('connection', 'close')
    response.writeHead(status, headers)
    if (this.#unsent.length === 0) this.#context.clock.soon(this.#sendAll)
    this.#unsent.push({ socket: request.socket, response, body })
  }

  /**
   * Sends the answers of a turn of the event loop one after the other: their clients wake up once, not at each, which would cost more than
   * all else.
   */
  readonly #sendAll = (): void => {
    const unsent = this.#unsent
    this.#unsent = []
    for (const { socket, response, body } of unsent) {
      countUnread(response, socket, body.length, this.#unread)
      response.end(body, 'latin1')
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(reasonOf(error))
}

/** Headers that ask for nothing but an answer to a JSON body. */
function isPlain(headers: IncomingHttpHeaders): boolean {
  const type = headers['content-type']
  return (
    (type === 'application/json' || type === 'application/json; charset=utf-8') &&
    headers['content-encoding'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    headers.expect === undefined &&
    headers.upgrade === undefined &&
    headers.origin === undefined
  )
}
