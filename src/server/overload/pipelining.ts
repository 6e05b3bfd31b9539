import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type ConnectionMemoryOptions, countWaiting } from './connection-memory.ts'
import { ignoreRest } from './ignore-rest.ts'

/** Pipelined requests of one connection that may wait for their turn; one that sends more in one piece is closed. */
const mostWaiting = 100

/**
 * Waiting requests of all connections together, from which each has its share: it may have fewer where many have some,
 * down to the last number.
 */
const mostWaitingOfAll = 3200
const leastWaiting = 8

/** Requests that begin in one turn of the event loop, besides predictions and probes. */
const perTurn = 8

/**
 * Whatever has Node read on, such as a request that ends. Its own mark of a paused connection would not do: that pauses
 * the parser, too, which then refuses what has been read already.
 */
function pauseAgain(this: Socket): void {
  this.pause()
}

/** Routes that never wait for a turn while they are first of their connection. */
declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route answers probes. */
    probes?: boolean
  }
}

/**
 * Answers the requests of a connection one after the other: one begins when the response before it has left. So a
 * client that sends on and reads nothing makes this process hold one response, and few requests behind it: Node reads
 * all that come in one piece, whatever becomes of them, and nothing more is read while they wait.
 *
 * It also has requests of all connections begin a few per turn of the event loop.
 */
export const pipelining = fastifyPlugin(async (app: FastifyInstance, options: ConnectionMemoryOptions) => {
  const turns = createTurns({ perTurn, soon: setImmediate })
  /** Requests that wait, by connection; only of those that have some. */
  const waiting = new Map<Socket, number>()
  function forget(this: Socket): void {
    waiting.delete(this)
  }

  /** Answers whether one more may. */
  function mayWait(socket: Socket): boolean {
    const share = Math.max(leastWaiting, Math.min(mostWaiting, Math.floor(mostWaitingOfAll / (waiting.size + 1))))
    return !socket.destroyed && (waiting.get(socket) ?? 0) < share
  }

  function wait(socket: Socket, answer: ServerResponse, begin: () => void): void {
    const before = waiting.get(socket)
    waiting.set(socket, (before ?? 0) + 1)
    if (before === undefined) socket.once('close', forget).on('resume', pauseAgain).pause()
    countWaiting(answer, socket, options)
    // Node gives a response its connection once those before it have left.
    answer.once('socket', () => {
      const left = (waiting.get(socket) ?? 0) - 1
      if (left > 0) waiting.set(socket, left)
      else if (waiting.delete(socket)) socket.off('close', forget).off('resume', pauseAgain).resume()
      turns.next(begin)
    })
  }

  app.addHook('onRequest', ({ raw: { socket }, routeOptions: { config } }, reply, done) => {
    const { raw: answer } = reply
    const begin = () => {
      if (socket.destroyed) reply.hijack()
      else done()
    }
    if (answer.socket !== null) {
      if (config?.predicts || config?.probes) done()
      else turns.enter(begin)
    } else if (mayWait(socket)) wait(socket, answer, begin)
    else {
      ignoreRest(socket)
      socket.destroy()
      reply.hijack()
    }
  })
})

/**
 * Spreads work over turns of the event loop: so much begins in each, and the rest waits, first come, first served. So
 * thousands of requests that come together keep what must be fast, predictions and probes, waiting for a few of them
 * only.
 */
export interface Turns {
  /** Calls `begin`, now or in one of the next turns. */
  enter(begin: () => void): void
  /** Calls `begin` in one of the next turns: what another piece of work leads to. */
  next(begin: () => void): void
}

export interface TurnsOptions {
  /** Most that begins in a turn. */
  perTurn: number
  /** Calls back in the next turn. */
  soon(callback: () => void): void
}

export function createTurns({ perTurn, soon }: TurnsOptions): Turns {
  let waiting: (() => void)[] = []
  /** Index of the first in `waiting` that has not begun. */
  let first = 0
  let begun = 0
  let isScheduled = false

  function schedule(): void {
    if (isScheduled) return
    isScheduled = true
    soon(turn)
  }

  function turn(): void {
    isScheduled = false
    begun = 0
    if (first === waiting.length) return
    schedule()
    while (begun < perTurn && first < waiting.length) {
      begun++
      waiting[first++]!()
    }
    // In half of the cases nothing is moved; else at most as much as has begun.
    if (first > waiting.length / 2) {
      waiting = waiting.slice(first)
      first = 0
    }
  }

  const next = (begin: () => void) => {
    waiting.push(begin)
    schedule()
  }
  return {
    next,
    enter(begin) {
      if (begun >= perTurn || first < waiting.length) {
        next(begin)
        return
      }
      begun++
      schedule()
      begin()
    },
  }
}
