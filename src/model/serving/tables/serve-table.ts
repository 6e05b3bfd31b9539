import { systemClock } from '../../../base/clock.ts'
import { runThread } from '../../../base/one-shot-thread.ts'
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
import type { OpenTable } from './open-table.ts'
import type { TableHandle } from './table-handles.ts'

/** Deltas and changes up to this size, bytes, are worked on in the calling thread: a few milliseconds. */
const smallBytes = 2 ** 16

/** A version of a table that is served, or is about to be. */
export interface ServedVersion {
  opened: OpenTable
  /** With the changes of its deltas. */
  current: RowsByKey
  handle: TableHandle
  state: ChangedState
  follower: DeltaFollower<ChangedState>
  /** Changes with the files in its folder. */
  stamp: string
  /** Closes what is open. */
  close(): void
}

export interface ServeOptions {
  stamp: string
  /** Lets its copy be removed. */
  release(): void
  /** Why no delta is applied. */
  refuses: string | undefined
  onEvent(event: DeltaEvent): void
  /** Throws an Error where a model that is served would lose a column. */
  expectFit(table: RowsByKey): void
}

/** A table that follows the deltas of its version. */
export function serveTable(opened: OpenTable, options: ServeOptions): ServedVersion {
  const { table, shared } = opened
  const { stamp, release, refuses, onEvent, expectFit } = options
  const served: ServedVersion = {
    opened,
    current: table,
    handle: { table: shared, changes: undefined },
    state: unchanged,
    stamp,
    close() {
      opened.close()
      release()
    },
    follower: new DeltaFollower<ChangedState>({
      folder: shared.folder,
      start: unchanged,
      clock: systemClock,
      now: Date.now,
      sizeOf: ({ changes }) => sizeOfChanges(changes),
      refuses,
      onEvent,
      async apply({ bytes, ...files }) {
        const request: ApplyTableRequest = { ...files, table: shared, mostBytes: mostChangedBytes }
        if (bytes + sizeOfChanges(files.serving.changes).bytes <= smallBytes) return applyTableDeltas(request, table)
        return runThread<Applied<ChangedState>>(new URL('./apply-table-thread.js', import.meta.url), request)
      },
      serve: async (state) => {
        const current = withChanges(table, state.changes)
        expectFit(current)
        served.current = current
        served.handle = { table: shared, changes: state.changes }
        served.state = state
      },
    }),
  }
  return served
}
