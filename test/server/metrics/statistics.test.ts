import t from 'tap'
import type { PredictionTable } from '../../../src/model/contracts/prediction.ts'
import type { LoadedModel } from '../../../src/model/serving/prediction/loaded-model.ts'
import { createStatistics, sumStatistics } from '../../../src/server/metrics/statistics.ts'

const modelOf = (name: string, version: string) => ({ manifest: { name, version } }) as unknown as LoadedModel

t.test('a version that has done nothing has counted nothing', async (t) => {
  const zero = { count: 0, ns: 0 }
  const { of } = createStatistics()
  t.same(of('ads', '1'), {
    name: 'ads',
    version: '1',
    last_inference: 0,
    inference_count: 0,
    execution_count: 0,
    inference_stats: {
      success: zero,
      fail: zero,
      queue: zero,
      compute_input: zero,
      compute_infer: zero,
      compute_output: zero,
      cache_hit: zero,
    },
    batch_stats: [],
  })
})

t.test('requests count by outcome, calls by their rows, and each call for all its requests', async (t) => {
  const statistics = createStatistics(() => 1234.5)
  const ads = modelOf('ads', '1')
  const observer = statistics.batchObserver('ads', '1')
  const accepted = { rows: 7, encodeSeconds: 0.001, observed: true }
  const table = { requested: 7 } as PredictionTable
  statistics.ended({ model: ads, outcome: 'ok', seconds: 0.25, accepted, table, writeSeconds: 0.002 })
  statistics.ended({ model: ads, outcome: 'ok', seconds: 0.5 })
  statistics.ended({ model: ads, outcome: 'invalid_request', seconds: 0.125 })
  statistics.ended({ outcome: 'ok', seconds: 1 })
  observer.waited(0.003)
  observer.computed(7, 0.25, 3)
  observer.computed(7, 0.5, 1)
  observer.computed(256, 1, 1)
  observer.computed(257, 1, 1)
  observer.computed(512, 1, 1)
  statistics.ended({ model: modelOf('ads', '2'), outcome: 'ok', seconds: 9 })
  t.match(statistics.of('ads', '1'), {
    last_inference: 1234,
    inference_count: 7,
    execution_count: 5,
    inference_stats: {
      success: { count: 2, ns: 750_000_000 },
      fail: { count: 1, ns: 125_000_000 },
      queue: { count: 1, ns: 3_000_000 },
      compute_input: { count: 1, ns: 1_000_000 },
      compute_infer: { count: 7, ns: 4_250_000_000 },
      compute_output: { count: 1, ns: 2_000_000 },
    },
    batch_stats: [
      { batch_size: 7, compute_infer: { count: 2, ns: 750_000_000 } },
      { batch_size: 256, compute_infer: { count: 1, ns: 1_000_000_000 } },
      { batch_size: 512, compute_infer: { count: 2, ns: 2_000_000_000 } },
    ],
  })
  t.equal(statistics.of('ads', '2').inference_stats.success.count, 1)
})

t.test('what is forgotten begins anew, and a late answer of the old version does not come back', async (t) => {
  const statistics = createStatistics()
  const old = modelOf('ads', '1')
  statistics.ended({ model: old, outcome: 'ok', seconds: 1 })
  statistics.forget('ads', '1')
  statistics.ended({ model: old, outcome: 'ok', seconds: 1 })
  t.equal(statistics.of('ads', '1').inference_stats.success.count, 0)
  statistics.ended({ model: modelOf('ads', '1'), outcome: 'ok', seconds: 1 })
  t.equal(statistics.of('ads', '1').inference_stats.success.count, 1)
})

t.test('what several processes have counted is summed by version', async (t) => {
  const count = (rows: number, now: number) => {
    const statistics = createStatistics(() => now)
    const ads = modelOf('ads', '1')
    statistics.ended({ model: ads, outcome: 'ok', seconds: 1, table: { requested: rows } as PredictionTable })
    statistics.batchObserver('ads', '1').computed(rows, 0.5, 1)
    return statistics.of('ads', '1')
  }
  const [one, two] = [count(3, 10), count(2, 20)]
  const other = createStatistics().of('other', '1')
  const before = structuredClone(one)
  const sums = sumStatistics([one, two, other, count(3, 15)])
  t.match(sums, [{ name: 'ads', last_inference: 20, inference_count: 8, execution_count: 3 }, { name: 'other' }])
  t.same(sums[0]?.inference_stats.success, { count: 3, ns: 3e9 })
  t.match(sums[0]?.batch_stats, [
    { batch_size: 2, compute_infer: { count: 1 } },
    { batch_size: 3, compute_infer: { count: 2, ns: 1e9 } },
  ])
  t.same(one, before, 'nothing that was given is changed')
})
