import t from 'tap'
import { coverageOf, covered, shareAbovePerfect } from '../../support/coverage.ts'
import { grouped, independent, type Population, rare, weighted } from '../../support/simulated-rows.ts'

/*
 * In how many of 1,000 simulated sets of rows intervals contain the truth.
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
