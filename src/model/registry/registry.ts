import type { ModelStatus } from '../../schemas/models.ts'
import { ModelError, reasonOf } from '../errors.ts'
import type { LoadedModel } from '../prediction/model.ts'
import { contentsOf, type FolderVersion } from './contents.ts'
import { closeReleased, drain } from './drain.ts'
import { type Entry, highestReady, type KnownModel, statusOf, whyNotReady } from './entry.ts'
import type { RegistryEvent } from './event.ts'
import { findVersion, notReady } from './find.ts'
import { loadVersion, refreshVersion } from './loading.ts'
import { nextActions } from './policy.ts'
import { keepUnknown, type Source, type SourceModel, type SourceVersion } from './source.ts'

/** One version, held for one request: it is not closed before it is released. */
export interface Lease {
  model: LoadedModel
  /** Idempotent. */
  release(): void
}

export type { RegistryEvent } from './event.ts'

export interface RegistryOptions {
  source: Source
  load(name: string, version: string): Promise<LoadedModel>
  mode: 'latest' | 'all'
  /** Model of requests that name none; where undefined, `preferredDefault`, or the only one there is. */
  defaultModel: string | undefined
  /** Models that must be ready beside the default one. */
  requiredModels: readonly string[]
  /** Models that are not served until they are loaded on demand; default: none. */
  unloaded?: readonly string[]
  now(): number
  onEvent?(event: RegistryEvent): void
}

export const preferredDefault = 'ads-funnel'

/**
 * Which versions live, and for how long. `reconcile` compares what should exist with what does and acts: loads, then
 * switches, then drains the old version by its leases. A version that fails any step is kept as `failed` with its reason,
 * and the others go on serving. A model can be taken out of service until it is loaded again on demand, whatever the folder
 * holds meanwhile.
 */
export class Registry {
  readonly #options: RegistryOptions
  readonly #models = new Map<string, Map<string, Entry>>()
  readonly #unloaded: Set<string>
  /** Closings of models in whose place another one answers already. */
  readonly #replaced = new Set<Promise<void>>()
  #source: SourceModel[] = []
  #sourceProblem: string | undefined
  #working: Promise<void> = Promise.resolve()
  #scanned = false
  #closing = false

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#unloaded = new Set(options.unloaded)
  }

  get mode(): RegistryOptions['mode'] {
    return this.#options.mode
  }

  /** Does all that there is to do now. Never rejects; calls queue up behind each other. */
  reconcile(): Promise<void> {
    return this.#inTurn(() => this.#reconcile())
  }

  /**
   * Looks at the folder now, and serves the model again where it was unloaded; versions that had failed are tried again.
   * Rejects with MODEL_NOT_FOUND, NOT_READY where a version doesn't load, with the reason, or DRAINING.
   */
  load(name: string): Promise<void> {
    return this.#inTurn(async () => {
      this.#refuseClosing()
      if (!(await this.#scan())) throw new ModelError('NOT_READY', `${name} can't be loaded: ${this.#sourceProblem}`)
      this.#unloaded.delete(name)
      const entries = this.#models.get(name)
      // What is about to be freed can't be loaded again before.
      await Promise.all(this.#known(name).entries.map(({ drained }) => drained))
      for (const { version, state } of this.#known(name).entries) if (state === 'failed') entries?.delete(version)
      await this.#reconcileModel(name)
      const known = this.#known(name)
      const failed = known.entries.some(({ state }) => state === 'failed')
      if (highestReady(known.entries) === undefined) throw notReady(known)
      if (failed) throw new ModelError('NOT_READY', `${name} still answers by another version: ${whyNotReady(known)}`)
    })
  }

  /**
   * Takes the model out of service at once, until it is loaded on demand; what it has accepted is answered. Rejects with
   * MODEL_NOT_FOUND or DRAINING.
   */
  async unload(name: string): Promise<void> {
    this.#refuseClosing()
    const known = this.#known(name)
    if (known.source === undefined) throw notReady(known)
    this.#unloaded.add(name)
    await this.#inTurn(async () => {
      // It may have been loaded meanwhile, by who asked before.
      this.#unloaded.add(name)
      await this.#reconcileModel(name)
    })
  }

  /**
   * Holds the version that answers a request. Throws MODEL_NOT_FOUND, VERSION_NOT_FOUND, or NOT_READY where the model
   * has no version that answers yet, or DRAINING once the registry is closed.
   */
  acquire(name?: string, version?: string, label?: string): Lease {
    this.#refuseClosing()
    const asked = name ?? this.#requireDefault()
    // Most requests mean just this one.
    const usual = (version ?? label) === undefined && !this.#unloaded.has(asked) ? this.#highestReady(asked) : undefined
    const entry = usual ?? findVersion(this.#known(asked), version, label)
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
    const defaultModel = this.#defaultModel()
    return this.#names().map((name) => statusOf(this.#known(name), name === defaultModel))
  }

  /** Every version in the folder, served or not, by the model's name. */
  contents(): FolderVersion[] {
    return this.#names().flatMap((name) => contentsOf(this.#known(name)))
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
      // None is the default: requests name theirs, and one that answers is enough.
      const names = this.#source.map(({ name }) => name)
      if (names.length === 0) reasons.push('there is no model in the folder')
      else if (names.every((name) => this.#highestReady(name) === undefined))
        reasons.push(...names.map((name) => `${name}: ${whyNotReady(this.#known(name))}`))
    }
    for (const name of needed) {
      if (this.#highestReady(name) === undefined) reasons.push(`${name}: ${whyNotReady(this.#known(name))}`)
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
    const { onEvent } = this.#options
    const drained = [...this.#models].flatMap(([name, entries]) =>
      [...entries.values()].map((entry) => drain(name, entry, onEvent)),
    )
    await Promise.all([...drained, ...this.#replaced])
  }

  /** Rejects what every version has accepted. */
  destroy(error: unknown): void {
    this.#closing = true
    for (const { model } of this.live()) model.destroy(error)
  }

  /** After all that was asked for before. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work)
    this.#working = done.catch(() => undefined)
    return done
  }

  async #reconcile(): Promise<void> {
    if (await this.#scan()) {
      // The default model first: it is what makes the server ready.
      const first = this.#defaultModel()
      const ordered = this.#names().sort((a, b) => Number(b === first) - Number(a === first))
      for (const name of ordered) {
        if (this.#closing) return
        await this.#reconcileModel(name)
      }
    }
    this.#scanned = true
  }

  /** Looks at the folder; false where it can't be read. */
  async #scan(): Promise<boolean> {
    try {
      const source = await this.#options.source()
      this.#source = source.map((model) => keepUnknown(model, this.#sourceOf(model.name)))
      this.#report(undefined)
      return true
    } catch (error) {
      this.#report(`the models' folder can't be read: ${reasonOf(error)}`)
      return false
    }
  }

  #report(problem: string | undefined): void {
    const problems = [problem, ...this.#source.map((model) => model.problem)].filter((text) => text !== undefined)
    const text = problems.length > 0 ? problems.join('; ') : undefined
    if (text !== undefined && text !== this.#sourceProblem) this.#options.onEvent?.({ type: 'problem', message: text })
    this.#sourceProblem = text
  }

  /** Acts until nothing is left to do: a version that fails makes the next lower one wanted. */
  async #reconcileModel(name: string): Promise<void> {
    const entries = this.#models.get(name) ?? new Map<string, Entry>()
    for (;;) {
      if (this.#closing) return
      const { source, unloaded } = this.#known(name)
      const { versions, labels } = (unloaded ? undefined : source) ?? { versions: [], labels: {} }
      if (versions.length > 0 || entries.size > 0) this.#models.set(name, entries)
      const { load, refresh, unload, forget } = nextActions(this.#options.mode, versions, labels, [...entries.values()])
      for (const version of forget) entries.delete(version)
      for (const version of load) await loadVersion(name, entries, version, this.#options)
      for (const version of refresh) await this.#refresh(name, entries, version)
      for (const version of unload) {
        const entry = entries.get(version)
        if (entry) drain(name, entry, this.#options.onEvent).then(() => this.#forget(name, entries, version))
      }
      if (load.length + refresh.length + unload.length + forget.length === 0) break
    }
    if (entries.size === 0) this.#models.delete(name)
  }

  /** Puts what is on disk now in the place of a version, which then answers what it has accepted. */
  async #refresh(name: string, entries: Map<string, Entry>, next: SourceVersion): Promise<void> {
    const former = await refreshVersion(name, entries, next, this.#options)
    if (former === undefined) return
    const closing = closeReleased(name, former, this.#options.onEvent).finally(() => this.#replaced.delete(closing))
    this.#replaced.add(closing)
  }

  #forget(name: string, entries: Map<string, Entry>, version: string): void {
    entries.delete(version)
    if (entries.size === 0) this.#models.delete(name)
  }

  #refuseClosing(): void {
    if (this.#closing) throw new ModelError('DRAINING', 'The server is shutting down')
  }

  #names(): string[] {
    return [...new Set([...this.#source.map(({ name }) => name), ...this.#models.keys()])].sort()
  }

  #known(name: string): KnownModel {
    const entries = [...(this.#models.get(name)?.values() ?? [])]
    const names = () => this.#source.map((model) => model.name)
    return { name, source: this.#sourceOf(name), entries, unloaded: this.#unloaded.has(name), names }
  }

  #highestReady(name: string): Entry | undefined {
    return highestReady(this.#models.get(name)?.values() ?? [])
  }

  #sourceOf(name: string): SourceModel | undefined {
    return this.#source.find((model) => model.name === name)
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
