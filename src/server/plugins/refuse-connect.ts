import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { inTurn, written } from '../errors/client-error.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { requestIdOf } from './request-id.ts'

/** Answers a request by `CONNECT`, after what its connection has asked before, and closes the connection. */
export function refuseConnect(request: IncomingMessage, stream: Duplex): void {
  // Node no longer handles the connection's errors.
  const socket = stream as Socket
  socket.on('error', () => socket.destroy())
  inTurn(socket, () => {
    const detail = 'The server is no proxy: it does not take CONNECT'
    const problem = problemDetails('METHOD_NOT_ALLOWED', detail, requestIdOf(request))
    socket.write(written(problem, ['allow: GET, HEAD, POST']))
    socket.destroySoon()
  })
}
