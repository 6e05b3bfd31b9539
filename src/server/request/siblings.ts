import type { InferStatistics } from '../../schemas/infer-model.ts'
import type { RequestLists, RequestRecord } from '../../schemas/requests.ts'
import type { LiveSource } from './live-source.ts'
import type { Observations, VersionDrift, VersionKey } from './observations.ts'

/** A model is to be taken in or out of service, or its folder has changed (`reconcile`). */
export interface ModelChange {
  action: 'load' | 'unload' | 'reconcile'
  model: string
}

/** Answers for all processes of the service, where this is one of several. */
export interface Siblings {
  /** Why the service isn't ready; `own`: why this process isn't. */
  unreadyReasons(own: string[]): Promise<string[]>
  /** Metrics of all processes in the Prometheus text format; undefined where nobody can answer for them. */
  metrics(): Promise<string | undefined>
  /** What all processes have counted, summed by version; undefined where nobody can answer for them. */
  statistics(): Promise<InferStatistics[] | undefined>
  /** The slowest requests of all processes; undefined where nobody can answer for them. */
  slow(): Promise<RequestRecord[] | undefined>
  /** The recorded requests of all processes; undefined where nobody can answer for them. */
  requests(): Promise<RequestLists | undefined>
  /** The newest recorded request with this id in any process; undefined where there is none. */
  request(id: string): Promise<RequestRecord | undefined>
  /** What a version was asked and answered in all processes; undefined where nobody can answer for them. */
  observations(version: VersionKey): Promise<Observations | undefined>
  /** The largest drift of every version in any process; undefined where nobody can answer for them. */
  drift(): Promise<VersionDrift[] | undefined>
  /** Live samples of all processes. Rejects where nobody can answer for them. */
  live: LiveSource
  /** Changes it in all processes. Rejects with a ModelError where one of them refuses. */
  change(change: ModelChange): Promise<void>
}
