import type { FastifyInstance, FastifyRequest } from 'fastify'

/** Gives the routes of a context their bodies as bytes, whatever their Content-Type is: clients send none, or a form's. */
export function acceptAnyType(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
}

/** A request's body in such a context; empty where it has none. */
export function bytesOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}
