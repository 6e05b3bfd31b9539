import type { Clock } from '../../model/base/clock.ts'
import type { Registry } from '../../model/registry/registry.ts'
import type { Decoders } from '../body/decoders.ts'
import type { LargeBodyReader } from '../body/large-body-reader.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Admission } from '../overload/admission.ts'
import type { PendingBytes } from '../overload/pending-bytes.ts'
import type { Drain } from '../plugins/draining.ts'
import type { Access } from './access.ts'
import type { LiveSource } from './live-source.ts'
import type { RequestRecorder } from './request-recorder.ts'
import type { RequestTimeline } from './request-timeline.ts'
import type { Siblings } from './siblings.ts'

/** What the routes work with; made in `main.ts`, or by a test. */
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
  /** Of request bodies that are being received. */
  bodies: PendingBytes
  /** Undefined where an application around this one decompresses bodies. */
  decoders?: Decoders | undefined
  /** Of answers that are being sent. */
  answers: PendingBytes
  /** Undefined where clients need no keys. */
  access?: Access | undefined
  /** Whether models may be loaded and unloaded on demand. */
  admin: boolean
  /** Host names, besides those that nobody can register, at which administration needs no key; default: none. */
  allowedHosts?: ReadonlySet<string> | undefined
  /** Undefined where requests are neither logged, kept nor traced. */
  timeline?: RequestTimeline | undefined
  /** Undefined where no requests are recorded. */
  recorder?: RequestRecorder | undefined
  /** What the console's live page shows; undefined where there is no console. */
  live?: LiveSource | undefined
  /** Deadline of requests that name none, ms. */
  deadlineMs: number
}
