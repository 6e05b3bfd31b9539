import t from 'tap'
import { createUniform } from '../../../src/base/hash.ts'
import { createQueue, fullUtilisation } from '../../../src/tools/capacity/queue.ts'

function close(t: { ok(value: boolean, message: string): void }, actual: number, expected: number, within = 1e-6) {
  t.ok(Math.abs(actual - expected) <= within, `${actual}, expected ${expected}`)
}

/** M/D/1, by Erlang: P(W ≤ x) = (1 − ρ) Σ (ρ(k − x))^k / k! · e^−ρ(k − x), over k = 0 … ⌊x⌋. */
function erlang(load: number, x: number): number {
  let sum = 0
  let factorial = 1
  for (let k = 0; k <= x; k++) {
    factorial *= k === 0 ? 1 : k
    sum += ((load * (k - x)) ** k / factorial) * Math.exp(-load * (k - x))
  }
  return (1 - load) * sum
}

/** M/D/c, by Spitzer's identity: P(W = 0) = exp −Σ P(Poisson(mcρ) ≥ mc) / m. */
function noWait(servers: number, utilisation: number): number {
  let sum = 0
  for (let m = 1; m <= 200; m++) {
    const mean = m * servers * utilisation
    let log = -mean
    let below = 0
    for (let n = 0; n < m * servers; n++) {
      below += Math.exp(log)
      log += Math.log(mean / (n + 1))
    }
    sum += Math.max(0, 1 - below) / m
  }
  return Math.exp(-sum)
}

t.test('one server waits as Erlang says', async (t) => {
  for (const utilisation of [0.1, 0.5, 0.8])
    for (const x of [0, 0.3, 1, 1.7, 3, 5.5])
      close(t, createQueue(1, utilisation).waitAtMost(x), erlang(utilisation, x))
})

t.test('several servers wait as often as Spitzer says', async (t) => {
  for (const [servers, utilisation] of [
    [2, 0.5],
    [2, 0.8],
    [4, 0.7],
    [8, 0.9],
    [16, 0.7],
  ] as const)
    close(t, createQueue(servers, utilisation).waitAtMost(0), noWait(servers, utilisation), 1e-5)
})

t.test('quantiles are those of simulated queues', async (t) => {
  for (const [servers, utilisation] of [
    [1, 0.5],
    [2, 0.6],
    [4, 0.7],
  ] as const) {
    const random = createUniform(1)
    const free = new Float64Array(servers)
    let now = 0
    let within = 0
    const [arrivals, ignored] = [200_000, 5000]
    const queue = createQueue(servers, utilisation)
    const p99 = queue.waitQuantile(0.99)
    for (let i = 0; i < arrivals + ignored; i++) {
      now -= Math.log(1 - random()) / (servers * utilisation)
      const next = free.indexOf(Math.min(...free))
      if (i >= ignored && free[next]! - now <= p99) within++
      free[next] = Math.max(free[next]!, now) + 1
    }
    close(t, within / arrivals, 0.99, 0.004)
  }
})

t.test('more servers and less load wait less; many servers are no problem', async (t) => {
  const p99 = (servers: number, utilisation: number) => createQueue(servers, utilisation).waitQuantile(0.99)
  t.ok(p99(1, 0.7) > p99(2, 0.7) && p99(2, 0.7) > p99(4, 0.7))
  t.ok(p99(4, 0.9) > p99(4, 0.7))
  t.equal(p99(256, 0.5), 0)
  t.ok(p99(256, fullUtilisation) > 0)
})

t.test('a queue that would grow for ever is refused', async (t) => {
  for (const [servers, utilisation] of [
    [1, 1],
    [1, 0],
    [0, 0.5],
    [1.5, 0.5],
  ] as const)
    t.throws(() => createQueue(servers, utilisation), RangeError)
})
