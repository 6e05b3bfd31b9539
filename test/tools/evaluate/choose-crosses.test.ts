import t from 'tap'
import { sigmoid } from '../../../src/model/serving/calibration/calibrator.ts'
import { StringColumn } from '../../../src/tools/data/columns.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { chooseCrosses } from '../../../src/tools/evaluate/choose-crosses.ts'
import { encodeLinear, withCrosses } from '../../../src/tools/evaluate/linear-rows.ts'
import { fitLogistic } from '../../../src/tools/evaluate/logistic.ts'
import type { PredictorField } from '../../../src/tools/evaluate/predictor.ts'

const count = 20_000
const sizes = { user: 8, page: 6, ad: 10, shop: 5 }
const fields = Object.entries(sizes).map(([name, ids], i): PredictorField => {
  return { name, side: i < 2 ? 'context' : 'candidate', kind: 'vocabulary', ids }
})

/** Rows of independent values; a label depends on the combination of user and shop, where `strength` is above 0. */
function createRows(strength: number, seed = 1) {
  const random = createRandom(seed)
  const cells = fields.map(() => new StringColumn())
  const taste = Array.from({ length: sizes.user * sizes.shop }, () => strength * random.normal())
  const truth = Float64Array.from({ length: count }, () => {
    const [user, page, ad, shop] = Object.values(sizes).map((size) => random.integer(size)) as [
      number,
      number,
      number,
      number,
    ]
    for (const [i, value] of [user, page, ad, shop].entries()) cells[i]!.push(`${value}`)
    return sigmoid(taste[user * sizes.shop + shop]! + 0.3 * ad - 2)
  })
  const labels = Uint8Array.from(truth, (p) => Number(random.uniform() < p))
  const rows = Int32Array.from({ length: count }, (_, row) => row)
  return { linear: encodeLinear(fields, cells, rows), labels, truth, rows }
}

t.test('finds the pair that labels depend on', async (t) => {
  const { linear, labels, rows } = createRows(1)
  const [first] = await chooseCrosses(linear, fields, rows, labels, undefined)
  t.same(first, [0, 3])
})

t.test('takes few pairs where none helps', async (t) => {
  let taken = 0
  for (let seed = 1; seed <= 10; seed++) {
    const { linear, labels, rows } = createRows(0, seed)
    taken += (await chooseCrosses(linear, fields, rows, labels, undefined)).length
  }
  t.ok(taken <= 4, `${taken} of 40`)
})

t.test('a weight for each combination, which the fit finds', async (t) => {
  const { linear, labels, truth, rows } = createRows(1)
  const off = (predict: (row: number) => number) =>
    rows.reduce((sum, row) => sum + Math.abs(predict(row) - truth[row]!), 0) / count
  const crossed = withCrosses(linear, [[0, 3]])
  t.equal(crossed.weights, linear.weights + sizes.user * sizes.shop)
  const before = off(await fitLogistic(linear, rows, labels, undefined))
  const after = off(await fitLogistic(crossed, rows, labels, undefined))
  t.ok(after < 0.02 && before > 0.1, `${after}, without it ${before}`)
})
