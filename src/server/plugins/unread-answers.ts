import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Holder, PendingBytes } from '../pending-bytes.ts'

/** Bytes of an answer that are hardly ever in our memory: the system takes them at once from a connection with nothing else to send. */
const smallAnswer = 1 << 16

interface Options {
  answers: PendingBytes
  /** A connection was closed because it held most of what clients don't read. */
  onGivenUp(): void
}

/**
 * Bounds what clients leave unread: an answer lies in memory until its client takes it, and one that asks on and never reads could
 * leave hundreds. What counts are large answers, and those that wait behind others of their connection.
 */
export const unreadAnswers = fastifyPlugin(async (app: FastifyInstance, { answers, onGivenUp }: Options) => {
  const connections = new WeakMap<Socket, { holder: Holder; answers: number }>()

  function count(socket: Socket, answer: ServerResponse, bytes: number): void {
    const giveUp = () => {
      onGivenUp()
      socket.destroy()
    }
    let connection = connections.get(socket)
    if (connection === undefined) {
      connection = { holder: answers.open(giveUp), answers: 0 }
      connections.set(socket, connection)
    }
    const { holder } = connection
    connection.answers++
    answer.once('close', () => {
      holder.add(-bytes)
      if (--connection.answers > 0) return
      holder.close()
      connections.delete(socket)
    })
    holder.add(bytes)
    // One answer may be larger than all that is allowed; several need not be asked for at once.
    if (answers.exceeded && connection.answers > 1 && !socket.destroyed) giveUp()
  }

  app.addHook('onSend', ({ raw: { socket } }, { raw: answer }, payload, done) => {
    const bytes = bytesOf(payload)
    if (bytes > smallAnswer || (answer.socket === null && bytes > 0)) count(socket, answer, bytes)
    done()
  })
})

/** Of what is sent as it is read from a file there is only ever a little. */
function bytesOf(payload: unknown): number {
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0
}
