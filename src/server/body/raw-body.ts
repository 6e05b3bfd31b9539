import { errorCodes, type FastifyInstance, type FastifyRequest, type RequestPayload } from 'fastify'
import { ModelError, reasonOf } from '../../model/base/errors.ts'
import { invalidRequest } from '../../model/features/problems.ts'
import type { PendingBytes } from '../overload/pending-bytes.ts'
import { contentCoding } from '../plugins/decompression.ts'

type Done = (error: Error | null, body?: Buffer) => void

/** Counts the bytes of bodies that are being received. */
export interface BodyCounting {
  bodies: PendingBytes
  /** A body was refused to make room for others. */
  onGivenUp(): void
}

/** A body that announces at most this many bytes isn't counted while it is received: a single packet may hold nearly as much. */
const smallBody = 1 << 16

/** A compressed body may inflate to at most this many times its size; one of JSON stays far below. */
const maxCompressionRatio = 100

/** Bytes that any compressed body may inflate to, whatever its ratio. */
const smallInflated = 1 << 18

/** Gives the routes of a context their bodies as bytes, whatever their Content-Type is: clients send none, or a form's. */
export function acceptAnyType(app: FastifyInstance, counting?: BodyCounting): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', createBytesParser(counting))
}

/** A request's body in such a context; empty where it has none. */
export function bytesOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}

/**
 * A content type parser that answers the bytes of a body. Fastify's own copies each once more, even one that came in a single
 * piece; and what lies outside the heap makes V8 collect all of that, several times a second at a hundred candidates.
 *
 * Refuses a body that is larger than the routes' limit (all routes of a context have the same), that inflates beyond measure,
 * that isn't as long as it announced, or that has to make room for others (QUEUE_FULL).
 */
export function createBytesParser(counting?: BodyCounting) {
  let limit: number | undefined
  return (request: FastifyRequest, payload: RequestPayload, done: Done): void => {
    limit ??= request.routeOptions.bodyLimit
    const most = limit
    const { 'content-length': header } = request.headers
    const announced = header === undefined ? Number.NaN : Number(header)
    if (announced > most) {
      done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
      return
    }
    const coding = contentCoding(request)
    const isSmall = announced <= smallBody && coding === undefined
    const holder = isSmall
      ? undefined
      : counting?.bodies.open(() => {
          counting.onGivenUp()
          const message = 'Too many bytes of request bodies are being received, and this body is the largest'
          settle(new ModelError('QUEUE_FULL', message, { retryAfterSeconds: 1 }))
        })
    let pieces: Buffer[] = []
    let length = 0
    let settled = false

    function settle(error: Error | null, body?: Buffer): void {
      if (settled) return
      settled = true
      holder?.close()
      pieces = []
      payload.removeListener('data', take)
      payload.removeListener('end', end)
      payload.removeListener('close', close)
      // Nobody reads the rest. A request itself can't be destroyed before it is answered: it passes over the rest.
      if (error !== null && payload !== request.raw) payload.destroy()
      done(error, body)
    }
    // A stream that another plugin put in its place may give text.
    function take(given: Buffer | string): void {
      const piece = typeof given === 'string' ? Buffer.from(given) : given
      pieces.push(piece)
      length += piece.length
      const encoded = payload.receivedEncodedLength ?? 0
      if (length > most || encoded > most) settle(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
      else if (coding !== undefined && length > smallInflated && length > maxCompressionRatio * encoded)
        settle(tooDense())
      else holder?.add(piece.length)
    }
    function end(): void {
      if (!Number.isNaN(announced) && (payload.receivedEncodedLength || length) !== announced)
        settle(new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH())
      else settle(null, pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length))
    }
    /** Stays for as long as the stream lives: it can fail after its request has been answered. */
    function fail(error: Error & { statusCode?: number }): void {
      if (error.statusCode !== undefined && error.statusCode >= 400) settle(error)
      else if (coding !== undefined)
        settle(invalidRequest([{ path: '', message: `must be valid ${coding}: ${reasonOf(error)}` }]))
      else settle(Object.assign(error, { statusCode: 400 }))
    }
    function close(): void {
      fail(new Error('the connection was closed'))
    }
    payload.on('data', take)
    payload.on('end', end)
    payload.on('error', fail)
    payload.on('close', close)
    payload.resume()
  }
}

function tooDense(): Error {
  const error = new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE()
  error.message = `The body inflates to more than ${maxCompressionRatio} times its size`
  return error
}
