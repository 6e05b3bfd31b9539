import type { Clock } from '../base/clock.ts'

export interface ActivationTimerOptions {
  /** Milliseconds since 1970. */
  clock: Pick<Clock, 'now' | 'after'>
  /** A time has come. */
  onDue(): void
}

/** The wall clock may be set while a timer runs: it is asked at least this often, ms. */
const interval = 1000

/** Calls back when the first of several times by the wall clock has come. */
export class ActivationTimer {
  readonly #options: ActivationTimerOptions
  #at: number | undefined
  #cancel: (() => void) | undefined

  constructor(options: ActivationTimerOptions) {
    this.#options = options
  }

  /** Waits for the first of these times that is yet to come, instead of what it waited for. */
  set(times: readonly number[]): void {
    this.close()
    const now = this.#options.clock.now()
    const coming = times.filter((time) => time > now)
    if (coming.length === 0) return
    this.#at = Math.min(...coming)
    this.#wait(this.#at)
  }

  /** Calls back now if the time has come, though no timer has fired yet: so no request after that time is too early. */
  check(): void {
    if (this.#at === undefined || this.#options.clock.now() < this.#at) return
    this.close()
    this.#options.onDue()
  }

  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#at = undefined
  }

  #wait(at: number): void {
    const { clock } = this.#options
    this.#cancel = clock.after(Math.min(interval, at - clock.now()), () => {
      this.check()
      if (this.#at === at) this.#wait(at)
    })
  }
}
