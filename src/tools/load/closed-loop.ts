import type { Clock } from '../../base/clock.ts'
import { isRejection, type Transport } from './open-loop.ts'

export interface ClosedLoopOptions {
  transport: Transport
  clock: Clock
  /** Requests in progress at any time. */
  inProgress: number
  seconds: number
}

export interface ClosedLoopResult {
  /** Answers with status 200. */
  answers: number
  /** 429, 503 or 504. */
  rejected: number
  /** Other answers, and broken connections. */
  failed: number
  /** Up to ten different reasons for failures. */
  reasons: string[]
  /** Time until the last answer, s. */
  seconds: number
}

/** Sends a request for each answer, so that a fixed number is in progress: as fast as the server can answer. */
export function runClosedLoop({ transport, clock, inProgress, seconds }: ClosedLoopOptions): Promise<ClosedLoopResult> {
  const start = clock.now()
  const end = start + seconds * 1000
  const reasons = new Set<string>()
  let [next, running, answers, rejected, failed] = [0, 0, 0, 0, 0]
  return new Promise((resolve) => {
    const fail = (reason: string) => {
      failed++
      if (reasons.size < 10) reasons.add(reason)
    }
    const over = () => {
      if (running === 0)
        resolve({ answers, rejected, failed, reasons: [...reasons], seconds: (clock.now() - start) / 1000 })
    }
    function ask(): void {
      running++
      const sent = transport.send(next++, (reply) => {
        running--
        if ('error' in reply) fail(reply.error)
        else if (reply.status === 200) answers++
        else if (isRejection(reply.status)) rejected++
        else fail(`status ${reply.status}`)
        // A server that is gone fails immediately: the loop ends instead of spinning.
        if (clock.now() < end && !('error' in reply)) ask()
        else over()
      })
      if (sent) return
      running--
      fail('no connection')
    }
    for (let i = 0; i < inProgress; i++) ask()
    over()
  })
}
