import type { Clock } from '../../../base/clock.ts'
import { runThread } from '../../../base/one-shot-thread.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { LiveTables, Overlay } from '../../contracts/live-tables.ts'
import { type DeltaEvent, DeltaFollower } from '../delta-files/delta-follower.ts'
import type { Applied } from '../delta-files/take-deltas.ts'
import { type ApplyRequest, applyDeltas } from './apply-deltas.ts'
import { expectationOf } from './expectation.ts'
import { emptyOverlay, sizeOf } from './overlay.ts'

/** Most bytes of a version's changed rows: every worker has a copy. */
const defaultBytes = 512 * 2 ** 20
/**
 * Deltas and overlays up to this size, bytes, are worked on in the calling thread: a few milliseconds, less than a
 * thread takes to start.
 */
const smallBytes = 2 ** 20

export interface LiveVersionOptions {
  folder: string
  manifest: Manifest
  /** Its live tables, or why it has none. */
  live: LiveTables | string
  /** Has the workers serve an overlay from now on. Rejects where they can't. */
  serve(overlay: Overlay): Promise<void>
  /** Most bytes of the changed rows; default: 512 MiB. */
  mostBytes?: number
  clock: Pick<Clock, 'now'>
  /** Milliseconds since 1970. */
  now(): number
  onEvent?: ((event: DeltaEvent) => void) | undefined
}

/**
 * The deltas of a loaded version. The version serves its tables and the contiguous valid delta files 1 … n in its
 * folder, as of the last `refresh`.
 */
export type LiveVersion = DeltaFollower<Overlay>

export function followVersion(options: LiveVersionOptions): LiveVersion {
  const { live, manifest, mostBytes = defaultBytes, folder, serve, clock, now, onEvent } = options
  const isLive = typeof live !== 'string'
  const expected = isLive ? expectationOf(manifest, live) : undefined
  return new DeltaFollower<Overlay>({
    ...{ folder, serve, sizeOf, clock, now, onEvent },
    start: emptyOverlay(isLive ? live.tables : []),
    refuses: isLive ? undefined : live,
    apply({ bytes, ...files }) {
      const request: ApplyRequest = { ...files, folder, expected: expected!, mostBytes }
      if (bytes + sizeOf(files.serving).bytes <= smallBytes) return applyDeltas(request)
      return runThread<Applied<Overlay>>(new URL('./apply-thread.js', import.meta.url), request)
    },
  })
}
