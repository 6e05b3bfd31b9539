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
