import { type Signal, signal } from '@preact/signals'
import { valueFor } from '../../../../base/maps.ts'
import type { FeatureValue } from '../../../../schemas/feature-value.ts'
import type { FetchedFeatures } from '../../../../schemas/predict.ts'
import { ask, askDistributions, client, type Schemas } from '../../../api/client.ts'
import type { RecordedRow } from './draw.ts'
import type { PredictBody } from './form.ts'
import { type Reference, type Values, valuesOf } from './model.ts'
import type { Prediction } from './ranking.ts'

export type Details = Schemas['ModelDetails']

export interface Answer {
  model: string
  version: string
  predictions: (Prediction | null)[]
  errors: { path: string; message: string }[]
  /** Rows of tables for the keys, where that is asked for. */
  features?: FetchedFeatures | undefined
  /** From sending the request to the whole response, ms. */
  ms: number
}

/** Data that the page has about a version beside its description; empty where the server doesn't have it. */
export interface Known {
  rows: RecordedRow[]
  reference: Reference
}

export const nothingKnown: Known = { rows: [], reference: new Map() }

/** Recorded rows and the drift reference of a version. Both are help alone: without them the page works, too. */
export async function loadKnown(model: string, version: string): Promise<Known> {
  const params = { path: { model, version } }
  const [recorded, distributions] = await Promise.all([
    ask(client.GET('/models/{model}/versions/{version}/rows', { params })).catch(() => undefined),
    askDistributions(model, version).catch(() => undefined),
  ])
  const rows = (recorded?.rows ?? []).map(({ context, candidate }) => ({
    context: withoutNull(context),
    candidate: withoutNull(candidate),
  }))
  const reference = new Map(
    (distributions?.fields ?? []).map(({ name, bins }) => [
      name,
      bins.map(({ label, value, low, high, then }) => ({ label, value, low, high, share: then })),
    ]),
  )
  return { rows, reference }
}

function withoutNull(values: Record<string, FeatureValue>): Values {
  return valuesOf(Object.entries(values).map(([name, value]) => [name, value ?? undefined]))
}

/**
 * Asks for predictions, after all other requests; statistics do not count it. `body`: named fields as rows, or inputs.
 */
export async function predict(asked: PredictBody | Record<string, unknown>, signal: AbortSignal): Promise<Answer> {
  const began = performance.now()
  const body = { ...asked, options: { ...(asked.options as object | undefined), observe: false } }
  const answer = await ask(
    client.POST('/predict', { body: body as Schemas['RowsRequest'], headers: { priority: 'u=7' }, signal }),
  )
  return {
    model: answer.model,
    version: answer.version,
    predictions: Array.isArray(answer.predictions) ? (answer.predictions as (Prediction | null)[]) : [],
    errors: answer.errors ?? [],
    features: answer.features as FetchedFeatures | undefined,
    ms: performance.now() - began,
  }
}

export interface Vocabulary {
  values: readonly string[]
  /** In all; there may be more than are loaded. */
  total: number
  state: 'unread' | 'loading' | 'complete' | 'failed'
}

/** A field with a vocabulary, its own or that of the field whose table it shares. */
export interface VocabularyField {
  name: string
  table?: string | undefined
  values?: { count: number; first: string[] } | undefined
}

/** The vocabularies of a version, each read when somebody first looks into it. */
export interface Vocabularies {
  of(field: VocabularyField): Signal<Vocabulary>
  /** Reads it, if that has not been done. */
  read(field: VocabularyField): void
  close(): void
}

/** Values per request, the most that the server gives. */
const perPage = 1000

/** Values that are loaded of one field: others can be typed. */
const mostValues = 50_000

export function createVocabularies(model: string, version: string): Vocabularies {
  const known = new Map<string, Signal<Vocabulary>>()
  const left = new AbortController()

  async function load(field: string, vocabulary: Signal<Vocabulary>): Promise<void> {
    const values: string[] = []
    try {
      let { total } = vocabulary.value
      while (values.length < Math.min(total, mostValues)) {
        const params = { path: { model, version, field }, query: { offset: values.length, limit: perPage } }
        const page = await ask(
          client.GET('/models/{model}/versions/{version}/fields/{field}/values', { params, signal: left.signal }),
        )
        if (page.values.length === 0) break
        values.push(...page.values)
        total = page.total
        vocabulary.value = { values: [...values], total, state: 'loading' }
      }
      vocabulary.value = { ...vocabulary.value, state: 'complete' }
    } catch {
      // The values that are known are offered, and it is tried again when somebody looks again.
      if (!left.signal.aborted) vocabulary.value = { ...vocabulary.value, state: 'failed' }
    }
  }

  return {
    of: ({ name, table = name, values }) =>
      valueFor(known, table, () => signal({ values: values?.first ?? [], total: values?.count ?? 0, state: 'unread' })),
    read({ name, table = name }) {
      const vocabulary = known.get(table)
      if (vocabulary === undefined || !['unread', 'failed'].includes(vocabulary.value.state)) return
      vocabulary.value = { ...vocabulary.value, state: 'loading' }
      load(table, vocabulary)
    },
    close: () => left.abort(),
  }
}

/** The first `most` values that fit a search, those that begin with it first, and the number of all that fit. */
export function search(values: readonly string[], text: string, most: number): { found: string[]; count: number } {
  const wanted = text.toLocaleLowerCase()
  if (wanted === '') return { found: values.slice(0, most), count: values.length }
  const begin: string[] = []
  const contain: string[] = []
  for (const value of values) {
    const at = value.toLocaleLowerCase().indexOf(wanted)
    if (at === 0) begin.push(value)
    else if (at > 0) contain.push(value)
  }
  return { found: [...begin, ...contain].slice(0, most), count: begin.length + contain.length }
}
