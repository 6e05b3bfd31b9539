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

/**
 * Bounds what clients leave unread: an answer lies in memory until its client takes it, and one that asks on and never reads could
 * leave hundreds. Large answers count, and those that wait behind others of their connection.
 */
export const unreadAnswers = fastifyPlugin(async (app: FastifyInstance, { answers, onGivenUp }: Options) => {
  const connections = new WeakMap<Socket, { holder: Holder; answers: number }>()

  /** What a connection holds; given back, whatever became of its answers, when it closes. */
  function connectionOf(socket: Socket) {
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

  function count(socket: Socket, answer: ServerResponse, bytes: number): void {
    const connection = connectionOf(socket)
    const { holder } = connection
    connection.answers++
    answer.once('close', () => {
      connection.answers--
      holder.add(-bytes)
    })
    holder.add(bytes)
    // One answer may be larger than all that is allowed; several need not be in flight together.
    if (answers.exceeded && connection.answers > 1 && !socket.destroyed) {
      onGivenUp()
      socket.destroy()
    }
  }

  app.addHook('onSend', ({ raw: { socket } }, { raw: answer }, payload, done) => {
    // Of a connection that has been closed nothing is kept: neither it nor the answer closes once more.
    if (!socket.destroyed && !answer.destroyed) {
      const bytes = bytesOf(payload)
      if (bytes > smallAnswer || (bytes > 0 && (answer.socket === null || socket.writableLength > 0)))
        count(socket, answer, bytes)
    }
    done()
  })
})

/** A file that is streamed holds only little in memory. */
function bytesOf(payload: unknown): number {
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0
}
