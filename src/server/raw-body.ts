import { errorCodes, type FastifyInstance, type FastifyRequest, type RequestPayload } from 'fastify'

type Done = (error: Error | null, body?: Buffer) => void

/** Gives the routes of a context their bodies as bytes, whatever their Content-Type is: clients send none, or a form's. */
export function acceptAnyType(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', createBytesParser())
}

/** A request's body in such a context; empty where it has none. */
export function bytesOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}

/**
 * A content type parser that answers the bytes of a body. Fastify's own copies each once more, also one that came in a single
 * piece; and what lies outside the heap makes V8 collect all of that, several times a second at a hundred candidates.
 *
 * Refuses, as that does, what is larger than the routes' limit (of a context all have the same) or not as long as it said.
 */
export function createBytesParser() {
  let limit: number | undefined
  return (request: FastifyRequest, payload: RequestPayload, done: Done): void => {
    limit ??= request.routeOptions.bodyLimit
    const most = limit
    const announced = Number(request.headers['content-length'])
    if (announced > most) {
      done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
      return
    }
    const pieces: Buffer[] = []
    let length = 0

    function settle(error: Error | null, body?: Buffer): void {
      payload.removeListener('data', take)
      payload.removeListener('end', end)
      payload.removeListener('error', fail)
      done(error, body)
    }
    // A stream that another plugin put in its place may give text.
    function take(given: Buffer | string): void {
      const piece = typeof given === 'string' ? Buffer.from(given) : given
      pieces.push(piece)
      length += piece.length
      if (length > most || (payload.receivedEncodedLength ?? 0) > most)
        settle(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    }
    function end(): void {
      if (!Number.isNaN(announced) && (payload.receivedEncodedLength || length) !== announced)
        settle(new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH())
      else settle(null, pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length))
    }
    function fail(error: Error & { statusCode?: number }): void {
      if (!(error.statusCode !== undefined && error.statusCode >= 400)) error.statusCode = 400
      settle(error)
    }
    payload.on('data', take)
    payload.on('end', end)
    payload.on('error', fail)
    payload.resume()
  }
}
