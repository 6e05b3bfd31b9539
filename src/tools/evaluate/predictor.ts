import { hideCredentials } from '../../base/address-credentials.ts'
import { ModelError } from '../../base/errors.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import type { Field } from '../../schemas/features.ts'
import type { ListOptions } from '../../schemas/list-options.ts'
import type { Calibration } from '../../schemas/manifest.ts'
import type { ModelDetails } from '../../schemas/models.ts'
import type { PredictionColumns } from '../../schemas/predict.ts'
import { connectService, type ServiceAddress } from '../client/service-client.ts'
import type { RowEntities } from '../data/entity-tables.ts'
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
}

/** A model version that answers rows: loaded in this process as a server loads it, or served elsewhere. */
export interface Predictor {
  model: PredictorModel
  fields: PredictorField[]
  /** Fields that it computes from others. */
  crossed: readonly { name: string; of: readonly string[] }[]
  /** Entities whose features come from tables when it is served; undefined where it has none. */
  entities?: RowEntities | undefined
  /** Tasks, then derived tasks. */
  tasks: PredictorTask[]
  /** Most rows of a call, and calls at a time. */
  mostRows: number
  concurrency: number
  /**
   * Answers rows given as columns of fields. Rejects with a RowError for a row that the model refuses, and with a
   * ModelError for other failures.
   */
  predict(columns: Record<string, FeatureValue[]>): Promise<PredictedRows>
  /** Its attention to sequences of its golden rows; undefined where that can't be known. */
  attention?(): Promise<AttentionBySequence>
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

/**
 * The first problem of a row among a refused request's; undefined if there is none. `/candidates/price/17` is row 17,
 * `/candidates/tags/17/2` the third value of its list.
 */
export function rowErrorOf(problems: readonly { path: string; message: string }[]): RowError | undefined {
  for (const { path, message } of problems) {
    const [, form, field, row, ...place] = path.split('/')
    if (form !== 'candidates' || row === undefined || !/^\d+$/.test(row)) continue
    const inside = place[0] === 'weights' ? ` weight ${place[1]}` : place.length > 0 ? `[${place.at(-1)}]` : ''
    return new RowError(Number(row), `${unescaped(field!)}${inside} ${message}`)
  }
  return undefined
}

/** Undoes the escapes of a JSON pointer. */
const unescaped = (token: string) => token.replaceAll('~1', '/').replaceAll('~0', '~')

/** Rows of one request, which every service accepts by default. */
const requestRows = 500
/** Requests at a time. */
const concurrency = 4

/**
 * Asks a running service through `POST /predict`. `version`: default: the one that answers. Rejects with MODEL_FAILED,
 * which says what the service answered.
 */
export async function openServicePredictor(
  address: ServiceAddress,
  name: string,
  version: string | undefined,
): Promise<Predictor> {
  const ask = await connectService(address)
  const url = hideCredentials(address.url)
  const details = (await ask('GET', `/models/${encodeURIComponent(name)}`)) as ModelDetails
  const answering = version ?? details.version
  if (answering === undefined || details.fields === undefined || details.tasks === undefined)
    throw new ModelError('MODEL_FAILED', `${url} serves no version of ${name}`)
  const { description, architecture, plan, provenance, fields, crossed = [], tasks } = details
  const names = tasks.map((task) => task.name)
  const gates = tasks.some((task) => 'gate' in task && task.gate === true)
  return {
    model: {
      name,
      version: answering,
      description,
      url,
      engine: plan?.engine,
      precision: plan?.precision,
      compiled: plan?.compiled,
      architecture,
      graph: plan?.graph,
      provenance,
    },
    fields: fields.map(({ name: field, side, kind, list, encoding }) => {
      const ids = 'ids' in encoding ? (encoding.ids as [number, number]) : undefined
      return { name: field, side, kind: kind as PredictorField['kind'], ids: ids && ids[1] - ids[0] + 1, list }
    }),
    crossed,
    tasks,
    mostRows: requestRows,
    concurrency,
    async predict(candidates): Promise<PredictedRows> {
      const rows = Object.values(candidates)[0]?.length ?? 0
      const answer = (await ask('POST', '/predict', {
        model: name,
        version: answering,
        candidates,
        options: { raw: true, unknown: true, ...(gates && { gates }) },
      }).catch((error) => {
        throw (error instanceof ModelError && error.problems && rowErrorOf(error.problems)) || error
      })) as { predictions: PredictionColumns }
      const {
        raw = {},
        gates: weights,
        unknown = [],
        ...columns
      } = answer.predictions as PredictionColumns & {
        [task: string]: unknown
      }
      const served = Object.fromEntries(names.map((task) => [task, numbers(columns[task], rows, task)]))
      return { tasks: served, raw: raw as Record<string, number[]>, unknown, gates: weights as PredictedRows['gates'] }
    },
    close: async () => undefined,
  }
}

function numbers(column: unknown, rows: number, task: string): number[] {
  if (Array.isArray(column) && column.length === rows && column.every((value) => typeof value === 'number'))
    return column
  throw new ModelError('MODEL_FAILED', `The service's answer has no column of ${rows} numbers for ${task}`)
}
