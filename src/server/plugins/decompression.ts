import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { FastifyInstance, FastifyRequest, RequestPayload } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/** Decoders of content codings; `deflate` is the zlib format (RFC 9110). */
const decoders: Record<string, () => Transform> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}

/**
 * Decompresses request bodies by their Content-Encoding. `readBytes` bounds what they inflate to.
 *
 * A decoder can fail at any time: while it is read, after its request has been answered, or when its client leaves. Each
 * therefore has an error listener for as long as it lives.
 */
export const decompression = fastifyPlugin(async (app: FastifyInstance) => {
  app.addHook('preParsing', (request, reply, payload, done) => {
    const coding = contentCoding(request)
    if (coding === undefined) {
      done(null, payload)
      return
    }
    if (!Object.hasOwn(decoders, coding)) {
      const error = new Error(`The Content-Encoding ${JSON.stringify(coding.slice(0, 64))} is not supported`)
      done(Object.assign(error, { statusCode: 415, code: 'FST_CP_ERR_INVALID_CONTENT_ENCODING' }))
      return
    }
    const decoder = decompress(payload, decoders[coding]!())
    reply.raw.once('close', () => decoder.destroy())
    done(null, decoder)
  })
})

/** The content coding of a request's body; undefined where it comes as it is. */
export function contentCoding({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const header = headers['content-encoding']
  if (header === undefined) return undefined
  const coding = header.trim().toLowerCase()
  return coding === '' || coding === 'identity' ? undefined : coding
}

function decompress(payload: RequestPayload, decoder: Transform & RequestPayload): RequestPayload {
  let received = 0
  decoder.receivedEncodedLength = 0
  payload.on('data', (chunk: Buffer) => {
    received += chunk.length
    decoder.receivedEncodedLength = received
  })
  decoder.on('error', () => undefined)
  payload.once('error', (error) => decoder.destroy(error))
  payload.once('close', () => {
    // A client that leaves in the middle of a body ends the stream without its `end`.
    if (!payload.readableEnded) decoder.destroy(new Error('the connection was closed'))
  })
  payload.pipe(decoder)
  // Whatever is left of a body that nobody reads any further passes through, so that the next request can arrive. This
  // listener comes after `pipe`, whose own pauses the body.
  decoder.once('close', () => payload.resume())
  return decoder
}
