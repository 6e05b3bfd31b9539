import type { ModelStatus } from '../../schemas/models.ts'
import { ModelError, reasonOf } from '../errors.ts'
import type { LoadedModel } from '../prediction/model.ts'
import { closeReleased, type Entry, highestReady, newEntry, statusOf, whyNotReady } from './entry.ts'
import { nextActions } from './policy.ts'
import { keepUnknown, type Source, type SourceModel, type SourceVersion } from './source.ts'

/** One version, held for one request: it is not closed before it is released. */
export interface Lease {
  model: LoadedModel
  /** Idempotent. */
  release(): void
}

export type RegistryEvent =
  | { type: 'loaded'; name: string; version: string; model: LoadedModel; seconds: number }
  | { type: 'failed'; name: string; version: string; error: unknown }
  | { type: 'unloaded'; name: string; version: string }
  | { type: 'problem'; message: string }

export interface RegistryOptions {
  source: Source
  load(name: string, version: string): Promise<LoadedModel>
  mode: 'latest' | 'all'
  /** Model of requests that name none; where undefined, `preferredDefault`, or the only one there is. */
  defaultModel: string | undefined
  /** Models that must be ready beside the default one. */
  requiredModels: readonly string[]
  now(): number
  onEvent?(event: RegistryEvent): void
}

export const preferredDefault = 'ads-funnel'

/**
 * Which versions live, and for how long. `reconcile` compares what should exist with what does and acts: loads, then
 * switches, then drains the old version by its leases. A version that fails any step is kept as `failed` with its reason,
 * and the others go on serving.
 */
export class Registry {
  readonly #options: RegistryOptions
  readonly #models = new Map<string, Map<string, Entry>>()
  /** Closings of models in whose place another one answers already. */
  readonly #replaced = new Set<Promise<void>>()
  #source: SourceModel[] = []
  #sourceProblem: string | undefined
  #working: Promise<void> = Promise.resolve()
  #scanned = false
  #closing = false

  constructor(options: RegistryOptions) {
    this.#options = options
  }

  /** Does all that there is to do now. Never rejects; calls queue up behind each other. */
  reconcile(): Promise<void> {
    this.#working = this.#working.then(() => this.#reconcile())
    return this.#working
  }

  /**
   * Holds the version that answers a request. Throws MODEL_NOT_FOUND, VERSION_NOT_FOUND, or NOT_READY where the model
   * has no version that answers yet, or DRAINING once the registry is closed.
   */
  acquire(name?: string, version?: string, label?: string): Lease {
    if (this.#closing) throw new ModelError('DRAINING', 'The server is shutting down')
    const entry = this.#find(name ?? this.#requireDefault(), version, label)
    const { model } = entry
    if (model === undefined) throw new Error('a ready version has a model')
    entry.leases++
    let held = true
    return {
      model,
      release: () => {
        if (!held) return
        held = false
        if (--entry.leases === 0) entry.onReleased?.()
      },
    }
  }

  /** Every model that should exist or does, by name. */
  list(): ModelStatus[] {
    const names = new Set([...this.#source.map(({ name }) => name), ...this.#models.keys()])
    const defaultModel = this.#defaultModel()
    return [...names]
      .sort()
      .map((name) => statusOf(name, name === defaultModel, this.#sourceOf(name)?.labels ?? {}, this.#entriesOf(name)))
  }

  /** Why requests can't be answered yet; empty when ready. */
  unreadyReasons(): string[] {
    if (this.#closing) return ['shutting down']
    const defaultModel = this.#defaultModel()
    const needed = new Set([...(defaultModel === undefined ? [] : [defaultModel]), ...this.#options.requiredModels])
    // An unreadable folder, or others still loading, make nothing unready as long as what is needed answers.
    if (needed.size > 0 && [...needed].every((name) => this.#highestReady(name) !== undefined)) return []
    if (!this.#scanned) return ['the models are being loaded']
    const reasons = this.#sourceProblem === undefined ? [] : [this.#sourceProblem]
    if (defaultModel === undefined) {
      const names = this.#source.map(({ name }) => name)
      reasons.push(
        names.length === 0
          ? 'there is no model in the folder'
          : `no default model is set, and there are several: ${names.join(', ')}`,
      )
    }
    for (const name of needed) {
      if (this.#highestReady(name) === undefined) reasons.push(`${name}: ${this.#whyNotReady(name)}`)
    }
    return reasons
  }

  /** Versions that answer now, or still answer what they have accepted. */
  live(): { name: string; version: string; model: LoadedModel }[] {
    return [...this.#models].flatMap(([name, entries]) =>
      [...entries.values()].flatMap(({ version, model }) => (model === undefined ? [] : [{ name, version, model }])),
    )
  }

  /** Drains every version. */
  async close(): Promise<void> {
    this.#closing = true
    await this.#working
    const drained = [...this.#models].flatMap(([name, entries]) =>
      [...entries.values()].map((entry) => this.#drain(name, entry)),
    )
    await Promise.all([...drained, ...this.#replaced])
  }

  /** Rejects what every version has accepted. */
  destroy(error: unknown): void {
    this.#closing = true
    for (const { model } of this.live()) model.destroy(error)
  }

  async #reconcile(): Promise<void> {
    try {
      const source = await this.#options.source()
      this.#source = source.map((model) => keepUnknown(model, this.#sourceOf(model.name)))
      this.#report(undefined)
    } catch (error) {
      this.#report(`the models' folder can't be read: ${reasonOf(error)}`)
      this.#scanned = true
      return
    }
    const names = new Set([...this.#source.map(({ name }) => name), ...this.#models.keys()])
    // The default model first: it is what makes the server ready.
    const first = this.#defaultModel()
    const ordered = [...names].sort((a, b) => Number(b === first) - Number(a === first))
    for (const name of ordered) {
      if (this.#closing) return
      await this.#reconcileModel(name)
    }
    this.#scanned = true
  }

  #report(problem: string | undefined): void {
    const problems = [problem, ...this.#source.map((model) => model.problem)].filter((text) => text !== undefined)
    const text = problems.length > 0 ? problems.join('; ') : undefined
    if (text !== undefined && text !== this.#sourceProblem) this.#options.onEvent?.({ type: 'problem', message: text })
    this.#sourceProblem = text
  }

  /** Acts until nothing is left to do: a version that fails makes the next lower one wanted. */
  async #reconcileModel(name: string): Promise<void> {
    const { versions, labels } = this.#sourceOf(name) ?? { versions: [], labels: {} }
    const entries = this.#models.get(name) ?? new Map<string, Entry>()
    if (versions.length > 0 || entries.size > 0) this.#models.set(name, entries)
    for (;;) {
      if (this.#closing) return
      const { load, refresh, unload, forget } = nextActions(this.#options.mode, versions, labels, [...entries.values()])
      for (const version of forget) entries.delete(version)
      for (const version of load) await this.#load(name, entries, version)
      for (const version of refresh) await this.#refresh(name, entries, version)
      for (const version of unload) {
        const entry = entries.get(version)
        if (entry) this.#drain(name, entry).then(() => this.#forget(name, entries, version))
      }
      if (load.length + refresh.length + unload.length + forget.length === 0) break
    }
    if (entries.size === 0) this.#models.delete(name)
  }

  async #load(name: string, entries: Map<string, Entry>, { version, stamp }: SourceVersion): Promise<void> {
    const entry = newEntry(version, stamp)
    entries.set(version, entry)
    const started = this.#options.now()
    try {
      entry.model = await this.#options.load(name, version)
      entry.bare = entry.model.bare
      entry.state = 'ready'
      const seconds = (this.#options.now() - started) / 1000
      this.#options.onEvent?.({ type: 'loaded', name, version, model: entry.model, seconds })
    } catch (error) {
      entry.state = 'failed'
      entry.error = reasonOf(error)
      this.#options.onEvent?.({ type: 'failed', name, version, error })
    }
  }

  /** Puts what is on disk now in the place of a version; where that fails, it goes on, and no more is tried with these files. */
  async #refresh(name: string, entries: Map<string, Entry>, next: SourceVersion): Promise<void> {
    const former = entries.get(next.version)!
    const started = this.#options.now()
    try {
      const model = await this.#options.load(name, next.version)
      entries.set(next.version, {
        ...former,
        stamp: next.stamp,
        model,
        bare: model.bare,
        leases: 0,
        onReleased: undefined,
      })
      const seconds = (this.#options.now() - started) / 1000
      this.#options.onEvent?.({ type: 'loaded', name, version: next.version, model, seconds })
      const closing = this.#closeModel(name, former).finally(() => this.#replaced.delete(closing))
      this.#replaced.add(closing)
    } catch (error) {
      former.stamp = next.stamp
      this.#options.onEvent?.({ type: 'failed', name, version: next.version, error })
    }
  }

  #forget(name: string, entries: Map<string, Entry>, version: string): void {
    entries.delete(version)
    if (entries.size === 0) this.#models.delete(name)
  }

  /** Closes the version once nobody holds it. Idempotent. */
  #drain(name: string, entry: Entry): Promise<void> {
    entry.drained ??= this.#closeReleased(name, entry)
    return entry.drained
  }

  async #closeReleased(name: string, entry: Entry): Promise<void> {
    if (entry.model === undefined) return
    await this.#closeModel(name, entry)
    this.#options.onEvent?.({ type: 'unloaded', name, version: entry.version })
  }

  async #closeModel(name: string, entry: Entry): Promise<void> {
    try {
      await closeReleased(entry)
    } catch (error) {
      const message = `${name}/${entry.version} could not be closed: ${reasonOf(error)}`
      this.#options.onEvent?.({ type: 'problem', message })
    }
  }

  #find(name: string, version: string | undefined, label: string | undefined): Entry {
    const entries = this.#models.get(name)
    if (entries === undefined) throw this.#notReady(name)
    const asked = label === undefined ? version : this.#labelled(name, label)
    if (asked === undefined) {
      const highest = this.#highestReady(name)
      if (highest === undefined) throw this.#notReady(name)
      return highest
    }
    const entry = entries.get(asked)
    if (entry === undefined) throw new ModelError('VERSION_NOT_FOUND', `${name} has no version ${asked} that is served`)
    if (entry.state !== 'ready') {
      const reason = entry.error === undefined ? '' : `: ${entry.error}`
      throw new ModelError(
        entry.state === 'loading' ? 'NOT_READY' : 'VERSION_NOT_FOUND',
        `Version ${asked} of ${name} is ${entry.state}${reason}`,
      )
    }
    return entry
  }

  #labelled(name: string, label: string): string {
    const labels = this.#sourceOf(name)?.labels ?? {}
    const version = Object.hasOwn(labels, label) ? labels[label] : undefined
    if (version === undefined)
      throw new ModelError('VERSION_NOT_FOUND', `${name} has no version labelled ${JSON.stringify(label)}`)
    return version
  }

  #highestReady(name: string): Entry | undefined {
    return highestReady(this.#models.get(name)?.values() ?? [])
  }

  #entriesOf(name: string): Entry[] {
    return [...(this.#models.get(name)?.values() ?? [])]
  }

  #sourceOf(name: string): SourceModel | undefined {
    return this.#source.find((model) => model.name === name)
  }

  #notReady(name: string): ModelError {
    if (!this.#source.some((model) => model.name === name))
      return new ModelError('MODEL_NOT_FOUND', `There is no model called ${JSON.stringify(name)}`)
    return new ModelError('NOT_READY', `${name} can't answer: ${this.#whyNotReady(name)}`)
  }

  #whyNotReady(name: string): string {
    return whyNotReady(this.#entriesOf(name), this.#sourceOf(name))
  }

  #requireDefault(): string {
    const name = this.#defaultModel()
    if (name !== undefined) return name
    if (this.#source.length === 0) throw new ModelError('NOT_READY', 'There is no model')
    throw new ModelError('MODEL_NOT_FOUND', 'The request names no model, and there is no default one')
  }

  #defaultModel(): string | undefined {
    if (this.#options.defaultModel !== undefined) return this.#options.defaultModel
    const names = this.#source.map(({ name }) => name)
    return names.includes(preferredDefault) ? preferredDefault : names.length === 1 ? names[0] : undefined
  }
}
