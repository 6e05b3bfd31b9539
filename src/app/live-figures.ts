import type { EnginePool } from '../model/engines/pool/engine-pool.ts'
import type { FairShare } from '../model/serving/batching/fair-share.ts'
import type { Registry } from '../model/serving/registry/registry.ts'
import type { TableStatus, Tables } from '../model/serving/tables/tables.ts'
import type { Configuration } from '../schemas/configuration.ts'
import type { Condition, Reading } from '../server/console/reading.ts'
import type { Metrics } from '../server/metrics/metrics.ts'
import type { Saturation } from '../server/overload/saturation.ts'
import type { LogCounts } from '../server/prediction-log/log-status.ts'
import type { LiveSource, Siblings } from '../server/request/context.ts'
import { droppedLogLines } from './logging.ts'

/** Characters of why a version failed. */
const longestReason = 300

interface LiveOptions {
  /** Other processes of the same service. */
  peers?: Siblings | undefined
  connections?(): number
  logCounts?(): LogCounts | undefined
}

/** The parts that the live page's figures come from. */
interface LiveParts {
  configuration: Configuration
  registry: Registry
  tables: Pick<Tables, 'status'>
  metrics: Metrics
  saturation: Saturation
  pool: EnginePool
  share: FairShare
}

/**
 * The figures of the console's live page, of this process alone or through the primary process, which asks each for its
 * reading.
 */
export async function openLive(
  { peers, connections = () => 0, logCounts }: LiveOptions,
  { configuration, registry, tables, metrics, saturation, pool, share }: LiveParts,
): Promise<{ source: LiveSource; read(): Promise<Reading>; stop(): void }> {
  const [{ createReader }, { watchStalls }] = await Promise.all([
    import('../server/console/reading.ts'),
    import('../server/console/stalls.ts'),
  ])
  const stalls = watchStalls()
  const read = createReader({
    metrics,
    models: () => registry.live(),
    workers: () => {
      const { alive, replaced, lost } = pool.stats()
      const { busySeconds, slots } = share
      return { alive, replaced, lost, busySeconds, slots }
    },
    connections,
    logCounts,
    condition: () => ({ ...conditionOf(registry, metrics, stalls.read()), ...conditionOfTables(tables.status()) }),
    saturation: () => saturation.value,
    deadlineMs: configuration.MULTIGATE_DEADLINE_MS,
  })
  if (peers !== undefined) return { source: peers.live, read, stop: stalls.stop }
  const { createRecorder, runRecorder } = await import('../server/console/recorder.ts')
  const recorder = createRecorder(async () => ({ answered: [await read()], silent: [] }))
  const running = runRecorder(recorder)
  const stop = () => {
    running.stop()
    stalls.stop()
  }
  return { source: recorder, read, stop }
}

function conditionOf(registry: Registry, metrics: Metrics, stalls: Condition['stalls']): Condition {
  const { answering, failed, incompatible, missing, unreadable } = registry.summary()
  const incompatibilityOf = ({ name, version, message }: (typeof incompatible)[number]) => ({
    model: name,
    version,
    reason: message.slice(0, longestReason),
  })
  return {
    serving: answering,
    authors: registry.authors(),
    failed: failed.map(incompatibilityOf),
    incompatible: incompatible.map(incompatibilityOf),
    unstored: registry.live().flatMap(({ name, version, model }) => {
      const reason = model.plan.unstored
      return reason === undefined ? [] : [{ model: name, version, reason }]
    }),
    missing,
    unreadable,
    unready: registry.unreadyReasons(),
    logLinesDropped: droppedLogLines(),
    connectionsRefused: metrics.connectionsRefused(),
    stalls,
  }
}

function conditionOfTables(tables: readonly TableStatus[]): Pick<Condition, 'tables'> {
  if (tables.length === 0) return {}
  return {
    tables: tables.map(({ name: table, version, deltas, refused }) => ({
      table,
      version,
      applied: deltas.applied,
      refused: [
        ...(refused ? [`Version ${refused.version} of the table ${table} is refused: ${refused.problem}`] : []),
        ...(deltas.refused
          ? [`${deltas.refused.file} of version ${version} of the table ${table} is refused: ${deltas.refused.reason}`]
          : []),
      ].map((text) => text.slice(0, longestReason)),
    })),
  }
}
