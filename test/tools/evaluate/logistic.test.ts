import t from 'tap'
import { sigmoid } from '../../../src/model/serving/calibration/calibrator.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import type { LinearRows } from '../../../src/tools/evaluate/linear-rows.ts'
import { fitLogistic, minimise } from '../../../src/tools/evaluate/logistic.ts'

/** Two ids and a number per row; labels by known weights. */
function createRows(count: number): { linear: LinearRows; labels: Uint8Array; truth: Float64Array } {
  const random = createRandom(1)
  const ids = Array.from({ length: 60 }, () => random.normal())
  const places = new Uint32Array(3 * count)
  const values = new Float32Array(3 * count).fill(1)
  const truth = new Float64Array(count)
  for (let row = 0; row < count; row++) {
    const [a, b, number] = [random.integer(30), 30 + random.integer(30), random.normal()]
    places.set([a, b, 60], 3 * row)
    values[3 * row + 2] = number
    truth[row] = sigmoid(ids[a]! + ids[b]! - 0.5 * number - 2.5)
  }
  return {
    linear: { weights: 62, places, values, fields: 3, crossed: new Uint32Array(), crosses: 0 },
    labels: Uint8Array.from(truth, (p) => Number(random.uniform() < p)),
    truth,
  }
}

const { linear, labels, truth } = createRows(40_000)
const all = Int32Array.from(labels, (_, row) => row)

t.test('finds the weights that labels were drawn by', async (t) => {
  const predict = await fitLogistic(linear, all, labels, undefined)
  const off = all.reduce((sum, row) => sum + Math.abs(predict(row) - truth[row]!), 0) / all.length
  t.ok(off < 0.01, `mean distance from the true probability ${off}`)
})

t.test('the mean prediction is the rate, whatever the order of the rows', async (t) => {
  const rarestLast = Int32Array.from(all).sort((a, b) => labels[a]! - labels[b]!)
  const positives = labels.reduce((sum, label) => sum + label, 0)
  const [one, other] = await Promise.all(
    [all, rarestLast].map((positions) =>
      fitLogistic(
        linear,
        positions,
        Uint8Array.from(positions, (row) => labels[row]!),
        undefined,
      ),
    ),
  )
  const ratio = all.reduce((sum, row) => sum + other!(row), 0) / positives
  t.ok(Math.abs(ratio - 1) < 0.002, `calibration ratio ${ratio}`)
  for (const row of [0, 1, 2, 3]) t.ok(Math.abs(one!(row) - other!(row)) < 1e-6)
})

t.test('a row of weight 3 counts about as three rows', async (t) => {
  const few = all.subarray(0, 600)
  const weights = Float64Array.from(few, (row) => (row % 2 ? 3 : 1))
  const thrice = Array.from(few).flatMap((row) => (row % 2 ? [row, row, row] : [row]))
  const one = await fitLogistic(linear, few, labels.subarray(0, 600), weights)
  const other = await fitLogistic(
    linear,
    thrice,
    Uint8Array.from(thrice, (row) => labels[row]!),
    undefined,
  )
  // The mean weight is 1, so the ridge counts twice as much.
  for (const row of [0, 1, 2]) t.ok(Math.abs(one(row) - other(row)) < 0.05)
})

t.test('minimises a convex function of very different curvatures', async (t) => {
  const at = new Float64Array(5)
  const loss = {
    at: (x: Float64Array) => x.reduce((sum, value, i) => sum + 10 ** i * (Math.sqrt(1 + (value - i) ** 2) - 1), 1),
    gradient: (x: Float64Array) => x.map((value, i) => (10 ** i * (value - i)) / Math.sqrt(1 + (value - i) ** 2)),
  }
  await minimise(
    loss,
    at,
    Float64Array.from({ length: 5 }, (_, i) => 10 ** i),
  )
  for (const [i, value] of at.entries()) t.ok(Math.abs(value - i) < 0.05, `${value} is ${i}`)
})

t.test('pauses after each pass, which changes no answer, and ends with what a pause throws', async (t) => {
  const passes: number[] = []
  const [plain, paused] = [
    await fitLogistic(linear, all, labels, undefined),
    await fitLogistic(linear, all, labels, undefined, async (done) => {
      passes.push(done)
    }),
  ]
  t.ok(passes.length > 3)
  t.same(
    passes,
    passes.map((_, i) => i + 1),
  )
  t.ok(all.every((row) => plain(row) === paused(row)))
  const stopped = new Error('stopped')
  await t.rejects(
    fitLogistic(linear, all, labels, undefined, async (done) => {
      if (done === 2) throw stopped
    }),
    stopped,
  )
})
