import t from 'tap'
import { splitSelection } from '../../../src/tools/data/read-spec.ts'
import { createKeeper } from '../../../src/tools/train/keep-best.ts'
import { createSelection, validate } from '../../../src/tools/train/selection.ts'

const tasks = [{ weight: 1 }, { weight: 10 }]
const logit = (p: number) => Math.log(p / (1 - p))

t.test('by default each task counts as much as it has rows of its rarer class', async (t) => {
  // ctr: 6 rows, 3 of them positive; cvr: 3 clicks, of which one converts.
  const labels = [Int8Array.of(1, 1, 1, 0, 0, 0), Int8Array.of(1, 0, 0, -1, -1, -1)]
  const at = (ctr: number, cvr: number[]) =>
    validate(
      { labels },
      tasks,
      [0, 1, 2, 3, 4, 5].flatMap((i) => [logit(i < 3 ? ctr : 1 - ctr), logit(cvr[i] ?? 0.5)]),
    )
  const { value, higherIsBetter, metric } = createSelection(undefined, ['ctr', 'cvr'])
  t.same([metric, higherIsBetter], ['mean normalised entropy', false])
  const base = at(0.5, [1 / 3, 1 / 3, 1 / 3])
  t.ok(Math.abs(value(base) - 1) < 1e-9, 'a constant has 1')
  const { normalised_entropy: entropies, rarer } = at(0.8, [0.2, 0.5, 0.5])
  t.same(rarer, [3, 1])
  const mean = (3 * entropies[0]! + entropies[1]!) / 4
  t.ok(Math.abs(value(at(0.8, [0.2, 0.5, 0.5])) - mean) < 1e-9)
  t.ok(mean < 1 && entropies[1]! > 1, 'ctr has learnt, cvr has not')
})

t.test('an epoch that chance may explain costs a third of one that is surely worse', async (t) => {
  const count = 400
  const labels = [Int8Array.from({ length: count }, (_, i) => i % 2)]
  const at = (p: (row: number) => number) =>
    validate(
      { labels },
      [{ weight: 1 }],
      Array.from({ length: count }, (_, i) => logit(i % 2 ? p(i) : 1 - p(i))),
    )
  const keeper = createKeeper(createSelection(undefined, ['ctr']), undefined, undefined)
  t.ok(
    keeper.consider(
      1,
      at(() => 0.7),
    ),
  )
  // Right here, wrong there: a little worse in the mean.
  const undecided = at((row) => (row % 4 < 2 ? 0.86 : 0.55))
  t.notOk(keeper.consider(2, undecided))
  t.match(keeper.best, { epoch: 1, waited: 1 / 3 })
  t.notOk(
    keeper.consider(
      3,
      at(() => 0.65),
    ),
  )
  t.match(keeper.best, { epoch: 1, waited: 1 + 1 / 3 })
  t.ok(
    keeper.consider(
      4,
      at(() => 0.71),
    ),
  )
  t.match(keeper.best, { epoch: 4, waited: 0 })
  const byAuc = createKeeper(createSelection('ctr.auc', ['ctr']), undefined, undefined)
  byAuc.consider(
    1,
    at(() => 0.7),
  )
  t.notOk(byAuc.consider(2, undecided), 'a tie')
  t.equal(byAuc.best.waited, 1, 'other metrics are compared by their sign')
})

t.test('a metric of one task', async (t) => {
  const labels = [Int8Array.of(1, 0), Int8Array.of(1, -1)]
  const validation = validate({ labels }, tasks, [1, 1, -1, 1])
  t.match(createSelection('ctr.auc', ['ctr', 'cvr']), { metric: 'ctr.auc', higherIsBetter: true })
  t.equal(createSelection('ctr.auc', ['ctr', 'cvr']).value(validation), 1)
  t.equal(createSelection('cvr.logloss', ['ctr', 'cvr']).value(validation), Math.log1p(Math.exp(-1)))
  t.ok(Number.isNaN(createSelection('cvr.auc', ['ctr', 'cvr']).value(validation)), 'one class alone')
  t.same(splitSelection('a.b.auc'), { task: 'a.b', metric: 'auc' })
})

t.test('where no task has both classes the loss decides', async (t) => {
  const validation = validate({ labels: [Int8Array.of(1, 1)] }, [{ weight: 1 }], [0, 0])
  t.equal(createSelection(undefined, ['ctr']).value(validation), Math.log(2))
  t.equal(validate({ labels: [Int8Array.of(1)] }, [{ weight: 1 }], [Number.NaN]).loss, Number.POSITIVE_INFINITY)
})

t.test('weights of rows and of negatives that stand for several count', async (t) => {
  const labels = [Int8Array.of(1, 0, 0, -1)]
  const logits = [1, -1, 0, 5]
  const loss = [1, 1].map((z) => Math.log1p(Math.exp(-z))).concat(Math.log(2)) as [number, number, number]
  const weighted = validate({ labels, weights: Float32Array.of(3, 1, 1, 9) }, [{ weight: 1 }], logits)
  t.ok(Math.abs(weighted.logloss[0]! - (3 * loss[0] + loss[1] + loss[2]) / 5) < 1e-6)
  const kept = validate({ labels }, [{ weight: 1, negatives_kept: 0.25 }], logits)
  const mean = (loss[0] + 4 * loss[1] + 4 * loss[2]) / 9
  t.ok(Math.abs(kept.logloss[0]! - mean) < 1e-6)
  const base = -(Math.log(1 / 9) / 9 + (8 / 9) * Math.log(8 / 9))
  t.ok(Math.abs(kept.normalised_entropy[0]! - mean / base) < 1e-6)
})
