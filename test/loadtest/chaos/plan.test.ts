import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { faultKinds, planArrivals, planFaults } from '../../../loadtest/chaos/plan.ts'
import { publishedBy } from '../../../loadtest/chaos/publish.ts'

t.test('the same seed plans the same faults and arrivals, another one others', async (t) => {
  const plan = planFaults(180, 20, 7)
  t.same(planFaults(180, 20, 7), plan)
  t.notOk(isDeepStrictEqual(planFaults(180, 20, 8), plan))
  t.same(planArrivals(100, 30, plan, 7), planArrivals(100, 30, plan, 7))
  t.notOk(isDeepStrictEqual(planArrivals(100, 30, plan, 8), planArrivals(100, 30, plan, 7)))
})

t.test('every kind of fault happens, in the order of time, within the run', async (t) => {
  for (const [seconds, swaps] of [
    [12, 2],
    [180, 20],
    [3600, 200],
  ] as const) {
    const plan = planFaults(seconds, swaps, 3)
    t.same(new Set(plan.map(({ kind }) => kind)), new Set(faultKinds))
    t.equal(plan.filter(({ kind }) => kind === 'swap').length, swaps)
    t.ok(plan.every(({ at }, i) => i === 0 || plan[i - 1]!.at <= at))
    t.ok(plan.every(({ at, seconds: lasts }) => at > 0 && at + lasts < seconds))
  }
})

t.test('swaps take turns; half of them publish a version', async (t) => {
  const ways = planFaults(180, 8, 1).flatMap(({ way }) => way ?? [])
  t.same(ways.slice(0, 4).sort(), ['appears', 'loaded', 'pinned', 'reloaded'])
  t.equal(publishedBy(ways), 4)
})

t.test('requests come three times as fast in a burst', async (t) => {
  const burst = { kind: 'burst', at: 100, seconds: 100, draw: 0 } as const
  const arrivals = planArrivals(50, 300, [burst], 5)
  const within = (from: number, to: number) => arrivals.filter((ms) => ms >= from * 1000 && ms < to * 1000).length
  t.ok(Math.abs(within(0, 100) - 5000) < 300, `${within(0, 100)}`)
  t.ok(Math.abs(within(100, 200) - 15_000) < 500, `${within(100, 200)}`)
})
