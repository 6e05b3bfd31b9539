import t from 'tap'
import { createQueries, forms, toBody } from '../../loadtest/bodies.ts'
import { createEncoder } from '../../src/model/serving/features/encoder.ts'
import { testFeatures } from '../support/bundle.ts'

const encoder = createEncoder(testFeatures)
const limits = { maxRows: 1000, partial: false }

t.test('the three forms of a query encode to the same tensors', async (t) => {
  const draw = createQueries(testFeatures, 1)
  for (const rows of [1, 100]) {
    const query = draw(rows)
    const [byRow, byColumn, tensors] = forms.map((form) => JSON.parse(toBody(query, form, encoder, { model: 'ads' })))
    const expected = encoder.rows(byRow.context, byRow.candidates, limits)
    t.equal(expected.rows, rows)
    const columns = encoder.columns(byColumn.context, byColumn.candidates, limits)
    t.equal(columns.sparse.join(), expected.sparse.join())
    t.equal(columns.dense.join(), expected.dense.join())
    const encoded = encoder.tensors(tensors.sparse, tensors.dense, limits)
    t.equal(encoded.sparse.join(), expected.sparse.join())
    t.ok(encoded.dense.every((value, i) => Math.abs(value - expected.dense[i]!) <= 1e-7 * Math.max(1, Math.abs(value))))
    t.equal(byRow.model, 'ads')
  }
})

t.test('multigate computes the columns of crossed fields; a graph alone needs them', async (t) => {
  const crossed = [{ name: 'country_hour', of: ['country', 'hour'], buckets: 64, seed: 1 }]
  const crossing = createEncoder(testFeatures, { crossed })
  const query = createQueries(testFeatures, 1)(3)
  const expected = crossing.rows(query.context, query.candidates, limits)
  const sparseOf = (form: 'tensors' | 'graph') =>
    (JSON.parse(toBody(query, form, crossing, {})) as { sparse: number[][] }).sparse
  t.same(sparseOf('graph').flat(), [...expected.sparse])
  t.same(
    sparseOf('tensors'),
    sparseOf('graph').map((row) => row.slice(0, -1)),
  )
})

t.test('queries are seeded, all different, and an ad is the same wherever it appears', async (t) => {
  const bodies = (seed: number) => {
    const draw = createQueries(testFeatures, seed)
    return Array.from({ length: 200 }, () => draw(20))
  }
  const queries = bodies(1)
  t.equal(JSON.stringify(queries), JSON.stringify(bodies(1)))
  t.not(JSON.stringify(queries), JSON.stringify(bodies(2)))
  t.equal(new Set(queries.map((query) => JSON.stringify(query))).size, 200)
  const campaigns = new Map<string, unknown>()
  let seen = 0
  for (const { candidates } of queries) {
    if (new Set(candidates.map(({ id }) => id)).size !== 20) t.fail('an ad twice in a query')
    for (const { id, campaign } of candidates) {
      if (campaigns.has(id)) seen++
      if ((campaigns.get(id) ?? campaign) !== campaign) t.fail(`${id} changed`)
      campaigns.set(id, campaign)
    }
  }
  t.ok(seen > 1000, 'popular ads come again and again')
})

t.test('new candidates never come again', async (t) => {
  const draw = createQueries(testFeatures, 1, 'new')
  const drawn = Array.from({ length: 20 }, () => draw(20)).flatMap(({ candidates }) => candidates)
  t.equal(new Set(drawn.map(({ id: _, ...values }) => JSON.stringify(values))).size, 400)
})
