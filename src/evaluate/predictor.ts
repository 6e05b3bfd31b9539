import type { Cell } from '../data/source.ts'
import type { Calibration } from '../schemas/manifest.ts'

/** A field that a version must be given. */
export interface PredictorField {
  name: string
  side: string
  kind: 'vocabulary' | 'hash' | 'integer' | 'numeric'
  /** Number of ids; undefined for numbers. */
  ids: number | undefined
}

export interface PredictorTask {
  name: string
  description?: string | undefined
  /** Of a derived task: its factors. */
  product?: string[] | undefined
  calibration?: Calibration | undefined
}

/** What a report says of the version. */
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
}

/** A model version that answers rows: loaded in this process as a server loads it, or served elsewhere. */
export interface Predictor {
  model: PredictorModel
  fields: PredictorField[]
  /** Tasks, then derived tasks. */
  tasks: PredictorTask[]
  /** Whether it has gates whose weights can be asked for. */
  gates: boolean
  /** Most rows of a call, and calls at a time. */
  mostRows: number
  concurrency: number
  /**
   * Answers rows given as columns of fields. Rejects with a RowError for a row that the model refuses, and with a ModelError
   * for other failures.
   */
  predict(columns: Record<string, Cell[]>, options: { gates: boolean }): Promise<PredictedRows>
  close(): Promise<void>
}

/** A row that a model refuses. */
export class RowError extends Error {
  /** Index among the rows of the call. */
  readonly row: number

  constructor(row: number, message: string) {
    super(message)
    this.row = row
  }
}

/** The first problem of a row among a refused request's; undefined if there is none. `/candidates/price/17` is row 17. */
export function rowErrorOf(problems: readonly { path: string; message: string }[]): RowError | undefined {
  for (const { path, message } of problems) {
    const [, form, field, row] = path.split('/')
    if (form === 'candidates' && row !== undefined && /^\d+$/.test(row))
      return new RowError(Number(row), `${unescaped(field!)} ${message}`)
  }
  return undefined
}

/** Undoes the escapes of a JSON pointer. */
const unescaped = (token: string) => token.replaceAll('~1', '/').replaceAll('~0', '~')
