import t from 'tap'
import { splitSelection } from '../../../src/tools/data/read-spec.ts'
import { createSelection, validate } from '../../../src/tools/train/selection.ts'

const tasks = [{ weight: 1 }, { weight: 10 }]
const logit = (p: number) => Math.log(p / (1 - p))

t.test('by default each task counts alike, whatever its loss and its weight', async (t) => {
  // ctr: 4 rows, half of them positive; cvr: the 2 clicks.
  const labels = [Int8Array.of(1, 1, 0, 0), Int8Array.of(1, 0, -1, -1)]
  const at = (ctr: number[], cvr: number[]) =>
    validate(
      { labels },
      tasks,
      ctr.flatMap((p, i) => [logit(p), logit(cvr[i]!)]),
    )
  const { value, higherIsBetter, metric } = createSelection(undefined, ['ctr', 'cvr'])
  t.same([metric, higherIsBetter], ['mean normalised entropy', false])
  const base = at([0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5])
  t.ok(Math.abs(value(base) - 1) < 1e-9, 'a constant has 1')
  // ctr is learnt, cvr a little overfitted: its weight makes the loss rise all the same.
  const learnt = at([0.9, 0.9, 0.1, 0.1], [0.4, 0.6, 0.5, 0.5])
  t.ok(learnt.loss > base.loss)
  t.ok(value(learnt) < value(base))
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
