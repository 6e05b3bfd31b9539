import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { referenceModels } from '../../../loadtest/competitors/models.ts'
import { type Candidates, createQueries, type Query } from '../../../loadtest/competitors/queries.ts'
import { meanRows, scenarios } from '../../../loadtest/competitors/scenarios.ts'

const model = referenceModels.prod

function draw(candidates: Candidates, seed = 1, count = 100, rows = 20): Query[] {
  const next = createQueries(model, candidates, seed)
  return Array.from({ length: count }, () => next(rows))
}

/** The data that a server may keep of a candidate: its side's columns of each row. */
const candidatesOf = ({ rows, sparse, dense }: Query) =>
  Array.from({ length: rows }, (_, row) =>
    [
      ...sparse.subarray(row * model.sparse.fields + model.sparse.context, (row + 1) * model.sparse.fields),
      ...dense.subarray(row * model.dense.fields + model.dense.context, (row + 1) * model.dense.fields),
    ].join(),
  )

const contextsOf = ({ rows, sparse, dense }: Query) =>
  Array.from({ length: rows }, (_, row) =>
    [
      ...sparse.subarray(row * model.sparse.fields, row * model.sparse.fields + model.sparse.context),
      ...dense.subarray(row * model.dense.fields, row * model.dense.fields + model.dense.context),
    ].join(),
  )

t.test('new candidates never come again', async (t) => {
  const all = draw('new').flatMap(candidatesOf)
  t.equal(all.length, 2000)
  t.equal(new Set(all).size, 2000)
})

t.test('candidates seen before come again and again, but not twice in a query', async (t) => {
  const queries = draw('seen')
  const all = queries.flatMap(candidatesOf)
  t.ok(new Set(all).size < 1000, 'half of them at least are repeats')
  for (const query of queries) if (new Set(candidatesOf(query)).size !== query.rows) t.fail('twice in a query')
})

t.test('a query has one user, and every query another one', async (t) => {
  for (const candidates of ['new', 'seen'] as const) {
    const contexts = draw(candidates).map((query) => {
      const [first, ...others] = contextsOf(query)
      t.ok(others.every((context) => context === first))
      return first
    })
    t.equal(new Set(contexts).size, contexts.length)
  }
})

t.test('ids lie in the range of their own field', async (t) => {
  for (const { sparse } of draw('new'))
    for (const [i, id] of sparse.entries())
      if (Math.floor(id / model.sparse.ids) !== i % model.sparse.fields) t.fail(`${id} in field ${i}`)
})

t.test(
  'a history is the same list of items in each row, without padding, of which candidates are others',
  async (t) => {
    const { din } = referenceModels
    const { fields, context, ids, history } = din.sparse
    const { rows, sparse } = createQueries(din, 'new', 1)(200)
    const historyOf = (row: number) => sparse.subarray(row * fields + context - history, row * fields + context)
    const first = historyOf(0)
    t.equal(first.length, 50)
    t.ok(new Set(first).size > 40)
    t.ok(first.every((id) => id > ids && id < 2 * ids))
    for (let row = 1; row < rows; row++) if (historyOf(row).join() !== first.join()) t.fail(`row ${row} has another`)
    const items = Array.from({ length: rows }, (_, row) => sparse[row * fields + context]!)
    t.ok(new Set(items).size > 190)
    t.ok(items.every((id) => id >= ids && id < 2 * ids))
  },
)

t.test('the same seed draws the same queries', async (t) => {
  t.same(draw('seen', 5, 3), draw('seen', 5, 3))
  t.notOk(isDeepStrictEqual(draw('seen', 5, 3), draw('seen', 6, 3)))
})

t.test('S4 has the users of DLRM-v2, a tenth of their rows', async (t) => {
  const { rows } = scenarios.find(({ name }) => name === 'S4')!
  const times = (count: number) => rows.filter((row) => row === count).length
  t.same([10, 20, 30, 40, 50, 60, 70].map(times), [2, 12, 2, 1, 1, 1, 1])
  t.same(scenarios.map(meanRows), [1, 1, 100, 27, 200])
})
