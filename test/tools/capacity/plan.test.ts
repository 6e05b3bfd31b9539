import t from 'tap'
import type { RequestCost } from '../../../src/tools/capacity/cost.ts'
import { type Demand, framing, planCapacity, podsFor, zipfShare } from '../../../src/tools/capacity/estimate.ts'

/** A request costs 1 ms on a core, of which 0.4 ms in the event loop. */
const cost: RequestCost = {
  cores: 1,
  processes: 1,
  bytesIn: 7000,
  bytesOut: 4000,
  points: [0.2, 0.8, 1].map((utilisation) => ({
    rate: utilisation * 1000,
    utilisation,
    processor: 1000,
    eventLoop: 400,
    p50: utilisation < 1 ? 1 : undefined,
    p99: utilisation < 1 ? 2 : undefined,
  })),
}
const demand: Demand = {
  rate: 20_000,
  candidates: 100,
  p99Ms: 50,
  cached: 0.8,
  catalogue: 100_000,
  podCores: 4,
  coreHourPrice: 0.04,
  zones: 3,
}
const near = (actual: number, expected: number, share = 0.002) => Math.abs(actual / expected - 1) <= share

t.test('pods survive the loss of a zone', async (t) => {
  for (const [load, zones, needed, perZone, total] of [
    [0.2, 1, 1, 1, 1],
    [7.1, 1, 8, 8, 8],
    [7.1, 2, 8, 8, 16],
    [7.1, 3, 8, 4, 12],
    [8, 3, 8, 4, 12],
    [9, 3, 9, 5, 15],
    [1, 5, 1, 1, 5],
  ] as const) {
    t.same(podsFor(load, zones), { needed, perZone, total }, `${load} of ${zones} zones`)
    if (zones > 1) t.ok(total - perZone >= load)
  }
})

t.test('cores, pods, network and price follow from rate and cost', async (t) => {
  const plan = planCapacity(demand, cost, 8192)
  t.ok(near(plan.utilisation, 0.7))
  t.ok(near(plan.busyCores, 20))
  t.ok(near(plan.cores, 20 / 0.7))
  // 0.4 of the work is the event loops': two of four cores.
  t.match(plan, { processes: 2, workers: 2 })
  t.ok(near(plan.ratePerPod, 2800))
  t.same(plan.pods, { needed: 8, perZone: 4, total: 12 })
  t.ok(near(plan.network.in, 20_000 * 7000 * 8 * framing))
  t.ok(near(plan.network.podOut, (20_000 / 8) * 4000 * 8 * framing), 'with a zone lost, eight pods are left')
  t.ok(near(plan.cost.perHour, 12 * 4 * 0.04))
  t.ok(near(plan.cost.perMillionRequests, (1.92 / 3600 / 20_000) * 1e6))
  t.ok(near(plan.cost.perMillionPredictions, plan.cost.perMillionRequests / 100))
})

t.test('the cache holds the popular candidates, once per worker', async (t) => {
  const { cache } = planCapacity(demand, cost, 8192)
  const entries = zipfShare(100_000, 0.8)
  t.same(cache, { entries, entryBytes: 8192, bytesPerPod: entries * 8192 * 4 })
  t.equal(planCapacity(demand, cost, undefined).cache, undefined)
  t.equal(planCapacity({ ...demand, cached: 0 }, cost, 8192).cache, undefined)
})

t.test('the popular candidates are fewer than their share', async (t) => {
  t.equal(zipfShare(1, 0.5), 1)
  t.equal(zipfShare(100, 1), 100)
  // 1 / (1 + 2^−1.05) is 0.67.
  t.equal(zipfShare(2, 0.67), 1)
  t.equal(zipfShare(2, 0.68), 2)
  t.ok(zipfShare(100_000, 0.8) < 20_000)
})

t.test('a tight bound needs more pods; an infeasible one names the lowest feasible one', async (t) => {
  const tight = planCapacity({ ...demand, p99Ms: 3 }, cost, undefined)
  t.ok(tight.utilisation < 0.7 && tight.p99 <= 3)
  t.ok(tight.pods.total > 12)
  t.throws(() => planCapacity({ ...demand, p99Ms: 1.5 }, cost, undefined), {
    code: 'INVALID_REQUEST',
    message:
      '--p99 1.5: not feasible with any number of cores; the lowest feasible p99 on this machine is 2.00 ms, measured at 20 % utilisation',
  })
})
