import type { Socket } from 'node:net'
import { type Clock, systemClock } from '../../base/clock.ts'

/*
 * Messages and questions between a primary process and one that serves, over Node's channel between parent and child.
 */

/** A child process, or in a child its own `process`. */
export interface ChannelEnd {
  connected: boolean
  send?(
    message: unknown,
    handle: Socket | undefined,
    options: { keepOpen?: boolean },
    callback: (error: Error | null) => void,
  ): boolean
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown
  once(event: 'disconnect', listener: () => void): unknown
}

/**
 * The handler of each kind of message; the value that it returns, or resolves to, is the answer where one is asked for.
 */
export type Handlers = Record<string, (payload: never, socket: Socket | undefined) => unknown>

export interface Channel {
  /**
   * Says something that needs no answer; nothing happens where the other end has gone. A socket stays open here too.
   */
  tell(kind: string, payload?: unknown, socket?: Socket): void
  /** Rejects if the other end fails, has gone, gives no sign of life, or hasn't answered in time (ms). */
  ask(kind: string, longest: number, payload?: unknown): Promise<unknown>
  /**
   * The other end has gone, as its owner knows: all that is asked rejects. Node reports no disconnection of a child
   * that dies while a socket is on its way to it. Idempotent.
   */
  close(): void
}

interface Message {
  kind: string
  payload?: unknown
  /** The number of a question, and of its answer. */
  id?: number
}

const answer = 'answer'
const refusal = 'refusal'
/** A question is still worked on. */
const working = 'working'
const gone = 'the other process has gone'

/** How often an end says that it works on a question, ms. */
const signInterval = 1_000

/** Without a sign for so long an end counts as stopped, ms: a busy event loop is late by a few seconds at most. */
export const longestSilence = 5_000

interface Question {
  resolve(value: unknown): void
  reject(error: Error): void
  /** The other end works on it. */
  hear(): void
}

export function createChannel(end: ChannelEnd, handlers: Handlers, clock: Pick<Clock, 'after'> = systemClock): Channel {
  const asked = new Map<number, Question>()
  let nextId = 0
  let isClosed = false
  const isGone = () => isClosed || !end.connected

  function post(message: Message, socket?: Socket): void {
    // A process that is gone by then is noticed by its end.
    if (!isGone()) end.send?.(message, socket, { keepOpen: true }, () => undefined)
  }

  /** Says at intervals that a question is worked on; returns a function that ends it. */
  function giveSigns(id: number): () => void {
    let cancel = () => {}
    const next = () => {
      cancel = clock.after(signInterval, () => {
        if (isGone()) return
        post({ kind: working, id })
        next()
      })
    }
    next()
    return () => cancel()
  }

  function close(): void {
    isClosed = true
    for (const { reject } of asked.values()) reject(new Error(gone))
  }

  end.on('message', (message, handle) => {
    const { kind, payload, id } = message as Message
    if (kind === answer || kind === refusal || kind === working) {
      const question = asked.get(id ?? -1)
      if (kind === answer) question?.resolve(payload)
      else if (kind === refusal) question?.reject(new Error(String(payload)))
      else question?.hear()
      return
    }
    const handler = handlers[kind]
    if (handler === undefined) return
    if (id === undefined) {
      handler(payload as never, handle as Socket | undefined)
      return
    }
    const stopSigns = giveSigns(id)
    Promise.resolve()
      .then(() => handler(payload as never, undefined))
      .finally(stopSigns)
      .then((value) => post({ kind: answer, id, payload: value }))
      // The error of the handler, or that of an answer that can't be sent.
      .catch((error) => post({ kind: refusal, id, payload: String(error) }))
  })
  end.once('disconnect', close)

  return {
    tell: (kind, payload, socket) => post({ kind, payload }, socket),
    ask(kind, longest, payload) {
      if (isGone()) return Promise.reject(new Error(gone))
      const id = nextId++
      return new Promise((resolve, reject) => {
        const cancelLongest = clock.after(longest, () => question.reject(new Error('no answer in time')))
        const listen = () =>
          clock.after(longestSilence, () =>
            question.reject(new Error(`no sign of life for ${longestSilence / 1000} s`)),
          )
        let cancelSilence = listen()
        const settle = () => {
          cancelLongest()
          cancelSilence()
          asked.delete(id)
        }
        const question: Question = {
          resolve: (value) => {
            settle()
            resolve(value)
          },
          reject: (error) => {
            settle()
            reject(error)
          },
          hear: () => {
            cancelSilence()
            cancelSilence = listen()
          },
        }
        asked.set(id, question)
        try {
          post({ kind, id, payload })
        } catch (error) {
          // It can't be sent.
          question.reject(error as Error)
        }
      })
    },
    close,
  }
}
