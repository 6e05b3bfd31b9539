import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/* Clients that ask for one thing at a time, beside the generators of load. */

/** Rejects unless the answer is 200. */
export async function post(url: string, body: string): Promise<Response> {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`)
  return answer
}

/** A user, and candidates of ads-funnel. */
export const context = { country: 'DE', hour: 21, segment: 's17' }
export const candidates = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: `ad-${i}`, campaign: `c${i % 40}`, price: (i % 100) / 50 }))

export interface Sent {
  /** JSON to POST, or compressed JSON; without it, the request is a GET. */
  body?: string | Buffer
  headers?: Record<string, string | number>
  agent?: Agent
  /** ms. */
  timeout?: number
}

/** The status of an answer once it has been read; 0 where the connection breaks or stays silent. */
export function statusOf(url: URL, { body, headers, ...options }: Sent = {}): Promise<number> {
  const ofBody = body && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve) => {
    const sent = request(url, { ...options, method: body ? 'POST' : 'GET', headers: { ...ofBody, ...headers } })
    sent.once('timeout', () => sent.destroy(new Error('no answer')))
    // A rejected body may end its connection.
    sent.once('error', () => resolve(0))
    sent.once('response', (answer) => answer.resume().once('close', () => resolve(answer.statusCode ?? 0)))
    sent.end(body)
  })
}

export interface Waits {
  asked: number
  /** Answers that were no 200, and errors of connections. */
  failed: number
  /** The longest wait for an answer, ms. */
  longest: number
}

/**
 * Asks for one thing again and again, `pause` ms after each answer, over one connection that stays open; `stop`
 * resolves with its waits.
 */
export function askRepeatedly(url: URL, sent: Sent = {}, pause = 0): { stop(): Promise<Waits> } {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const waits: Waits = { asked: 0, failed: 0, longest: 0 }
  let isOver = false
  const asking = (async () => {
    while (!isOver) {
      const began = performance.now()
      const status = await statusOf(url, { ...sent, agent })
      waits.asked++
      if (status !== 200) waits.failed++
      waits.longest = Math.max(waits.longest, performance.now() - began)
      if (pause > 0) await sleep(pause)
    }
  })()
  return {
    async stop() {
      isOver = true
      await asking
      agent.destroy()
      return waits
    },
  }
}

/**
 * Asks at even times until it is over, whatever becomes of earlier requests; all answers. `due`: when it should be
 * sent, by `performance.now()`.
 */
export async function askEvenly<T>(
  rate: number,
  isOver: (asked: number) => boolean,
  ask: (index: number, due: number) => Promise<T>,
): Promise<T[]> {
  const asked: Promise<T>[] = []
  const began = performance.now()
  while (!isOver(asked.length)) {
    const due = began + (asked.length * 1000) / rate
    if (due > performance.now()) await sleep(due - performance.now())
    asked.push(ask(asked.length, due))
  }
  return Promise.all(asked)
}

/** Sends requests at a steady pace, `rate` per second, while something else happens. */
export function createPacedClient({ url }: { url: string }, bodies: readonly string[], rate: number) {
  let next = 0
  return {
    /** The result of `work`, and the times of the requests meanwhile, ms. */
    async during<T>(work: () => Promise<T>): Promise<{ result: T; times: number[] }> {
      let isOver = false
      const ask = async (_: number, due: number) => {
        await (await post(`${url}/predict`, bodies[next++ % bodies.length]!)).arrayBuffer()
        // From the moment that it was due, so that no stall is hidden.
        return performance.now() - due
      }
      const asking = askEvenly(rate, () => isOver, ask)
      const result = await work()
      isOver = true
      return { result, times: await asking }
    },
  }
}
