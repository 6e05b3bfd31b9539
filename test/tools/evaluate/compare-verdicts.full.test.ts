import t from 'tap'
import { verdictsOf } from '../../support/verdicts.ts'

/*
 * How often verdicts on simulated versions are right. At a base rate of 5 %, rows × 0.052 are positives.
 */

t.setTimeout(600_000)

/** Two versions of a model: their logits correlate by 0.98; and two different models, by 0.8. */
const alike = { shared: 0.7, a: 0.15, b: 0.15, perGroup: 1 }
const different = { shared: 0.3, a: 0.6, b: 0.6, perGroup: 1 }

for (const [title, options] of Object.entries({ alike, different }))
  for (const perGroup of [1, 5])
    t.test(`equally good versions, ${title}, ${perGroup} rows per group`, async (t) => {
      const { none } = verdictsOf({ ...options, perGroup }, { rows: 4000, draws: 200 })
      t.ok(none >= 0.95, `no difference shown: ${none}`)
    })

t.test('with five tasks, any false verdict is as rare, though some interval often excludes 0', async (t) => {
  const { none, excluded } = verdictsOf(alike, { rows: 2000, draws: 200, tasks: 5 })
  t.ok(none >= 0.93, `no difference shown: ${none}`)
  t.ok(excluded > 0.15, `an interval excludes 0: ${excluded}`)
})

t.test('0.005 of AUC is found with 2,600 positives where versions are alike', async (t) => {
  const { better } = verdictsOf({ ...alike, a: 0.3263 }, { rows: 50_000, draws: 60, replicates: 100 })
  t.ok(better >= 0.9, `better: ${better}`)
})
