import { connect, type Socket } from 'node:net'
import { connect as secure, type TLSSocket } from 'node:tls'
import { AnswerStream, type HttpAnswer } from './answers.ts'

/** How a request ended. */
export type Ending =
  /** `waited`: until the connection was open and the request could leave, ms. */
  | { answer: HttpAnswer; port: number; waited: number }
  /** No answer came, and why; `port` is the client's, 0 where it wasn't connected. */
  | { lost: string; port: number }

export interface ClientOptions {
  port: number
  /** The authority that it trusts (PEM). */
  authority: string
  /** Most open connections, and most that are kept while idle: under load more are opened, and closed afterwards. */
  limit: number
  kept: number
  /** Longest wait for an answer, ms. */
  patience: number
  /** An answer that no request waited for: the header `x-request-id` says which had one already. */
  onStray(requestId: string | undefined): void
}

/** Keep-alive TLS connections with one request at a time on each. */
export interface Client {
  /**
   * Sends a request of this id and calls `done` once. Returns false, without calling it, where no connection is free.
   */
  send(id: string, bytes: Buffer, done: (ending: Ending) => void): boolean
  /** Opens this number of connections in advance. */
  open(count: number): Promise<void>
  destroy(): void
}

interface Waiting {
  id: string
  /** When it was to be sent, ms. */
  since: number
  done: (ending: Ending) => void
  timer: NodeJS.Timeout
}

/** One connection; tells when it is idle and when it is closed. */
class Connection {
  readonly ready: Promise<void>
  readonly #tcp: Socket
  readonly #socket: TLSSocket
  readonly #answers = new AnswerStream()
  readonly #options: ClientOptions
  #waiting: Waiting | undefined
  /** The client's, known once it is connected. */
  #port = 0
  #reason = 'the connection was closed'
  #openSince = Number.POSITIVE_INFINITY
  onIdle: (connection: Connection) => void = () => undefined

  constructor(options: ClientOptions, onClosed: (connection: Connection) => void) {
    this.#options = options
    this.#tcp = connect({ port: options.port, host: '127.0.0.1', noDelay: true })
    this.#tcp.once('connect', () => {
      this.#port = this.#tcp.localPort ?? 0
    })
    const fail = (error: NodeJS.ErrnoException) => {
      this.#reason = error.code ?? error.message
    }
    this.#tcp.on('error', fail)
    this.#socket = secure({ socket: this.#tcp, ca: options.authority, servername: 'localhost' })
    this.#socket.on('error', fail)
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.ready = new Promise((resolve) => {
      this.#socket.once('secureConnect', () => {
        this.#openSince = performance.now()
        resolve()
      })
      this.#socket.once('close', () => {
        resolve()
        onClosed(this)
        this.#settle({ lost: this.#reason, port: this.#port })
      })
    })
  }

  send(waiting: Pick<Waiting, 'id' | 'done'>, bytes: Buffer): void {
    const timer = setTimeout(() => {
      this.#settle({ lost: 'no answer in time', port: this.#port })
      this.destroy()
    }, this.#options.patience)
    this.#waiting = { ...waiting, timer, since: performance.now() }
    this.#socket.write(bytes)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    try {
      for (const answer of this.#answers.take(chunk)) this.#take(answer)
    } catch (error) {
      this.#reason = (error as Error).message
      this.destroy()
    }
  }

  #take(answer: HttpAnswer): void {
    const id = answer.headers.get('x-request-id')
    if (this.#waiting === undefined || this.#waiting.id !== id) {
      this.#options.onStray(id)
      return
    }
    const isLast = answer.headers.get('connection')?.toLowerCase() === 'close'
    if (isLast) this.destroy()
    this.#settle({ answer, port: this.#port, waited: Math.max(0, this.#openSince - this.#waiting.since) })
    if (!isLast) this.onIdle(this)
  }

  #settle(ending: Ending): void {
    if (this.#waiting === undefined) return
    const { done, timer } = this.#waiting
    this.#waiting = undefined
    clearTimeout(timer)
    done(ending)
  }
}

export function createClient(options: ClientOptions): Client {
  const all = new Set<Connection>()
  // First in, first out, so that every process has its share.
  const idle = new Set<Connection>()

  function add(): Connection {
    const connection = new Connection(options, (closed) => {
      all.delete(closed)
      idle.delete(closed)
    })
    connection.onIdle = (one) => {
      if (all.size > options.kept) one.destroy()
      else idle.add(one)
    }
    all.add(connection)
    return connection
  }

  function take(): Connection | undefined {
    for (const connection of idle) {
      idle.delete(connection)
      return connection
    }
    return all.size < options.limit ? add() : undefined
  }

  return {
    send(id, bytes, done) {
      const connection = take()
      connection?.send({ id, done }, bytes)
      return connection !== undefined
    },
    async open(count) {
      const added = Array.from({ length: count }, add)
      await Promise.all(added.map(({ ready }) => ready))
      for (const connection of added) if (all.has(connection)) idle.add(connection)
    },
    destroy() {
      for (const connection of all) connection.destroy()
    },
  }
}
