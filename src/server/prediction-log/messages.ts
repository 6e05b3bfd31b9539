import type { EncoderSource } from '../../model/serving/features/encoder.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { ModelTensors } from '../../model/serving/prediction/tensors.ts'
import type { TableHandle } from '../../model/serving/tables/table-handles.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { RankOptions } from '../../schemas/predict.ts'
import type { LoggedCandidate, LogRecord } from '../../schemas/prediction-log.ts'
import type { JsonBounds } from '../body/read-json.ts'

/** How the thread that writes is started. */
export interface WriterSettings {
  folder: string
  /** The models folder, whose manifests are copied. */
  models: string
  instance: string
  /** Size and age at which a file ends. */
  fileBytes: number
  fileSeconds: number
  /** Older files are removed beyond these bounds. */
  maxBytes: number
  maxDays: number
  /** Secret of the hashes of marked fields; undefined: these fields are left out. */
  secret: string | undefined
  bounds: JsonBounds
}

/** To the thread. */
export type WriterRequest =
  /** A version, before the first entry that names it; without the values of vocabularies. */
  | { type: 'version'; number: number; version: LoggedVersion }
  | { type: 'forget'; number: number }
  /** The present state of a feature table, before the first entry that names it. */
  | { type: 'table'; number: number; table: TableHandle }
  | { type: 'forget_table'; number: number }
  /** Writes all that waits, and ends. */
  | { type: 'close' }

export interface LoggedVersion {
  manifest: Manifest
  source: EncoderSource
  tensors: ModelTensors
  manifestless: boolean
  limits: LoadedModel['limits']
}

/** From the thread, once a second where they have changed, and at its end. */
export interface WriterState {
  records: number
  bytes: number
  /** Records with half of a surrogate pair, which is written as U+FFFD. */
  repaired: number
  dropped: { disk: number; unreadable: number }
  /** Bytes of all finished files. */
  disk: number
  /** Files that were finished since the thread started. */
  finished: number
  /** Why nothing can be written. */
  problem: string | undefined
  /** Why the last record that could not be made could not. */
  unreadable: string | undefined
}

export const createWriterState = (): WriterState => ({
  ...{ records: 0, bytes: 0, repaired: 0, dropped: { disk: 0, unreadable: 0 }, disk: 0, finished: 0 },
  ...{ problem: undefined, unreadable: undefined },
})

/** The part of an entry that is JSON: see `entry.ts`. */
export interface EntryHeader
  extends Omit<LooseRecord, 'schema' | 'instance' | 'time' | 'context' | 'candidates' | 'fetched' | 'ms'> {
  ms: Loose<LogRecord['ms']>
  /** ms since 1970 */
  at: number
  headerLength?: string | undefined
  /** The version's number, as it was introduced. */
  number?: number | undefined
  requested?: number | undefined
  rank?: RankOptions | undefined
  /** The feature tables that it was answered by: their numbers, as they were introduced, by name. */
  tables?: Record<string, number> | undefined
}

/** With optional properties that may be undefined: JSON leaves them out. */
export type Loose<T> = { [Name in keyof T]: object extends Pick<T, Name> ? T[Name] | undefined : T[Name] }

/** A record on its way to JSON. */
export type LooseRecord = Omit<Loose<LogRecord>, 'candidates' | 'ms'> & {
  ms: Loose<LogRecord['ms']>
  candidates?: Loose<LoggedCandidate>[] | undefined
}
