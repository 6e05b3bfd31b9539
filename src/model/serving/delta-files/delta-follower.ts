import type { Clock } from '../../../base/clock.ts'
import { reasonOf } from '../../../base/errors.ts'
import { fileReason } from '../../../base/files.ts'
import type { DeltaStatus } from '../../../schemas/models-folder.ts'
import { type DeltaFile, deltasFolder, type FoundDeltas, findDeltas, type Refused } from './delta-folder.ts'
import type { Applied, NumberedFile } from './take-deltas.ts'

/** Reports what became of a version's deltas. */
export type DeltaEvent =
  | { type: 'applied' | 'reverted'; from: number; to: number; rows: number; seconds: number }
  | { type: 'refused'; file: string; reason: string }

/** How deltas are applied to something that is served: its state. */
export interface DeltaFollowerOptions<State> {
  folder: string
  /** The state without deltas. */
  start: State
  /** Applies files, in order, up to the first that is refused. Rejects where nothing can be applied now. */
  apply(request: ApplyFiles<State>): Promise<Applied<State>>
  /** Serves a state from now on. Rejects where that is impossible. */
  serve(state: State): Promise<void>
  /** Changed rows of a state, and the bytes that they take. */
  sizeOf(state: State): { rows: number; bytes: number }
  /** Why no delta is applied. */
  refuses?: string | undefined
  clock: Pick<Clock, 'now'>
  /** Milliseconds since 1970. */
  now(): number
  onEvent?: ((event: DeltaEvent) => void) | undefined
}

export interface ApplyFiles<State> {
  serving: State
  /** Whether the files are applied to what is served without deltas, not to `serving`. */
  rebuild: boolean
  files: NumberedFile[]
  /** Size of the files. */
  bytes: number
}

/** Counts for metrics. */
export interface DeltaCounts {
  /** Files that were refused, each once. */
  refused: number
  /** Duration of the last change, s. */
  applySeconds: number
}

/** Serves the state with the contiguous valid delta files 1 … n in a folder, as of the last `refresh`. */
export class DeltaFollower<State> {
  readonly #options: DeltaFollowerOptions<State>
  #state: State
  #applied: DeltaFile[] = []
  #refused: Refused | undefined
  /** The files that were looked at, unless they are to be read again. */
  #looked: string | undefined
  #lastApplied: number | undefined
  readonly #counts: DeltaCounts = { refused: 0, applySeconds: 0 }
  #working: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: DeltaFollowerOptions<State>) {
    this.#options = options
    this.#state = options.start
  }

  /** Brings what is served in line with the files. Never rejects; calls wait for each other. */
  refresh(): Promise<void> {
    this.#working = this.#working.then(() => (this.#closed ? undefined : this.#refresh()))
    return this.#working
  }

  status(): DeltaStatus {
    return {
      applied: this.#applied.length,
      ...this.#options.sizeOf(this.#state),
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
    const { refuses } = this.#options
    if (refuses !== undefined) {
      const [first] = [...found.files.map(({ file }) => file), ...(found.refused ? [found.refused.file] : [])]
      return this.#refuse(first === undefined ? undefined : { file: first, reason: refuses })
    }
    await this.#follow(found)
  }

  async #follow({ files, refused }: FoundDeltas): Promise<void> {
    const before = this.#applied
    const kept = before.every(({ stamp }, i) => files[i]?.stamp === stamp)
    const next = kept ? files.slice(before.length) : files
    if (kept && next.length === 0) return this.#refuse(refused)
    const started = this.#options.clock.now()
    let result: Applied<State>
    try {
      result = await this.#options.apply({
        serving: this.#state,
        rebuild: !kept,
        files: next.map(({ sequence, file }) => ({ sequence, file })),
        bytes: next.reduce((sum, file) => sum + file.bytes, 0),
      })
      const isChange = kept ? result.count > 0 : !result.refused?.transient
      if (isChange) await this.#options.serve(result.state)
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

  #take({ state }: Applied<State>, applied: DeltaFile[], started: number): void {
    const { clock, now, onEvent, sizeOf } = this.#options
    const from = this.#applied.length
    this.#state = state
    this.#applied = applied
    this.#lastApplied = now()
    this.#counts.applySeconds = (clock.now() - started) / 1000
    const to = applied.length
    const type = to < from ? 'reverted' : 'applied'
    onEvent?.({ type, from, to, rows: sizeOf(state).rows, seconds: this.#counts.applySeconds })
  }

  #refuse(refused: Refused | undefined): void {
    const { file, reason } = this.#refused ?? {}
    this.#refused = refused
    if (refused === undefined || (refused.file === file && refused.reason === reason)) return
    this.#counts.refused++
    this.#options.onEvent?.({ type: 'refused', ...refused })
  }
}
