import { ModelError } from '../../../base/errors.ts'
import type { Outputs, Tenant } from '../../contracts/engine.ts'
import type { PooledGraph } from '../../engines/pool/engine-pool.ts'
import { WorkerLostError } from '../../engines/pool/worker-client.ts'
import { Batcher } from '../batching/batcher.ts'
import { callsAhead, FairShare } from '../batching/fair-share.ts'
import type { BatchObserver } from '../batching/submission.ts'
import { readEvaluation } from '../bundle/evaluation.ts'
import type { Bundle } from '../bundle/read.ts'
import type { LiveVersion } from '../deltas/live-version.ts'
import { createDriftMonitor } from '../drift/monitor.ts'
import { FetchNotes } from '../features/fetched.ts'
import type { EncodedRequest, EncodeOptions } from '../features/layout.ts'
import { Violations } from '../features/problems.ts'
import { fillVocabularies } from '../features/vocabulary.ts'
import { surveyJoined } from '../version/survey-in-thread.ts'
import { bindingsOf, toBatch } from './bindings.ts'
import { createComposer } from './compose.ts'
import { createLiveVersion, describePlan, isRounded } from './describe-plan.ts'
import { closeAll, createExecutor, type Executor, type RequestMemory } from './executor.ts'
import { checkGoldenRows, checkSignature } from './golden.ts'
import { keptCostsOf, loadGraph, outputsOf, savedGraph } from './load-graph.ts'
import type { CompileOutcome, LoadedModel, LoadOptions, Query } from './loaded-model.ts'
import { type OpenEncoder, openEncoder } from './open-encoder.ts'
import { countValues, encodeExplained, encodeQuery, rowsIn } from './query-rows.ts'
import { fitting, RecentRows } from './recent-rows.ts'
import { createPlanner, type Planner } from './request-plan.ts'
import { tensorsOf } from './tensors.ts'
import { tryRows, warm, warmByRows } from './warm-up.ts'

/**
 * Loads a verified bundle into the pool, asks its golden rows, and warms every batch size. `former`: the version that
 * answers now; what its clients last asked for warms this one, which does not keep it.
 *
 * Throws INVALID_BUNDLE if the graph doesn't fit the features or tasks, or a golden row is answered wrongly;
 * UNSUPPORTED_GRAPH if the engine can't run it. Frees what it has loaded in that case.
 */
export async function loadModel(bundle: Bundle, options: LoadOptions, former?: Former): Promise<LoadedModel> {
  const { name, version, graph } = bundle.manifest
  try {
    return await load(bundle, options, former)
  } catch (error) {
    // Engines know the file alone.
    if (!(error instanceof ModelError && error.message.startsWith(`${graph.file}: `))) throw error
    throw new ModelError(error.code, `${name}/${version}/${error.message}`, { cause: error })
  }
}

type Former = Pick<LoadedModel, 'recentRows'>

async function load(bundle: Bundle, options: LoadOptions, former: Former | undefined): Promise<LoadedModel> {
  const opened = await openEncoder(bundle, options)
  try {
    return await loadEncoded(bundle, opened, options, former)
  } catch (error) {
    opened.endGuard?.()
    throw error
  }
}

async function loadEncoded(
  bundle: Bundle,
  opened: OpenEncoder,
  options: LoadOptions,
  former: Former | undefined,
): Promise<LoadedModel> {
  const { manifest } = bundle
  const { encoder, traffic } = opened
  const { pool, clock } = options
  const outputs = outputsOf(manifest)
  await fillVocabularies(encoder.layout.sparse, () => new Promise((resolve) => clock.soon(() => resolve())))
  const saved = bundle.manifestless?.signature ?? (await surveyJoined(savedGraph(bundle, [])))
  const { graph, compiled } = await loadGraph(bundle, outputs, options)
  const tensors = tensorsOf(manifest, encoder.layout, saved, bundle.manifestless !== undefined, graph.signature)
  const executor = createExecutor(graph)
  const batcher = createBatcher(
    executor,
    options,
    whileTrue(() => traffic.serving, options.observer ?? {}),
  )
  const live = createLiveVersion(bundle, compiled, graph, options)
  const { folder } = bundle
  const parts = {
    ...opened,
    folder,
    manifest,
    tensors,
    manifestless: bundle.manifestless !== undefined,
    engine: graph.signature.engine ?? pool.engine,
    compiled,
    live,
  }
  const model = createModel(parts, executor, batcher, options)
  try {
    checkSignature(manifest, encoder.layout, graph.signature)
    // int8 and narrow tables were judged by quantization rows; golden rows have more digits than they.
    const exact = isRounded(compiled) ? openExact(await pool.load(savedGraph(bundle, outputs)), options) : undefined
    try {
      // Golden rows are no request: they may be more than one may have.
      const unbounded = { ...options, maxRequestRows: Number.POSITIVE_INFINITY }
      await checkGoldenRows(
        createModel(parts, exact?.executor ?? executor, exact?.batcher ?? batcher, unbounded),
        clock,
      )
    } finally {
      await exact?.close()
    }
    await tryRows(manifest, encoder, graph, compiled.plan?.precision)
    await warm(manifest, encoder, graph, batcher, options)
    // Overlays are in the workers alone.
    if (compiled.plan?.description.live === undefined) {
      const refused = await executor.openHere(options, compiled.source, manifest, encoder)
      if (refused !== undefined && encoder.layout.groups.length > 0)
        model.plan.notes.push(`no row is computed on the main thread: ${refused}`)
    }
    // By a model of its own, since each watches what it is asked for drift.
    await options.rehearse?.(createModel(parts, executor, batcher, options))
    await executor.reset()
    await live?.refresh()
    await warmByRows(manifest, fitting(former?.recentRows() ?? [], encoder.layout), batcher, options)
    await executor.recount()
    traffic.serving = true
    return model
  } catch (error) {
    await model.close()
    throw error
  }
}

function createBatcher(executor: Executor, options: LoadOptions, observer?: BatchObserver): Batcher {
  const { pool, maxBatchRows, maxDelayMs, maxQueueRows, clock, share = new FairShare(pool.size, callsAhead) } = options
  return new Batcher({
    maxBatchRows,
    maxDelayMs,
    maxQueueRows,
    share,
    execute: executor.run,
    isolate: (error) => !(error instanceof WorkerLostError),
    clock,
    ...(observer && { observer }),
  })
}

/** A version's graph as it was saved, asked once. */
function openExact(graph: PooledGraph, options: LoadOptions) {
  const executor = createExecutor(graph)
  const batcher = createBatcher(executor, options)
  // The batcher too: it would keep its timer, and its part of the workers.
  const close = () => batcher.close().finally(() => executor.close())
  return { executor, batcher, close }
}

/** The parts of a model, apart from those that compute it. */
type ModelParts = Pick<LoadedModel, 'manifest' | 'tensors' | 'manifestless' | 'engine'> &
  OpenEncoder & {
    folder: string
    compiled: CompileOutcome
    live: LiveVersion | undefined
  }

function createModel(parts: ModelParts, executor: Executor, batcher: Batcher, options: LoadOptions): LoadedModel {
  const { folder, manifest, encoder, tensors, manifestless, engine, compiled, live, traffic, endGuard } = parts
  const plan = createPlanner(manifest)
  const compose = createComposer(manifest, encoder.layout, manifestless)
  const monitor = createDriftMonitor(manifest.drift, encoder.layout)
  const recent = new RecentRows()
  return {
    ...{ manifest, encoder, tensors, manifestless, engine, live },
    plan: { workers: options.pool.size, maxBatchRows: options.maxBatchRows, ...describePlan(manifest, compiled) },
    limits: limitsOf(options),
    isOutdated: compiled.isOutdated,
    graphStats: () => executor.stats(),
    check: (query) => checkQuery(plan, query),
    predict(query) {
      const { rows, tasks, options: asked = {}, problems: found, whole = false, deadline, tenant, begun } = query
      const started = options.clock.now()
      const observed = asked.observe !== false
      traffic.observed = observed
      const problems = new Violations(found)
      const planned = plan(tasks, asked, problems)
      // A few bytes of ids may be many rows: these are judged before they are encoded.
      const refusal = manifest.entities && batcher.refusal({ batch: { rows: rowsIn(rows) }, deadline, tenant })
      if (refusal) throw refusal
      const memory = executor.allocateFor(manifest)
      const { partial = false } = asked
      const bids = planned.rank?.bids === true
      const { maxRequestRows: maxRows, maxListValues: maxValues } = options
      const wanted = { maxRows, maxValues, partial, leavesOut: !whole, bids, problems, allocate: memory.allocate }
      const encoded = encode(parts, query, memory, wanted)
      if (observed && rows.form === 'encoded') countValues(rows, options)
      const encodedAt = options.clock.now()
      const encodeSeconds = (encodedAt - started) / 1000
      if (encoded.rows === 0) {
        memory.release()
        return { ...instant, rows: 0, encodeSeconds, observed, table: Promise.resolve(compose(planned, encoded, {})) }
      }
      const tableOf = (out: Outputs) => {
        query.follower?.answered(encoded, out[bindingsOf(manifest).probabilities])
        const table = compose(planned, encoded, out)
        if (observed) monitor.observe(encoded, table)
        return table
      }
      if (encoded.rows <= executor.rowsHere && planned.outputs.length === 1) {
        const pending = { ...instant, rows: encoded.rows, encodeSeconds, observed }
        try {
          const request = { batch: toBatch(manifest, encoded), deadline, tenant, begun }
          const computed = tableOf(batcher.computeNow(request, encodedAt, executor.runHere))
          return { ...pending, table: Promise.resolve(computed), computed }
        } catch (error) {
          return { ...pending, table: Promise.reject(error) }
        } finally {
          memory.release()
        }
      }
      if (observed) recent.keep(encoded, encoder.layout, started)
      // Both the engine and the answer read the rows.
      memory.keep()
      const { outputs, cancel } = batcher.submit({
        batch: {
          ...toBatch(manifest, encoded),
          ...memory.shared(encoded.rows),
          ...(limitsCache(tenant) && { tenants: [tenant] }),
          ...(encoded.oneContext && { alike: [true] }),
        },
        wanted: planned.outputs,
        deadline,
        tenant,
        released: memory.release,
        begun,
      })
      return {
        rows: encoded.rows,
        encodeSeconds,
        engineSeconds: batcher.predictedSeconds(encoded.rows),
        observed,
        cancel,
        table: outputs.then(tableOf).finally(memory.release),
      }
    },
    stats: () => batcher.stats(),
    drift: () => monitor.report(),
    observed: () => monitor.observed(),
    keptCosts: () => keptCostsOf(compiled),
    evaluation: () => readEvaluation({ folder, manifest }),
    recentRows: () => recent.list,
    close: () => closeAll([live, batcher, executor, { close: compiled.dispose }, { close: async () => endGuard?.() }]),
    destroy: (error) => batcher.destroy(error),
  }
}

/** The parts of an answer that no worker is asked for. */
const instant = { engineSeconds: 0, cancel: () => undefined }

/** The options that other threads need to know. */
function limitsOf({ maxRequestRows, maxListValues, maxDelayMs }: LoadOptions): LoadedModel['limits'] {
  return { maxRequestRows, maxListValues, maxDelayMs }
}

/**
 * Encodes the rows of a query into this memory, which is given back where that fails. Finds also what the model doesn't
 * know, and what tables have, where somebody asks.
 */
function encode(
  { encoder, tensors }: Pick<ModelParts, 'encoder' | 'tensors'>,
  query: Query,
  memory: RequestMemory,
  options: EncodeOptions,
): EncodedRequest {
  const { rows, options: { unknown = false, features = false } = {} } = query
  const wanted = features ? { ...options, fetched: new FetchNotes() } : options
  const { entities } = encoder.layout
  if (query.follower && entities && rows.form !== 'encoded') query.follower.reads(entities.handles())
  try {
    return unknown
      ? encodeExplained(rows, encoder, tensors.inputs, wanted)
      : encodeQuery(rows, encoder, tensors.inputs, wanted)
  } catch (error) {
    memory.release()
    throw error
  }
}

/** Workers need know of no other tenant. */
function limitsCache(tenant: Tenant | undefined): boolean {
  return tenant !== undefined && tenant.cacheShare < 1
}

function checkQuery(plan: Planner, { tasks, options = {}, problems: found }: Parameters<LoadedModel['check']>[0]) {
  const problems = new Violations(found)
  plan(tasks, options, problems)
  return problems.list
}

/** Notifies the observer only while the condition holds. */
function whileTrue(condition: () => boolean, observer: BatchObserver): BatchObserver {
  return {
    released: (batch) => condition() && observer.released?.(batch),
    waited: (seconds) => condition() && observer.waited?.(seconds),
    computed: (...call) => condition() && observer.computed?.(...call),
    shed: (reason) => condition() && observer.shed?.(reason),
    cancelled: (stage) => condition() && observer.cancelled?.(stage),
  }
}
