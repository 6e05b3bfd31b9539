import type { IncomingMessage, Server, ServerResponse } from 'node:http'

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
