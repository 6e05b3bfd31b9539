import t from 'tap'
import { bestOf } from '../../../loadtest/competitors/results.ts'

const run = (connections: number, requestsPerSecond: number, known?: number) => ({
  connections,
  requestsPerSecond,
  p50: 1000 / requestsPerSecond,
  p99: 4000 / requestsPerSecond,
  p999: 9000 / requestsPerSecond,
  errors: 0,
  serverMs: 0.1,
  generatorCores: 0.2,
  otherCores: 0,
  ...(known === undefined ? {} : { known }),
})

t.test('the best is the number of connections with the highest median, not the highest run', async (t) => {
  const closed = [run(8, 900), run(32, 1000, 0.9), run(64, 5000), run(8, 920), run(32, 1100, 0.8), run(64, 700)]
  closed.push(run(8, 940), run(32, 1050, 0.7), run(64, 800))
  t.match(bestOf({ closed }), { connections: 32, requestsPerSecond: 1050, least: 1000, most: 1100, known: 0.8 })
})

t.test('without a run there is no best', async (t) => {
  t.throws(() => bestOf({ closed: [] }), RangeError)
})
