import type { LiveHistory, LiveUpdate } from '../../schemas/live.ts'

/** What the live stream asks for: by the process that reads itself, or by all through the primary process. */
export interface LiveSource {
  /** Samples that are kept. */
  history(): Promise<LiveHistory>
  /** Intervals that ended after `at` (ms since 1970), if any; asked once a second while somebody watches, which makes the last one. */
  latest(at: number): Promise<LiveUpdate | undefined>
}
