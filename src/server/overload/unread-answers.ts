import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type ConnectionMemoryOptions, countUnread } from './connection-memory.ts'

/** What a stream holds, bytes: a compressor above all. */
const streamBytes = 320 * 1024

/** What a response holds beside its own bytes, where these are shared by all that ask for them. */
const sharedBytes = 4096

/** Bytes that many responses share: they are in memory once. */
const shared = new WeakSet<Uint8Array>()

/** Marks bytes that are kept anyway, and sent to every client that asks. */
export function shareable<Bytes extends Uint8Array>(bytes: Bytes): Bytes {
  shared.add(bytes)
  return bytes
}

/** Bounds what clients of an application leave unread. */
export const unreadAnswers = fastifyPlugin(async (app: FastifyInstance, options: ConnectionMemoryOptions) => {
  app.addHook('onSend', ({ raw: { socket } }, { raw: answer }, payload, done) => {
    countUnread(answer, socket, bytesOf(payload, 'encrypted' in socket), options)
    done()
  })
})

/** `isCopied`: TLS encrypts a copy for each connection. */
function bytesOf(payload: unknown, isCopied: boolean): number {
  if (payload === null || payload === undefined) return 0
  if (typeof payload === 'string') return payload.length
  if (payload instanceof Uint8Array) return shared.has(payload) && !isCopied ? sharedBytes : payload.length
  return streamBytes
}
