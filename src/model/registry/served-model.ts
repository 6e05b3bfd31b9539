import type { Clock } from '../base/clock.ts'
import { closeReleased, drain } from './drain.ts'
import { type Entry, highestReady } from './entry.ts'
import type { RegistryEvent } from './event.ts'
import { type LoadingOptions, type LoadingPlace, loadVersion, refreshVersion } from './loading.ts'
import { type Actions, nextActions } from './policy.ts'
import { retryState } from './retry.ts'
import type { Slots } from './slots.ts'
import type { SourceModel, SourceVersion } from './source.ts'
import { referenceProblem } from './status.ts'

export interface ServedModelOptions extends LoadingOptions {
  mode: 'latest' | 'all'
  /** How long a version that has been replaced stays loaded, ms. */
  keepPreviousMs: number
  /** Bounds how many versions of all models are loaded concurrently. */
  slots: Slots
  /** Milliseconds since 1970. */
  wallClock: Pick<Clock, 'now'>
  /** Nothing more is to be loaded. */
  isClosing(): boolean
  onEvent?: ((event: RegistryEvent) => void) | undefined
}

/** One model's versions: which are loaded, which one answers requests that name none, and which drain. */
export class ServedModel {
  readonly name: string
  readonly entries = new Map<string, Entry>()
  readonly #options: ServedModelOptions
  /** Closings of models in whose place another one answers already. */
  readonly #replaced = new Set<Promise<void>>()
  /** The version that is to answer, once it was ready. */
  #serving: string | undefined
  /** The problem of its pin and labels that was reported last. */
  #problem: string | undefined
  #previous: { version: string; until: number } | undefined
  /** Versions that don't answer requests that name none yet. */
  #scheduled: ReadonlySet<string> = new Set()

  constructor(name: string, options: ServedModelOptions) {
    this.name = name
    this.#options = options
  }

  /** Nothing is left of it. */
  get isEmpty(): boolean {
    return this.entries.size === 0 && this.#replaced.size === 0
  }

  get scheduled(): ReadonlySet<string> {
    return this.#scheduled
  }

  /** The version that answers requests that name none. */
  answering(): Entry | undefined {
    const entry = this.#serving === undefined ? undefined : this.entries.get(this.#serving)
    return entry?.state === 'ready' ? entry : highestReady(this.entries.values(), this.#scheduled)
  }

  /** Acts until nothing is left to do: a version that fails makes the next lower one wanted. `wanted`: what should exist. */
  async reconcile(wanted: () => SourceModel | undefined): Promise<void> {
    const slot = new HeldSlot(this.#options.slots)
    try {
      while (!this.#options.isClosing()) if (!(await this.#act(wanted, slot))) break
    } finally {
      slot.free()
    }
    const ready = [...this.entries.values()].filter(({ state }) => state === 'ready')
    await Promise.all(ready.map(({ model }) => model?.live?.refresh()))
    this.#reportReferences(wanted())
  }

  /** Has the version answer that should by now, if it is loaded, without waiting for what is being loaded. */
  turn(wanted: () => SourceModel | undefined): void {
    this.#serve(this.#nextActions(wanted()).target)
  }

  #place({ free }: HeldSlot): LoadingPlace {
    return { free, former: this.answering()?.model }
  }

  /** Whether there was anything to do. */
  async #act(wanted: () => SourceModel | undefined, slot: HeldSlot): Promise<boolean> {
    const { onEvent, isClosing } = this.#options
    const { entries } = this
    const retries = new Map([...entries.values()].map(({ version, retry }) => [version, retry]))
    const { target, load, refresh, unload, forget } = this.#nextActions(wanted())
    for (const version of forget) entries.delete(version)
    // The versions that are no longer needed depend on the one that answers.
    if (this.#serve(target)) return true
    for (const version of unload) {
      const entry = entries.get(version)
      if (entry) drain(this.name, entry, onEvent).then(() => entries.delete(version))
    }
    for (const version of load) {
      await slot.take()
      if (isClosing()) return false
      await loadVersion(this.name, entries, version, this.#options, this.#place(slot), retries.get(version.version))
      // Meanwhile the time of another version may have come.
      this.turn(wanted)
    }
    for (const version of refresh) {
      await slot.take()
      if (isClosing()) return false
      await this.#refresh(version, this.#place(slot))
    }
    return load.length + refresh.length + unload.length + forget.length > 0
  }

  #nextActions(source: SourceModel | undefined): Actions {
    const { mode, now, wallClock } = this.#options
    const { versions, labels, pin } = source ?? { versions: [], labels: {} }
    const time = wallClock.now()
    for (const { version, activateAt } of versions) {
      const entry = this.entries.get(version)
      if (entry !== undefined && activateAt !== undefined && activateAt <= time) entry.activated = activateAt
    }
    const actions = nextActions({
      mode,
      source: versions,
      labels,
      pin,
      known: [...this.entries.values()].map((entry) => ({ ...entry, retry: retryState(entry.retry, now()) })),
      serving: this.#serving,
      kept: this.#kept(),
      time,
    })
    // One that is gone before its time must not answer while another is loaded.
    const gone = [...this.#scheduled].filter(
      (version) => this.entries.has(version) && !versions.some((known) => known.version === version),
    )
    this.#scheduled = new Set([...actions.scheduled, ...gone])
    return actions
  }

  /** Waits for draining versions and forgets failed ones, so that both can be loaded again. */
  async retry(): Promise<void> {
    await Promise.all([...this.entries.values()].map(({ drained }) => drained))
    for (const { version, state } of [...this.entries.values()]) if (state === 'failed') this.entries.delete(version)
  }

  /** Drains every version. */
  async close(): Promise<void> {
    const drained = [...this.entries.values()].map((entry) => drain(this.name, entry, this.#options.onEvent))
    await Promise.all([...drained, ...this.#replaced])
  }

  #reportReferences(source: SourceModel | undefined): void {
    const { name, scheduled } = this
    const entries = [...this.entries.values()]
    const known = { name, source, entries, scheduled, unloaded: false, answering: this.answering() }
    const problem = referenceProblem(known)
    if (problem !== undefined && problem !== this.#problem)
      this.#options.onEvent?.({ type: 'problem', message: `${name}: ${problem}` })
    this.#problem = problem
  }

  #kept(): string | undefined {
    return this.#previous !== undefined && this.#options.now() < this.#previous.until
      ? this.#previous.version
      : undefined
  }

  /** Has the version answer from now on if it can; whether that is a change. */
  #serve(version: string | undefined): boolean {
    const { keepPreviousMs, now, onEvent } = this.#options
    if (version === this.#serving) return false
    if (version === undefined) {
      this.#serving = undefined
      return false
    }
    if (this.entries.get(version)?.state !== 'ready') return false
    const former = this.answering()?.version
    this.#serving = version
    if (former === undefined || former === version) return true
    this.#previous = keepPreviousMs > 0 ? { version: former, until: now() + keepPreviousMs } : undefined
    onEvent?.({ type: 'switched', name: this.name, version, from: former })
    return true
  }

  /** Puts what is on disk now in the place of a version, which then answers what it has accepted. */
  async #refresh(next: SourceVersion, place: LoadingPlace): Promise<void> {
    const former = await refreshVersion(this.name, this.entries, next, this.#options, place)
    if (former === undefined) return
    const closing = closeReleased(this.name, former, this.#options.onEvent).finally(() =>
      this.#replaced.delete(closing),
    )
    this.#replaced.add(closing)
  }
}

/** The slot that a model holds while its versions are loaded one after the other: one that fails passes it on to the next. */
class HeldSlot {
  readonly #slots: Slots
  #free: (() => void) | undefined

  constructor(slots: Slots) {
    this.#slots = slots
  }

  async take(): Promise<void> {
    this.#free ??= await this.#slots.take()
  }

  /** Idempotent. */
  readonly free = (): void => {
    this.#free?.()
    this.#free = undefined
  }
}
