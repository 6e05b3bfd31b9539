import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import t from 'tap'
import { type Snapshot, Totals } from '../../../src/app/cluster/totals.ts'

const names = ['model', 'version'] as const

/** The snapshot of a process that serves these versions, and has counted so much for each. */
async function snapshotOf(versions: string[], count: number): Promise<Snapshot> {
  const registers = [new Registry()]
  const requests = new Counter({ name: 'requests_total', help: 'r', labelNames: names, registers })
  const seconds = new Histogram({ name: 'seconds', help: 's', labelNames: names, buckets: [1, 2], registers })
  const info = new Gauge({
    name: 'multigate_model_info',
    help: 'i',
    labelNames: names,
    registers,
    aggregator: 'max',
  })
  const crashes = new Counter({ name: 'crashes_total', help: 'c', registers })
  const rows = new Gauge({ name: 'rows', help: 'q', registers })
  const wait = new Gauge({ name: 'wait', help: 'w', registers, aggregator: 'max' })
  const mean = new Gauge({ name: 'mean', help: 'm', registers, aggregator: 'average' })
  const started = new Gauge({ name: 'process_start_time_seconds', help: 'p', registers, aggregator: 'omit' })
  const lag = new Gauge({ name: 'nodejs_eventloop_lag_p99_seconds', help: 'l', registers, aggregator: 'average' })
  for (const version of versions) {
    requests.inc({ model: 'ads', version }, count)
    seconds.observe({ model: 'ads', version }, 1.5)
    info.set({ model: 'ads', version }, 1)
  }
  crashes.inc(count)
  for (const gauge of [rows, wait, mean, started, lag]) gauge.set(count)
  return (await registers[0]!.getMetricsAsJSON()) as Snapshot
}

const value = (text: string, series: string): number | undefined => {
  const line = text.split('\n').find((line) => line.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}
const ads = (version: string) => `{model="ads",version="${version}"}`

t.test('counters and histograms are summed, and gauges go together as each should', async (t) => {
  const text = await new Totals().text([await snapshotOf(['1'], 2), await snapshotOf(['1'], 4)], [])
  t.equal(value(text, `requests_total${ads('1')}`), 6)
  t.equal(value(text, `seconds_count${ads('1')}`), 2)
  t.equal(value(text, `seconds_sum${ads('1')}`), 3)
  t.equal(value(text, 'seconds_bucket{le="1",model="ads",version="1"}'), 0)
  t.equal(value(text, 'seconds_bucket{le="2",model="ads",version="1"}'), 2)
  t.equal(value(text, `multigate_model_info${ads('1')}`), 1)
  t.equal(value(text, 'rows'), 6)
  t.equal(value(text, 'wait'), 4)
  t.equal(value(text, 'mean'), 3)
  t.equal(value(text, 'process_start_time_seconds'), 2)
  t.equal(value(text, 'nodejs_eventloop_lag_p99_seconds'), 4)
  t.match(text, /^# TYPE seconds histogram$/m)
})

t.test('of a process that does not answer, what it had counted is counted, and its gauges are not', async (t) => {
  const text = await new Totals().text([await snapshotOf(['1'], 2)], [await snapshotOf(['1'], 5)])
  t.equal(value(text, `requests_total${ads('1')}`), 7)
  t.equal(value(text, 'rows'), 2)
})

t.test('what dead processes had counted stays, however often it is asked for', async (t) => {
  const totals = new Totals()
  totals.retire(await snapshotOf(['1'], 10))
  totals.retire(await snapshotOf(['1'], 20))
  for (let i = 0; i < 3; i++) {
    const text = await totals.text([await snapshotOf(['1'], 1)], [])
    t.equal(value(text, `requests_total${ads('1')}`), 31)
    t.equal(value(text, `seconds_count${ads('1')}`), 3)
    t.equal(value(text, 'crashes_total'), 31)
    t.equal(value(text, 'rows'), 1)
  }
  totals.retire(await snapshotOf(['1'], 100))
  t.equal(value(await totals.text([await snapshotOf(['1'], 1)], []), `requests_total${ads('1')}`), 131)
})

t.test('while all are dead nothing is forgotten; versions that are served no longer are', async (t) => {
  const totals = new Totals()
  totals.retire(await snapshotOf(['1', '2'], 10))
  t.equal(value(await totals.text([], []), `requests_total${ads('1')}`), 10)
  for (const versions of [['2'], ['1', '2']]) {
    const text = await totals.text([await snapshotOf(versions, 1)], [])
    t.equal(value(text, `requests_total${ads('1')}`), versions.includes('1') ? 1 : undefined)
    t.equal(value(text, `requests_total${ads('2')}`), 11)
    t.equal(value(text, 'crashes_total'), 11)
  }
})

t.test('models by state add up to the models in the folder', async (t) => {
  const statesOf = async (states: Record<string, number>) => {
    const registers = [new Registry()]
    const gauge = new Gauge({
      name: 'multigate_models',
      help: 'm',
      labelNames: ['state'],
      registers,
      aggregator: 'max',
    })
    for (const [state, count] of Object.entries(states)) gauge.set({ state }, count)
    return (await registers[0]!.getMetricsAsJSON()) as Snapshot
  }
  const ready = await statesOf({ ready: 5, loading: 0, failed: 0 })
  const starting = await statesOf({ ready: 0, loading: 5, failed: 0 })
  const failing = await statesOf({ ready: 4, loading: 0, failed: 1 })
  const shown = async (...snapshots: Snapshot[]) => {
    const text = await new Totals().text([await snapshotOf(['1'], 1), ...snapshots], [])
    return ['ready', 'loading', 'failed'].map((state) => value(text, `multigate_models{state="${state}"}`))
  }
  t.same(await shown(starting, ready), [5, 0, 0], 'one process starts')
  t.same(await shown(ready, failing, starting), [4, 0, 1], 'one process can not load a model')
})
