import { type Clock, systemClock } from '../../base/clock.ts'

/** Whether a process answers pings, and what the primary does about it. */
export type Liveness = 'responsive' | 'unresponsive' | 'lost'

/** How often a process is pinged, ms. */
export const pingInterval = 1000

/** Pings without an answer after which a process gets no connections, and nobody waits for it: 5 s. */
const mostMissed = 5

/**
 * Pings without an answer after which a process is replaced: 30 s. Loading models and collecting garbage on a busy
 * machine block an event loop for seconds at most, and a shorter time would kill those.
 */
const lostAfter = 30

/** The decision, by the pings in succession that have not been answered. */
export function livenessOf(missed: number): Liveness {
  if (missed >= lostAfter) return 'lost'
  return missed >= mostMissed ? 'unresponsive' : 'responsive'
}

/**
 * Pings one process. It counts pings, not time: where the primary was stopped too, as with a suspended machine, that
 * counts as one.
 */
export class Heartbeat {
  #missed = 0
  #liveness: Liveness = 'responsive'
  #cancel = () => {}
  readonly #onChange: (liveness: Liveness) => void

  constructor(onChange: (liveness: Liveness) => void) {
    this.#onChange = onChange
  }

  /** `ping` asks the process to call `answered`. */
  start(ping: () => void, clock: Pick<Clock, 'after'> = systemClock): void {
    const next = () => {
      this.#cancel = clock.after(pingInterval, () => {
        this.#note(this.#missed + 1)
        if (this.#liveness !== 'lost') next()
      })
      ping()
    }
    next()
  }

  answered(): void {
    this.#note(0)
  }

  stop(): void {
    this.#cancel()
  }

  #note(missed: number): void {
    this.#missed = missed
    const liveness = livenessOf(missed)
    if (liveness === this.#liveness || this.#liveness === 'lost') return
    this.#liveness = liveness
    this.#onChange(liveness)
  }
}
