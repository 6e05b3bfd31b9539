import { hideCredentials } from '../../base/address-credentials.ts'
import { ModelError } from '../../base/errors.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import type { ModelDetails } from '../../schemas/models.ts'
import type { PredictionColumns } from '../../schemas/predict.ts'
import { connectService, type ServiceAddress } from '../client/service-client.ts'
import { predictByKeys } from './predict-by-keys.ts'
import type { PredictedRows, Predictor, PredictorField } from './predictor.ts'

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
  const path = `/models/${encodeURIComponent(name)}${version === undefined ? '' : `/versions/${version}`}`
  const details = (await ask('GET', path)) as ModelDetails
  const answering = version ?? details.version
  if (answering === undefined || details.fields === undefined || details.tasks === undefined)
    throw new ModelError('MODEL_FAILED', `${url} serves no version of ${name}`)
  const { description, architecture, plan, provenance, fields, crossed = [], tasks, entities } = details
  const names = tasks.map((task) => task.name)
  const gates = tasks.some((task) => 'gate' in task && task.gate === true)
  const keyed = (entities ?? []).map(({ key, unknown }) => ({ key, refuses: unknown === 'refuse' }))
  const leavesOut = entities?.some(({ unknown }) => unknown === 'leave_out') ?? false
  const askFor = async (candidates: Record<string, FeatureValue[]>): Promise<PredictedRows> => {
    const rows = Object.values(candidates)[0]?.length ?? 0
    // Rows that are judged are no traffic.
    const options = { raw: true, unknown: true, observe: false, ...(gates && { gates }) }
    const answer = (await ask('POST', '/predict', { model: name, version: answering, candidates, options })) as {
      predictions: PredictionColumns
    }
    const {
      raw = {},
      gates: weights,
      unknown = [],
      ...columns
    } = answer.predictions as PredictionColumns & {
      [task: string]: unknown
    }
    const first = columns[names[0]!]
    const leftOut =
      leavesOut && Array.isArray(first) ? first.flatMap((value, row) => (value === null ? [row] : [])) : []
    const numbers = numbersOf(rows, leftOut)
    return {
      tasks: Object.fromEntries(names.map((task) => [task, numbers(columns[task], task)])),
      raw: Object.fromEntries(Object.entries(raw).map(([task, values]) => [task, numbers(values, task)])),
      unknown,
      gates: weights as PredictedRows['gates'],
      leftOut,
    }
  }
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
    fields: fields.map(({ name: field, side, kind, list, sequence, encoding }) => {
      const ids = 'ids' in encoding ? (encoding.ids as [number, number]) : undefined
      return {
        name: field,
        side,
        kind: kind as PredictorField['kind'],
        ids: ids && ids[1] - ids[0] + 1,
        list,
        sequence,
      }
    }),
    crossed,
    entities,
    tasks,
    mostRows: requestRows,
    concurrency,
    predict: (columns) => predictByKeys(columns, keyed, askFor),
    close: async () => undefined,
  }
}

/** Reads columns of numbers, with NaN for rows that are left out. */
function numbersOf(rows: number, leftOut: readonly number[]) {
  const isLeft = new Set(leftOut)
  return (column: unknown, task: string): number[] => {
    const values = Array.isArray(column) ? column.map((value, row) => (isLeft.has(row) ? Number.NaN : value)) : []
    if (values.length === rows && values.every((value) => typeof value === 'number')) return values
    throw new ModelError('MODEL_FAILED', `The service's answer has no column of ${rows} numbers for ${task}`)
  }
}
