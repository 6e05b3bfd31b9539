import type { EnginePoolStats } from '../../model/engines/pool/contract.ts'
import type { LoadedModel } from '../../model/prediction/contract.ts'
import type { ConnectionSources } from './connection-metrics.ts'
import type { RegistrySources } from './registry-metrics.ts'

/** The state of the service, read at every scrape. */
export interface MetricsSources extends ConnectionSources, RegistrySources {
  models(): { name: string; version: string; model: LoadedModel }[]
  pool(): EnginePoolStats
}
