import { join } from 'node:path'
import { reasonOf } from '../../../base/errors.ts'
import type { FeatureTable } from './feature-table.ts'
import { type OpenTable, openTable, openTableNow } from './open-table.ts'
import { tablesFolder, tablesIn, versionsIn } from './table-folder.ts'

/**
 * The tables beside the models, of each its highest version. What `current` answers may be read until the caller waits
 * for something: then another version may have taken its place.
 */
export class Tables {
  readonly #models: string
  readonly #onChange: (change: TableChange) => void
  readonly #open = new Map<string, OpenTable>()
  /** By table, the version that can't be opened. */
  readonly #refused = new Map<string, number>()
  readonly #guards = new Map<string, Set<Guard>>()
  #refreshing: Promise<void> | undefined

  constructor(models: string, onChange: (change: TableChange) => void = () => undefined) {
    this.#models = models
    this.#onChange = onChange
  }

  current(name: string): FeatureTable | undefined {
    return this.#open.get(name)?.table
  }

  /** Has new versions of a table checked before they take over, until the function that it answers is called. */
  guard(name: string, problemOf: Guard): () => void {
    const guards = this.#guards.get(name) ?? new Set()
    this.#guards.set(name, guards)
    guards.add(problemOf)
    return () => void guards.delete(problemOf)
  }

  /** Folders of the versions that are open, by table: so another thread opens the same. */
  folders(): Record<string, string> {
    return Object.fromEntries([...this.#open].map(([name, { folder }]) => [name, folder]))
  }

  /** Takes new versions over. One that can't be opened leaves the former one in place. Never rejects. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #look(): Promise<void> {
    for (const name of await tablesIn(this.#models)) {
      const parent = join(this.#models, tablesFolder, name)
      const version = (await versionsIn(parent).catch(() => [])).at(-1)
      const former = this.#open.get(name)
      if (version === undefined || String(version) === former?.table.description.version) continue
      if (this.#refused.get(name) === version) continue
      try {
        const opened = await openTable(join(parent, String(version)))
        const problem = [...(this.#guards.get(name) ?? [])].flatMap((guard) => guard(opened.table) ?? [])[0]
        if (problem !== undefined) {
          opened.close()
          throw new Error(`${problem}: a model that is served would lose it`)
        }
        this.#open.set(name, opened)
        this.#refused.delete(name)
        former?.close()
        this.#onChange({ table: name, version: String(version) })
      } catch (error) {
        this.#refused.set(name, version)
        this.#onChange({ table: name, version: String(version), problem: reasonOf(error) })
      }
    }
  }
}

/** Says why a table does not fit one that reads it. */
type Guard = (table: FeatureTable) => string | undefined

/** A version of a table that has taken over, or that can't be opened. */
export interface TableChange {
  table: string
  version: string
  problem?: string
}

/** The same tables in another thread, which gets their folders. */
export class FollowedTables {
  readonly #open = new Map<string, OpenTable>()

  current(name: string): FeatureTable | undefined {
    return this.#open.get(name)?.table
  }

  /** Opens what is not open yet. Throws an Error where a table can't be opened. */
  follow(folders: Readonly<Record<string, string>>): void {
    for (const [name, folder] of Object.entries(folders)) {
      const former = this.#open.get(name)
      if (former?.folder === folder) continue
      this.#open.set(name, openTableNow(folder))
      former?.close()
    }
  }
}
