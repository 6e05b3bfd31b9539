import { join } from 'node:path'
import { systemClock } from '../../../base/clock.ts'
import { isTransient, reasonOf } from '../../../base/errors.ts'
import { fileProblem } from '../../../base/files.ts'
import { valueFor } from '../../../base/maps.ts'
import type { TableDescription } from '../../../schemas/feature-table.ts'
import type { DeltaStatus } from '../../../schemas/models-folder.ts'
import type { DeltaEvent } from '../delta-files/delta-follower.ts'
import type { RowsByKey } from './feature-table.ts'
import { openShared } from './open-table.ts'
import { type ServedVersion, serveTable } from './serve-table.ts'
import { descriptionFile, stampOf, tablesFolder, tablesIn, versionsIn } from './table-folder.ts'
import type { TableHandle } from './table-handles.ts'
import { removeUnusedCopies, takeTable } from './take-table.ts'

/** Says why a table does not fit one that reads it. */
export type Guard = (table: RowsByKey) => string | undefined

/** A version of a table that has taken over, or that can't be opened; or a change of its rows. */
export type TableChange = { table: string; version: string } /** `replaced`: other content has its number. */ & (
  | { type: 'opened'; replaced: boolean }
  /** A write into its files may end the process, and why; said of the first version alone. */
  | { type: 'unprotected'; problem: string }
  | { type: 'refused'; problem: string }
  /** No version is to be seen in its folder; this one stays. */
  | { type: 'gone'; problem: string }
  | { type: 'deltas'; event: DeltaEvent }
)

/** How versions and deltas are read, and which. */
export interface TableRules {
  /** Reads a version, which must not change meanwhile; rejects with an Error for one that must not be read. */
  verify?: (<T>(table: string, version: string, read: () => Promise<T>) => Promise<T>) | undefined
  /** The folder in which large tables are copied; without it, their files are opened where they are. */
  copies?: string | undefined
  /** Why no delta is applied. */
  refuseDeltas?: string | undefined
}

/** A table that is served. */
export interface TableStatus {
  name: string
  version: string
  /** SHA-256 of its description, and so of all its content. */
  digest: string
  /** Rows of the version, without its deltas. */
  rows: number
  bytes: number
  source: string
  /** Keys of its first rows. */
  firstKeys: string[]
  /** When the version was imported, and when the last delta was written; ms since 1970. */
  createdAt: number
  changedAt: number | undefined
  deltas: DeltaStatus
  /** The version that can't take over, and why. */
  refused: { version: string; problem: string } | undefined
}

interface RefusedVersion {
  version: string
  /** Changes with its files. */
  stamp: string
  problem: string
  /** `#guardChanges` then: other models may not refuse it. */
  guards: number
  transient: boolean
}

/**
 * The tables beside the models, of each its highest version. What `current` answers may be read until the caller waits
 * for something: then another version may have taken its place.
 */
export class Tables {
  readonly #models: string
  readonly #onChange: (change: TableChange) => void
  readonly #rules: TableRules
  readonly #served = new Map<string, ServedVersion>()
  /** By table and version. */
  readonly #refused = new Map<string, Map<string, RefusedVersion>>()
  /** Those of which no version is to be seen. */
  readonly #gone = new Set<string>()
  readonly #guards = new Map<string, Set<Guard>>()
  #guardChanges = 0
  #saidUnprotected = false
  #refreshing: Promise<void> | undefined

  constructor(models: string, onChange: (change: TableChange) => void = () => undefined, rules: TableRules = {}) {
    this.#models = models
    this.#onChange = onChange
    this.#rules = rules
  }

  current(name: string): RowsByKey | undefined {
    return this.#served.get(name)?.current
  }

  /** Has new versions of a table checked before they take over, until the function that it answers is called. */
  guard(name: string, problemOf: Guard): () => void {
    const guards = this.#guards.get(name) ?? new Set()
    this.#guards.set(name, guards)
    guards.add(problemOf)
    return () => {
      guards.delete(problemOf)
      this.#guardChanges++
    }
  }

  /** The tables with these names, for other threads. */
  handles(names: Iterable<string>): Record<string, TableHandle> {
    const handles: Record<string, TableHandle> = {}
    for (const name of names) {
      const handle = this.#served.get(name)?.handle
      if (handle) handles[name] = handle
    }
    return handles
  }

  status(): TableStatus[] {
    return [...this.#served].map(
      ([
        name,
        {
          opened: { table, description, shared },
          state,
          follower,
        },
      ]) => ({
        name,
        version: description.version,
        digest: shared.digest,
        rows: table.rows,
        bytes: table.bytes,
        source: description.source,
        firstKeys: table.firstKeys,
        createdAt: Date.parse(description.created_at),
        changedAt: state.createdAt,
        deltas: follower.status(),
        refused: highest(this.#refused.get(name)),
      }),
    )
  }

  /**
   * Takes new versions and deltas over. One that can't be opened leaves the former one in place, as does a folder
   * without any. Never rejects.
   */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** Closes all tables; nothing may read them afterwards. */
  async close(): Promise<void> {
    await this.#refreshing
    for (const { follower, close } of this.#served.values()) {
      await follower.close()
      close()
    }
    this.#served.clear()
  }

  async #look(): Promise<void> {
    for (const name of new Set([...(await tablesIn(this.#models)), ...this.#served.keys()])) {
      const parent = join(this.#models, tablesFolder, name)
      const versions = await versionsIn(parent).catch(fileProblem)
      if (typeof versions === 'string' || versions.length === 0)
        this.#leave(name, typeof versions === 'string' ? versions : 'has no version any more')
      else if (!(await this.#follow(name, parent, versions.map(String).reverse())))
        await this.#served.get(name)?.follower.refresh()
    }
  }

  /** Says once that no version of a table that is served is to be seen. */
  #leave(name: string, problem: string): void {
    const served = this.#served.get(name)
    if (served === undefined || this.#gone.has(name)) return
    this.#gone.add(name)
    const { version } = served.opened.description
    this.#onChange({ table: name, version, type: 'gone', problem: `its folder ${problem}` })
  }

  /** Takes the highest version over; where none is served, the highest that can be read. Whether one took over. */
  async #follow(name: string, parent: string, versions: readonly string[]): Promise<boolean> {
    this.#gone.delete(name)
    const refused = this.#refused.get(name)
    for (const version of refused?.keys() ?? []) if (!versions.includes(version)) refused?.delete(version)
    for (const version of versions) {
      if (await this.#followVersion(name, version, join(parent, version))) return true
      if (this.#served.has(name)) return false
    }
    return false
  }

  /** Takes a version over, unless it is served, or was refused and has not changed; whether it did. */
  async #followVersion(name: string, version: string, folder: string): Promise<boolean> {
    const all = valueFor(this.#refused, name, () => new Map<string, RefusedVersion>())
    const stamp = await stampOf(folder).catch(reasonOf)
    const served = this.#served.get(name)
    if (served?.opened.shared.folder === folder && served.stamp === stamp) {
      all.clear()
      return false
    }
    const refused = all.get(version)
    const isSame = refused?.stamp === stamp && refused.guards === this.#guardChanges
    if (isSame && !refused.transient) return false
    try {
      return await this.#takeOver(name, version, folder)
    } catch (error) {
      // Clients see it.
      const problem = reasonOf(error).replaceAll(`${this.#models}/`, '')
      all.set(version, { version, problem, stamp, guards: this.#guardChanges, transient: isTransient(error) })
      if (refused?.problem !== problem) this.#onChange({ table: name, version, type: 'refused', problem })
      return false
    }
  }

  /** Whether a version took over: false where what is served has its content. Rejects with an Error. */
  async #takeOver(name: string, version: string, folder: string): Promise<boolean> {
    const { verify, copies } = this.#rules
    const options = { copies, clock: systemClock, now: Date.now }
    const stamp = await stampOf(folder)
    const take = () => takeTable(folder, options)
    const taken = await (verify ? verify(name, version, take) : take())
    const former = this.#served.get(name)
    const { shared, uncopied, release } = taken
    if (former?.opened.shared.digest === shared.digest) {
      former.stamp = stamp
      release()
      return false
    }
    let next: ServedVersion | undefined
    try {
      expectNames(shared.description, name, version)
      next = serveTable(openShared(shared), {
        ...{ stamp, release, refuses: this.#rules.refuseDeltas },
        onEvent: (event) => this.#onChange({ table: name, version, type: 'deltas', event }),
        expectFit: (table) => this.#expectFit(name, table),
      })
      await next.follower.refresh()
      this.#expectFit(name, next.current)
    } catch (error) {
      if (next) next.close()
      else release()
      throw error
    }
    this.#served.set(name, next)
    for (const refused of this.#refused.get(name)?.keys() ?? [])
      if (Number(refused) <= Number(version)) this.#refused.get(name)?.delete(refused)
    const replaced = former?.opened.description.version === version
    this.#onChange({ table: name, version, type: 'opened', replaced })
    if (uncopied !== undefined && !this.#saidUnprotected) {
      this.#saidUnprotected = true
      this.#onChange({ table: name, version, type: 'unprotected', problem: uncopied })
    }
    await former?.follower.close()
    former?.close()
    await removeUnusedCopies(options)
    return true
  }

  /** Throws an Error where a model that is served would lose a column. */
  #expectFit(name: string, table: RowsByKey): void {
    for (const guard of this.#guards.get(name) ?? []) {
      const problem = guard(table)
      if (problem !== undefined) throw new Error(`${problem}: a model that is served would lose it`)
    }
  }
}

/** Throws an Error where a version is in another's folder: deltas and signatures are of one name and number. */
function expectNames({ name, version }: TableDescription, table: string, number: string): void {
  if (name !== table || version !== number)
    throw new Error(`${descriptionFile} is of ${name}/${version}, but its folder is ${table}/${number}`)
}

function highest(refused: ReadonlyMap<string, RefusedVersion> = new Map()): RefusedVersion | undefined {
  return [...refused.values()].sort((a, b) => Number(b.version) - Number(a.version))[0]
}
