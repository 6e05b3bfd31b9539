import { PassThrough } from 'node:stream'
import t from 'tap'
import { createProgress } from '../../../src/tools/train/run-train.ts'

const step = { epoch: 1, epochs: 3, secondsLeft: 41.2, rows: 50, totalRows: 100, loss: 0.5, rowsPerSecond: 12_345.6 }
const epoch = {
  epoch: 1,
  epochs: 3,
  loss: 0.5,
  validationLoss: 0.25,
  validationAuc: [0.75, null],
  selection: { metric: 'ctr.auc', value: 0.75 },
  rowsPerSecond: 12_345.6,
  best: true,
}
const line =
  'epoch 1/3: loss 0.50000, validation loss 0.25000, validation AUC ctr 0.7500, cvr –, ctr.auc 0.75000, 12,346 rows/s, best so far\n'

t.test('one line an epoch where there is no terminal', async (t) => {
  const written: string[] = []
  const progress = createProgress({ write: (text) => written.push(text) }, ['ctr', 'cvr'])
  progress.step(step)
  progress.epoch(epoch)
  progress.epoch({ ...epoch, best: false })
  progress.stop()
  t.same(written, [line, line.replace(', best so far', '')])
})

t.test('a bar on a terminal', async (t) => {
  const stream = Object.assign(new PassThrough(), {
    isTTY: true,
    columns: 120,
    cursorTo() {},
    clearLine() {},
    moveCursor() {},
  })
  const progress = createProgress(stream, ['ctr', 'cvr'])
  progress.step(step)
  progress.step({ ...step, rows: 60, secondsLeft: 130 })
  progress.step({ ...step, rows: 70, secondsLeft: 6100 })
  progress.stop()
  progress.step(step)
  progress.epoch(epoch)
  progress.stop()
  const text = String(stream.read())
  t.match(text, /epoch 1\/3 .*50 % {2}12,346 rows\/s {2}at most 42 s left {2}loss 0\.50000/)
  t.ok(text.endsWith(line))
})
