import type { Socket } from 'node:net'

/*
 * What a primary process and one that serves tell and ask each other, over Node's channel between parent and child.
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

/** What to do with each kind of message; the value that it returns, or resolves to, is the answer where one is asked for. */
export type Handlers = Record<string, (payload: never, socket: Socket | undefined) => unknown>

export interface Channel {
  /** Says something that needs no answer; nothing happens where the other end has gone. A socket stays open here too. */
  tell(kind: string, payload?: unknown, socket?: Socket): void
  /** Rejects if the other end fails, has gone, or hasn't answered in time (ms). */
  ask(kind: string, longest: number, payload?: unknown): Promise<unknown>
}

interface Message {
  kind: string
  payload?: unknown
  /** Of a question, and of its answer. */
  id?: number
}

const answer = 'answer'
const refusal = 'refusal'
const gone = 'the other process has gone'

export function createChannel(end: ChannelEnd, handlers: Handlers): Channel {
  const asked = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let nextId = 0

  function post(message: Message, socket?: Socket): void {
    // A process that is gone by then is noticed by its disconnection.
    if (end.connected) end.send?.(message, socket, { keepOpen: true }, () => undefined)
  }

  end.on('message', (message, handle) => {
    const { kind, payload, id } = message as Message
    if (kind === answer || kind === refusal) {
      const question = asked.get(id ?? -1)
      if (kind === answer) question?.resolve(payload)
      else question?.reject(new Error(String(payload)))
      return
    }
    const handler = handlers[kind]
    if (handler === undefined) return
    if (id === undefined) {
      handler(payload as never, handle as Socket | undefined)
      return
    }
    Promise.resolve()
      .then(() => handler(payload as never, undefined))
      .then((value) => post({ kind: answer, id, payload: value }))
      // Of the handler, or of an answer that can't be sent.
      .catch((error) => post({ kind: refusal, id, payload: String(error) }))
  })
  end.once('disconnect', () => {
    for (const { reject } of asked.values()) reject(new Error(gone))
  })

  return {
    tell: (kind, payload, socket) => post({ kind, payload }, socket),
    ask(kind, longest, payload) {
      const id = nextId++
      if (!end.connected) return Promise.reject(new Error(gone))
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => question.reject(new Error('no answer in time')), longest)
        const settle = () => {
          clearTimeout(timer)
          asked.delete(id)
        }
        const question = {
          resolve: (value: unknown) => {
            settle()
            resolve(value)
          },
          reject: (error: Error) => {
            settle()
            reject(error)
          },
        }
        asked.set(id, question)
        post({ kind, id, payload })
      })
    },
  }
}
