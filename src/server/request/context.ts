import type { Clock } from '../../base/clock.ts'
import type { Registry } from '../../model/serving/registry/registry.ts'
import type { TableStatus } from '../../model/serving/tables/tables.ts'
import type { InferStatistics } from '../../schemas/infer-model.ts'
import type { LiveHistory, LiveUpdate } from '../../schemas/live-figures.ts'
import type { RequestLists, RequestRecord } from '../../schemas/requests.ts'
import type { Decoders } from '../body/decoders.ts'
import type { LargeBodyReader } from '../body/large-body-reader.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Admission } from '../overload/admission.ts'
import type { PendingBytes } from '../overload/pending-bytes.ts'
import type { Drain } from '../plugins/draining.ts'
import type { LogCounts, LogStatus } from '../prediction-log/log-status.ts'
import type { PredictionLog } from '../prediction-log/prediction-log.ts'
import type { Guard } from '../security/guard.ts'
import type { Observations, VersionDrift, VersionKey } from './observations.ts'
import type { RequestRecorder } from './request-recorder.ts'
import type { RequestTimeline } from './request-timeline.ts'

/** Everything that the routes work with; `app/service.ts` makes it, and `app/listen.ts` completes it. */
export interface ServerContext {
  registry: Registry
  /** The folder of models, where pins are kept. */
  folder: string
  metrics: Metrics
  clock: Clock
  drain: Drain
  admission: Admission
  /** Undefined where this process is the only one. */
  peers?: Siblings | undefined
  /** Reads bodies that would keep the event loop for long. */
  reader: LargeBodyReader
  /** Bytes of request bodies that are being received. */
  bodies: PendingBytes
  /** Undefined where an application around this one decompresses bodies. */
  decoders?: Decoders | undefined
  /** Bytes of answers that are being sent. */
  answers: PendingBytes
  /** Undefined where clients need no keys. */
  guard?: Guard | undefined
  /** Whether models may be loaded and unloaded on demand. */
  admin: boolean
  /** Host names, besides those that nobody can register, at which administration needs no key; default: none. */
  allowedHosts?: ReadonlySet<string> | undefined
  /** Undefined where requests are neither logged, kept nor traced. */
  timeline?: RequestTimeline | undefined
  /** Undefined where no requests are recorded. */
  recorder?: RequestRecorder | undefined
  /** Undefined where predictions are not logged. */
  predictionLog?: PredictionLog | undefined
  logStatus?: LogStatus | undefined
  /** Feature tables that are read; undefined where there are none. */
  tables?: (() => TableStatus[]) | undefined
  /** Figures of the console's live page; undefined where there is no console. */
  live?: LiveSource | undefined
  /** Deadline of requests that name none, ms. */
  deadlineMs: number
}

/** The source of the live stream: the process that reads itself, or all of them through the primary process. */
export interface LiveSource {
  /** Samples that are kept. */
  history(): Promise<LiveHistory>
  /**
   * Intervals that ended after `at` (ms since 1970), if any; asked once a second while somebody watches, which makes
   * the last one.
   */
  latest(at: number): Promise<LiveUpdate | undefined>
}

/** A model is to be taken in or out of service, or its folder has changed (`reconcile`). */
export interface ModelChange {
  action: 'load' | 'unload' | 'reconcile'
  model: string
  /** Who asked; see `registry/authors.ts`. */
  by: string
}

/** Answers for all processes of the service, where this is one of several. */
export interface Siblings {
  /** Why the service isn't ready; `own`: why this process isn't. */
  unreadyReasons(own: string[]): Promise<string[]>
  /** Metrics of all processes in the Prometheus text format; undefined where nobody can answer for them. */
  metrics(): Promise<string | undefined>
  /** The counts of all processes, summed by version; undefined where nobody can answer for them. */
  statistics(): Promise<InferStatistics[] | undefined>
  /** The slowest requests of all processes; undefined where nobody can answer for them. */
  slow(): Promise<RequestRecord[] | undefined>
  /** The recorded requests of all processes; undefined where nobody can answer for them. */
  requests(): Promise<RequestLists | undefined>
  /** The newest recorded request with this id in any process; undefined where there is none. */
  request(id: string): Promise<RequestRecord | undefined>
  /** Counts of a version's values and answers in all processes; undefined where nobody can answer for them. */
  observations(version: VersionKey): Promise<Observations | undefined>
  /** The largest drift of every version in any process; undefined where nobody can answer for them. */
  drift(): Promise<VersionDrift[] | undefined>
  /** Counts of the prediction log in all processes; undefined where nobody can answer for them. */
  logCounts(): Promise<LogCounts | undefined>
  /** Live samples of all processes. Rejects where nobody can answer for them. */
  live: LiveSource
  /** Changes it in all processes. Rejects with a ModelError where one of them refuses. */
  change(change: ModelChange): Promise<void>
}
