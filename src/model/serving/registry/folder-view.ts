import { fileReason } from '../../../base/files.ts'
import { keepUnknown, type Source, type SourceModel } from './source.ts'

export interface FolderViewOptions {
  source: Source
  now(): number
  /** How long models that vanish together go on serving, ms. */
  unloadAfterMs: number
  onProblem(message: string): void
  /** Called with the models of a scan and those before it; undefined: it is the first. */
  onScan?(before: readonly SourceModel[] | undefined, models: readonly SourceModel[]): void
}

/** The models that should exist, from the latest valid scan of the folder. A failed scan changes nothing. */
export class FolderView {
  readonly #options: FolderViewOptions
  #models: SourceModel[] = []
  #problem: string | undefined
  #reported: string | undefined
  #unreadable: string | undefined
  #scanned = false
  #held: Held = new Map()

  constructor(options: FolderViewOptions) {
    this.#options = options
  }

  get models(): readonly SourceModel[] {
    return this.#models
  }

  /** The folder has been read once: a model that it does not name does not exist. */
  get scanned(): boolean {
    return this.#scanned
  }

  /** Problems of the folder or of models in it. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Why the folder can't be read now; its models go on serving. */
  get unreadable(): string | undefined {
    return this.#unreadable
  }

  /** Models that vanished together, and go on serving. */
  get held(): Held {
    return this.#held
  }

  of(name: string): SourceModel | undefined {
    return this.#models.find((model) => model.name === name)
  }

  /** Looks at the folder; false where it can't be read. */
  async look(): Promise<boolean> {
    try {
      const found = (await this.#options.source()).map((model) => keepUnknown(model, this.of(model.name)))
      const before = this.#scanned ? this.#models : undefined
      this.#models = this.#holdVanished(found)
      this.#unreadable = undefined
      this.#scanned = true
      this.#options.onScan?.(before, this.#models)
      this.#report()
      return true
    } catch (error) {
      this.#unreadable = fileReason(error)
      this.#report()
      return false
    }
  }

  #holdVanished(found: SourceModel[]): SourceModel[] {
    const had = this.#models.filter(({ versions }) => versions.length > 0)
    const has = new Set(found.filter(({ versions }) => versions.length > 0).map(({ name }) => name))
    const before = had.map(({ name }) => name)
    const gone = before.filter((name) => !has.has(name))
    const { now, unloadAfterMs } = this.#options
    this.#held = heldOf({ before, gone, held: this.#held, now: now(), unloadAfterMs })
    if (this.#held.size === 0) return found
    const { held } = this
    const kept = had.filter(({ name }) => held.has(name)).map((model) => ({ ...model, problem: vanished }))
    return [...found.filter(({ name }) => !held.has(name)), ...kept].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #report(): void {
    const whole = this.#unreadable && `the models folder can't be read: ${this.#unreadable}`
    const { held } = this
    const together =
      held.size === 0
        ? undefined
        : `most models vanished from the folder together and keep serving for ${this.#options.unloadAfterMs / 1000} s: ${[...held.keys()].join(', ')}`
    const own = this.#models.filter(({ name }) => !held.has(name)).map(({ problem }) => problem)
    const problems = [whole, together, ...own].filter((text) => text !== undefined)
    this.#problem = problems.length > 0 ? problems.join('; ') : undefined
    if (this.#problem !== undefined && this.#problem !== this.#reported) this.#options.onProblem(this.#problem)
    this.#reported = this.#problem
  }
}

const vanished = 'it vanished from the folder together with most others and keeps serving for now'

/** Models that go on serving although they are gone from the folder, with when each was first missed, ms. */
export type Held = ReadonlyMap<string, number>

export interface VanishInput {
  /** Models that had versions at the last look, those that are held included. */
  before: readonly string[]
  /** Which of these have none now. */
  gone: readonly string[]
  held: Held
  now: number
  /** How long a model is held, ms. */
  unloadAfterMs: number
}

/**
 * Which models that are gone from the folder are to go on serving: a pure function.
 *
 * Where all models vanish between two looks, or more than half of them, that looks like a volume that dropped, and each
 * of them is held until it has been gone for `unloadAfterMs`. So does the only model that there is, but not one of two:
 * a folder that still holds half of its models is in order. A held model stays held, whatever becomes of the others,
 * until it is back or its time is over.
 */
export function heldOf({ before, gone, held, now, unloadAfterMs }: VanishInput): Map<string, number> {
  const fault = gone.length * 2 > before.length
  const next = new Map<string, number>()
  for (const name of gone) {
    const since = held.get(name) ?? (fault ? now : undefined)
    if (since !== undefined && now - since < unloadAfterMs) next.set(name, since)
  }
  return next
}
