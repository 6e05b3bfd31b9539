import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Reply, Transport } from './open-loop.ts'

export interface ConnectionsOptions {
  host: string
  port: number
  /** Complete requests, sent in turn. */
  requests: readonly Buffer[]
  /** Most open connections. */
  limit: number
}

/** A pool of keep-alive connections, each with one request at a time. */
export interface Connections extends Transport {
  /**
   * Opens all connections in advance: under overload a server's backlog overflows, and TCP retries only after seconds.
   */
  openAll(): Promise<void>
  /** Number of open connections. */
  readonly open: number
  /** Bytes of all answers so far. */
  readonly bytesRead: number
  destroy(): void
}

/** Size of the read buffer, bytes: a longer answer arrives in several chunks. */
const readBytes = 64 * 1024

/**
 * HTTP/1.1 on plain sockets: requests are prepared bytes, and only the status and the length of an answer are read. It
 * takes about a fifth of the time of `node:http`, which matters because server and generator share their cores.
 */
export function createConnections({ host, port, requests, limit }: ConnectionsOptions): Connections {
  const sockets = new Set<Socket>()
  // First in, first out, to load the processes of a server evenly.
  const idle = new Set<Connection>()
  // One buffer for all: the bytes of a socket are parsed before the next one is read.
  const buffer = Buffer.alloc(readBytes)
  let bytesRead = 0

  interface Connection {
    socket: Socket
    /** Undefined while idle. */
    done: ((reply: Reply) => void) | undefined
  }

  function add(): Connection {
    const answer = createAnswerReader()
    const read = (length: number) => {
      bytesRead += length
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
    get bytesRead() {
      return bytesRead
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

/** Parses consecutive answers. */
export interface AnswerReader {
  /** Takes the next bytes; true if the answer is complete. The bytes may be overwritten afterwards. */
  take(chunk: Buffer): boolean
  /** Status of the last complete answer; 0 without Content-Length, because its end is unknown. */
  readonly status: number
  /** Whether the server closes the connection after it. */
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
