import type { LogCounts, LogStatus } from '../../src/server/prediction-log/log-status.ts'

/** Counts of a prediction log that has recorded nothing, with these changes. */
export function logCounts({
  dropped,
  ...changes
}: Partial<Omit<LogCounts, 'dropped'>> & { dropped?: Partial<LogCounts['dropped']> } = {}): LogCounts {
  return {
    ...{ processes: 1, records: 0, bytes: 0, waiting: 0, disk: 0 },
    ...changes,
    dropped: { full: 0, too_large: 0, disk: 0, unreadable: 0, ...dropped },
  }
}

/** A prediction log whose folder is empty, with these changes. */
export function logStatus(changes: Partial<LogStatus> = {}): LogStatus {
  return {
    settings: {
      folder: '/log',
      format: 'jsonl',
      ...{ sample: 0.01, failed: 1, slow: 1, slow_ms: 1000 },
      ...{ file_bytes: 2 ** 26, file_seconds: 300, max_days: 7 },
    },
    bufferBytes: 1000,
    diskBytes: 1_000_000,
    counts: () => logCounts(),
    files: async () => ({ newest: [] }),
    ...changes,
  }
}
