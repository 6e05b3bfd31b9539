import type { TrainingStep } from '../network/training-step.ts'
import type { RowGradients, SharedState } from './protocol.ts'

/**
 * Brings the threads' gradients together, in the threads' order, so that every thread has the same sums, bit for bit.
 */
export class Exchange {
  readonly #plan: TrainingStep
  readonly #thread: number
  readonly #threads: number
  readonly #shared: SharedState
  readonly #barrier: Barrier

  constructor(plan: TrainingStep, thread: number, threads: number, shared: SharedState) {
    this.#plan = plan
    this.#thread = thread
    this.#threads = threads
    this.#shared = shared
    this.#barrier = new Barrier(shared.barrier, threads)
  }

  /**
   * `gradients` becomes the sum over threads, and the mean of statistics. Returns each thread's row gradients per
   * look-up, and the loss of the step. Blocks until all threads are here.
   */
  meet(loss: number, gradients: Float32Array, rows: RowGradients[]): { loss: number; rows: RowGradients[][] } {
    const { losses } = this.#shared
    losses[this.#thread] = loss
    if (this.#threads === 1) return { loss, rows: [rows] }
    this.#shared.gradients[this.#thread]!.set(gradients)
    rows.forEach(({ ids, gradients }, i) => {
      const place = this.#shared.rows[this.#thread]![i]!
      place.ids.set(ids)
      place.gradients.set(gradients)
      this.#shared.counts[this.#thread]![i] = ids.length
    })
    this.#barrier.wait()
    gradients.set(this.#shared.gradients[0]!)
    for (let other = 1; other < this.#threads; other++) addTo(gradients, this.#shared.gradients[other]!)
    for (const { offset, size } of this.#plan.statistics)
      for (let i = offset; i < offset + size; i++) gradients[i] = gradients[i]! / this.#threads
    const all = this.#shared.rows.map((lists, other) =>
      lists.map(({ ids, gradients }, i) => {
        const count = this.#shared.counts[other]![i]!
        const width = this.#plan.tables[this.#plan.lookUps[i]!.table]!.width
        return { ids: ids.subarray(0, count), gradients: gradients.subarray(0, count * width) }
      }),
    )
    return { loss: losses.reduce((sum, value) => sum + value, 0), rows: all }
  }

  /** Blocks until all threads have stepped: what they met with may change again. */
  part(): void {
    if (this.#threads > 1) this.#barrier.wait()
  }
}

function addTo(sum: Float32Array, values: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + values[i]!
}

/** Where threads wait for each other: two counters in shared memory. */
export class Barrier {
  readonly #state: Int32Array
  readonly #threads: number

  constructor(state: Int32Array, threads: number) {
    this.#state = state
    this.#threads = threads
  }

  /** Returns once every thread has called it as often as this one. Blocks the thread. */
  wait(): void {
    const [arrived, round] = [0, 1]
    const now = Atomics.load(this.#state, round)
    if (Atomics.add(this.#state, arrived, 1) + 1 === this.#threads) {
      Atomics.store(this.#state, arrived, 0)
      Atomics.add(this.#state, round, 1)
      Atomics.notify(this.#state, round)
      return
    }
    while (Atomics.load(this.#state, round) === now) Atomics.wait(this.#state, round, now)
  }
}
