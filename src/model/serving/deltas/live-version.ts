import type { Clock } from '../../../base/clock.ts'
import { reasonOf } from '../../../base/errors.ts'
import { fileReason } from '../../../base/files.ts'
import { runThread } from '../../../base/one-shot-thread.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { DeltaStatus } from '../../../schemas/models-folder.ts'
import type { LiveTables, Overlay } from '../../contracts/live-tables.ts'
import { deltasFolder } from '../bundle/checksum.ts'
import { type Applied, type ApplyRequest, applyDeltas } from './apply-deltas.ts'
import { type DeltaFile, type FoundDeltas, findDeltas, type Refused } from './delta-file.ts'
import { type Expectation, expectationOf } from './expectation.ts'
import { emptyOverlay, sizeOf } from './overlay.ts'

/** Most bytes of a version's changed rows: every worker has a copy. */
const defaultBytes = 512 * 2 ** 20
/**
 * Deltas and overlays up to this size, bytes, are worked on in the calling thread: a few milliseconds, less than a
 * thread takes to start.
 */
const smallBytes = 2 ** 20

/** Reports what became of a version's deltas. */
export type DeltaEvent =
  | { type: 'applied' | 'reverted'; from: number; to: number; rows: number; seconds: number }
  | { type: 'refused'; file: string; reason: string }

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

/** Counts for metrics. */
export interface DeltaCounts {
  /** Files that were refused, each once. */
  refused: number
  /** Duration of the last change, s. */
  applySeconds: number
}

/**
 * The deltas of a loaded version. The version serves its tables and the contiguous valid delta files 1 … n in its
 * folder, as of the last `refresh`.
 */
export class LiveVersion {
  readonly #options: LiveVersionOptions
  readonly #expected: Expectation | undefined
  #overlay: Overlay
  #applied: DeltaFile[] = []
  #refused: Refused | undefined
  /** The files that were looked at, unless they are to be read again. */
  #looked: string | undefined
  #lastApplied: number | undefined
  readonly #counts: DeltaCounts = { refused: 0, applySeconds: 0 }
  #working: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: LiveVersionOptions) {
    const { live, manifest } = options
    this.#options = options
    this.#expected = typeof live === 'string' ? undefined : expectationOf(manifest, live)
    this.#overlay = emptyOverlay(typeof live === 'string' ? [] : live.tables)
  }

  /** Brings what is served in line with the files. Never rejects; calls wait for each other. */
  refresh(): Promise<void> {
    this.#working = this.#working.then(() => (this.#closed ? undefined : this.#refresh()))
    return this.#working
  }

  status(): DeltaStatus {
    return {
      applied: this.#applied.length,
      ...sizeOf(this.#overlay),
      last_applied_at: this.#lastApplied === undefined ? null : new Date(this.#lastApplied).toISOString(),
      refused: this.#refused ?? null,
    }
  }

  counts(): DeltaCounts {
    return this.#counts
  }

  /** Resolves when nothing more is applied. */
  close(): Promise<void> {
    this.#closed = true
    return this.#working
  }

  async #refresh(): Promise<void> {
    let found: FoundDeltas
    try {
      found = await findDeltas(this.#options.folder)
    } catch (error) {
      // Nothing is known of the files: deltas that were applied stay in effect.
      this.#looked = undefined
      return this.#refuse({ file: deltasFolder, reason: `can't be read: ${fileReason(error)}` })
    }
    const looked = JSON.stringify(found)
    if (looked === this.#looked) return
    this.#looked = looked
    if (this.#expected === undefined) {
      const [first] = [...found.files.map(({ file }) => file), ...(found.refused ? [found.refused.file] : [])]
      return this.#refuse(first === undefined ? undefined : { file: first, reason: this.#options.live as string })
    }
    await this.#follow(found, this.#expected)
  }

  async #follow({ files, refused }: FoundDeltas, expected: Expectation): Promise<void> {
    const before = this.#applied
    const kept = before.every(({ stamp }, i) => files[i]?.stamp === stamp)
    const next = kept ? files.slice(before.length) : files
    if (kept && next.length === 0) return this.#refuse(refused)
    const started = this.#options.clock.now()
    let result: Applied
    try {
      result = await this.#apply(
        {
          folder: this.#options.folder,
          expected,
          serving: this.#overlay,
          rebuild: !kept,
          files: next.map(({ sequence, file }) => ({ sequence, file })),
          mostBytes: this.#options.mostBytes ?? defaultBytes,
        },
        next,
      )
      const isChange = kept ? result.count > 0 : !result.refused?.transient
      if (isChange) await this.#options.serve(result.overlay)
    } catch (error) {
      this.#looked = undefined
      return this.#refuse({
        file: next[0]?.file ?? deltasFolder,
        reason: `could not be taken over: ${reasonOf(error)}`,
      })
    }
    if (result.refused?.transient) this.#looked = undefined
    // A file that can't be read for a moment takes nothing away.
    if (!kept && result.refused?.transient) return this.#refuse(result.refused)
    if (!kept || result.count > 0)
      this.#take(result, kept ? [...before, ...next.slice(0, result.count)] : next.slice(0, result.count), started)
    const { file, reason } = result.refused ?? {}
    this.#refuse(file === undefined ? refused : { file, reason: reason! })
  }

  #apply(request: ApplyRequest, files: readonly DeltaFile[]): Promise<Applied> {
    const bytes = files.reduce((sum, file) => sum + file.bytes, sizeOf(this.#overlay).bytes)
    if (bytes <= smallBytes) return applyDeltas(request)
    return runThread<Applied>(new URL('./apply-thread.js', import.meta.url), request)
  }

  #take({ overlay }: Applied, applied: DeltaFile[], started: number): void {
    const { clock, now, onEvent } = this.#options
    const from = this.#applied.length
    this.#overlay = overlay
    this.#applied = applied
    this.#lastApplied = now()
    this.#counts.applySeconds = (clock.now() - started) / 1000
    const to = applied.length
    const type = to < from ? 'reverted' : 'applied'
    onEvent?.({ type, from, to, rows: sizeOf(overlay).rows, seconds: this.#counts.applySeconds })
  }

  #refuse(refused: Refused | undefined): void {
    const { file, reason } = this.#refused ?? {}
    this.#refused = refused
    if (refused === undefined || (refused.file === file && refused.reason === reason)) return
    this.#counts.refused++
    this.#options.onEvent?.({ type: 'refused', ...refused })
  }
}
