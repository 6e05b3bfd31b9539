import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { candidates, context, statusOf } from '../clients.ts'

export interface Waits {
  asked: number
  /** Answers that were no 200, and errors of connections. */
  failed: number
  /** The longest wait for an answer, ms. */
  longest: number
}

/** Pause between two requests, ms. */
const pause = 20

/** A wait that is not waited for any longer, ms. */
const patience = 35_000

const body = JSON.stringify({ model: 'ads-funnel', context, candidates: candidates(1) })

const headers = { 'x-deadline-ms': 60_000 }

/**
 * Asks for a prediction every few milliseconds, over one connection that stays open; `stop` resolves with its waits.
 */
export function politeClient(url: string): { stop(): Promise<Waits> } {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const waits: Waits = { asked: 0, failed: 0, longest: 0 }
  let over = false
  const asking = (async () => {
    while (!over) {
      const began = performance.now()
      const status = await statusOf(new URL('/predict', url), { body, headers, agent, timeout: patience })
      waits.asked++
      if (status !== 200) waits.failed++
      waits.longest = Math.max(waits.longest, performance.now() - began)
      await sleep(pause)
    }
  })()
  return {
    async stop() {
      over = true
      await asking
      agent.destroy()
      return waits
    },
  }
}
