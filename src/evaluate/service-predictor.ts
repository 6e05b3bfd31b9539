import { connectService, type ServiceAddress } from '../client/service-client.ts'
import { hideCredentials } from '../model/base/address-credentials.ts'
import { ModelError } from '../model/base/errors.ts'
import type { ModelDetails } from '../schemas/models.ts'
import type { PredictionColumns } from '../schemas/predict.ts'
import { type PredictedRows, type Predictor, type PredictorField, rowErrorOf } from './predictor.ts'

/** Rows of one request, which every service accepts by default. */
const requestRows = 500
/** Requests at a time. */
const concurrency = 4

/**
 * Asks a running service through `POST /predict`. `version`: default: the one that answers. Rejects with MODEL_FAILED, which says
 * what the service answered.
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
  const { description, architecture, plan, provenance, fields, tasks } = details
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
    fields: fields.map(({ name: field, side, kind, encoding }) => {
      const ids = 'ids' in encoding ? (encoding.ids as [number, number]) : undefined
      return { name: field, side, kind: kind as PredictorField['kind'], ids: ids && ids[1] - ids[0] + 1 }
    }),
    tasks,
    gates,
    mostRows: requestRows,
    concurrency,
    async predict(candidates, asked): Promise<PredictedRows> {
      const rows = Object.values(candidates)[0]?.length ?? 0
      const answer = (await ask('POST', '/predict', {
        model: name,
        version: answering,
        candidates,
        options: { raw: true, unknown: true, ...(asked.gates && gates && { gates: true }) },
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
