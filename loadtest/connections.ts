import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Reply, Transport } from './open-loop.ts'

export interface ConnectionsOptions {
  /** Where to POST to. */
  url: URL
  headers: Record<string, string>
  /** Sent in turn. */
  bodies: readonly string[]
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

/**
 * HTTP/1.1 on plain sockets: requests are bytes made beforehand, and of an answer only its status is read and its length
 * counted. About a fifth of what `node:http` costs, which matters where server and generator share their cores.
 */
export function createConnections({ url, headers, bodies, limit }: ConnectionsOptions): Connections {
  const requests = bodies.map((body) => requestBytes(url, headers, body))
  const sockets = new Set<Socket>()
  const idle: Connection[] = []

  interface Connection {
    socket: Socket
    /** Undefined while idle. */
    done: ((reply: Reply) => void) | undefined
  }

  function add(): Connection {
    const socket = connect({ host: url.hostname, port: Number(url.port || 80), noDelay: true })
    const connection: Connection = { socket, done: undefined }
    const answer = createAnswerReader()
    let reason = 'connection closed'
    sockets.add(socket)
    socket.on('data', (chunk) => {
      const status = answer(chunk)
      if (status === undefined) return
      const { done } = connection
      connection.done = undefined
      idle.push(connection)
      done?.(status > 0 ? { status } : { error: 'answer without Content-Length' })
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message
    })
    socket.on('close', () => {
      sockets.delete(socket)
      const at = idle.indexOf(connection)
      if (at >= 0) idle.splice(at, 1)
      connection.done?.({ error: reason })
    })
    return connection
  }

  return {
    get open() {
      return sockets.size
    },
    async openAll() {
      while (sockets.size < limit) {
        const added = Array.from({ length: Math.min(64, limit - sockets.size) }, add)
        await Promise.all(added.map(({ socket }) => once(socket, 'connect')))
        idle.push(...added)
      }
    },
    send(index, done) {
      const connection = idle.pop() ?? (sockets.size < limit ? add() : undefined)
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

function requestBytes(url: URL, headers: Record<string, string>, body: string): Buffer {
  const lines = Object.entries({ host: url.host, ...headers, 'content-length': String(Buffer.byteLength(body)) })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.from(`POST ${url.pathname} HTTP/1.1\r\n${head}\r\n${body}`)
}

/** Takes an answer's chunks; the status when it is whole, 0 for one without Content-Length, undefined before. */
export function createAnswerReader(): (chunk: Buffer) => number | undefined {
  let head: Buffer | undefined
  let status = 0
  let missing = 0
  return (chunk) => {
    if (missing === 0) {
      const bytes = head ? Buffer.concat([head, chunk]) : chunk
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) {
        head = bytes
        return undefined
      }
      head = undefined
      const text = bytes.toString('latin1', 0, end)
      const [, length] = /\r\ncontent-length: *(\d+)/i.exec(text) ?? []
      if (length === undefined) return 0
      status = Number(text.slice(9, 12))
      missing = Number(length) - (bytes.length - end - 4)
    } else missing -= chunk.length
    return missing === 0 ? status : undefined
  }
}
