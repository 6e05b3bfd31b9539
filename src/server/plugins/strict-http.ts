import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { ModelError } from '../../base/errors.ts'
import { inTurn, written } from '../errors/client-error.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { lingeringClose } from '../overload/lingering-close.ts'
import { requestIdOf } from './request-id.ts'

/** Most headers of a request: each takes more memory than its bytes. */
const mostHeaders = 256

/** Headers that a server has Node keep of a request: one more than there may be. The rest is lost. */
export const keptHeaders = mostHeaders + 1

/**
 * Refuses requests that Node's parser accepts, but no server should answer (RFC 9112, sections 3.2 and 6.1), and
 * expectations that it can't meet.
 */
export const strictHttp = fastifyPlugin(async (app: FastifyInstance) => {
  app.addHook('onRequest', (request, reply, done) => {
    const message = fault(request.raw)
    if (message === undefined) {
      done()
      return
    }
    reply.header('connection', 'close')
    done(new ModelError('INVALID_REQUEST', message, { problems: [{ path: '', message }] }))
  })
})

/** Why a request is refused, if it is. */
export function fault({ rawHeaders, headers, httpVersion }: IncomingMessage): string | undefined {
  const { 'transfer-encoding': transferEncoding, expect } = headers
  if (transferEncoding !== undefined && transferEncoding.trim().toLowerCase() !== 'chunked')
    return 'The only supported Transfer-Encoding is chunked; Content-Encoding announces a compressed body'
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    return 'The only supported Expect is 100-continue'
  if (rawHeaders.length > 2 * mostHeaders) return `The request has more than ${mostHeaders} headers`
  let hosts = 0
  let authorizations = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
    else if (name.length === 13 && name.toLowerCase() === 'authorization') authorizations++
  }
  if (hosts === 0 && httpVersion === '1.1') return 'The request has no Host header, which HTTP/1.1 requires'
  if (hosts > 1) return 'The request has more than one Host header'
  return authorizations > 1 ? 'The request has more than one Authorization header' : undefined
}

/** Answers a request by `CONNECT`, after what its connection has asked before, and closes the connection. */
export function refuseConnect(request: IncomingMessage, stream: Duplex): void {
  // Node no longer handles the connection's errors.
  const socket = stream as Socket
  socket.on('error', () => socket.destroy())
  inTurn(socket, () => {
    const detail = 'The server is no proxy: it does not take CONNECT'
    const problem = problemDetails('METHOD_NOT_ALLOWED', detail, requestIdOf(request))
    socket.write(written(problem, ['allow: GET, HEAD, POST']))
    lingeringClose(socket)
  })
}
