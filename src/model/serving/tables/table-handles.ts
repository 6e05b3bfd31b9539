import type { RowsByKey } from './feature-table.ts'
import { type Changes, withChanges } from './layers.ts'
import { type OpenTable, openShared, type SharedTable } from './open-table.ts'

/** How another thread opens the same table; as long as nothing of it changes, it is the same object. */
export interface TableHandle {
  readonly table: SharedTable
  readonly changes: Changes | undefined
}

/** Tables as they were, by number, in a thread that reads them later. */
export class NumberedTables {
  readonly #tables = new Map<number, { rows: RowsByKey; digest: string }>()
  /** By digest: a table, and how many numbers are of it. */
  readonly #open = new Map<string, { opened: OpenTable; uses: number }>()

  /** Throws an Error where it can't be opened. */
  open(number: number, { table, changes }: TableHandle): void {
    const { digest } = table
    const shared = this.#open.get(digest) ?? { opened: openShared(table), uses: 0 }
    this.#open.set(digest, shared)
    shared.uses++
    this.#tables.set(number, { rows: withChanges(shared.opened.table, changes), digest })
  }

  get(number: number): RowsByKey | undefined {
    return this.#tables.get(number)?.rows
  }

  close(number: number): void {
    const digest = this.#tables.get(number)?.digest
    const shared = digest === undefined ? undefined : this.#open.get(digest)
    if (shared === undefined) return
    this.#tables.delete(number)
    if (--shared.uses > 0) return
    this.#open.delete(digest!)
    shared.opened.close()
  }
}

/** The same tables in another thread, which gets their handles. */
export class FollowedTables {
  readonly #open = new Map<string, { opened: OpenTable; changes: number | undefined; current: RowsByKey }>()

  current(name: string): RowsByKey | undefined {
    return this.#open.get(name)?.current
  }

  /** Opens what is not open yet. Throws an Error where a table can't be opened. */
  follow(handles: Readonly<Record<string, TableHandle>>): void {
    for (const [name, { table, changes }] of Object.entries(handles)) {
      const former = this.#open.get(name)
      const isOpen = former?.opened.shared.digest === table.digest
      if (isOpen && former.changes === changes?.number) continue
      const opened = isOpen ? former.opened : openShared(table)
      this.#open.set(name, { opened, changes: changes?.number, current: withChanges(opened.table, changes) })
      if (!isOpen) former?.opened.close()
    }
  }
}
