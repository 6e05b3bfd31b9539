import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** Node's `HTTPParser.kOnBody`. */
const onBody = 3

/** Node's parser of a connection, the part that is used here; no documented interface. */
interface Parser {
  /** `kOnBody`: receives each piece of a body. Where there is none, pieces are passed over without a call. */
  [onBody]?: unknown
  /**
   * Receives each request once its headers are there. 0: its body follows as usual; 2: it ends what this parser reads
   * for now.
   */
  onIncoming(request: IncomingMessage & { upgrade?: boolean }): number
}

/**
 * Has further requests of a connection ignored, which is about to be closed. Node goes on with what it has read: a
 * piece of 64 KiB may hold thousands of requests, and each would take time and memory until the connection is closed.
 * The parser stops as at a change of protocol, which llhttp offers.
 */
export function ignoreRest(socket: Socket): void {
  const { parser } = socket as { parser?: Parser | null }
  if (!parser) return
  parser.onIncoming = (request) => {
    // Else Node would hand the connection over, without its listeners, to one that upgrades.
    request.upgrade = false
    return 2
  }
}

/**
 * Has the rest of a body ignored, and all requests after it, of a connection that is about to be closed: a piece of 64
 * KiB may hold ten thousand chunks of one byte, each of which would be handed over.
 */
export function ignoreBody(socket: Socket): void {
  ignoreRest(socket)
  const { parser } = socket as { parser?: Parser | null }
  const handOver = parser?.[onBody]
  if (!parser || typeof handOver !== 'function' || handOver.name !== 'parserOnBody') return
  parser[onBody] = undefined
  // Another connection uses the parser then.
  socket.once('close', () => {
    parser[onBody] = handOver
  })
}
