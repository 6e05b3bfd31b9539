import type { Violation } from '../../base/errors.ts'
import type { KeyList } from './key-list.ts'

/** Columnar predictions: entry i of every column belongs to the same candidate. */
export interface PredictionTable {
  /** Rows of the request. */
  requested: number
  /** Row of each entry, if rows were left out or ranked; otherwise entry i is row i. */
  index: Int32Array | undefined
  /** The ranking scores, if a ranking was requested. */
  scores: Float64Array | undefined
  /** Calibrated probabilities, per requested task. */
  tasks: [name: string, probabilities: Float64Array][]
  /** Raw probabilities, if requested. */
  raw: [name: string, probabilities: Float64Array][] | undefined
  /** Gate weights, if requested: [entries, experts], row-major. */
  gates: [name: string, weights: Float32Array][] | undefined
  /** Per row of the request. */
  ids: CandidateIds | undefined
  /** Per row of the request, if requested: fields with a value that the model does not know. */
  unknown?: (string[] | undefined)[] | undefined
  /** Likewise, of a model with lists: the lists that were cut. */
  cut?: (string[] | undefined)[] | undefined
  /** If requested, what tables had for the keys of the request: by entity, of the context, and per row. */
  fetched?: { context: Record<string, FetchNote>; candidates: (Record<string, FetchNote> | null)[] } | undefined
  /** Problems of rows that were left out. */
  problems: Violation[]
}

/** Features of a key that a table has. */
export interface FetchNote {
  key: string
  /** Whether the table has the key. */
  found: boolean
  /** Values by field. */
  fetched: Record<string, unknown>
  /** By field, the default that stands in where the table has no value; null where there is none. */
  defaults: Record<string, unknown>
}

/** Echoed unchanged. */
export type CandidateId = string | number

/** Per row of the request. */
export type CandidateIds = KeyList | readonly (CandidateId | undefined)[]
