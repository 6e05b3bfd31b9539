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
  readonly #options: ViewerOptions
  #state: 'waiting' | 'open' | 'ending' = 'waiting'

  constructor(options: ViewerOptions) {
    this.client = options.client
    this.key = options.key
    this.#options = options
    options.response.once('close', options.onLeave)
  }

  /** It has been sent its end, which its client has not taken yet. */
  get ending(): boolean {
    return this.#state === 'ending'
  }

  /** The headers and the first text. */
  start(headers: Record<string, string>, text: string): void {
    this.#state = 'open'
    this.#options.response.writeHead(200, headers)
    this.#options.response.write(text)
  }

  write(text: string): void {
    if (this.#state !== 'open') return
    if (this.#options.response.writableLength > mostUnread) this.destroy()
    else this.#options.response.write(text)
  }

  /** With its last text, if there is one. One that waits has nothing to end. */
  end(text?: string): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#options.response.end(text)
  }

  /** Makes room for another: its place is free immediately. */
  giveUp(): void {
    if (this.#options.response.writableLength > 0) this.destroy()
    this.end()
    this.#options.onLeave()
  }

  /** Closes its connection, with what its client has not taken. */
  destroy(): void {
    this.#options.socket.destroy()
    this.#options.onLeave()
  }
}
