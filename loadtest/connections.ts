import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Reply, Transport } from './open-loop.ts'

export interface ConnectionsOptions {
  host: string
  port: number
  /** As they go on the wire; sent in turn. */
  requests: readonly Buffer[]
  /** Most connections open at once. */
  limit: number
}

/** A pool of keep-alive connections, one request on each at a time. */
export interface Connections extends Transport {
  /** Opens all that may be open: under overload a server's backlog of new ones overflows, and TCP tries again in seconds. */
  openAll(): Promise<void>
  /** Open now. */
  readonly open: number
  destroy(): void
}

/** An answer rarely has more at once; then it comes in several pieces. */
const readBytes = 64 * 1024

/**
 * HTTP/1.1 on plain sockets: requests are bytes made beforehand, and of an answer only its status is read and its length
 * counted. About a fifth of what `node:http` costs, which matters where server and generator share their cores.
 */
export function createConnections({ host, port, requests, limit }: ConnectionsOptions): Connections {
  const sockets = new Set<Socket>()
  // First in, first out: a server of several processes that share the connections is loaded evenly.
  const idle = new Set<Connection>()
  // One for all: a socket's bytes are looked at before the next one is read.
  const buffer = Buffer.alloc(readBytes)

  interface Connection {
    socket: Socket
    /** Undefined while idle. */
    done: ((reply: Reply) => void) | undefined
  }

  function add(): Connection {
    const answer = createAnswerReader()
    const read = (length: number) => {
      if (!answer.take(buffer.subarray(0, length))) return true
      const { done } = connection
      connection.done = undefined
      if (answer.last) socket.destroy()
      else idle.add(connection)
      done?.(answer.status > 0 ? { status: answer.status } : { error: 'answer without Content-Length' })
      return true
    }
    const socket = connect({ host, port, noDelay: true, onread: { buffer, callback: read } })
    const connection: Connection = { socket, done: undefined }
    let reason = 'connection closed'
    sockets.add(socket)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message
    })
    socket.on('close', () => {
      sockets.delete(socket)
      idle.delete(connection)
      connection.done?.({ error: reason })
    })
    return connection
  }

  function takeIdle(): Connection | undefined {
    for (const connection of idle) {
      idle.delete(connection)
      return connection
    }
    return undefined
  }

  return {
    get open() {
      return sockets.size
    },
    async openAll() {
      while (sockets.size < limit) {
        const added = Array.from({ length: Math.min(64, limit - sockets.size) }, add)
        await Promise.all(added.map(({ socket }) => once(socket, 'connect')))
        for (const connection of added) idle.add(connection)
      }
    },
    send(index, done) {
      const connection = takeIdle() ?? (sockets.size < limit ? add() : undefined)
      if (connection === undefined) return false
      connection.done = done
      connection.socket.write(requests[index % requests.length]!)
      return true
    },
    destroy() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Reads one answer after the other. */
export interface AnswerReader {
  /** Takes the next bytes; true when the answer is whole. The bytes may be overwritten afterwards. */
  take(chunk: Buffer): boolean
  /** Of the last whole answer; 0 for one without Content-Length, whose end can't be known. */
  readonly status: number
  /** The server closes the connection after it. */
  readonly last: boolean
}

export function createAnswerReader(): AnswerReader {
  let head: Buffer | undefined
  let missing = 0
  const reader = {
    status: 0,
    last: false,
    take(chunk: Buffer): boolean {
      if (missing === 0) {
        const bytes = head ? Buffer.concat([head, chunk]) : chunk
        const end = bytes.indexOf('\r\n\r\n')
        if (end < 0) {
          head = Buffer.from(bytes)
          return false
        }
        head = undefined
        const text = bytes.toString('latin1', 0, end)
        const [, length] = /\r\ncontent-length: *(\d+)/i.exec(text) ?? []
        reader.status = length === undefined ? 0 : Number(text.slice(9, 12))
        reader.last = length === undefined || /\r\nconnection: *close/i.test(text)
        missing = length === undefined ? 0 : Number(length) - (bytes.length - end - 4)
      } else missing -= chunk.length
      return missing === 0
    },
  }
  return reader
}
