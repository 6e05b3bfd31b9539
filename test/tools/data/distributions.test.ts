import t from 'tap'
import { createBins } from '../../../src/model/serving/drift/bins.ts'
import { measureDistributions, ofIds, ofNumbers } from '../../../src/tools/data/distributions.ts'
import { testFeatures } from '../../support/bundle.ts'
import { fc } from '../../support/cases.ts'

t.test('numbers are cut into equal masses', async (t) => {
  const distribution = ofNumbers(Float64Array.from({ length: 1000 }, (_, i) => (i * 37) % 1000))
  t.same(distribution, {
    edges: [100, 200, 300, 400, 500, 600, 700, 800, 900],
    shares: [0.101, ...Array(8).fill(0.1), 0.099],
  })
})

t.test('a frequent value makes fewer bins', async (t) => {
  t.same(ofNumbers(Float64Array.from({ length: 100 }, (_, i) => (i < 95 ? 0 : i))), {
    edges: [0],
    shares: [0.95, 0.05],
  })
})

t.test('ids are counted by frequency, the rest together', async (t) => {
  const ids = Float64Array.from([
    ...Array(10).fill(7),
    ...Array(5).fill(3),
    ...Array.from({ length: 20 }, (_, i) => 100 + i),
  ])
  const { shares, ...rest } = ofIds(ids)
  t.same(rest, { ids: [7, 3, ...Array.from({ length: 13 }, (_, i) => 100 + i)] })
  t.same(shares.at(-1), 0.2)
})

t.test('what was measured shows no drift against itself', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 600, maxLength: 900 }),
      fc.boolean(),
      (values, numeric) => {
        const bins = createBins((numeric ? ofNumbers : ofIds)(Float64Array.from(values)))
        for (const value of values) bins.add(value)
        if (bins.psi()! > 1e-6) throw new Error(`${bins.psi()}`)
      },
    ),
  )
})

t.test('every field and task has its distribution', async (t) => {
  const rows = 3
  const encoded = { rows, sparse: new Int32Array(9), dense: new Float32Array(6), sparseFields: 3, denseFields: 2 }
  const { features, tasks } = measureDistributions(testFeatures, encoded, { ctr: new Float64Array(rows) })
  t.same(
    Object.entries(features).map(([name, distribution]) => [name, 'ids' in distribution]),
    [
      ['country', true],
      ['hour', true],
      ['campaign', true],
      ['price', false],
      ['views', false],
    ],
  )
  t.same(Object.keys(tasks), ['ctr'])
})
