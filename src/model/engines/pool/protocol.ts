import { isTransient, ModelError, type ModelErrorCode, reasonOf } from '../../../base/errors.ts'
import type { Batch, GraphSource, Outputs, SharedPart, Slab } from '../../contracts/engine.ts'
import type { Overlay } from '../../contracts/live-tables.ts'
import type { EngineChoice } from '../create.ts'
/* Messages between an engine pool and its worker threads. */

export interface WorkerSettings {
  engine: EngineChoice
  /** Threads of one engine call. */
  threads: number
}

/** Properties of the requests of a batch. */
export type AboutRequests = Pick<Batch, 'tenants' | 'alike'>

export type WorkerTask =
  | { type: 'start' }
  | { type: 'load'; graph: number; source: GraphSource }
  | { type: 'run'; graph: number; batch: Batch; wanted: string[] }
  | { type: 'run-shared'; graph: number; parts: readonly SharedPart[]; about: AboutRequests; wanted: string[] }
  | { type: 'measure'; graph: number; batch: Batch; wanted: string[] }
  | { type: 'overlay'; graph: number; overlay: Overlay }
  | { type: 'stats'; graph: number }
  | { type: 'reset'; graph: number }
  | { type: 'recount'; graph: number }
  | { type: 'unload'; graph: number }
  | { type: 'stop' }

/** Notices, which a worker doesn't answer. */
export type WorkerNotice =
  | { type: 'add-slab'; graph: number; slab: Slab }
  | { type: 'remove-slab'; graph: number; slab: number }

/** The answer to a run. */
export interface Computed {
  outputs: Outputs
  seconds: number
}

/**
 * `start` answers the engine's name, `load` a Signature, `run` and `run-shared` Computed, `measure` the seconds of a
 * call, the median of some, `stats` GraphStats; `stop` ends the thread. Requests are answered in their order, except
 * `load`, which lets later ones pass.
 */
export type WorkerRequest = WorkerTask & { id: number }

export type WorkerReply = { id: number; value: unknown } | { id: number; error: PackedError }

export interface PackedError {
  code: ModelErrorCode
  message: string
  transient: boolean
}

/** Errors lose their class between threads: the code travels beside the message. */
export function packError(error: unknown): PackedError {
  const transient = isTransient(error)
  return error instanceof ModelError
    ? { code: error.code, message: error.message, transient }
    : { code: 'MODEL_FAILED', message: `The model failed: ${reasonOf(error)}`, transient }
}

export function unpackError({ code, message, transient }: PackedError): ModelError {
  return new ModelError(code, message, { transient })
}
