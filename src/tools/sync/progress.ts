import { showProgress, type Terminal } from '../../base/terminal.ts'
import { type VersionId, versionId } from './records.ts'

/** Shows which version is being copied: how far it is on a terminal, elsewhere a line at its begin. */
export interface CopyProgress {
  /** A copy begins; `bytes`: its size. */
  begin(id: VersionId, bytes: number): void
  bytes(more: number): void
  /** Clears the line. */
  stop(): void
}

/** Between two changes of the line, ms. */
const interval = 100

/** `begun` writes the line elsewhere; `now`: ms, monotonic. */
export function createCopyProgress(
  terminal: Terminal,
  begun: (id: VersionId, bytes: number) => void,
  now: () => number,
): CopyProgress {
  const show = showProgress(terminal)
  let current: { name: string; total: number; copied: number } | undefined
  let shown = Number.NEGATIVE_INFINITY
  function update(): void {
    if (current === undefined || now() - shown < interval) return
    shown = now()
    const { name, total, copied } = current
    // A file that is tried again arrives again.
    show(`copying ${name}: ${megabytes(Math.min(copied, total))} of ${megabytes(total)} MB`)
  }
  return {
    begin(id, total) {
      if (!terminal.isTTY) return begun(id, total)
      current = { name: versionId(id), total, copied: 0 }
      update()
    },
    bytes(more) {
      if (current === undefined) return
      current.copied += more
      update()
    },
    stop() {
      if (current !== undefined) show('')
      current = undefined
    },
  }
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)
