import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { ignoreRest } from './ignore-rest.ts'

/** Pipelined requests of one connection that are under way: read, computed, or answered and not yet taken by the client. */
const mostUnderWay = 16

/** Pipelined requests of one connection that may wait for their turn; one that sends more in one piece is closed. */
const mostWaiting = 100

/** The pipelined requests of a connection: those that came before the answer to an earlier one had been sent. */
interface Pipeline {
  underWay: Set<ServerResponse>
  /** Each goes on with a request. */
  waiting: (() => void)[]
}

/**
 * Bounds what one connection can have under way. Node reads pipelined requests as long as no answers pile up, and answers to
 * requests that take a while are not there yet: a client that sends on and reads nothing could have thousands. Beyond the
 * bound, requests wait, unread, until the client has taken earlier answers.
 *
 * It also closes a response that waits behind others when its connection closes: Node notifies only the first.
 */
export const pipelining = fastifyPlugin(async (app: FastifyInstance) => {
  const pipelines = new WeakMap<Socket, Pipeline>()

  function pipelineOf(socket: Socket): Pipeline {
    const known = pipelines.get(socket)
    if (known !== undefined) return known
    const pipeline: Pipeline = { underWay: new Set(), waiting: [] }
    pipelines.set(socket, pipeline)
    socket.once('close', () => {
      pipeline.waiting = []
      for (const answer of pipeline.underWay) if (answer.socket === null) answer.emit('close')
    })
    return pipeline
  }

  function begin(pipeline: Pipeline, socket: Socket, answer: ServerResponse, done: () => void): void {
    pipeline.underWay.add(answer)
    answer.once('close', () => {
      pipeline.underWay.delete(answer)
      if (socket.destroyed) return
      const next = pipeline.waiting.shift()
      if (next === undefined) return
      if (pipeline.waiting.length === 0) socket.resume()
      next()
    })
    done()
  }

  app.addHook('onRequest', (request, reply, done) => {
    const { raw: answer } = reply
    // An answer has a connection once those before it have been sent.
    if (answer.socket !== null) {
      done()
      return
    }
    const { socket } = request.raw
    const pipeline = pipelineOf(socket)
    if (socket.destroyed || pipeline.waiting.length >= mostWaiting) {
      ignoreRest(socket)
      socket.destroy()
      reply.hijack()
    } else if (pipeline.underWay.size < mostUnderWay) {
      begin(pipeline, socket, answer, done)
    } else {
      // Until there is room no more is read of the connection than the system has already handed over.
      socket.pause()
      pipeline.waiting.push(() => begin(pipeline, socket, answer, done))
    }
  })
})
