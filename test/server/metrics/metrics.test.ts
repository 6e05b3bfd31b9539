import t from 'tap'
import type { PredictionTable } from '../../../src/model/contracts/prediction.ts'
import type { LoadedModel } from '../../../src/model/serving/prediction/loaded-model.ts'
import { createMetrics, type EndedRequest } from '../../../src/server/metrics/metrics.ts'
import type { Key } from '../../../src/server/security/keyring.ts'

const modelOf = (name: string, version: string) =>
  ({
    manifest: { name, version, precision: 'int8', tasks: [{ name: 'ctr' }, { name: 'cvr' }], derived: [] },
    engine: 'onnx',
    plan: { precision: 'float32' },
    graphStats: async () => ({
      rows: { exported: 1, full: 20, shared_context: 300, cached: 4000 },
      cache: { hits: 11, misses: 12, entries: 13, evictions: 14, bytes: 15 },
    }),
    stats: () => ({ queuedRows: 7, inFlightBatches: 2, requests: 1, predictedWaitSeconds: 0.25 }),
    drift: () => [
      { kind: 'feature', name: 'price', psi: 0.125 },
      { kind: 'length', name: 'tags', psi: 0.75 },
      { kind: 'task', name: 'ctr', psi: 0.5 },
    ],
  }) as unknown as LoadedModel
/** A request that this version answered. */
const answered = (model: LoadedModel, values: number[], task = 'ctr', observed = true): EndedRequest => ({
  model,
  outcome: 'ok',
  seconds: 0.01,
  accepted: { rows: values.length, encodeSeconds: 0.001, observed },
  table: { tasks: [[task, Float32Array.from(values)]], requested: values.length } as unknown as PredictionTable,
  writeSeconds: 0.001,
})

function start() {
  const live = [modelOf('ads', '1')]
  const metrics = createMetrics({
    models: () => live.map((model) => ({ name: model.manifest.name, version: model.manifest.version, model })),
    pool: () => ({ workers: 2, alive: 1, replaced: 3 }),
  })
  return { live, metrics, read: () => metrics.registry.metrics() }
}

t.test('two of them live side by side', async (t) => {
  const one = start()
  const other = start()
  one.metrics.ended({ outcome: 'ok', seconds: 0.001 })
  t.match(await one.read(), /multigate_requests_total\{.*outcome="ok"\} 1/)
  t.notMatch(await other.read(), /outcome="ok"\} 1/)
})

t.test('gauges are read from what is live, at every scrape', async (t) => {
  const { live, read } = start()
  const labels = '\\{model="ads",version="1"\\}'
  const first = await read()
  t.match(first, new RegExp(`multigate_queue_rows${labels} 7`))
  t.match(first, new RegExp(`multigate_in_flight_batches${labels} 2`))
  t.match(first, new RegExp(`multigate_predicted_wait_seconds${labels} 0.25`))
  t.match(first, /multigate_model_info\{model="ads",version="1",engine="onnx",precision="float32",architecture=""\} 1/)
  t.match(first, /multigate_drift_psi\{model="ads",version="1",feature="price",task=""\} 0.125/)
  t.match(first, /multigate_drift_psi\{model="ads",version="1",feature="",task="ctr"\} 0.5/)
  t.match(first, /multigate_drift_length_psi\{model="ads",version="1",feature="tags"\} 0.75/)
  t.equal(first.match(/multigate_drift_psi\{/g)?.length, 2)
  t.match(first, /^multigate_workers 1$/m)
  t.match(first, /^multigate_workers_replaced_total 3$/m)
  t.match(await read(), /^multigate_workers_replaced_total 3$/m)
  live[0] = modelOf('ads', '2')
  const second = await read()
  t.match(second, /multigate_queue_rows\{model="ads",version="2"\} 7/)
  t.notMatch(second, /version="1"/)
})

t.test('workers are asked what they computed, and what they keep', async (t) => {
  const { live, read } = start()
  live.push({ ...modelOf('other', '1'), graphStats: async () => Promise.reject(new Error('all workers died')) })
  live.push({ ...modelOf('saved', '1'), graphStats: async () => undefined })
  live.push({
    ...modelOf('as-fast', '1'),
    plan: { precision: 'float32', tables: 'float32', verdict: { passed: true } },
  } as LoadedModel)
  for (const text of [await read(), await read()]) {
    t.match(text, /^multigate_precision_fallback\{model="as-fast",version="1"\} 0$/m)
    t.match(text, /^multigate_candidate_cache_hits_total\{model="ads",version="1"\} 11$/m)
    t.match(text, /^multigate_candidate_cache_misses_total\{model="ads",version="1"\} 12$/m)
    t.match(text, /^multigate_candidate_cache_entries\{model="ads",version="1"\} 13$/m)
    t.match(text, /^multigate_candidate_cache_evictions_total\{model="ads",version="1"\} 14$/m)
    t.match(text, /^multigate_candidate_cache_bytes\{model="ads",version="1"\} 15$/m)
    t.match(text, /^multigate_plan_rows_total\{model="ads",version="1",plan="cached"\} 4000$/m)
    t.match(text, /^multigate_precision_fallback\{model="ads",version="1"\} 1$/m)
    t.notMatch(text, /multigate_candidate_cache_hits_total\{model="(other|saved)"/)
  }
})

t.test('the mean of predictions is of each task, over rows', async (t) => {
  const { metrics, live, read } = start()
  metrics.ended(answered(live[0]!, [0.25, 0.75]))
  metrics.ended(answered(live[0]!, [1, 1]))
  metrics.ended(answered(live[0]!, []))
  metrics.ended(answered(live[0]!, [0.125], 'cvr'))
  metrics.ended(answered(live[0]!, [0.5, 0.5], 'ctr', false))
  const text = await read()
  t.match(text, /multigate_prediction_mean\{model="ads",version="1",task="ctr"\} 0.75/)
  t.match(text, /multigate_prediction_mean\{model="ads",version="1",task="cvr"\} 0.125/)
})

t.test('the mean follows when predictions change', async (t) => {
  const { metrics, live, read } = start()
  for (let i = 0; i < 100; i++) metrics.ended(answered(live[0]!, new Array(1000).fill(0)))
  for (let i = 0; i < 100; i++) metrics.ended(answered(live[0]!, new Array(1000).fill(1)))
  const [, mean] = /multigate_prediction_mean\{.*\} (\S+)/.exec(await read()) ?? []
  t.ok(Number(mean) > 0.99, `${mean}`)
})

t.test('what a version counted is forgotten with it, and others stay', async (t) => {
  const { metrics, live, read } = start()
  const versions = [live[0]!, modelOf('ads', '11'), modelOf('ads-1', '1')]
  live.length = 0
  for (const model of versions) {
    const { name, version } = model.manifest
    metrics.ended({ model, outcome: 'queue_full', seconds: 0.01 })
    metrics.ended(answered(model, [0.5]))
    metrics.countUnknown(name, version, 'country', 1)
    const observer = metrics.batchObserver(name, version)
    observer.released?.({ rows: 3, requests: 1, reason: 'idle' })
    observer.waited?.(0.001)
    observer.computed?.(3, 0.001, 1)
    observer.shed?.('queue_full')
    observer.cancelled?.('queue')
  }
  const series = (text: string, name: string, version: string) =>
    text.split('\n').filter((line) => line.includes(`model="${name}",`) && line.includes(`version="${version}"`)).length
  const before = await read()
  const counted = series(before, 'ads', '1')
  t.ok(counted > 50)
  await metrics.forget('ads', '1')
  const after = await read()
  t.equal(series(after, 'ads', '1'), 0)
  t.equal(series(after, 'ads', '11'), counted)
  t.equal(series(after, 'ads-1', '1'), counted)
  metrics.ended(answered(versions[0]!, [0.25]))
  t.equal(series(await read(), 'ads', '1'), 0, 'its last requests do not bring it back')
  // A version that is loaded again starts from zero.
  metrics.ended(answered(modelOf('ads', '1'), [0.25]))
  t.match(await read(), /multigate_prediction_mean\{model="ads",version="1",task="ctr"\} 0.25/)
})

t.test('metrics that rules and dashboards name begin with 0, before the first request', async (t) => {
  const { metrics, read } = start()
  metrics.batchObserver('ads', '2')
  const model = modelOf('ads', '2')
  metrics.begin(model)
  const text = await read()
  const labels = 'model="ads",version="2"'
  for (const outcome of ['ok', 'internal', 'model_failed', 'queue_full'])
    for (const version of [labels, 'model="",version=""'])
      t.match(text, `multigate_requests_total{${version},outcome="${outcome}"} 0\n`)
  t.match(text, `multigate_rows_total{${labels}} 0\n`)
  t.match(text, `multigate_shed_total{${labels},reason="queue_full"} 0\n`)
  for (const name of ['request_duration_seconds', 'encode_duration_seconds', 'infer_duration_seconds', 'batch_rows'])
    t.match(text, `multigate_${name}_bucket{le="+Inf",${labels}} 0\n`)
  t.same(metrics.versionCounts(), [], 'the console lists no version without requests')
  metrics.ended(answered(model, [0.5]))
  metrics.begin(modelOf('ads', '2'))
  t.match(await read(), `multigate_requests_total{${labels},outcome="ok"} 1\n`, 'a version that is reloaded keeps them')
  metrics.forget('ads', '2')
  t.notMatch(await read(), /version="2"/)
  metrics.ended({ ...answered(model, [0.5]), table: undefined })
  t.notMatch(await read(), /version="2"/, 'they stay away')
})

t.test('a request counts once, for all that read counts', async (t) => {
  const { metrics, live, read } = start()
  const [model] = live
  const key = { id: 'shop' } as Key
  const ok = answered(model!, [0.5, 0.25])
  metrics.ended({ ...ok, key })
  // Accepted, and too late: its rows count, its answer does not.
  metrics.ended({ model, key, outcome: 'deadline_exceeded', seconds: 0.5, accepted: ok.accepted })
  metrics.ended({ key, outcome: 'queue_full', seconds: 0.0001 })
  metrics.ended({ key, outcome: 'cancelled', seconds: 0.0001 })
  const text = await read()
  const labels = 'model="ads",version="1"'
  t.match(text, `multigate_requests_total{${labels},outcome="ok"} 1\n`)
  t.match(text, `multigate_requests_total{${labels},outcome="deadline_exceeded"} 1\n`)
  t.match(text, 'multigate_requests_total{model="",version="",outcome="queue_full"} 1\n')
  t.match(text, `multigate_rows_total{${labels}} 4\n`)
  t.match(text, `multigate_request_duration_seconds_count{${labels}} 2\n`)
  t.match(text, `multigate_encode_duration_seconds_count{${labels}} 2\n`)
  t.match(text, `multigate_prediction_mean{${labels},task="ctr"} 0.375\n`)
  t.match(
    metrics.versionCounts().find(({ model }) => model === 'ads'),
    { rows: 4, outcomes: { ok: 1, deadline_exceeded: 1 } },
    'the console',
  )
  t.match(metrics.statistics.of('ads', '1'), {
    inference_count: 2,
    inference_stats: {
      success: { count: 1 },
      fail: { count: 1 },
      compute_input: { count: 2 },
      compute_output: { count: 1 },
    },
  })
  t.strictSame(metrics.keys.list(), [{ client: 'shop', requests: 4, failed: 2, rows: 4 }])
  t.strictSame(metrics.keys.answered(), [['shop', { requests: 1, rows: 2 }]])
})
