import t from 'tap'
import {
  compareLogits,
  type JudgedRows,
  limits,
  logitsOf,
  meanShift,
  passesClearly,
} from '../../../../src/model/graph/int8/judge.ts'
import type { VariantGraph } from '../../../../src/model/graph/sides/split-graphs.ts'
import { buildModel, distance, exampleModel, rowsOf, savedAnswers } from '../../../support/compile/random-model.ts'
import { reread } from '../../../support/compile/run-graph.ts'

function rowsWith(labels: number[][] | undefined, rows: number, tasks = ['ctr']): JudgedRows {
  return { rows, inputs: {}, tasks, labels: labels && Float32Array.from(labels.flat()) }
}

t.test('the same answers pass', async (t) => {
  const logits = Float32Array.of(-1, 0, 1, 2)
  t.same(compareLogits(logits, logits, rowsWith(undefined, 4)), {
    passed: true,
    rows: 4,
    tasks: [{ task: 'ctr', auc_loss: null, mean_change: 0, logit_p99: 0, logit_max: 0 }],
    reasons: [],
  })
})

t.test('differences by hand, each task for itself', async (t) => {
  // 200 rows: one logit in a hundred differs by more than another does.
  const reference = new Float32Array(400)
  const other = new Float32Array(400)
  for (let row = 0; row < 200; row++) other[row * 2 + 1] = row / 1000
  const { tasks, passed, reasons } = compareLogits(reference, other, rowsWith(undefined, 200, ['ctr', 'cvr']))
  t.notOk(passed)
  t.match(tasks[0], { task: 'ctr', mean_change: 0, logit_p99: 0, logit_max: 0 })
  t.equal(tasks[1]!.task, 'cvr')
  t.ok(Math.abs(tasks[1]!.logit_p99 - 0.197) < 1e-6)
  t.ok(Math.abs(tasks[1]!.logit_max - 0.199) < 1e-6)
  // The mean of 1 ÷ (1 + e^−x) for x = 0 … 0.199, against a half.
  let sum = 0
  for (let row = 0; row < 200; row++) sum += 1 / (1 + Math.exp(-row / 1000))
  t.ok(Math.abs(tasks[1]!.mean_change - (sum / 200 / 0.5 - 1)) < 1e-6)
  t.same(reasons, [
    `cvr: mean_change is ${tasks[1]!.mean_change.toPrecision(2)}, more than ${limits.mean_change}`,
    `cvr: logit_p99 is 0.20, more than ${limits.logit_p99}`,
  ])
})

t.test('the loss of AUC by hand; rows outside of a task are left out', async (t) => {
  // 600 negatives below 600 positives, each a thousandth of a logit from the next: AUC 1.
  const count = 600
  const labels: number[][] = []
  const reference: number[] = []
  for (let i = 0; i < 2 * count; i++) {
    labels.push([i < count ? 0 : 1])
    reference.push((i - count) / 1000)
  }
  // The lowest positive falls below the 60 highest negatives, and so do 60 of 360,000 pairs.
  const other = [...reference]
  other[count] = reference[count - 61]! + 0.0005
  const verdict = compareLogits(Float32Array.from(reference), Float32Array.from(other), rowsWith(labels, 2 * count))
  t.ok(Math.abs(verdict.tasks[0]!.auc_loss! - 60 / 360_000) < 1e-9)
  t.same(verdict.reasons, ['ctr: auc_loss is 0.00017, more than 0.0001'])
  // A gain is no loss.
  const gain = compareLogits(Float32Array.from(other), Float32Array.from(reference), rowsWith(labels, 2 * count))
  t.ok(gain.tasks[0]!.auc_loss! < 0)
  t.same(gain.reasons, [])

  // Without the negatives that it fell below, nothing is lost.
  const outside = labels.map(([label], i) => [i >= count - 60 && i < count ? Number.NaN : label!])
  const rest = compareLogits(Float32Array.from(reference), Float32Array.from(other), rowsWith(outside, 2 * count))
  t.equal(rest.tasks[0]!.auc_loss, 0)
})

t.test('of few pairs, of one class alone and without labels the AUC says nothing', async (t) => {
  const rows = 1000
  const logits = Float32Array.from({ length: rows }, (_, i) => i / 1000)
  const lossWith = (positives: number) => {
    const labels = Array.from({ length: rows }, (_, i) => [i < positives ? 1 : 0])
    return compareLogits(logits, logits, rowsWith(labels, rows)).tasks[0]!.auc_loss
  }
  t.equal(lossWith(499), null, '249,999 pairs')
  t.equal(lossWith(500), 0, '250,000 pairs')
  t.equal(lossWith(0), null)
  t.equal(lossWith(rows), null)
  const none = Array.from({ length: rows }, () => [Number.NaN])
  t.equal(compareLogits(logits, logits, rowsWith(none, rows)).tasks[0]!.auc_loss, null)
})

t.test('what can not be compared does not pass', async (t) => {
  const none = compareLogits(new Float32Array(), new Float32Array(), rowsWith(undefined, 0))
  t.match(none, { passed: false, reasons: ['there are no rows to judge it on'] })
  const nan = compareLogits(Float32Array.of(0, 1), Float32Array.of(Number.NaN, 1), rowsWith(undefined, 2))
  t.notOk(nan.passed)
  t.equal(nan.reasons[0], 'ctr: mean_change is not a number')
})

t.test('a shift brings the mean probability back', async (t) => {
  const reference = Float32Array.of(-2, 1, 0.5, -1, 3, 0.25)
  const other = reference.map((value, i) => value + [0.3, -0.125][i % 2]! + 0.01 * Math.sin(7 * i))
  const shift = meanShift(reference, other, 2)
  const rows = { rows: 3, inputs: {}, labels: undefined, tasks: ['a', 'b'] }
  const shifted = other.map((value, i) => value + shift[i % 2]!)
  for (const { mean_change } of compareLogits(reference, shifted, rows).tasks) t.ok(mean_change < 1e-6)
  for (const none of meanShift(reference, reference, 2)) t.ok(Math.abs(none) < 1e-6)
})

t.test('clearly passes what leaves a margin, the more where no loss of AUC can be measured', async (t) => {
  const verdict = (auc_loss: number | null, mean_change: number, logit_p99: number, passed = true) => ({
    passed,
    rows: 1,
    tasks: [{ task: 'a', auc_loss, mean_change, logit_p99, logit_max: 1 }],
    reasons: [],
  })
  t.equal(passesClearly(verdict(0, 0.001, 0.03)), true)
  t.equal(passesClearly(verdict(null, 0.001, 0.03)), false)
  t.equal(passesClearly(verdict(null, 0.001, 0.02)), true)
  t.equal(passesClearly(verdict(0, 0.0018, 0.03)), false)
  t.equal(passesClearly(verdict(0, 0.001, 0.045)), false)
  t.equal(passesClearly(verdict(0, 0, 0, false)), false)
})

t.test('logits are what a sigmoid reads, and else come from the probabilities', async (t) => {
  const graph = buildModel(exampleModel)
  const batch = rowsOf(exampleModel, 300, 3)
  const probabilities = await savedAnswers(graph, batch)
  const plan = (graph: VariantGraph['graph']): VariantGraph => ({
    graph,
    context: [],
    rows: graph.inputs.map(({ name }) => ({ name, input: name, columns: [0, 1, 2] })),
    replaced: new Map(),
  })
  const whole = plan(reread(graph))
  const logits = await logitsOf(whole, batch)
  t.ok(
    distance(
      logits.map((value) => 1 / (1 + Math.exp(-value))),
      probabilities,
    ) < 1e-6,
  )
  const hidden = reread(graph)
  const last = hidden.producer('probabilities')!
  last.output = ['before']
  last.name = 'before'
  hidden.touch()
  hidden.node('Identity', ['before'], { outputs: ['probabilities'] })
  t.ok(distance(await logitsOf(plan(hidden), batch), logits) < 1e-4)
  const judged = { ...batch, labels: undefined, tasks: ['a', 'b'] }
  t.match(compareLogits(await logitsOf(whole, judged), await logitsOf(plan(hidden), judged), judged), {
    passed: true,
    rows: 300,
  })
})
