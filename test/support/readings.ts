import type { Condition, Reading, VersionReading } from '../../src/server/console/reading.ts'
import { durations } from '../../src/server/metrics/bound-series.ts'

const noBuckets = () => new Array<number>(durations.length + 1).fill(0)

/** Counts of version 1 of `ads` that has done nothing, with these changes. */
export function aVersion(changes: Partial<VersionReading> = {}): VersionReading {
  return {
    model: 'ads',
    version: '1',
    rows: 0,
    outcomes: {},
    shed: {},
    total: noBuckets(),
    encode: noBuckets(),
    queue: noBuckets(),
    infer: noBuckets(),
    calls: 0,
    callRows: 0,
    callRequests: 0,
    queueRows: 0,
    waitMs: 0,
    ...changes,
  }
}

/** Nothing is loaded, and nothing went wrong. */
export const healthy: Condition = {
  serving: {},
  failed: [],
  incompatible: [],
  unstored: [],
  missing: 0,
  unready: [],
  logLinesDropped: 0,
  connectionsRefused: 0,
  stalls: { count: 0, lastMs: 0, lastBusy: 0 },
}

/** A reading of an idle process, with these changes. */
export function aReading({
  condition,
  ...changes
}: Partial<Omit<Reading, 'condition'>> & { condition?: Partial<Reading['condition']> } = {}): Reading {
  const at = changes.at ?? 0
  return {
    pid: 1,
    at,
    clock: at,
    versions: [],
    keys: [],
    cpuSeconds: 0,
    loopSeconds: 0,
    workerSeconds: 0,
    workers: 1,
    workersAlive: 1,
    workersReplaced: 0,
    residentBytes: 0,
    connections: 0,
    saturation: 0,
    uptimeSeconds: 1000,
    deadlineMs: 1000,
    condition: { ...healthy, ...condition },
    ...changes,
  }
}
