import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/** Requests of one connection that may wait for the answer to an earlier one. */
const longestPipeline = 100

/**
 * Closes connections that ask on and on without waiting for answers. Node reads pipelined requests as long as no answers
 * pile up, and those of requests that take a while are not there yet: one connection could have thousands under way.
 *
 * And tells an answer that waits behind others when its connection is closed, as Node tells only the first.
 */
export const pipelining = fastifyPlugin(async (app: FastifyInstance) => {
  const waiting = new WeakMap<Socket, Set<ServerResponse>>()

  function waitingOn(socket: Socket): Set<ServerResponse> {
    let answers = waiting.get(socket)
    if (answers === undefined) {
      const all = new Set<ServerResponse>()
      waiting.set(socket, all)
      socket.once('close', () => {
        for (const answer of all) if (answer.socket === null) answer.emit('close')
      })
      answers = all
    }
    return answers
  }

  app.addHook('onRequest', (request, reply, done) => {
    const { raw: answer } = reply
    // An answer has a connection once those before it have been sent.
    if (answer.socket !== null) {
      done()
      return
    }
    const { socket } = request.raw
    const answers = waitingOn(socket)
    if (answers.size >= longestPipeline || socket.destroyed) {
      socket.destroy()
      reply.hijack()
      return
    }
    answers.add(answer)
    answer.once('finish', () => answers.delete(answer))
    done()
  })
})
