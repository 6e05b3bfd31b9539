import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type ConnectionMemoryOptions, countUnread } from './connection-memory.ts'

/** What a stream holds, bytes: a compressor above all. */
const streamBytes = 320 * 1024

/** Bytes that many responses share: they are in memory once. */
const shared = new WeakSet<Uint8Array>()

/** Marks bytes that are kept anyway, and sent to every client that asks. */
export function shareable<Bytes extends Uint8Array>(bytes: Bytes): Bytes {
  shared.add(bytes)
  return bytes
}

/** Bounds what clients of an application leave unread: what the system does not take of a response in one piece. */
export const unreadAnswers = fastifyPlugin(async (app: FastifyInstance, options: ConnectionMemoryOptions) => {
  app.addHook('onSend', ({ raw: { socket } }, { raw: answer }, payload, done) => {
    if (typeof payload === 'object' && payload !== null && !(payload instanceof Uint8Array)) {
      countUnread(answer, socket, streamBytes, options)
      done()
      return
    }
    const count = () => {
      const left = socket.writableLength
      if (left > 0) countUnread(answer, socket, isShared(payload, 'encrypted' in socket) ? 0 : left, options)
    }
    // Ends the response, unless another hook takes its time.
    done()
    if (answer.writableEnded) count()
    else setImmediate(count)
  })
})

/** `isCopied`: TLS encrypts a copy for each connection. */
function isShared(payload: unknown, isCopied: boolean): boolean {
  return !isCopied && payload instanceof Uint8Array && shared.has(payload)
}
