import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { errorCodes, type FastifyInstance, type FastifyRequest, type RequestPayload } from 'fastify'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { invalidRequest } from '../../model/serving/features/problems.ts'
import { requestBytes } from '../overload/connection-memory.ts'
import { ignoreBody } from '../overload/ignore-rest.ts'
import type { Holder, PendingBytes } from '../overload/pending-bytes.ts'
import { type Coding, contentCoding, type Decoders, isCoding } from './decoders.ts'
import { Pieces } from './pieces.ts'

type Done = (error: Error | null, body?: Buffer) => void

export interface BodyOptions {
  /** Counts the bytes of bodies being received, and of their decoders. */
  bodies: PendingBytes
  /** A body was refused to make room for others. */
  onGivenUp(): void
  /** Undefined where an application around this one decompresses bodies. */
  decoders?: Decoders | undefined
}

/** A compressed body may inflate to at most this many times its size; one of JSON stays far below. */
const maxCompressionRatio = 100

/** A body may come in this many pieces, however small: each takes as much time as a kilobyte. */
const anyPieces = 1024

/** Beyond that, their average size must be at least this, bytes. */
const leastPiece = 64

/** Any compressed body may inflate to this many bytes, whatever its ratio. */
const smallInflated = 1 << 18

/** Types that Fastify takes for certain. */
const ordinaryType = /^[a-z]+\/[a-z0-9.+-]+(?:; ?charset=[\w-]+)?$/i

/** Gives the routes of a context their bodies as bytes, whatever their Content-Type: clients send none, or a form's. */
export function acceptAnyType(app: FastifyInstance, options: BodyOptions): void {
  // Fastify refuses a type that is none before it looks for a parser. It copies replaced headers at each reading.
  app.addHook('onRequest', (request, _reply, done) => {
    const type = request.headers['content-type']
    if (type !== undefined && !ordinaryType.test(type)) request.headers = { 'content-type': 'application/octet-stream' }
    done()
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', createBytesParser(options))
}

/** A request's body in such a context; empty where it has none. */
export function bodyBytes({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}

/**
 * A content type parser that returns the decompressed bytes of a body. Fastify's own parsers copy each body once more,
 * even one of a single piece, and memory outside the heap makes V8 collect the whole heap.
 *
 * Refuses a body that exceeds the routes' limit (all routes of a context have the same), inflates too much, differs
 * from the announced length, or has to make room for others (QUEUE_FULL).
 */
export function createBytesParser(options: BodyOptions) {
  let limit: number | undefined
  return (request: FastifyRequest, payload: RequestPayload, done: Done): void => {
    limit ??= request.routeOptions.bodyLimit
    const { 'content-length': header } = request.headers
    const announced = header === undefined ? Number.NaN : Number(header)
    const coding = contentCoding(request)
    if (coding !== undefined && options.decoders && !isCoding(coding)) done(new UnsupportedCoding())
    else if (announced > limit) done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    else new ReceivedBody(options, request, payload, { limit, announced, coding }, done).receive()
  }
}

interface ExpectedBody {
  /** Most bytes, before and after decompression. */
  limit: number
  /** NaN where the request doesn't announce it. */
  announced: number
  coding: string | undefined
}

/** A body that is being received, then decompressed. */
class ReceivedBody {
  readonly #request: FastifyRequest
  readonly #payload: RequestPayload
  readonly #expected: ExpectedBody
  readonly #done: Done
  readonly #options: BodyOptions
  #holder: Holder | undefined
  readonly #pieces = new Pieces()
  #settled = false
  #giveUpDecoding: (() => void) | undefined

  constructor(
    options: BodyOptions,
    request: FastifyRequest,
    payload: RequestPayload,
    expected: ExpectedBody,
    done: Done,
  ) {
    this.#request = request
    this.#payload = payload
    this.#options = options
    this.#expected = expected
    this.#done = done
  }

  receive(): void {
    const payload = this.#payload
    payload.on('data', this.#onData)
    payload.on('end', this.#onEnd)
    // Stays for as long as the stream lives: it can fail after its request has been answered.
    payload.on('error', this.#fail)
    payload.on('close', this.#onClose)
    payload.resume()
    askForBody(this.#request.raw)
  }

  #stopReceiving(): void {
    const payload = this.#payload
    payload.removeListener('data', this.#onData)
    payload.removeListener('end', this.#onEnd)
    payload.removeListener('close', this.#onClose)
  }

  #settle(error: Error | null, body?: Buffer): void {
    if (this.#settled) return
    this.#settled = true
    this.#holder?.close()
    this.#pieces.clear()
    this.#stopReceiving()
    this.#giveUpDecoding?.()
    // Nobody reads the rest. A request itself can't be destroyed before it is answered: it passes over the rest.
    if (error !== null && this.#payload !== this.#request.raw) this.#payload.destroy()
    this.#done(error, body)
  }

  readonly #onData = (given: Buffer | string): void => {
    // A stream that another plugin put in its place may give text.
    const piece = typeof given === 'string' ? Buffer.from(given) : given
    const { coding } = this.#expected
    const isDecoded = coding !== undefined && !this.#options.decoders
    this.#take(piece, isDecoded ? (this.#payload.receivedEncodedLength ?? 0) : undefined)
  }

  readonly #onEnd = (): void => {
    const { announced, coding } = this.#expected
    const { decoders } = this.#options
    if (!Number.isNaN(announced) && (this.#payload.receivedEncodedLength || this.#pieces.length) !== announced)
      this.#settle(new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH())
    else if (coding !== undefined && decoders) this.#decode(decoders, coding as Coding, this.#pieces.take())
    else this.#settle(null, this.#pieces.take())
  }

  readonly #onClose = (): void => this.#fail(new Error('the connection was closed'))

  readonly #fail = (error: Error & { statusCode?: number }): void => {
    const { coding } = this.#expected
    if (error.statusCode !== undefined && error.statusCode >= 400) this.#settle(error)
    else if (coding !== undefined)
      this.#settle(invalidRequest([{ path: '', message: `must be valid ${coding}: ${reasonOf(error)}` }]))
    else this.#settle(Object.assign(error, { statusCode: 400 }))
  }

  /**
   * `encoded`: size of the compressed body that the piece comes from, as far as it has arrived; undefined if not
   * decompressed.
   */
  #take(piece: Buffer, encoded?: number): void {
    const { limit, announced, coding } = this.#expected
    const pieces = this.#pieces
    pieces.add(piece)
    const { length } = pieces
    if (length > limit || (encoded ?? 0) > limit) this.#settle(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    else if (encoded !== undefined && length > smallInflated && length > maxCompressionRatio * encoded)
      this.#settle(tooDense())
    else if (pieces.count > anyPieces && length < leastPiece * pieces.count) {
      ignoreBody(this.#request.raw.socket)
      this.#settle(tooSmallChunks())
    }
    // A whole body is about to be read.
    else if (length !== announced || coding !== undefined) this.#hold(length, piece.length)
  }

  /** Counts what has come, `all` bytes, of which `more` have just come. */
  #hold(all: number, more: number): void {
    if (this.#holder !== undefined) {
      this.#holder.add(more)
      return
    }
    const { bodies, onGivenUp } = this.#options
    this.#holder = bodies.open(() => {
      onGivenUp()
      this.#settle(tooManyPending())
    })
    this.#holder.add(all + requestBytes(this.#request.raw))
  }

  #decode(decoders: Decoders, coding: Coding, encoded: Buffer): void {
    this.#stopReceiving()
    const giveUp = decoders.decode(coding, encoded, {
      start: (memory) => {
        if (this.#request.raw.socket.destroyed) this.#onClose()
        else this.#hold(encoded.length + memory, memory)
        return !this.#settled
      },
      data: (piece) => this.#take(piece, encoded.length),
      end: () => this.#settle(null, this.#pieces.take()),
      error: this.#fail,
    })
    if (this.#settled) giveUp()
    else this.#giveUpDecoding = giveUp
  }
}

/** To take them would keep all others waiting, so this client has to come again with larger ones. */
function tooSmallChunks(): ModelError {
  const message = `must not come in more than ${anyPieces} pieces of less than ${leastPiece} bytes on average`
  return invalidRequest([{ path: '', message }])
}

/** Why a body is refused that has to make room for others. */
export function tooManyPending(): ModelError {
  const message = 'Clients hold more memory than they may together, and this body is among the largest'
  return new ModelError('QUEUE_FULL', message, { retryAfterSeconds: 1 })
}

class UnsupportedCoding extends Error {
  readonly statusCode = 415
  readonly code = 'FST_CP_ERR_INVALID_CONTENT_ENCODING'
}

function tooDense(): Error {
  const error = new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE()
  error.message = `The body inflates to more than ${maxCompressionRatio} times its size`
  return error
}

/** Responses to requests with `Expect: 100-continue` whose clients have not been asked for their bodies. */
const waiting = new WeakMap<IncomingMessage, { response: ServerResponse; keepsAlive: boolean }>()

/** Leaves it to `askForBody` when a client is asked for its body; Node would do so before anything is checked. */
export function holdContinue(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.set(request, { response, keepsAlive: response.shouldKeepAlive })
    // Whether the body of a refused request comes after all can't be known.
    response.shouldKeepAlive = false
    server.emit('request', request, response)
  })
  // Another expectation is refused like any other fault: Node's own answer would know of no key, and count nowhere.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response)
  })
}

/** The request's headers have been accepted: its client may send the body. */
export function askForBody(request: IncomingMessage): void {
  const held = waiting.get(request)
  if (held === undefined) return
  waiting.delete(request)
  held.response.shouldKeepAlive = held.keepsAlive
  held.response.writeContinue()
}
