import type { EntityDetails } from '../../schemas/entity-details.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import type { Field } from '../../schemas/features.ts'
import type { ListOptions } from '../../schemas/list-options.ts'
import type { Calibration } from '../../schemas/manifest.ts'
import type { RowEntities } from '../data/entity-tables.ts'
import type { FieldReading } from '../data/readers.ts'
import type { AttentionBySequence } from './attention.ts'

/** A field that a version must be given. */
export interface PredictorField {
  name: string
  side: string
  /** Its kind; that of the table's owner where it shares one. */
  kind: Exclude<Field['kind'], 'shared'>
  /** Number of ids; undefined for numbers. */
  ids: number | undefined
  /** Options of a list; undefined for others. */
  list?: ListOptions | undefined
  /** Its sequence, where that is known. */
  sequence?: string | undefined
}

export interface PredictorTask {
  name: string
  description?: string | undefined
  /** The factors of a derived task. */
  product?: string[] | undefined
  calibration?: Calibration | undefined
}

/** The facts that a report states about the version. */
export interface PredictorModel {
  name: string
  version: string
  description?: string | undefined
  url?: string | undefined
  engine?: string | undefined
  precision?: string | undefined
  compiled?: boolean | undefined
  architecture?: unknown
  graph?: string | undefined
  digest?: string | undefined
  bytes?: number | undefined
  provenance?: unknown
}

/** Answers to rows, per row of the call. */
export interface PredictedRows {
  /** Served probabilities (calibrated, composed), per task and derived task. */
  tasks: Record<string, ArrayLike<number>>
  /** Probabilities before calibration, per task. */
  raw: Record<string, ArrayLike<number>>
  /** Fields whose value the model does not know. */
  unknown: readonly (readonly string[] | undefined | null)[]
  /** Per task the weights of the experts, [rows][experts]. */
  gates: Record<string, readonly ArrayLike<number>[]> | undefined
  /** Rows of the call that a service does not answer, as its tables lack their keys. */
  leftOut?: readonly number[] | undefined
}

/** Features that a service reads from its tables, by a column of the rows. */
export interface ServedFeatures {
  entity: EntityDetails
  features: string[]
  /** How the keys are read; undefined where they are a field's values. */
  reading: FieldReading | undefined
}

/** A model version that answers rows: loaded in this process as a server loads it, or served elsewhere. */
export interface Predictor {
  model: PredictorModel
  fields: PredictorField[]
  /** Fields that it computes from others. */
  crossed: readonly { name: string; of: readonly string[] }[]
  /** Entities whose features are read from tables here, where rows lack them; undefined where it has none. */
  tables?: RowEntities | undefined
  /** Entities of a service. */
  entities?: readonly EntityDetails[] | undefined
  /** Features that a service reads for the rows. */
  served?: readonly ServedFeatures[] | undefined
  /** Tasks, then derived tasks. */
  tasks: PredictorTask[]
  /** Most rows of a call, and calls at a time. */
  mostRows: number
  concurrency: number
  /**
   * Answers rows given as columns of fields, and of keys of `served` features. Rejects with a RowError for a row that
   * the model refuses, and with a ModelError for other failures.
   */
  predict(columns: Record<string, FeatureValue[]>): Promise<PredictedRows>
  /** Its attention to sequences of its golden rows; undefined where that can't be known. */
  attention?(): Promise<AttentionBySequence>
  close(): Promise<void>
}
