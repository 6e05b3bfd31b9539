import type { Socket } from 'node:net'

/** Node's parser of a connection, the part that is used here; no documented interface. */
interface Parser {
  /** Receives each request once its headers are there. 0: its body follows as usual; 2: it ends what this parser reads for now. */
  onIncoming(): number
}

/**
 * Has further requests of a connection ignored, which is about to be closed. Node goes on with what it has read: a piece of
 * 64 KiB may hold thousands of requests, and each would take time and memory until the connection is closed. The parser stops
 * as at a change of protocol, which llhttp offers.
 */
export function ignoreRest(socket: Socket): void {
  const { parser } = socket as { parser?: Parser | null }
  if (parser) parser.onIncoming = () => 2
}
