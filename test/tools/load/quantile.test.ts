import t from 'tap'
import { median } from '../../../src/base/arrays.ts'
import { quantile, quantiles } from '../../../src/tools/load/open-loop.ts'

t.test('quantiles are values that were there, by nearest rank', async (t) => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
  t.same(quantiles(hundred), { p50: 50, p99: 99, p999: 100, max: 100 })
  t.equal(quantile([3], 0.001), 3)
  t.ok(Number.isNaN(quantile([], 0.5)))
})

t.test('the median of an even count lies in the middle', async (t) => {
  t.equal(median([4, 1, 3]), 3)
  t.equal(median([4, 1]), 2.5)
  t.ok(Number.isNaN(median([])))
})
