import type { KnownModel } from './entry.ts'
import type { RegistryEvent } from './lease.ts'
import type { PinChange, PinnedBy, SourceModel } from './source.ts'

/*
 * Who changed what is served: the id of an API key, or one of these words.
 */

/** A client of a server that asks for no key. */
export const byAdministrator = 'administrator'
/** `multigate pin` and `unpin`. */
export const byCommand = 'command'
/** Anything else that changed files of the models folder. */
export const byFile = 'file'
/** The schedule of a version. */
export const bySchedule = 'schedule'

/** Authors of the last changes of a model since the start; a part is missing where there was none. */
export interface ModelAuthors {
  /** `version`: undefined where the pin was removed. */
  pin?: { version: string | undefined; by: string }
  /** It was taken out of service. */
  unloaded?: string
  /** Its version that answers was loaded, or took over. */
  serving?: string
}

/** Remembers who changed models, from the folder and from what was asked for. */
export class Authors {
  readonly #pins = new Map<string, NonNullable<ModelAuthors['pin']>>()
  /** Pins that changed in the latest scan. */
  readonly #recent = new Map<string, string>()
  /** Notes of pins' authors that were used for a change: they say nothing of a later one. */
  readonly #used = new Map<string, string>()
  readonly #unloaded = new Map<string, string>()
  /** By name and version. */
  readonly #causes = new Map<string, string>()
  /** The model that is loaded on demand now. */
  #loading: { name: string; by: string } | undefined
  #started = false

  /** All that was there at the start is loaded, or has failed: that was nobody. */
  start(): void {
    this.#started = true
  }

  /** The pins that differ between two scans; the first of all has none. */
  scanned(before: readonly SourceModel[] | undefined, models: readonly SourceModel[]): PinChange[] {
    this.#recent.clear()
    const known = new Map(before?.map((model) => [model.name, model]))
    return models.flatMap((model) => {
      const { name, pin } = model
      const former = known.get(name)
      const isFresh = this.#read(model)
      if (former === undefined || former.pin === pin) return []
      const by = isFresh ? model.pinnedBy!.by : byFile
      this.#pins.set(name, { version: pin, by })
      this.#recent.set(name, by)
      return [{ name, version: pin, from: former.pin, by } as PinChange]
    })
  }

  /** Whether the author of the pin has written something new, which is used up then. */
  #read({ name, pin, pinnedBy }: SourceModel): boolean {
    // One that is ahead of the pin is about to change it.
    if (pinnedBy === undefined || pinnedBy.pin !== pin) return false
    const text = textOf(pinnedBy)
    if (this.#used.get(name) === text) return false
    this.#used.set(name, text)
    return true
  }

  /** Does `load`, and what it loads is by this author. */
  async loading(name: string, by: string, load: () => Promise<void>): Promise<void> {
    this.#unloaded.delete(name)
    this.#loading = { name, by }
    try {
      await load()
    } finally {
      this.#loading = undefined
    }
  }

  unloaded(name: string, by: string): void {
    this.#unloaded.set(name, by)
  }

  /** The event with who caused it, where somebody did. `inFolder`: the model in the folder now. */
  sign(event: RegistryEvent, inFolder: (name: string) => SourceModel | undefined): RegistryEvent {
    if (event.type !== 'loaded' && event.type !== 'unloaded' && event.type !== 'switched') return event
    const by = event.type === 'unloaded' ? this.#unloader(event, inFolder(event.name)) : this.#loader(event)
    const key = `${event.name}/${event.version}`
    if (event.type === 'unloaded' || by === undefined) this.#causes.delete(key)
    else this.#causes.set(key, by)
    return by === undefined ? event : { ...event, by }
  }

  /** Those of models that somebody changed, by name. */
  list(models: readonly Pick<KnownModel, 'name' | 'answering'>[]): Record<string, ModelAuthors> {
    const known = models.map(({ name, answering }) => [name, this.#of(name, answering?.version)] as const)
    return Object.fromEntries(known.filter(([, authors]) => Object.keys(authors).length > 0))
  }

  #of(name: string, answers: string | undefined): ModelAuthors {
    const pin = this.#pins.get(name)
    const unloaded = this.#unloaded.get(name)
    const serving = answers === undefined ? undefined : this.#causes.get(`${name}/${answers}`)
    return {
      ...(pin && { pin }),
      ...(unloaded !== undefined && { unloaded }),
      ...(serving !== undefined && { serving }),
    }
  }

  #unloader(
    { name, version }: { name: string; version: string },
    inFolder: SourceModel | undefined,
  ): string | undefined {
    const isThere = inFolder?.versions.some((one) => one.version === version) === true
    // Else another version took its place, by what that one's event says.
    return this.#unloaded.get(name) ?? (isThere ? undefined : byFile)
  }

  #loader(event: RegistryEvent & { type: 'loaded' | 'switched' }): string | undefined {
    const { name, version } = event
    if (this.#loading?.name === name) return this.#loading.by
    const pin = this.#pins.get(name)
    if (pin?.version === version) return pin.by
    if (!this.#started) return undefined
    return this.#recent.get(name) ?? (event.type === 'switched' && event.scheduled ? bySchedule : byFile)
  }
}

const textOf = ({ pin, by, at }: PinnedBy) => JSON.stringify([pin, by, at])
