import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { asError } from '../../base/errors.ts'
import { Pieces } from '../body/pieces.ts'
import { tooManyPending } from '../body/raw-body.ts'
import { problemText } from '../errors/error-handler.ts'
import { outcomeOf, type ProblemAnswer, retryAfter, toProblem } from '../errors/problem-details.ts'
import type { Refusal } from '../overload/admission.ts'
import { type ConnectionMemoryOptions, countUnread, requestBytes } from '../overload/connection-memory.ts'
import type { Holder } from '../overload/pending-bytes.ts'
import { requestIdOf, traceIdOf } from '../plugins/request-id.ts'
import { fault } from '../plugins/strict-http.ts'
import { inferProtocol } from '../protocols/open-inference/infer.ts'
import { predictProtocol } from '../protocols/predict/predict.ts'
import { servingProtocol } from '../protocols/tensorflow-serving/serving.ts'
import { abandon, admit, busyProblem, type Exchange } from '../request/admit.ts'
import type { ServerContext } from '../request/context.ts'
import { handle } from '../request/handle.ts'
import type { FastProtocol, WrittenResponse } from '../request/protocol.ts'
import type { Denial } from '../security/guard.ts'
import { denialHeaders, denialProblem, holdDenial } from '../security/guarded.ts'

/** Largest body that comes this way, bytes: a packet may hold nearly as much, and it is parsed where it arrives. */
const mostBytes = 1 << 16

/** The body of a refusal, around its message and, where it has one, its request's id: both as JSON. */
interface RefusalTemplate {
  status: number
  start: string
  middle: string
  end: string | undefined
}

function refusalTemplate(problemsAsText: boolean): RefusalTemplate {
  const message = '<message>'
  const id = '<request id>'
  const { body } = busyProblem({ admitted: false, message, retryAfterSeconds: 0 }, id)
  const text = problemsAsText ? problemText(body) : JSON.stringify(body)
  const [start = '', rest = ''] = text.split(JSON.stringify(message))
  const [middle = '', end] = rest.split(JSON.stringify(id))
  return { status: body.status, start, middle, end }
}

export interface FastPathOptions {
  context: ServerContext
  log: Pick<FastifyBaseLogger, 'child'>
  /** Largest body, bytes. */
  maxBodyBytes: number
}

/**
 * Answers the ordinary requests of a server, predictions with a small body, without Fastify's hooks, streams and
 * promises, which cost more than a small model. The answers are the same; all that is not ordinary is left to Fastify.
 *
 * A server whose requests are followed (logged, kept or traced) has no fast path.
 */
export function addFastPath(server: Server, options: FastPathOptions): void {
  if (options.context.timeline !== undefined) return
  const path = new FastPath(options)
  const rest = server.listeners('request') as RequestListener[]
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    const route = path.routeOf(request, response)
    if (route !== undefined) path.answer(route, request, response)
    else for (const listener of rest) listener.call(server, request, response)
  })
}

/** A protocol, with what the path of a request names. */
interface Matched {
  problemsAsText: boolean
  /** The name of its protocol. */
  protocol: string
  handle(context: ServerContext, exchange: Exchange, bytes: Buffer): Promise<WrittenResponse>
}

/** Finds the protocol of an ordinary request; undefined where it is not ordinary. */
type Match = (url: string, headers: IncomingHttpHeaders) => Matched | undefined

function matching<Params, Asked>(protocol: FastProtocol<Params, Asked>): Match {
  const { ordinary } = protocol
  const { types, problemsAsText } = ordinary
  return (url, headers) => {
    const params = ordinary.match(url)
    if (params === undefined || !types.has(headers['content-type']) || ordinary.asksMore?.(headers)) return undefined
    return {
      problemsAsText,
      protocol: protocol.format.name,
      handle: (context, exchange, bytes) => handle(context, exchange, protocol, params, bytes),
    }
  }
}

const matches: readonly Match[] = [matching(predictProtocol), matching(inferProtocol), matching(servingProtocol)]

/** A request that came this way. */
interface FastRequest {
  route: Matched
  request: IncomingMessage
  response: ServerResponse
  id: string
}

class FastPath {
  readonly #context: ServerContext
  readonly #log: FastPathOptions['log']
  readonly #mostBytes: number
  readonly #unread: ConnectionMemoryOptions

  readonly #refusals = { text: refusalTemplate(true), problem: refusalTemplate(false) }
  #unsent: { socket: Socket; response: ServerResponse; body: string }[] = []

  constructor({ context, log, maxBodyBytes }: FastPathOptions) {
    this.#context = context
    this.#log = log
    this.#mostBytes = Math.min(mostBytes, maxBodyBytes)
    this.#unread = { answers: context.answers, onGivenUp: () => context.metrics.shed('unread') }
  }

  /** The route of a request; undefined where it is not ordinary: nothing has been done about it then. */
  routeOf(request: IncomingMessage, { socket }: ServerResponse): Matched | undefined {
    const { method, headers, url = '' } = request
    if (method !== 'POST' || !isPlain(headers, this.#mostBytes)) return undefined
    // Without a socket, it is pipelined behind others; while the server drains, its answer closes the connection.
    if (socket === null || this.#context.drain.draining) return undefined
    for (const match of matches) {
      const route = match(url, headers)
      if (route !== undefined) return fault(request) === undefined ? route : undefined
    }
    return undefined
  }

  /** Its key, its admission, its body, its answer. */
  answer(route: Matched, request: IncomingMessage, response: ServerResponse): void {
    const context = this.#context
    const { clock, guard, metrics } = context
    const { headers } = request
    const came: FastRequest = { route, request, response, id: requestIdOf(request) }
    const arrived = clock.now()
    const key = guard?.enter(headers, 'predict')
    if (key !== undefined && 'code' in key) {
      metrics.keys.denied(key, 'predict')
      holdDenial(key, request, response, () => this.#deny(came, key))
      return
    }
    if (key?.concurrentRequests !== undefined) response.once('close', () => guard!.limits.end(key))
    const bytes = Number(headers['content-length'])
    const admitted = admit(
      context,
      { headers, id: came.id, response, protocol: route.protocol, key, arrived, bytes },
      arrived,
    )
    if ('message' in admitted) {
      this.#refuse(came, admitted)
      return
    }
    this.#receive(came, admitted, bytes, (body) => {
      route.handle(context, admitted, body).then(
        ({ headers: own, body: answer }) => this.#send(came, 200, [...own], answer.toString('latin1')),
        (error) => this.#sendError(came, error),
      )
    })
  }

  /** Receives a body of `announced` bytes, and hands it over once it has come whole. */
  #receive(came: FastRequest, exchange: Exchange, announced: number, onBody: (body: Buffer) => void): void {
    const { bodies, metrics } = this.#context
    const { request, response } = came
    const body = new Pieces()
    let holder: Holder | undefined
    /** Its client has gone, or it had to make room. */
    const end = (outcome: string) => {
      holder?.close()
      abandon(this.#context, exchange, outcome)
    }
    const giveUp = () => {
      end('queue_full')
      body.clear()
      metrics.shed('pending_bytes')
      this.#sendProblem(came, toProblem(tooManyPending(), came.id), ['connection', 'close'])
    }
    request.on('data', (piece: Buffer) => {
      if (exchange.bodySettled) return
      body.add(piece)
      // Hardly any body comes in several pieces.
      if (body.length === announced && holder === undefined) return
      if (holder === undefined) {
        holder = bodies.open(giveUp)
        holder.add(requestBytes(request))
      }
      holder.add(piece.length)
    })
    request.on('end', () => {
      if (exchange.bodySettled) return
      holder?.close()
      onBody(body.take())
    })
    request.on('error', () => {
      end('cancelled')
      response.destroy()
    })
  }

  #deny(came: FastRequest, denial: Denial): void {
    const headers = Object.entries(denialHeaders(denial)).flat()
    if (denial.delayMs > 0) headers.push('connection', 'close')
    this.#sendProblem(came, denialProblem(denial, came.id), headers)
  }

  /** Refusals are many, and alike. */
  #refuse(came: FastRequest, { message, retryAfterSeconds }: Refusal): void {
    const { route, id } = came
    const { status, start, middle, end } = this.#refusals[route.problemsAsText ? 'text' : 'problem']
    const headers = ['content-type', typeOfProblem(route), 'retry-after', String(retryAfter(retryAfterSeconds))]
    const rest = end === undefined ? middle : middle + JSON.stringify(id) + end
    this.#send(came, status, headers, start + JSON.stringify(message) + rest)
  }

  #sendError(came: FastRequest, error: unknown): void {
    if (outcomeOf(error) === 'cancelled') {
      came.response.destroy()
      return
    }
    const problem = toProblem(error, came.id)
    const { status, code, detail } = problem.body
    if (status === 500) this.#logger(came).error({ err: asError(error), code }, detail)
    else this.#logger(came).debug({ code }, detail)
    this.#sendProblem(came, problem)
  }

  /** The logger of one request. */
  #logger({ request, id }: FastRequest) {
    const traceId = traceIdOf(request.headers.traceparent)
    return this.#log.child({ request_id: id, ...(traceId && { trace_id: traceId }) })
  }

  #sendProblem(came: FastRequest, { body, retryAfterSeconds }: ProblemAnswer, more: string[] = []): void {
    const { problemsAsText } = came.route
    const headers = ['content-type', typeOfProblem(came.route), ...more]
    if (retryAfterSeconds !== undefined) headers.push('retry-after', String(retryAfterSeconds))
    const text = problemsAsText ? problemText(body) : JSON.stringify(body)
    this.#send(came, body.status, headers, Buffer.from(text).toString('latin1'))
  }

  /** `body`: its bytes as Latin-1; as text it leaves in one piece with its headers. */
  #send({ request, response, id }: FastRequest, status: number, headers: string[], body: string): void {
    headers.push('x-request-id', id, 'content-length', String(body.length))
    if (this.#context.drain.draining) headers.push('connection', 'close')
    response.writeHead(status, headers)
    if (this.#unsent.length === 0) this.#context.clock.soon(this.#sendAll)
    this.#unsent.push({ socket: request.socket, response, body })
  }

  /**
   * Sends the answers of a turn of the event loop one after the other: their clients wake up once, not at each, which
   * would cost more than all else.
   */
  readonly #sendAll = (): void => {
    const unsent = this.#unsent
    this.#unsent = []
    for (const { socket, response, body } of unsent) {
      response.end(body, 'latin1')
      // Hardly ever: the system takes a small response, unless its client has left others unread.
      if (socket.writableLength > 0) countUnread(response, socket, socket.writableLength, this.#unread)
    }
  }
}

function typeOfProblem({ problemsAsText }: Matched): string {
  return problemsAsText ? 'application/json' : 'application/problem+json'
}

/** Whether headers announce a small body, and ask for nothing but an answer. */
function isPlain(headers: IncomingHttpHeaders, mostBytes: number): boolean {
  const { 'content-length': length } = headers
  return (
    length !== undefined &&
    Number(length) <= mostBytes &&
    headers['content-encoding'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    headers.expect === undefined &&
    headers.upgrade === undefined &&
    headers.origin === undefined
  )
}
