import { Registry } from 'prom-client'
import t from 'tap'
import { createTally } from '../../../src/server/metrics/bound-series.ts'

function setUp() {
  const registry = new Registry()
  const tally = createTally('asked_total', 'Requests', registry)
  const lines = async () => (await registry.metrics()).split('\n').filter((line) => line.startsWith('asked_total{'))
  return { tally, lines }
}

const labels = (version: string, outcome: string) => ({ model: 'ads', version, outcome })

t.test('what was added is told when it is asked for, once', async (t) => {
  const { tally, lines } = setUp()
  const ok = tally.series(labels('1', 'ok'))
  const late = tally.series(labels('1', 'late'))
  t.same(await lines(), [], 'a series begins with its first count')
  ok.add(1)
  ok.add(2)
  t.same(await lines(), ['asked_total{model="ads",version="1",outcome="ok"} 3'])
  t.same(await lines(), ['asked_total{model="ads",version="1",outcome="ok"} 3'])
  late.add(1)
  ok.add(1)
  t.same(await lines(), [
    'asked_total{model="ads",version="1",outcome="ok"} 4',
    'asked_total{model="ads",version="1",outcome="late"} 1',
  ])
})

t.test('equal labels get the same series', async (t) => {
  const { tally, lines } = setUp()
  tally.series(labels('1', 'ok')).add(1)
  tally.series(labels('1', 'ok'), true).add(1)
  t.same(await lines(), ['asked_total{model="ads",version="1",outcome="ok"} 2'])
})

t.test('of a version that is forgotten nothing is left, not even what was not told yet', async (t) => {
  const { tally, lines } = setUp()
  const first = tally.series(labels('1', 'ok'))
  const second = tally.series(labels('2', 'ok'))
  first.add(1)
  second.add(5)
  tally.forget('ads', '1')
  first.add(1)
  t.same(await lines(), ['asked_total{model="ads",version="2",outcome="ok"} 5'])
})
