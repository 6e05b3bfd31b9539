import t from 'tap'
import { createUniform } from '../../../src/base/hash.ts'
import type { FeatureValue } from '../../../src/schemas/feature-value.ts'
import { best } from '../../../src/tools/evaluate/overlap.ts'
import type { Predictor } from '../../../src/tools/evaluate/predictor.ts'
import { totalEffects } from '../../../src/tools/replay/attribute.ts'
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

t.test('the field that makes the difference is found, also where another one follows from it', async (t) => {
  const random = createUniform(3)
  const whole = (end: number) => Math.floor(random() * end)
  const rows = Array.from({ length: 1000 }, () => {
    const campaign = whole(40)
    return { campaign: `c${campaign}`, advertiser: `a${campaign % 8}`, price: random(), hour: whole(24) }
  })
  const column = (name: keyof (typeof rows)[number]) => rows.map((row) => row[name])
  const names = ['campaign', 'advertiser', 'price', 'hour'] as const
  const columns = Object.fromEntries(names.map((name) => [name, column(name)]))
  const effect = (text: FeatureValue, by: number) => Math.sin((Number(String(text).slice(1)) + by) * 3)
  const version = (permuted: number): Predictor => ({
    model: { name: 'ads', version: String(permuted + 1) },
    fields: names.map((name) => ({ name, side: 'candidate', kind: 'hash', ids: undefined })),
    crossed: [],
    tasks: [{ name: 'ctr' }],
    mostRows: 300,
    concurrency: 1,
    async predict({ campaign, advertiser, price }) {
      const ctr = campaign!.map((value, row) => {
        const logit = effect(value, 0) + effect(advertiser![row]!, permuted) + Number(price![row])
        return 1 / (1 + Math.exp(-logit))
      })
      return { tasks: { ctr }, raw: {}, unknown: [], gates: undefined }
    },
    close: async () => undefined,
  })
  const found = await totalEffects([version(3), version(0)], columns, ['ctr'], new AbortController().signal)
  const effects = found.get('ctr')!
  t.ok(Math.abs(effects.get('advertiser')! - 1) < 0.15, `${effects.get('advertiser')}`)
  for (const name of ['campaign', 'price', 'hour']) t.ok(effects.get(name)! < 1e-9, name)
})
