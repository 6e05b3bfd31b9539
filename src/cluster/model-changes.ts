import type { ModelChange } from '../server/request/siblings.ts'
import type { Refusal } from './messages.ts'

/** A process that takes changes. */
export interface Changeable {
  /** Why it refuses, if it does. */
  change(change: ModelChange): Promise<Refusal | undefined>
}

/**
 * Takes models in and out of service in all processes, one change after the other, so that all see the same; and knows
 * what is out of service, for processes that start later.
 */
export class ModelChanges {
  readonly #unloaded = new Set<string>()
  #working: Promise<unknown> = Promise.resolve()

  get unloaded(): string[] {
    return [...this.#unloaded]
  }

  /** `members`: all that there are, or are being started. Answers the first refusal. */
  change(change: ModelChange, members: () => readonly Changeable[]): Promise<Refusal | undefined> {
    const done = this.#working.then(() => this.#change(change, members()))
    // Whatever becomes of it, others go on.
    this.#working = done.catch(() => undefined)
    return done
  }

  async #change(change: ModelChange, members: readonly Changeable[]): Promise<Refusal | undefined> {
    const { action, model } = change
    // Recorded first: a process that starts meanwhile needs it.
    const before = this.#unloaded.has(model)
    if (action === 'unload') this.#unloaded.add(model)
    if (action === 'load') this.#unloaded.delete(model)
    const [first, ...others] = members
    // What the first compiles, the others find.
    const refusals = [await first?.change(change)]
    refusals.push(...(await Promise.all(others.map((member) => member.change(change)))))
    const refusal = refusals.find((answer) => answer !== undefined)
    if (refusal?.code === 'MODEL_NOT_FOUND' && !before) this.#unloaded.delete(model)
    return refusal
  }
}
