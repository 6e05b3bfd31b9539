import t from 'tap'
import { createUniform } from '../../../src/base/hash.ts'
import { best } from '../../../src/tools/evaluate/overlap.ts'
import { ByValue, kendall, Moments, Sample } from '../../../src/tools/replay/differences.ts'
import { fc } from '../../support/cases.ts'

t.test("Kendall's τ-b, with ties", async (t) => {
  // Figures of scipy.stats.kendalltau.
  t.equal(kendall([12, 2, 1, 12, 2], [1, 4, 7, 1, 0])!.toFixed(6), '-0.471405')
  t.equal(kendall([1, 2, 3], [1, 2, 3]), 1)
  t.equal(kendall([1, 2, 3], [3, 2, 1]), -1)
  t.equal(kendall([1, 1, 1], [3, 2, 1]), undefined)
  t.same(best([0, 1, 2, 3], [0.1, 0.5, 0.5, 0.2], 3), [1, 2, 3])
})

t.test('moments and quantiles of a stream', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
      const moments = new Moments()
      for (const value of values) moments.add(value)
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
      return Math.abs(moments.mean - mean) <= 1e-6 && Math.abs(moments.sum - squares) <= 1e-6 * (1 + squares)
    }),
  )
  const sample = new Sample(createUniform(1))
  for (let i = 0; i < 300_000; i++) sample.add(i / 300_000)
  const [low, middle, high] = sample.quantiles([0.01, 0.5, 0.99])
  t.ok(Math.abs(low! - 0.01) < 0.002 && Math.abs(middle! - 0.5) < 0.01 && Math.abs(high! - 0.99) < 0.002)
  t.ok(Number.isNaN(new Sample(createUniform(1)).quantiles([0.5])[0]))
})

t.test('the share of a variance that the values of a field explain', async (t) => {
  const random = createUniform(2)
  const [guilty, other, all] = [new ByValue(), new ByValue(), new Moments()]
  for (let i = 0; i < 5000; i++) {
    const value = Math.floor(random() * 50)
    const difference = Math.sin(value * 7) + (random() - 0.5) / 10
    all.add(difference)
    guilty.add(String(value), difference)
    // Values of many values: without a correction for their number, these would explain a fifth.
    other.add(String(Math.floor(random() * 1500)), difference)
  }
  t.ok(guilty.explained(all) > 0.98)
  t.ok(other.explained(all) < 0.02)
})
