import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Key } from '../security/keyring.ts'

/** Bytes that wait for one viewer at most: one that reads slower is disconnected, and comes back. */
const mostUnread = 1024 * 1024

/** Who watches, and where the stream goes. */
export interface ViewerOptions {
  response: ServerResponse
  /** Its connection. The response has it only from when those before it have left until it has left itself. */
  socket: Socket
  /** The id of a key, else an address. */
  client: string
  /** Undefined where no key is asked for. */
  key: Key | undefined
  /** Its place is free; may be called again. */
  onLeave(): void
}

/**
 * One client's stream of server-sent events, which begins when its history is there. After its end nothing is written
 * to it, whenever its client takes what was sent before, and whether it does at all.
 */
export class Viewer {
  readonly client: string
  readonly key: Key | undefined
  readonly #response: ServerResponse
  readonly #socket: Socket
  readonly #onLeave: () => void
  #state: 'waiting' | 'open' | 'ending' = 'waiting'

  constructor({ response, socket, client, key, onLeave }: ViewerOptions) {
    this.client = client
    this.key = key
    this.#response = response
    this.#socket = socket
    this.#onLeave = onLeave
    response.once('close', onLeave)
  }

  /** It has been sent its end, which its client has not taken yet. */
  get ending(): boolean {
    return this.#state === 'ending'
  }

  /** The headers and the first text. */
  start(headers: Record<string, string>, text: string): void {
    this.#state = 'open'
    this.#response.writeHead(200, headers)
    this.#response.write(text)
  }

  write(text: string): void {
    if (this.#state !== 'open') return
    if (this.#response.writableLength > mostUnread) this.destroy()
    else this.#response.write(text)
  }

  /** With its last text, if there is one. One that waits has nothing to end. */
  end(text?: string): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#response.end(text)
  }

  /** Makes room for another: its place is free immediately. */
  giveUp(): void {
    if (this.#response.writableLength > 0) this.destroy()
    this.end()
    this.#onLeave()
  }

  /** Closes its connection, with what its client has not taken. */
  destroy(): void {
    this.#socket.destroy()
    this.#onLeave()
  }
}
