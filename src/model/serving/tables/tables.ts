import { basename, join } from 'node:path'
import { systemClock } from '../../../base/clock.ts'
import { isTransient, reasonOf } from '../../../base/errors.ts'
import { fileProblem } from '../../../base/files.ts'
import { runThread } from '../../../base/one-shot-thread.ts'
import type { DeltaStatus } from '../../../schemas/models-folder.ts'
import { type DeltaEvent, DeltaFollower } from '../delta-files/delta-follower.ts'
import type { Applied } from '../delta-files/take-deltas.ts'
import {
  type ApplyTableRequest,
  applyTableDeltas,
  type ChangedState,
  sizeOfChanges,
  unchanged,
} from './apply-table-deltas.ts'
import type { RowsByKey } from './feature-table.ts'
import { withChanges } from './layers.ts'
import { mostChangedBytes } from './open-changed.ts'
import { type OpenTable, openTable } from './open-table.ts'
import { stampOf, tablesFolder, tablesIn, versionsIn } from './table-folder.ts'
import type { TableHandle } from './table-handles.ts'

/** Deltas and changes up to this size, bytes, are worked on in the calling thread: a few milliseconds. */
const smallBytes = 2 ** 16

/** Says why a table does not fit one that reads it. */
export type Guard = (table: RowsByKey) => string | undefined

/** A version of a table that has taken over, or that can't be opened; or a change of its rows. */
export type TableChange = { table: string; version: string } & (
  | { type: 'opened' }
  | { type: 'refused'; problem: string }
  /** No version is to be seen in its folder; this one stays. */
  | { type: 'gone'; problem: string }
  | { type: 'deltas'; event: DeltaEvent }
)

/** Limits to the versions and deltas that are read. */
export interface TableRules {
  /** Rejects with an Error for a version that must not be read. */
  verify?: ((table: string, version: string) => Promise<void>) | undefined
  /** Why no delta is applied. */
  refuseDeltas?: string | undefined
}

/** A table that is served. */
export interface TableStatus {
  name: string
  version: string
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

interface Served {
  opened: OpenTable
  /** With the changes of its deltas. */
  current: RowsByKey
  handle: TableHandle
  state: ChangedState
  follower: DeltaFollower<ChangedState>
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
  readonly #served = new Map<string, Served>()
  readonly #refused = new Map<string, RefusedVersion>()
  /** Those of which no version is to be seen. */
  readonly #gone = new Set<string>()
  readonly #guards = new Map<string, Set<Guard>>()
  #guardChanges = 0
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
          opened: { table, description },
          state,
          follower,
        },
      ]) => ({
        name,
        version: description.version,
        rows: table.rows,
        bytes: table.bytes,
        source: description.source,
        firstKeys: table.firstKeys,
        createdAt: Date.parse(description.created_at),
        changedAt: state.createdAt,
        deltas: follower.status(),
        refused: this.#refused.get(name),
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
    for (const { follower, opened } of this.#served.values()) {
      await follower.close()
      opened.close()
    }
    this.#served.clear()
  }

  async #look(): Promise<void> {
    for (const name of new Set([...(await tablesIn(this.#models)), ...this.#served.keys()])) {
      const parent = join(this.#models, tablesFolder, name)
      const versions = await versionsIn(parent).catch(fileProblem)
      const highest = typeof versions === 'string' ? undefined : versions.at(-1)
      if (highest === undefined) this.#leave(name, typeof versions === 'string' ? versions : 'has no version any more')
      else if (!(await this.#follow(name, String(highest), join(parent, String(highest)))))
        await this.#served.get(name)?.follower.refresh()
    }
  }

  /** Says once that no version of a table that is served is to be seen. */
  #leave(name: string, problem: string): void {
    const served = this.#served.get(name)
    if (served === undefined || this.#gone.has(name)) return
    this.#gone.add(name)
    const version = basename(served.opened.shared.folder)
    this.#onChange({ table: name, version, type: 'gone', problem: `its folder ${problem}` })
  }

  /** Takes the highest version over, unless it is served, or was refused and has not changed; whether it did. */
  async #follow(name: string, version: string, folder: string): Promise<boolean> {
    this.#gone.delete(name)
    if (this.#served.get(name)?.opened.shared.folder === folder) {
      this.#refused.delete(name)
      return false
    }
    const refused = this.#refused.get(name)
    const stamp = await stampOf(folder).catch(reasonOf)
    const isSame = refused?.version === version && refused.stamp === stamp && refused.guards === this.#guardChanges
    if (isSame && !refused.transient) return false
    return this.#takeOver(name, version, folder, stamp)
  }

  /** Whether a version took over. */
  async #takeOver(name: string, version: string, folder: string, stamp: string): Promise<boolean> {
    const change = { table: name, version }
    let next: Served | undefined
    try {
      await this.#rules.verify?.(name, version)
      next = this.#serve(name, await openTable(folder))
      await next.follower.refresh()
      this.#expectFit(name, next.current)
    } catch (error) {
      next?.opened.close()
      const problem = reasonOf(error)
      const before = this.#refused.get(name)
      const state = { stamp, guards: this.#guardChanges, transient: isTransient(error) }
      this.#refused.set(name, { version, problem, ...state })
      if (before?.version !== version || before.problem !== problem)
        this.#onChange({ ...change, type: 'refused', problem })
      return false
    }
    const former = this.#served.get(name)
    this.#served.set(name, next)
    this.#refused.delete(name)
    this.#onChange({ ...change, type: 'opened' })
    await former?.follower.close()
    former?.opened.close()
    return true
  }

  /** Throws an Error where a model that is served would lose a column. */
  #expectFit(name: string, table: RowsByKey): void {
    for (const guard of this.#guards.get(name) ?? []) {
      const problem = guard(table)
      if (problem !== undefined) throw new Error(`${problem}: a model that is served would lose it`)
    }
  }

  #serve(name: string, opened: OpenTable): Served {
    const { table, shared, description } = opened
    const served: Served = {
      opened,
      current: table,
      handle: { table: shared, changes: undefined },
      state: unchanged,
      follower: new DeltaFollower<ChangedState>({
        folder: shared.folder,
        start: unchanged,
        clock: systemClock,
        now: Date.now,
        sizeOf: ({ changes }) => sizeOfChanges(changes),
        refuses: this.#rules.refuseDeltas,
        onEvent: (event) => this.#onChange({ table: name, version: description.version, type: 'deltas', event }),
        async apply({ bytes, ...files }) {
          const request: ApplyTableRequest = { ...files, table: shared, mostBytes: mostChangedBytes }
          if (bytes + sizeOfChanges(files.serving.changes).bytes <= smallBytes) return applyTableDeltas(request, table)
          return runThread<Applied<ChangedState>>(new URL('./apply-table-thread.js', import.meta.url), request)
        },
        serve: async (state) => {
          const current = withChanges(table, state.changes)
          this.#expectFit(name, current)
          served.current = current
          served.handle = { table: shared, changes: state.changes }
          served.state = state
        },
      }),
    }
    return served
  }
}
