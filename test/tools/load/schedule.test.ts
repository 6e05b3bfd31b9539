import t from 'tap'
import { poissonSchedule, steppedSchedule } from '../../../src/tools/load/open-loop.ts'

t.test('it has the rate that was asked for, and gaps as spread out as independent arrivals have', async (t) => {
  const times = poissonSchedule(500, 100, 1)
  // The count is Poisson: 50,000 ± four deviations of 224.
  t.ok(Math.abs(times.length - 50_000) < 900, `${times.length} arrivals`)
  const gaps = Array.from(times, (at, i) => at - (times[i - 1] ?? 0))
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length
  t.ok(Math.abs(Math.sqrt(variance) / mean - 1) < 0.03, 'an exponential deviates as much as it is long')
  const long = gaps.filter((gap) => gap > mean).length / gaps.length
  t.ok(Math.abs(long - Math.exp(-1)) < 0.01, 'a share of 1/e is longer than the mean')
})

t.test('times ascend, and none is beyond the end', async (t) => {
  const times = poissonSchedule(50, 2, 3)
  t.ok(times.every((at, i) => at >= (times[i - 1] ?? 0) && at < 2000))
})

t.test('the same seed gives the same times, another one others', async (t) => {
  t.same(poissonSchedule(200, 3, 5), poissonSchedule(200, 3, 5))
  t.notSame(poissonSchedule(200, 3, 5), poissonSchedule(200, 3, 6))
})

t.test('a rate of nothing is refused', async (t) => {
  for (const rate of [0, -1, Number.NaN]) t.throws(() => poissonSchedule(rate, 1, 1), RangeError)
})

t.test('steps follow each other, each with its rate', async (t) => {
  const { times, starts } = steppedSchedule([100, 1000], 2, 7)
  t.equal(starts.length, 3)
  t.same([starts[0], starts[2]], [0, times.length])
  t.ok(times.every((at, i) => at >= (times[i - 1] ?? 0)))
  t.ok(times[starts[1]! - 1]! < 2000 && times[starts[1]!]! >= 2000)
  t.ok(Math.abs(starts[1]! - 200) < 60 && Math.abs(times.length - starts[1]! - 2000) < 180)
})
