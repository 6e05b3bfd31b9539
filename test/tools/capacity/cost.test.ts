import t from 'tap'
import { forecast, highestRate, lowestP99, processorAt, type RequestCost } from '../../../src/tools/capacity/cost.ts'
import { createQueue } from '../../../src/tools/capacity/queue.ts'

/** One core; a request costs 1 ms, of which 0.4 ms in the event loop, at any load. */
const even: RequestCost = {
  cores: 1,
  processes: 1,
  bytesIn: 1000,
  bytesOut: 500,
  points: [
    { rate: 200, utilisation: 0.2, processor: 1000, eventLoop: 400, p50: 1, p99: 3 },
    { rate: 800, utilisation: 0.8, processor: 1000, eventLoop: 400, p50: 2, p99: 3 },
    { rate: 1000, utilisation: 1, processor: 1000, eventLoop: 400, p50: undefined, p99: undefined },
  ],
}
/** It becomes cheaper with the load. */
const cheaper: RequestCost = {
  ...even,
  points: [
    { ...even.points[0]!, processor: 1400 },
    { ...even.points[1]!, processor: 800 },
    { ...even.points[2]!, processor: 800 },
  ],
}
const near = (actual: number, expected: number, share = 0.002) => Math.abs(actual / expected - 1) <= share

t.test('the cost lies between the measured ones', async (t) => {
  t.equal(processorAt(cheaper, 0.1), 1400)
  t.ok(near(processorAt(cheaper, 0.5), 1100))
  t.equal(processorAt(cheaper, 2), 800)
  t.equal(lowestP99(even), 3)
})

t.test('utilisation follows from rate, cost and cores', async (t) => {
  const one = forecast(even, { cores: 1, processes: 1 }, 500)
  t.ok(near(one.utilisation, 0.5))
  t.ok(near(one.eventLoopUtilisation, 0.2))
  const four = forecast(even, { cores: 4, processes: 2 }, 2000)
  t.ok(near(four.utilisation, 0.5))
  t.ok(near(four.eventLoopUtilisation, 0.4))
  // At u the cost is 1400 − 1000 · (u − 0.2), and u = rate · cost.
  const falling = forecast(cheaper, { cores: 1, processes: 1 }, 500)
  t.ok(near(falling.utilisation, (500e-6 * 1600) / 1.5), `${falling.utilisation}`)
})

t.test('latency is the lowest one and the wait for a core', async (t) => {
  const wait = createQueue(4, 0.7).waitQuantile(0.99)
  t.ok(near(forecast(even, { cores: 4, processes: 4 }, 2800).p99, 3 + wait, 0.01))
  t.equal(forecast(even, { cores: 1, processes: 1 }, 1200).p99, Number.POSITIVE_INFINITY)
})

t.test('the event loop can be what a request waits for', async (t) => {
  // 16 cores are a tenth busy, the only event loop 0.64.
  const { utilisation, eventLoopUtilisation, p99 } = forecast(even, { cores: 16, processes: 1 }, 1600)
  t.ok(near(utilisation, 0.1) && near(eventLoopUtilisation, 0.64))
  t.ok(near(p99, 3 + 0.4 * createQueue(1, 0.64).waitQuantile(0.99), 0.02))
})

t.test('waits that were measured to be longer stay longer', async (t) => {
  const wait = createQueue(1, 0.8).waitQuantile(0.99)
  const [first, second, third] = even.points
  const noisy = { ...even, points: [first!, { ...second!, p99: 3 + 2 * wait }, third!] }
  t.ok(
    near(forecast(noisy, { cores: 4, processes: 4 }, 2800).p99, 3 + 2 * createQueue(4, 0.7).waitQuantile(0.99), 0.01),
  )
})

t.test('the highest rate is where the bound, the cores or the event loops end', async (t) => {
  const host = { cores: 4, processes: 4 }
  t.ok(near(highestRate(even, host, 1000), 3800), 'as busy as can be')
  t.ok(near(highestRate(even, host, 1000, 0.7), 2800))
  t.ok(near(highestRate(even, { cores: 4, processes: 1 }, 1000, 0.7), 1750), 'one event loop')
  const bounded = highestRate(even, host, 4, 0.9)
  t.ok(bounded > 1000 && bounded < 3600)
  t.ok(forecast(even, host, bounded).p99 <= 4 && forecast(even, host, bounded * 1.05).p99 > 4)
  t.equal(Math.round(highestRate(even, host, 2.9)), 0, 'below the lowest latency')
})
