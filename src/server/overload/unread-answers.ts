import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Holder, PendingBytes } from './pending-bytes.ts'

/** Bytes of an answer that are hardly ever in our memory: the system takes them from a connection with nothing else to send. */
const smallAnswer = 1 << 16

interface Options {
  answers: PendingBytes
  /** A connection was closed because it held most of what clients don't read. */
  onGivenUp(): void
}

const connections = new WeakMap<Socket, { holder: Holder; answers: number }>()

/** What a connection holds; given back, whatever became of its answers, when it closes. */
function connectionOf(socket: Socket, { answers, onGivenUp }: Options) {
  const known = connections.get(socket)
  if (known !== undefined) return known
  const holder = answers.open(() => {
    onGivenUp()
    socket.destroy()
  })
  const connection = { holder, answers: 0 }
  connections.set(socket, connection)
  socket.once('close', () => holder.close())
  return connection
}

/**
 * Counts an answer of `bytes` bytes that is about to be sent, if it may lie in memory until its client takes it: a client that asks on
 * and never reads could leave hundreds. Large answers count, and those that wait behind others of their connection.
 */
export function countUnread(answer: ServerResponse, socket: Socket, bytes: number, options: Options): void {
  // Of a connection that has been closed nothing is kept: neither it nor the answer closes once more.
  if (socket.destroyed || answer.destroyed || bytes === 0) return
  if (bytes <= smallAnswer && answer.socket !== null && socket.writableLength === 0) return
  const connection = connectionOf(socket, options)
  const { holder } = connection
  connection.answers++
  answer.once('close', () => {
    connection.answers--
    holder.add(-bytes)
  })
  holder.add(bytes)
  // One answer may be larger than all that is allowed; several need not be in flight together.
  if (options.answers.exceeded && connection.answers > 1 && !socket.destroyed) {
    options.onGivenUp()
    socket.destroy()
  }
}

/** Bounds what clients of an application leave unread. */
export const unreadAnswers = fastifyPlugin(async (app: FastifyInstance, options: Options) => {
  app.addHook('onSend', ({ raw: { socket } }, { raw: answer }, payload, done) => {
    countUnread(answer, socket, bytesOf(payload), options)
    done()
  })
})

/** A file that is streamed holds only little in memory. */
function bytesOf(payload: unknown): number {
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0
}
