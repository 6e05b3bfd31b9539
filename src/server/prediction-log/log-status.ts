import { logDropReasons } from '../../schemas/outcomes.ts'
import type { LogDropped, LogFileList, LogSettings } from '../../schemas/prediction-log-status.ts'
import type { OpenLog } from './open-log.ts'

/** Counts of the prediction log since the start, and its state now: of one process, or of several. */
export interface LogCounts {
  processes: number
  records: number
  bytes: number
  dropped: LogDropped
  /** Bytes that wait to be written. */
  waiting: number
  /** Bytes of all finished files, which the processes share. */
  disk: number
  /** Why nothing can be written; undefined where it can. */
  problem?: string | undefined
}

/** The prediction log, for those who look after it. */
export interface LogStatus {
  settings: LogSettings
  /** Bounds of the buffer of one process, and of the finished files. */
  bufferBytes: number
  diskBytes: number
  /** Counts of this process. */
  counts(): LogCounts
  files(): Promise<LogFileList>
}

/** Counts of the log of this process. */
export function countsOf({ log, written }: Pick<OpenLog, 'log' | 'written'>): LogCounts {
  const { records, bytes, dropped, disk, problem } = written()
  const { full, too_large, waiting } = log.state
  return { processes: 1, records, bytes, dropped: { full, too_large, ...dropped }, waiting, disk, problem }
}

/** Counts of several processes, which write to one folder. */
export function sumCounts(all: readonly LogCounts[]): LogCounts | undefined {
  const [first, ...others] = all
  if (first === undefined) return undefined
  return others.reduce(
    (sum, one) => ({
      processes: sum.processes + one.processes,
      records: sum.records + one.records,
      bytes: sum.bytes + one.bytes,
      dropped: addDropped(sum.dropped, one.dropped),
      waiting: sum.waiting + one.waiting,
      // Each counts them when it has finished one.
      disk: Math.max(sum.disk, one.disk),
      problem: sum.problem ?? one.problem,
    }),
    first,
  )
}

function addDropped(one: LogDropped, other: LogDropped): LogDropped {
  const sum = { ...one }
  for (const reason of logDropReasons) sum[reason] += other[reason]
  return sum
}
