import { wallClock } from '../../../base/clock.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import type { ModelStatus } from '../../../schemas/models.ts'
import type { LoadedModel } from '../prediction/loaded-model.ts'
import { Authors, byAdministrator, type ModelAuthors } from './authors.ts'
import { DefaultModel } from './default-model.ts'
import type { KnownModel } from './entry.ts'
import { contentsOf, type FolderVersion, findVersion, notReady, notScanned } from './find.ts'
import { FolderView } from './folder-view.ts'
import { type Lease, leaseOf, type RegistryEvent } from './lease.ts'
import type { RegistryOptions, ServedModelOptions } from './options.ts'
import { whyUnready } from './readiness.ts'
import { ActivationTimer } from './schedule.ts'
import { ServedModel } from './served-model.ts'
import { createSlots } from './slots.ts'
import type { SourceModel } from './source.ts'
import { statusOf, whyNotReady } from './status.ts'
import { type RegistrySummary, summaryOf } from './summary.ts'

export type { Lease, RegistryEvent } from './lease.ts'
export type { RegistryOptions } from './options.ts'

/**
 * Which versions live, and for how long. `reconcile` compares what should exist with what does and acts: loads, then
 * switches, then drains the old version by its leases. A version that fails any step is kept as `failed` with its
 * reason, and the others go on serving. A model can be taken out of service until it is loaded again on demand,
 * whatever the folder holds meanwhile.
 */
export class Registry {
  readonly #options: RegistryOptions
  readonly #served: ServedModelOptions
  readonly #folder: FolderView
  readonly #models = new Map<string, ServedModel>()
  readonly #unloaded: Set<string>
  /** Models found at the start that have neither loaded nor failed yet. */
  #starting: Set<string> | undefined
  #working: Promise<void> = Promise.resolve()
  #looked = false
  #ready = false
  #closing = false
  readonly #default: DefaultModel
  readonly #timer: ActivationTimer
  readonly #authors = new Authors()

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#unloaded = new Set(options.unloaded)
    const { source, load, mode, now, maxLoads = 1, describe = reasonOf } = options
    const onEvent = (event: RegistryEvent) => this.#report(event)
    this.#served = {
      load,
      mode,
      now,
      describe,
      keepPreviousMs: options.keepPreviousMs ?? 0,
      wallClock: options.wallClock ?? wallClock,
      incompatible: options.incompatible ?? 'allow',
      readContract: options.readContract ?? (() => Promise.reject(new Error('contracts are not read'))),
      // Clients that wait for their answers come before versions that wait to be loaded.
      slots: createSlots(() => (this.#ready ? 1 : maxLoads)),
      isClosing: () => this.#closing,
      onEvent,
    }
    this.#folder = new FolderView({
      source,
      now,
      unloadAfterMs: options.unloadAfterMs ?? 0,
      onProblem: (message) => onEvent({ type: 'problem', message }),
      onScan: (before, models) => {
        for (const change of this.#authors.scanned(before, models)) onEvent({ type: 'pin', ...change })
      },
    })
    this.#timer = new ActivationTimer({
      clock: options.wallClock ?? wallClock,
      onDue: () => {
        for (const [name, model] of this.#models) model.turn(() => this.#wanted(name))
        this.#setTimer()
        this.#inTurn(() => this.#reconcileModels())
      },
    })
    this.#default = new DefaultModel({
      configured: options.defaultModel,
      preferred: options.preferredModel,
      inFolder: () => this.#folder.models,
      names: () => this.#names(),
      answers: (name) => this.#models.get(name)?.answering() !== undefined,
      onMissing: (message) => onEvent({ type: 'problem', message }),
    })
  }

  get mode(): RegistryOptions['mode'] {
    return this.#options.mode
  }

  /** Does all that there is to do now. Never rejects; calls queue up behind each other. */
  reconcile(): Promise<void> {
    return this.#inTurn(() => this.#reconcile())
  }

  /**
   * Looks at the folder now, and serves the model again where it was unloaded; versions that had failed are tried
   * again. Rejects with MODEL_NOT_FOUND, NOT_READY where a version doesn't load, with the reason, or DRAINING. `by`:
   * who asked, see `authors.ts`.
   */
  load(name: string, by = byAdministrator): Promise<void> {
    return this.#inTurn(async () => {
      this.#refuseClosing()
      if (!(await this.#look())) throw new ModelError('NOT_READY', `${name} can't be loaded: ${this.#folder.problem}`)
      this.#unloaded.delete(name)
      await this.#models.get(name)?.retry()
      await this.#authors.loading(name, by, () => this.#reconcileModel(name))
      const known = this.#known(name)
      const failed = known.entries.some(({ state }) => state === 'failed')
      if (known.answering === undefined) throw notReady(known)
      if (failed) throw new ModelError('NOT_READY', `${name} is still served by another version: ${whyNotReady(known)}`)
    })
  }

  /**
   * Takes the model out of service immediately, until it is loaded on demand; accepted requests are answered. Rejects
   * with MODEL_NOT_FOUND, NOT_READY where the folder has never been read, or DRAINING.
   */
  async unload(name: string, by = byAdministrator): Promise<void> {
    this.#refuseClosing()
    // It may be new, or the folder yet to be read.
    if (this.#folder.of(name) === undefined) await this.#inTurn(() => this.#look().then(() => undefined))
    this.requireScan()
    const known = this.#known(name)
    if (known.source === undefined) throw notReady(known)
    const takeOut = () => {
      this.#unloaded.add(name)
      this.#authors.unloaded(name, by)
    }
    takeOut()
    await this.#inTurn(() => {
      // It may have been loaded meanwhile, by who asked before.
      takeOut()
      return this.#reconcileModel(name)
    })
  }

  /**
   * Holds the version that answers a request. Throws MODEL_NOT_FOUND, VERSION_NOT_FOUND, or NOT_READY where the model
   * has no version that answers yet or the folder has never been read, or DRAINING once the registry is closed.
   */
  acquire(name?: string, version?: string, label?: string): Lease {
    this.#refuseClosing()
    this.#timer.check()
    this.requireScan()
    const asked = name ?? this.#default.require()
    // Most requests mean just this one.
    const usual =
      (version ?? label) === undefined && !this.#unloaded.has(asked) ? this.#models.get(asked)?.answering() : undefined
    return leaseOf(usual ?? findVersion(this.#known(asked), version, label))
  }

  /** Throws NOT_READY until the folder has been read once: before, no model can be said not to exist. */
  requireScan(): void {
    if (!this.#folder.scanned) throw notScanned()
  }

  /** Every model that should exist or does, by name. */
  list(): ModelStatus[] {
    const { name: defaultModel, isImplied } = this.#default
    return this.#names().map((name) => statusOf(this.#known(name), name === defaultModel, isImplied))
  }

  /** Every version in the folder, served or not, by the model's name. */
  contents(): FolderVersion[] {
    return this.#names().flatMap((name) => contentsOf(this.#known(name)))
  }

  /** Models that go on serving although most models vanished from the folder together, by name. */
  missing(): string[] {
    return [...this.#folder.held.keys()]
  }

  /** How many models are in each state, which version of each answers, which failed, and which wait for their time. */
  summary(): RegistrySummary {
    const { held, unreadable } = this.#folder
    const models = this.#names().map((name) => this.#known(name))
    return { ...summaryOf(models), missing: held.size, unreadable }
  }

  /** Who changed models since the start, by name. */
  authors(): Record<string, ModelAuthors> {
    return this.#authors.list(this.#names().map((name) => this.#known(name)))
  }

  /** Why requests can't be answered yet; empty when ready. */
  unreadyReasons(): string[] {
    if (this.#closing) return ['shutting down']
    return whyUnready({
      required: this.#options.requiredModels,
      starting: this.#starting,
      models: this.#names(),
      known: (name) => this.#known(name),
      answers: (name) => this.#models.get(name)?.answering() !== undefined,
      looked: this.#looked,
      problem: this.#folder.problem,
    })
  }

  /** Versions that answer now, or still answer what they have accepted. */
  live(): { name: string; version: string; model: LoadedModel }[] {
    return [...this.#models.values()].flatMap(({ name, entries }) =>
      [...entries.values()].flatMap(({ version, model }) => (model === undefined ? [] : [{ name, version, model }])),
    )
  }

  /** Drains every version. */
  async close(): Promise<void> {
    this.#closing = true
    this.#timer.close()
    await this.#working
    await Promise.all([...this.#models.values()].map((model) => model.close()))
  }

  /** Rejects what every version has accepted. */
  destroy(error: unknown): void {
    this.#closing = true
    this.#timer.close()
    for (const { model } of this.live()) model.destroy(error)
  }

  /** After all that was asked for before. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work)
    this.#working = done.catch(() => undefined)
    return done
  }

  async #reconcile(): Promise<void> {
    const found = await this.#look()
    this.#looked = true
    if (found) {
      this.#default.report()
      const { models } = this.#folder
      if (models.some(({ versions }) => versions.length > 0)) this.#starting ??= new Set(models.map(({ name }) => name))
      await this.#reconcileModels()
    }
    this.#noteReady()
    if (found) this.#authors.start()
  }

  async #reconcileModels(): Promise<void> {
    // The default model first: it is what most requests mean.
    const first = this.#default.name
    const ordered = this.#names().sort((a, b) => Number(b === first) - Number(a === first))
    await Promise.all(ordered.map((name) => this.#reconcileModel(name)))
    for (const [name, model] of this.#models)
      if (model.isEmpty && this.#folder.of(name) === undefined) this.#models.delete(name)
  }

  async #look(): Promise<boolean> {
    const found = await this.#folder.look()
    if (!this.#closing) this.#setTimer()
    return found
  }

  #setTimer(): void {
    this.#timer.set(this.#folder.models.flatMap(({ versions }) => versions.map(({ activateAt = 0 }) => activateAt)))
  }

  /** The model as it should exist; undefined where it should not. */
  #wanted(name: string): SourceModel | undefined {
    return this.#unloaded.has(name) ? undefined : this.#folder.of(name)
  }

  async #reconcileModel(name: string): Promise<void> {
    const model = this.#models.get(name) ?? new ServedModel(name, this.#served)
    this.#models.set(name, model)
    await model.reconcile(() => this.#wanted(name))
    this.#starting?.delete(name)
    this.#noteReady()
  }

  #noteReady(): void {
    if (this.#ready || this.unreadyReasons().length > 0) return
    this.#ready = true
    this.#report({ type: 'ready' })
  }

  #report(event: RegistryEvent): void {
    const signed = this.#authors.sign(event, (name) => this.#folder.of(name))
    this.#options.onEvent?.(signed)
  }

  #refuseClosing(): void {
    if (this.#closing) throw new ModelError('DRAINING', 'The server is shutting down')
  }

  #names(): string[] {
    const served = [...this.#models.values()].filter(({ entries }) => entries.size > 0)
    return [...new Set([...this.#folder.models, ...served].map(({ name }) => name))].sort()
  }

  #known(name: string): KnownModel {
    const model = this.#models.get(name)
    return {
      name,
      source: this.#folder.of(name),
      entries: [...(model?.entries.values() ?? [])],
      scheduled: model?.scheduled ?? new Set(),
      unloaded: this.#unloaded.has(name),
      answering: model?.answering(),
      names: () => this.#names(),
    }
  }
}
