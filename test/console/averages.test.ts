import t from 'tap'
import { averaged, averagesOf, createClientList, createModelList } from '../../src/console/api/averages.ts'
import type { LiveClient, LiveModel } from '../../src/schemas/live-figures.ts'
import { liveSample } from '../support/live-sample.ts'

/* The figures of the last ten seconds on the page Live. */

const quantiles = (p50: number, p99: number) => ({ p50, p95: p99, p99 })

const model = (name: string, more: Partial<LiveModel> = {}): LiveModel => ({
  model: name,
  version: '1',
  requests: 10,
  ok: 10,
  candidates: 50,
  failed: {},
  shed: {},
  total: quantiles(1, 2),
  queue_rows: 0,
  wait_ms: 0,
  ...more,
})

t.test('lists have means of the seconds, quantiles of the worst one, and keep those that are idle', async (t) => {
  const list = createModelList()
  t.match(list([model('a')]), [{ model: 'a', requests: 10, total: quantiles(1, 2) }])
  list([])
  const both = list([
    model('b', { requests: 90 }),
    model('a', { requests: 20, failed: { invalid_request: 6 }, total: quantiles(3, 80), queue_rows: 7 }),
  ])
  t.match(both, [
    { model: 'b', requests: 30 },
    {
      model: 'a',
      requests: 10,
      candidates: 100 / 3,
      failed: { invalid_request: 2 },
      total: { p99: 80 },
      queue_rows: 7,
    },
  ])
  let last: LiveModel[] = []
  for (let i = 0; i < averaged; i++) last = list([])
  t.match(
    last.map(({ model, requests, failed, total }) => ({ model, requests, failed, total })),
    [
      { model: 'a', requests: 0, failed: {}, total: null },
      { model: 'b', requests: 0, failed: {}, total: null },
    ],
  )
})

t.test('clients', async (t) => {
  const list = createClientList()
  const client = (name: string, failed: number): LiveClient => ({ client: name, requests: 4, candidates: 8, failed })
  list([client('batch', 4)])
  t.same(list([client('web', 0)]), [
    { client: 'batch', requests: 2, candidates: 4, failed: 2 },
    { client: 'web', requests: 2, candidates: 4, failed: 0 },
  ])
})

t.test('figures of the service are those of its last ten seconds', async (t) => {
  const second = (at: number, requests: number, ok: number, p99: number) => ({
    ...liveSample,
    at,
    requests,
    ok,
    stages: { ...liveSample.stages, total: quantiles(p99 / 10, p99) },
    saturation: at / 100_000,
  })
  const samples = [second(1000, 1000, 0, 9000), second(12_000, 30, 30, 5), second(13_000, 10, 6, 50)]
  t.match(averagesOf(samples), { requests: 20, goodput: 0.9, total: { p99: 50 }, saturation: 0.13 })
  t.equal(averagesOf([second(1000, 0, 0, 1)]).goodput, undefined)
})
