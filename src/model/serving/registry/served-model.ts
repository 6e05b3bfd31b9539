import { compareVersions } from '../../../base/names.ts'
import type { LoadedModel } from '../prediction/loaded-model.ts'
import { Compatibility, type Incompatibility, incompatibleError } from './compatibility.ts'
import { type Entry, highestReady, newEntry, retryState } from './entry.ts'
import { closeReleased, drain } from './lease.ts'
import { type LoadingOptions, type LoadingPlace, loadVersion, refreshVersion } from './loading.ts'
import type { ServedModelOptions } from './options.ts'
import { type Actions, nextActions } from './policy.ts'
import { HeldSlot } from './slots.ts'
import type { SourceModel, SourceVersion } from './source.ts'
import { referenceProblem } from './status.ts'

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
  /** These, and those that are incompatible with the one that answers. */
  #waiting: ReadonlySet<string> = new Set()
  readonly #compatibility: Compatibility
  #pin: string | undefined

  constructor(name: string, options: ServedModelOptions) {
    this.name = name
    this.#options = options
    const read = (version: string) => options.readContract(name, version)
    this.#compatibility = new Compatibility(read, options.incompatible === 'refuse')
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
    return entry?.state === 'ready' ? entry : highestReady(this.entries.values(), this.#waiting)
  }

  /**
   * Acts until nothing is left to do: a version that fails makes the next lower one wanted. `wanted`: what should
   * exist.
   */
  async reconcile(wanted: () => SourceModel | undefined): Promise<void> {
    const slot = new HeldSlot(this.#options.slots)
    for (const entry of this.entries.values())
      if (entry.state === 'ready' && (await entry.model?.isOutdated?.())) entry.outdated = true
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
    const { target, load, refresh, unload, refuse, forget } = this.#nextActions(wanted())
    for (const version of forget) entries.delete(version)
    // The versions that are no longer needed depend on the one that answers.
    if (this.#serve(target)) return true
    for (const version of unload) {
      const entry = entries.get(version)
      if (entry) drain(this.name, entry, onEvent).then(() => entries.delete(version))
    }
    for (const version of refuse) this.#refuse(entries.get(version)!)
    for (const version of load) {
      await slot.take()
      if (isClosing()) return false
      await this.#lookBack(wanted())
      await loadVersion(this.name, entries, version, this.#options, this.#place(slot), retries.get(version.version))
      // Meanwhile the time of another version may have come.
      this.turn(wanted)
      // One that failed can't have answered before others.
      await this.#lookBack(wanted())
    }
    for (const version of refresh) {
      await slot.take()
      if (isClosing()) return false
      await this.#refresh(version, this.#place(slot))
    }
    return load.length + refresh.length + unload.length + refuse.length + forget.length > 0
  }

  #nextActions(source: SourceModel | undefined): Actions {
    const { mode, now, wallClock } = this.#options
    const { versions, labels, pin } = source ?? { versions: [], labels: {} }
    const time = wallClock.now()
    for (const { version, activateAt } of versions) {
      const entry = this.entries.get(version)
      if (entry !== undefined && activateAt !== undefined && activateAt <= time) entry.activated = activateAt
    }
    this.#pin = pin
    const asked = new Set([...Object.values(labels), pin])
    const loaded = [...this.entries.values()].filter(
      ({ version, state }) => state === 'ready' && version !== this.#serving,
    )
    for (const entry of this.entries.values()) entry.isPinned = entry.version === pin
    for (const entry of loaded) entry.incompatibility = this.#objectionTo(entry)
    const refused = new Set(loaded.filter((entry) => entry.incompatibility !== undefined).map(({ version }) => version))
    const actions = nextActions({
      mode,
      source: versions,
      labels,
      pin,
      known: [...this.entries.values()].map((entry) => ({
        ...entry,
        incompatible: refused.has(entry.version),
        retry: this.#isReconsidered(entry, asked) ? ('due' as const) : retryState(entry.retry, now()),
      })),
      serving: this.#serving,
      kept: this.#kept(),
      time,
    })
    // One that is gone before its time must not answer while another is loaded.
    const gone = [...this.#scheduled].filter(
      (version) => this.entries.has(version) && !versions.some((known) => known.version === version),
    )
    this.#scheduled = new Set([...actions.scheduled, ...gone])
    this.#waiting = new Set([...this.#scheduled, ...refused])
    return actions
  }

  /**
   * Where no version answers yet: finds out what each one is compared with. A pin asks for its version whatever that
   * breaks.
   */
  async #lookBack(source: SourceModel | undefined): Promise<void> {
    if (this.#current() !== undefined || source === undefined || source.pin !== undefined) return
    const time = this.#options.wallClock.now()
    const due = source.versions.filter(({ activateAt = 0 }) => activateAt <= time)
    const broken = due.filter(({ version, problem }) => {
      const entry = this.entries.get(version)
      // An I/O error passes, and the version answers again.
      const hasFailed = entry?.state === 'failed' && entry.incompatibility === undefined && entry.retry === undefined
      return hasFailed || problem !== undefined
    })
    await this.#compatibility.lookBack(due, broken)
  }

  /** The version that others are compared with. */
  #current(): { version: string; contract: LoadedModel } | undefined {
    const entry = this.#serving === undefined ? undefined : this.entries.get(this.#serving)
    if (entry?.state !== 'ready' || entry.model === undefined) return undefined
    return { version: entry.version, contract: entry.model }
  }

  #incompatibilityOf({ version, model }: Entry): Incompatibility | undefined {
    return model && this.#compatibility.of(version, model, this.#current())
  }

  /** The incompatibility that keeps a version from taking over; going back to a lower version is never refused. */
  #objectionTo(entry: Entry): Incompatibility | undefined {
    const { version } = entry
    if (this.#options.incompatible === 'allow' || version === this.#pin) return undefined
    const current = this.#current()
    if (current !== undefined && compareVersions(version, current.version) < 0) return undefined
    const found = entry.model && this.#compatibility.objection(version, entry.model, current)
    // The version that it was compared with answers meanwhile; those between are still left out.
    return found?.with === entry.incompatibility?.with ? found && { ...entry.incompatibility, ...found } : found
  }

  /**
   * Whether a version that was refused is loaded again: it is asked for by name, or would be compared with another one
   * now.
   */
  #isReconsidered({ version, state, incompatibility }: Entry, asked: ReadonlySet<string | undefined>): boolean {
    if (state !== 'failed' || incompatibility === undefined) return false
    return asked.has(version) || this.#compatibility.formerOf(version, this.#current()) !== incompatibility.with
  }

  /** Unloads a version that must not take over; it counts as failed. */
  #refuse(entry: Entry): void {
    const { name, entries } = this
    const { onEvent } = this.#options
    const { version, stamp, incompatibility } = entry
    const error = incompatibleError(incompatibility!)
    const failed = { ...newEntry(version, stamp), incompatibility, failure: error.code, error: error.message }
    entries.set(version, { ...failed, state: 'failed' })
    onEvent?.({ type: 'failed', name, version, error })
    this.#close(entry, () => {
      // It may be loaded again.
      if (entries.get(version)?.model === undefined) onEvent?.({ type: 'unloaded', name, version })
    })
  }

  /** Closes a version in whose place another entry stands. */
  #close(entry: Entry, onClosed?: () => void): void {
    const closing = closeReleased(this.name, entry, this.#options.onEvent)
      .then(onClosed)
      .finally(() => this.#replaced.delete(closing))
    this.#replaced.add(closing)
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
    const entry = this.entries.get(version)
    if (entry?.state !== 'ready') return false
    const former = this.answering()?.version
    const incompatibility = this.#incompatibilityOf(entry)
    entry.incompatibility = incompatibility
    entry.gap = incompatibility === undefined ? this.#compatibility.gapOf(version, this.#current()) : undefined
    this.#serving = version
    this.#compatibility.forget()
    if (incompatibility !== undefined) onEvent?.({ type: 'incompatible', name: this.name, version, incompatibility })
    if (former === undefined || former === version) return true
    this.#previous = keepPreviousMs > 0 ? { version: former, until: now() + keepPreviousMs } : undefined
    const scheduled = entry.activated !== undefined && version !== this.#pin
    onEvent?.({ type: 'switched', name: this.name, version, from: former, scheduled })
    return true
  }

  /** Puts what is on disk now in the place of a version, which then answers what it has accepted. */
  async #refresh(next: SourceVersion, place: LoadingPlace): Promise<void> {
    const { name, entries } = this
    const { onEvent, incompatible } = this.#options
    const { version } = next
    let incompatibility: Incompatibility | undefined
    let reported: Incompatibility | undefined
    const load: LoadingOptions['load'] = async (...asked) => {
      const model = await this.#options.load(...asked)
      if (model === entries.get(version)?.model) return model
      const current = version === this.#serving ? this.#current() : undefined
      incompatibility = current && this.#compatibility.of(version, model, current)
      const isAsBefore = current === undefined || this.#compatibility.isSame(current.contract, model)
      reported = isAsBefore ? entries.get(version)?.incompatibility : incompatibility
      if (incompatibility === undefined || incompatible === 'allow' || version === this.#pin) return model
      await model.close()
      throw incompatibleError(incompatibility)
    }
    const former = await refreshVersion(name, entries, next, { ...this.#options, load }, place, () => reported)
    if (former === undefined) return
    if (incompatibility !== undefined) onEvent?.({ type: 'incompatible', name, version, incompatibility })
    this.#close(former)
  }
}
