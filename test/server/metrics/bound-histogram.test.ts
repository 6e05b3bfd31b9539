import { Histogram, Registry } from 'prom-client'
import t from 'tap'
import { createHistogramTally } from '../../../src/server/metrics/bound-series.ts'

const options = { name: 'took_seconds', help: 'Time', buckets: [0.1, 0.2, 0.5] }
const first = { model: 'ads', version: '1' }
const second = { model: 'ads', version: '2' }

t.test('tells what a histogram of prom-client tells', async (t) => {
  const [registry, reference] = [new Registry(), new Registry()]
  const tally = createHistogramTally(options.name, options.help, options.buckets, registry)
  const histogram = new Histogram({ ...options, labelNames: ['model', 'version'], registers: [reference] })
  t.equal(await registry.metrics(), await reference.metrics(), 'nothing yet')
  const [one, two] = [tally.series(first), tally.series(second)]
  for (const value of [0, 0.1, 0.1001, 0.2, 0.3, 0.5, 0.6, 7]) {
    one.observe(value)
    histogram.observe(first, value)
  }
  two.observe(0.15)
  histogram.observe(second, 0.15)
  t.equal(await registry.metrics(), await reference.metrics())
  t.match(await reference.getMetricsAsJSON(), await registry.getMetricsAsJSON(), 'as several processes add it up, too')
})

t.test('equal labels get the same series', async (t) => {
  const registry = new Registry()
  const tally = createHistogramTally(options.name, options.help, options.buckets, registry)
  tally.series(first).observe(1)
  tally.series({ ...first }).observe(1)
  t.match(await registry.metrics(), 'took_seconds_count{model="ads",version="1"} 2\n')
})

t.test('of a version that is forgotten nothing is left', async (t) => {
  const registry = new Registry()
  const tally = createHistogramTally(options.name, options.help, options.buckets, registry)
  const [one, two] = [tally.series(first), tally.series(second)]
  one.observe(1)
  two.observe(1)
  tally.forget('ads', '1')
  one.observe(1)
  t.notMatch(await registry.metrics(), /version="1"/)
  t.match(await registry.metrics(), 'took_seconds_count{model="ads",version="2"} 1\n')
  tally.series(first).observe(2)
  t.match(await registry.metrics(), 'took_seconds_sum{model="ads",version="1"} 2\n', 'it begins anew')
})
