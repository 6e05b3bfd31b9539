import t from 'tap'
import { createResampling } from '../../../src/model/quality/bootstrap.ts'
import { perfectCalibrationError } from '../../../src/model/quality/calibration-error.ts'
import { judge } from '../../../src/model/quality/judge.ts'
import { rank } from '../../../src/model/quality/ranking.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { coverageOf, covered, shareAbovePerfect } from '../../support/coverage.ts'
import { drawSampledRows, grouped, independent, type Population, rare, weighted } from '../../support/simulated-rows.ts'

/*
 * In how many of 1,000 simulated sets of rows intervals contain the truth, and how often the range of perfect
 * predictions has theirs.
 */

t.setTimeout(600_000)

const many = { sets: 1000, replicates: 400, truth: 2_000_000 }

const populations: [string, Population, number][] = [
  ['independent rows, 5 % positive', independent, 2000],
  ['400 groups', grouped, 8000],
  ['rows of weights', weighted, 2000],
  ['0.5 % positive', rare, 20_000],
]

for (const [i, [title, population, rows]] of populations.entries()) {
  t.test(title, async (t) => {
    const shares = coverageOf(population, { ...many, rows, seed: 10_000 * (i + 1) })
    for (const name of covered) t.ok(shares[name] >= 0.92 && shares[name] <= 0.98, `${name}: ${shares[name]}`)
  })
}

t.test('intervals that ignore groups are too narrow', async (t) => {
  const shares = coverageOf(grouped, { ...many, sets: 200, rows: 8000, seed: 50_000, ignoreGroups: true })
  t.ok(shares.logloss < 0.9, `log-loss: ${shares.logloss}`)
  t.ok(shares.calibration_ratio < 0.9, `calibration ratio: ${shares.calibration_ratio}`)
})

t.test('the range of perfect predictions heeds groups, of which a few have most rows', async (t) => {
  const [heeded, ignored] = [shareAbovePerfect(400, false), shareAbovePerfect(200, true)]
  t.ok(heeded <= 0.1, `above the range: ${heeded}`)
  t.ok(ignored >= 0.15, `where groups are ignored: ${ignored}`)
})

/** How often labels drawn from predictions are as far off as those of rows whose predictions are `times` the truth. */
function shareInRange(population: Population, times: number, sets: number) {
  let inside = 0
  for (let set = 0; set < sets; set++) {
    const drawn = drawSampledRows(population, 20_000, 0.05, 100 + set)
    const predictions = drawn.truth.map((p) => Math.min(1, times * p))
    const order = rank(predictions)
    const { eceMeasured } = judge({ ...drawn, predictions }, order, createResampling(1000, 20, 1))
    const { low, high } = perfectCalibrationError({ ...drawn, predictions }, order, set)!
    if (low <= eceMeasured! && eceMeasured! <= high) inside++
  }
  return inside / sets
}

t.test('where negatives were dropped, perfect predictions are in their range, and others are not', async (t) => {
  for (const population of [independent, weighted]) {
    t.ok(shareInRange(population, 1, 60) >= 0.88)
    t.ok(shareInRange(population, 1.4, 30) <= 0.1)
  }
})

t.test('so it is for products, by the labels of their factors', async (t) => {
  const random = createRandom(6)
  const kept = 0.05
  const inRange = (times: number) => {
    const rows: { click: number; buy: number; label: number; weight: number }[] = []
    while (rows.length < 2000) {
      const [click, buy] = [0.1 * random.uniform(), 0.6 * random.uniform()]
      const clicked = random.uniform() < click
      if (!clicked && random.uniform() >= kept) continue
      const label = Number(clicked && random.uniform() < buy)
      rows.push({ click: Math.min(1, times * click), buy, label, weight: clicked ? 1 : 1 / kept })
    }
    const task = {
      labels: rows.map(({ label }) => label),
      predictions: rows.map(({ click, buy }) => click * buy),
      weights: rows.map(({ weight }) => weight),
      kept: {
        own: undefined,
        shares: [kept, 1],
        factors: [rows.map(({ click }) => click), rows.map(({ buy }) => buy)],
      },
      groups: undefined,
      buckets: Uint32Array.from(rows, (_, i) => i % 1000),
    }
    const order = rank(task.predictions)
    const { eceMeasured } = judge(task, order, createResampling(1000, 20, 1))
    t.equal(perfectCalibrationError({ ...task, kept: { ...task.kept, factors: undefined } }, order, 1), undefined)
    const { low, high } = perfectCalibrationError(task, order, 1)!
    return low <= eceMeasured! && eceMeasured! <= high
  }
  const share = (times: number, sets: number) =>
    Array.from({ length: sets }, () => inRange(times)).filter(Boolean).length / sets
  t.ok(share(1, 30) >= 0.88)
  t.ok(share(1.5, 10) <= 0.1)
})
