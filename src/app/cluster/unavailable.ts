import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Configuration } from '../../schemas/configuration.ts'
import { answerUnreadable } from '../../server/errors/client-error.ts'
import { isOfProtocol, problemText } from '../../server/errors/error-handler.ts'
import { problemDetails, retryAfter } from '../../server/errors/problem-details.ts'
import { ignoreBody } from '../../server/overload/ignore-rest.ts'
import { lingerOn } from '../../server/overload/lingering-close.ts'
import { requestIdOf } from '../../server/plugins/request-id.ts'
import { keptHeaders, refuseConnect } from '../../server/plugins/strict-http.ts'
import { readCredentials, tlsOptions } from '../tls.ts'

/** Longest time for a request to arrive, ms: its body is not used. */
const longestArrival = 5_000

/**
 * Answers connections while no process serves and none is being started: 503 NOT_READY to the first request of each,
 * whatever it asks. Only CONNECT and what is no HTTP are refused as a process would.
 */
export class Unavailable {
  readonly #configuration: Configuration
  readonly #nextStart: () => number
  #server: Promise<Server> | undefined

  /** `nextStart`: seconds until a process is started. */
  constructor(configuration: Configuration, nextStart: () => number) {
    this.#configuration = configuration
    this.#nextStart = nextStart
  }

  answer(socket: Socket): void {
    this.#server ??= this.#create()
    this.#server.then(
      (server) => {
        server.emit('connection', socket)
        // It was accepted without being read.
        socket.resume()
      },
      () => socket.destroy(),
    )
  }

  /** From now on certificates are read again. */
  close(): void {
    this.#server?.then(
      (server) => server.closeIdleConnections(),
      () => undefined,
    )
    this.#server = undefined
  }

  async #create(): Promise<Server> {
    const listener = (request: IncomingMessage, response: ServerResponse) => this.#refuse(request, response)
    const options = {
      requestTimeout: longestArrival,
      headersTimeout: longestArrival,
      connectionsCheckingInterval: 1000,
      // Node would answer such requests itself, each of those that are pipelined.
      requireHostHeader: false,
    }
    const server =
      this.#configuration.MULTIGATE_TLS_CERT === ''
        ? createServer(options, listener)
        : createSecureServer({ ...options, ...(await this.#tls()) }, listener)
    server.maxHeadersCount = keptHeaders
    // Another expectation than 100-continue, which Node would answer itself, too.
    server.on('checkExpectation', listener)
    lingerOn(server)
    server.on('connect', refuseConnect)
    server.on('clientError', answerUnreadable)
    // From here on it watches over its connections.
    server.emit('listening')
    return server
  }

  async #tls(): Promise<object> {
    const { context } = await readCredentials(this.#configuration)
    return tlsOptions(this.#configuration, context)
  }

  #refuse(request: IncomingMessage, response: ServerResponse): void {
    ignoreBody(request.socket)
    const seconds = retryAfter(this.#nextStart())
    const detail = `No process serves; another is started in ${seconds} s`
    const problem = problemDetails('NOT_READY', detail, requestIdOf(request))
    const isText = isOfProtocol(request.url ?? '')
    const body = isText ? problemText(problem) : JSON.stringify(problem)
    response.writeHead(problem.status, {
      'content-length': Buffer.byteLength(body),
      'content-type': isText ? 'application/json' : 'application/problem+json',
      'retry-after': String(seconds),
      'x-request-id': problem.request_id,
      connection: 'close',
    })
    response.end(body)
  }
}
