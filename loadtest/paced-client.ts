import { setTimeout as sleep } from 'node:timers/promises'

/** Sends requests at a steady pace while something else happens. */
export class PacedClient {
  readonly #url: string
  readonly #bodies: readonly string[]
  /** Requests per second. */
  readonly #rate: number
  #next = 0

  constructor({ url }: { url: string }, bodies: readonly string[], rate: number) {
    this.#url = `${url}/predict`
    this.#bodies = bodies
    this.#rate = rate
  }

  /** The result of `work`, and the times of the requests meanwhile, ms. */
  async during<T>(work: () => Promise<T>): Promise<{ result: T; times: number[] }> {
    const times: number[] = []
    const open = new Set<Promise<void>>()
    let over = false
    const pacing = (async () => {
      for (let due = performance.now(); !over; due += 1000 / this.#rate) {
        const wait = due - performance.now()
        if (wait > 0) await sleep(wait)
        // From the moment that it was due, so that no stall is hidden.
        const asked = this.#ask().then(() => void times.push(performance.now() - due))
        open.add(asked)
        asked.finally(() => open.delete(asked))
      }
    })()
    const result = await work()
    over = true
    await pacing
    await Promise.all(open)
    return { result, times }
  }

  async #ask(): Promise<void> {
    await (await post(this.#url, this.#bodies[this.#next++ % this.#bodies.length]!)).arrayBuffer()
  }
}

/** Rejects unless the answer is 200. */
export async function post(url: string, body: string): Promise<Response> {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`)
  return answer
}
