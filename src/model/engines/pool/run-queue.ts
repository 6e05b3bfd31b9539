import type { CallListener } from '../../contracts/engine.ts'

/** A call that was handed to a worker. */
export interface Run {
  graph: number
  begun: boolean
  listener: CallListener | undefined
}

/** What a worker was asked to run, in order: it computes the first, and answers it before the others. */
export class RunQueue {
  readonly #runs: Run[] = []
  /** When the worker turned to the first of them, ms. */
  turned = 0

  add(run: Run): void {
    this.#runs.push(run)
    if (this.#runs.length === 1) this.#turn(run)
  }

  /** What the worker computes. */
  get current(): Run | undefined {
    return this.#runs[0]
  }

  /** The first has been answered. */
  shift(): void {
    this.#runs.shift()
    const [next] = this.#runs
    if (next !== undefined) this.#turn(next)
  }

  #turn(run: Run): void {
    this.turned = performance.now()
    run.begun = true
    run.listener?.begun?.()
  }
}
