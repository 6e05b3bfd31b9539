import { ask, client, lowestPriority, type Schemas } from '../../api/client.ts'
import type { RecordedRow } from './draw.ts'
import type { PredictBody } from './form.ts'
import type { Reference } from './model.ts'
import type { Prediction } from './ranking.ts'

export type Details = Schemas['ModelDetails']

export interface Answer {
  model: string
  version: string
  predictions: (Prediction | null)[]
  errors: { path: string; message: string }[]
  /** From sending the request to the whole response, ms. */
  ms: number
}

/** What the page knows about a version beside its description; empty where the server doesn't have it. */
export interface Known {
  rows: RecordedRow[]
  reference: Reference
}

export const nothingKnown: Known = { rows: [], reference: new Map() }

export const listModels = () => ask(client.GET('/models'))

export const describe = (model: string, _version: string | undefined): Promise<Details> =>
  ask(client.GET('/models/{model}', { params: { path: { model } } }))

/** Recorded rows and the drift reference of a version. */
export async function loadKnown(_model: string, _version: string): Promise<Known> {
  return nothingKnown
}

/** The values of a vocabulary of the default version. */
export const listValues = (model: string, field: string, offset: number, limit: number, signal: AbortSignal) =>
  ask(
    client.GET('/models/{model}/fields/{field}/values', {
      params: { path: { model, field }, query: { offset, limit } },
      signal,
    }),
  )

/** Asks for predictions, after all other requests. `body`: named fields as rows, or inputs. */
export async function predict(body: PredictBody | Record<string, unknown>, signal: AbortSignal): Promise<Answer> {
  const began = performance.now()
  const answer = await ask(
    client.POST('/predict', { body: body as Schemas['RowsRequest'], headers: lowestPriority, signal }),
  )
  return {
    model: answer.model,
    version: answer.version,
    predictions: Array.isArray(answer.predictions) ? (answer.predictions as (Prediction | null)[]) : [],
    errors: answer.errors ?? [],
    ms: performance.now() - began,
  }
}
