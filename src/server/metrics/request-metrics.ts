import type { Registry } from 'prom-client'
import { valueFor } from '../../base/maps.ts'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import type { LoadedModel, PendingPrediction } from '../../model/serving/prediction/loaded-model.ts'
import { createHistogramTally, createTally, durations, type HistogramSeries, type TallySeries } from './bound-series.ts'
import type { VersionCountsMap } from './version-counts.ts'

/** How a prediction request ended, and how far it came. */
export interface EndedPrediction {
  /** Undefined where it names no served model, or its body was not read. */
  model?: LoadedModel | undefined
  /** `ok`, `cancelled`, or an error's code. */
  outcome: string
  /** From its arrival to its response. */
  seconds: number
  /** The rows that the model accepted; undefined where it accepted none. */
  accepted?: Pick<PendingPrediction, 'rows' | 'encodeSeconds' | 'observed'> | undefined
  /** The answer of the model. */
  table?: PredictionTable | undefined
  /** Seconds that it took to write the response; undefined where none with predictions was written. */
  writeSeconds?: number | undefined
}

/** Metrics that every prediction request adds to. */
export interface RequestMetrics {
  /** Exposes a version's series before its first request: a rate needs two values of a counter. */
  begin(model: LoadedModel): void
  ended(request: EndedPrediction): void
  /** Adds what it has counted, by version. */
  read(into: VersionCountsMap): void
  /** Removes the series of a version. */
  forget(model: string, version: string): void
}

/** The histogram of the durations of requests. */
export const requestDuration = 'multigate_request_duration_seconds'

/** Outcomes that every version may have, and that rules and alerts name. */
const expected = ['ok', 'cancelled', 'invalid_request', 'queue_full', 'deadline_exceeded', 'model_failed', 'internal']

/** The series of one version. */
interface ModelSeries {
  labels: { model: string; version: string }
  outcomes: Map<string, TallySeries>
  rows: TallySeries
  duration: HistogramSeries
  encoding: HistogramSeries
}

export function registerRequestMetrics(registry: Registry): RequestMetrics {
  const requests = createTally('multigate_requests_total', 'Prediction requests answered, by outcome', registry)
  const rows = createTally('multigate_rows_total', 'Rows of prediction requests accepted', registry)
  const duration = createHistogramTally(
    requestDuration,
    'Time from the arrival of a request to its response',
    durations,
    registry,
  )
  const encoding = createHistogramTally(
    'multigate_encode_duration_seconds',
    'Time to turn a request into tensors',
    durations,
    registry,
  )

  const series = new WeakMap<LoadedModel, ModelSeries>()
  const createSeries = (labels: ModelSeries['labels']): ModelSeries => ({
    labels,
    outcomes: new Map(expected.map((outcome) => [outcome, requests.series({ ...labels, outcome }, true)])),
    rows: rows.series(labels, true),
    duration: duration.series(labels),
    encoding: encoding.series(labels),
  })
  const unnamed = createSeries({ model: '', version: '' })
  const seriesOf = (model: LoadedModel | undefined): ModelSeries => {
    if (model === undefined) return unnamed
    const { name, version } = model.manifest
    return valueFor(series, model, () => createSeries({ model: name, version }))
  }

  return {
    begin: (model) => void seriesOf(model),
    ended({ model, outcome, seconds, accepted }) {
      const { labels, outcomes, duration, rows, encoding } = seriesOf(model)
      valueFor(outcomes, outcome, () => requests.series({ ...labels, outcome })).add(1)
      duration.observe(seconds)
      if (accepted === undefined) return
      rows.add(accepted.rows)
      encoding.observe(accepted.encodeSeconds)
    },
    read(into) {
      requests.each(({ model, version, outcome }, total) => {
        if (total > 0) into.of(model!, version!).outcomes[outcome!] = total
      })
      rows.each(({ model, version }, total) => {
        into.of(model!, version!).rows = total
      })
      duration.each(({ model, version }, counts) => {
        into.of(model, version).total = counts.slice()
      })
      encoding.each(({ model, version }, counts) => {
        into.of(model, version).encode = counts.slice()
      })
    },
    forget(model, version) {
      for (const metric of [requests, rows, duration, encoding]) metric.forget(model, version)
    },
  }
}
