import { readdir } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { readConfiguration } from '../../base/configuration.ts'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { createUniform } from '../../base/hash.ts'
import { cacheFolder } from '../../base/settings.ts'
import { createOnnxEngine } from '../../model/engines/onnx/onnx.ts'
import { prepareInThread } from '../../model/graph/compile/prepare-in-thread.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { findBundle } from '../../model/serving/version/read-version.ts'
import { closestName } from '../../schemas/closest-name.ts'
import { dispose } from '../bench/bench.ts'
import { type Measurement, measure } from '../bench/measure.ts'
import { openTarget, type Target } from '../bench/target.ts'
import { createPredictRequests, type PredictRequests } from '../load/predict-requests.ts'
import { drawTableKeys } from '../load/table-keys.ts'
import type { Placement } from './cores.ts'
import type { CostPoint, RequestCost } from './cost.ts'
import { fewestAnswers, type Load, LoadRuns, type OpenRun, type Run, seed } from './load-runs.ts'
import { type MeasuredServer, startMeasuredServer } from './measured-server.ts'

export interface MeasureCostOptions extends Load {
  placement: Placement
  signal: AbortSignal
  /** Called with the current step. */
  progress(text: string): void
}

/** The cost of requests to a model on this machine. */
export interface MeasuredCost {
  /** `ads-funnel/1` */
  target: string
  processorName: string
  cost: RequestCost
  /** The event loop's processor time: `request` + `byte` · bytes of request and answer, µs. */
  eventLoop: { request: number; byte: number }
  engine: EngineCost[]
  /** Requests per engine call at the middle load. */
  callRequests: number
  /** Share of the candidates that were cached; undefined where candidates are not looked up. */
  cached: number | undefined
  /** Memory of a cached candidate, bytes; undefined where none is cached. */
  entryBytes: number | undefined
  /** p99 of the load generator's own delay at the highest load, ms. */
  generatorDelay: number
  /** Cores that other programs used meanwhile. */
  otherCores: number
}

/** Loads of the open loop, as shares of the server's maximum. */
const loads = [0.2, 0.5, 0.8]
/** Fewest requests of an open loop, since its p99 is of these, unless it then takes this many times as long. */
const fewestRequests = 300
const longest = 5
/** Share of a measurement that the engine's variants, and single rows, take. */
const brief = 0.25

export async function measureCost(options: MeasureCostOptions): Promise<MeasuredCost> {
  const { models, model, candidates, placement, progress, signal, seconds } = options
  const { manifest } = await openModelToLoad(models, model)
  const keys = options.byId ? await drawTableKeys(models, manifest.entities, createUniform(seed)) : undefined
  const target = await openTarget(model, { models, random: createUniform(seed) })
  const { configuration } = readConfiguration(process.env, {})
  progress(`measuring the engine: ${target.name}`)
  const engine = await measureEngine({
    target,
    candidates,
    cache: cacheFolder(configuration.MULTIGATE_CACHE),
    seconds: seconds * brief,
    random: createUniform(seed),
    signal,
  })
  progress('starting the server')
  // No request may be shed: all of them are paid for.
  const settings = { MULTIGATE_DEADLINE_MS: '60000' }
  const server = await startMeasuredServer({ models, model, settings, wrapper: placement.wrapper })
  try {
    const requests = (rows: number) =>
      createPredictRequests({ ...options, features: manifest.features, keys, candidates: rows, seed })
    const [many, one] = [requests(candidates), requests(1)]
    progress('warming up')
    const { runs, full, entryBytes } = await LoadRuns.within(server, many, options, (load) =>
      measureLoads(load, server, options),
    )
    progress('measuring requests with one candidate')
    const single = await LoadRuns.within(server, one, options, (load) => load.closed(seconds * brief * 2))
    const points = [...runs, full].map((run) => pointOf(run, placement.serverCores))
    return {
      target: target.name,
      processorName: cpus()[0]?.model.trim() ?? 'unknown processor',
      cost: {
        cores: placement.serverCores,
        processes: configuration.MULTIGATE_PROCESSES,
        points: points.sort((a, b) => a.utilisation - b.utilisation),
        bytesIn: many.meanBytes,
        bytesOut: full.answerBytes,
      },
      eventLoop: splitEventLoop(full, many, single, one),
      engine,
      callRequests: runs[1]!.callRequests,
      cached: Number.isNaN(runs[1]!.cached) ? undefined : runs[1]!.cached,
      entryBytes,
      otherCores: Math.max(...runs.map((run) => run.otherCores)),
      generatorDelay: runs.at(-1)!.result.lateness.p99,
    }
  } finally {
    await server.stop()
  }
}

async function measureLoads(load: LoadRuns, server: MeasuredServer, { seconds, progress }: MeasureCostOptions) {
  progress('measuring the highest rate')
  const full = await load.closed(seconds)
  const runs: OpenRun[] = []
  for (const share of loads) {
    const rate = share * full.rate
    progress(`measuring ${Math.round(rate).toLocaleString('en')} requests/s`)
    const wanted = Math.min(longest * seconds, Math.max(seconds, fewestRequests / rate))
    runs.push(await load.open(rate, Math.max(wanted, fewestAnswers / rate)))
  }
  const { cacheBytes, cacheEntries } = await server.usage()
  return { full, runs, entryBytes: cacheEntries > 0 ? cacheBytes / cacheEntries : undefined }
}

function pointOf(run: Run & Partial<OpenRun>, cores: number): CostPoint {
  return {
    rate: run.rate,
    utilisation: run.cores / cores,
    processor: run.processorSeconds * 1e6,
    eventLoop: run.eventLoopSeconds * 1e6,
    p50: run.result?.latency?.p50,
    p99: run.result?.latency?.p99,
  }
}

/** From requests of two sizes, both with a busy server. */
function splitEventLoop(full: Run, requests: PredictRequests, single: Run, singleRequests: PredictRequests) {
  const bytes = requests.meanBytes + full.answerBytes
  const more = bytes - (singleRequests.meanBytes + single.answerBytes)
  const byte = more > 0 ? Math.max(0, (full.eventLoopSeconds - single.eventLoopSeconds) / more) * 1e6 : 0
  return { request: full.eventLoopSeconds * 1e6 - byte * bytes, byte }
}

/** The cost of an engine call for one request: `call` + `row` · rows, µs. */
export interface EngineCost {
  requests: Measurement['requests']
  /** The graph variant that computes it: the cheapest of the plan. */
  variant: Measurement['variant']
  call: number
  row: number
  /** A call of the requests' candidates, µs. */
  request: number
}

export interface EngineCostOptions {
  target: Target
  candidates: number
  /** Folder of compiled plans. */
  cache: string | undefined
  /** Time to measure each variant and number of rows, s. */
  seconds: number
  random: () => number
  signal: AbortSignal
}

/** Rows of the second measurement for requests with one candidate. */
const moreRows = 32

/** Measures the served graph alone, in this process: for requests with new and with cached candidates. */
export async function measureEngine(options: EngineCostOptions): Promise<EngineCost[]> {
  const { target, candidates, cache, seconds, random, signal } = options
  const prepared = await prepareInThread({ ...target.request, cache, now: Date.now() })
  try {
    const { plan } = prepared
    const engine = await createOnnxEngine({ threads: 1 })
    const plans = plan && {
      float32: { ...plan, precision: 'float32' as const },
      ...(plan.precision !== 'float32' && { [plan.precision]: plan }),
    }
    const at = (rows: number) => {
      const shape = { rows, requests: 1 }
      return measure({ target, plans, engine, shape, seconds, random, now: () => performance.now(), signal })
    }
    const one = await at(1)
    const many = await at(Math.max(candidates, candidates === 1 ? moreRows : 2))
    const served = plan?.precision ?? 'exported'
    return many.filter(({ plan }) => plan === served).map((measured) => costOf(measured, one, candidates))
  } finally {
    await dispose(prepared)
  }
}

function costOf(
  { plan, requests, variant, rows, microseconds }: Measurement,
  one: Measurement[],
  candidates: number,
): EngineCost {
  // Contexts per row need more than one row.
  const kind = requests === 'context per row' ? 'any' : requests
  const single = one.find((measured) => measured.plan === plan && measured.requests === kind)!.microseconds
  const row = Math.max(0, (microseconds - single) / (rows - 1))
  const call = Math.max(0, single - row)
  return { requests, variant, call, row, request: call + row * candidates }
}

/**
 * The highest version of a model, by name. Requests can only be drawn for a model whose manifest says what its fields
 * are.
 */
export async function openModelToLoad(models: string, model: string): Promise<Bundle> {
  const names = await readdir(models).catch((error) => {
    throw new ModelError('MODEL_NOT_FOUND', `--models: ${reasonOf(error)}`)
  })
  const bundle = names.includes(model) ? await findBundle(join(models, model)) : undefined
  if (bundle === undefined) {
    const meant = closestName(model, names)
    const suggestion = meant === undefined || meant === model ? '' : `; did you mean ${meant}?`
    throw new ModelError('MODEL_NOT_FOUND', `--model: there is no model ${model} in ${models}${suggestion}`)
  }
  if (bundle.manifestless)
    throw new ModelError(
      'INVALID_REQUEST',
      `--model: ${model} has no manifest that describes its fields; multigate init writes one`,
    )
  return bundle
}
