import t from 'tap'
import { createBins } from '../../../src/model/serving/drift/bins.ts'
import { createEncoder } from '../../../src/model/serving/features/encoder.ts'
import { createLayout } from '../../../src/model/serving/features/layout.ts'
import { measureDistributions, ofCounts, ofNumbers } from '../../../src/tools/data/distributions.ts'
import { testFeatures } from '../../support/bundle.ts'
import { fc } from '../../support/cases.ts'
import { logFields } from '../../support/log-fields.ts'

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
  const ids = new Map([[3, 5], [7, 10], ...Array.from({ length: 20 }, (_, i): [number, number] => [100 + i, 1])])
  const { shares, ...rest } = ofCounts(ids)
  t.same(rest, { ids: [7, 3, ...Array.from({ length: 13 }, (_, i) => 100 + i)] })
  t.same(shares.at(-1), 0.2)
})

t.test('what was measured shows no drift against itself', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 600, maxLength: 900 }),
      fc.boolean(),
      (values, numeric) => {
        const counts = new Map<number, number>()
        for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
        const bins = createBins(numeric ? ofNumbers(Float64Array.from(values)) : ofCounts(counts))
        for (const value of values) bins.add(value)
        if (bins.psi()! > 1e-6) throw new Error(`${bins.psi()}`)
      },
    ),
  )
})

t.test('every field and task has its distribution', async (t) => {
  const rows = 3
  const encoded = { rows, sparse: new Int32Array(9), dense: new Float32Array(6), sparseFields: 3, denseFields: 2 }
  const { features, tasks } = measureDistributions(createLayout(testFeatures), [encoded], {
    ctr: new Float64Array(rows),
  })
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

t.test('a list has a distribution of its values and one of its length, a vector none', async (t) => {
  const layout = createLayout(logFields)
  const [sparse, dense] = [new Int32Array(6 * layout.sparse.length), new Float32Array(6 * layout.dense.length)]
  const encoder = createEncoder(logFields)
  const rows = Array.from({ length: 6 }, (_, i) => ({
    ...{ user: i, item: 'a', price: i, image: [i, i], ages: [1, 2, 3].slice(i % 4), tags: i === 0 ? ['x', 'y'] : [] },
    history: ['a', 'a', 'b'].slice(i % 4),
  }))
  const encoded = encoder.rows(undefined, rows, { maxRows: 10, partial: false, allocate: () => ({ sparse, dense }) })
  const strip = { ...encoded, sparseFields: layout.sparse.length, denseFields: layout.dense.length }
  const { features, lengths } = measureDistributions(layout, [strip], {})
  t.same(Object.keys(features), ['user', 'history', 'ages', 'item', 'tags', 'price'])
  t.same(Object.keys(lengths!), ['history', 'ages', 'tags'])
  const [a, b] = ['a', 'b'].map((value) => layout.byName.get('item')!.encoder.encode(value) as number)
  t.same(features.history, { ids: [a, b], shares: [0.545455, 0.454545, 0] }, 'of 11 values, none of padding')
  t.same(lengths!.history, { edges: [0, 1, 2, 3], shares: [0.166667, 0.166667, 0.333333, 0.333333, 0] })
  t.same(lengths!.tags, { edges: [0, 2], shares: [0.833333, 0.166667, 0] })
})
