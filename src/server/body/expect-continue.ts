import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/** Responses to requests with `Expect: 100-continue` whose clients have not been asked for their bodies. */
const waiting = new WeakMap<IncomingMessage, ServerResponse>()

/** Leaves it to `askForBody` when a client is asked for its body; Node would do so before anything is checked. */
export function holdContinue(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.set(request, response)
    // Whether the body of a refused request comes after all can't be known.
    response.shouldKeepAlive = false
    server.emit('request', request, response)
  })
}

/** The request's headers have been accepted: its client may send the body. */
export function askForBody(request: IncomingMessage): void {
  const response = waiting.get(request)
  if (response === undefined) return
  waiting.delete(request)
  response.shouldKeepAlive = request.headers.connection?.toLowerCase() !== 'close'
  response.writeContinue()
}
