import t, { type Test } from 'tap'
import { startLogits } from '../../../src/tools/train/start-logits.ts'

const logit = (p: number) => Math.log(p / (1 - p))
/** 1,000 rows: each 50th is a click, each fourth click a conversion. */
const click = Int8Array.from({ length: 1000 }, (_, row) => Number(row % 50 === 0))
const conversion = Int8Array.from({ length: 1000 }, (_, row) => Number(row % 200 === 0))
const ctr = { name: 'ctr', label: '', weight: 1 }
const cvr = { name: 'cvr', label: '', weight: 1 }

const close = (t: Test, found: number[], wanted: number[]) =>
  t.ok(found.length === wanted.length && found.every((value, i) => Math.abs(value - wanted[i]!) < 1e-6), `${found}`)

t.test('a task starts from its rate in its sample space', async (t) => {
  const clicked = conversion.map((label, row) => (click[row] ? label : -1))
  close(t, startLogits([ctr, cvr], { labels: [click, clicked] }), [logit(0.02), logit(0.25)])
  const weights = Float32Array.from(click, (label) => (label ? 2 : 1))
  close(t, startLogits([ctr], { labels: [click], weights }), [logit(40 / 1020)])
})

t.test('a task of the entire space starts from its rate after the tasks before it', async (t) => {
  const tasks = [ctr, { ...cvr, entire_space: ['ctr'] }]
  close(t, startLogits(tasks, { labels: [click, conversion] }), [logit(0.02), logit(0.25)])
})

t.test('rows of which negatives were dropped start from the rate of all rows', async (t) => {
  close(t, startLogits([{ ...ctr, negatives_kept: 0.1 }], { labels: [click] }), [logit(20 / (20 + 9800))])
})

t.test('one class, or no row, starts from a finite logit', async (t) => {
  const start = (label: number) => startLogits([ctr], { labels: [new Int8Array(10).fill(label)] })
  close(t, start(0), [logit(0.05)])
  close(t, start(1), [logit(0.95)])
  close(t, start(-1), [0])
})
