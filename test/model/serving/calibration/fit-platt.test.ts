import t from 'tap'
import { fitPlatt } from '../../../../src/model/serving/calibration/fit-calibration.ts'
import { createRandom } from '../../../../src/tools/data/random.ts'

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z))

t.test('finds the scale and shift that were put in', async (t) => {
  const random = createRandom(1)
  const logits = Array.from({ length: 40_000 }, () => 2 * random.normal())
  const labels = logits.map((z) => Number(random.uniform() < sigmoid(0.5 * z - 1)))
  const { a, b } = fitPlatt(labels, logits)!
  t.ok(Math.abs(a - 0.5) < 0.03, `a ${a}`)
  t.ok(Math.abs(b + 1) < 0.05, `b ${b}`)
})

t.test('makes the mean prediction the (smoothed) rate', async (t) => {
  const logits = [-3, -1, 0, 1, 2, 4]
  const labels = [0, 0, 1, 0, 1, 1]
  const { a, b } = fitPlatt(labels, logits)!
  const mean = logits.reduce((sum, z) => sum + sigmoid(a * z + b), 0) / 6
  t.ok(Math.abs(mean - (3 * (4 / 5) + 3 * (1 / 5)) / 6) < 1e-4, `mean ${mean}`)
})

t.test('stays finite where there is nothing to fit', async (t) => {
  t.same(fitPlatt([1, 1], [0, 1]), { method: 'platt', a: 1, b: 0 }, 'one class')
  t.same(fitPlatt([], []), { method: 'platt', a: 1, b: 0 })
  for (const logits of [
    [-9, 9],
    [1, 1],
    [-1e6, 1e6],
    [1e9, -1e9],
  ]) {
    const { a, b } = fitPlatt([0, 1], logits)!
    t.ok(Number.isFinite(a) && Number.isFinite(b), `${logits} gives ${a}, ${b}`)
  }
})

t.test('nothing is fitted that would reverse the ranking', async (t) => {
  t.equal(fitPlatt([1, 1, 0, 1, 0, 0], [-3, -1, 0, 1, 2, 4]), undefined)
  t.equal(fitPlatt([0, 1], [2, -2]), undefined)
})
