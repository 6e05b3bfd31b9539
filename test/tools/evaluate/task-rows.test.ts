import t from 'tap'
import type { RowsSpec } from '../../../src/schemas/rows-spec.ts'
import { columnOf, type StringColumn } from '../../../src/tools/data/columns.ts'
import type { Dataset } from '../../../src/tools/data/dataset.ts'
import { groupRows, repeatedRows, taskRows } from '../../../src/tools/evaluate/task-rows.ts'

const none = new Int32Array()
const all = (rows: number) => Int32Array.from({ length: rows }, (_, row) => row)

function dataset(changes: Partial<Dataset>): Dataset {
  const rows = changes.labels![0]!.length
  return {
    ...{ rows, cells: [], oracles: [], groups: undefined, weights: undefined, slices: [], place: String },
    parts: { train: none, validation: none, test: all(rows) },
    ...changes,
  } as Dataset
}

const tasks = [{ name: 'ctr' }, { name: 'cvr' }, { name: 'ctcvr', product: ['ctr', 'cvr'] }]
const spec = (changes: object[] = [{}, {}]) =>
  ({
    tasks: [
      { name: 'ctr', ...changes[0] },
      { name: 'cvr', ...changes[1] },
    ],
  }) as RowsSpec
const labels = [Int8Array.of(0, 1, 0, 1, 1), Int8Array.of(-1, 1, -1, 0, -1)]

function selected(data: Dataset, given: RowsSpec, rows = all(data.rows)) {
  return taskRows({ file: 'rows.yaml', spec: given }, tasks, data, rows, groupRows(data, rows))
}

t.test('each task has the rows of its sample space, derived ones those where they are known', async (t) => {
  const oracles = [Float64Array.of(0.1, 0.9, 0.2, 0.8, 0.7), Float64Array.of(0.5, 0.8, 0.5, 0.1, 0.5)]
  const [ctr, cvr, ctcvr] = selected(dataset({ labels, oracles }), spec(), Int32Array.of(1, 2, 3, 4))
  t.match(ctr, { name: 'ctr', positives: 3, positions: Int32Array.of(0, 1, 2, 3), weights: undefined })
  t.match(cvr, { positions: Int32Array.of(0, 2), labels: Uint8Array.of(1, 0), oracle: Float64Array.of(0.8, 0.1) })
  t.match(ctcvr, { positions: Int32Array.of(0, 1, 2), labels: Uint8Array.of(1, 0, 0) })
  t.same(
    [...ctcvr!.oracle!].map((value) => value.toFixed(2)),
    ['0.72', '0.10', '0.08'],
  )
})

t.test('negatives that stand for others weigh more, for derived tasks too', async (t) => {
  const weights = Float64Array.of(1, 2, 3, 4, 5)
  const sampled = selected(dataset({ labels, weights }), spec([{ negatives_kept: 0.1 }, { negatives_kept: 0.5 }]))
  t.same([...sampled[0]!.weights!], [10, 2, 30, 4, 5])
  t.same([...sampled[1]!.weights!], [2, 8])
  t.same([...sampled[2]!.weights!], [10, 2, 30, 8], 'a click without a sale was kept by half')
})

t.test('rows of a group share a number and a bucket, a row without a group is alone', async (t) => {
  const groups = columnOf(['b', 'a', null, 'b', null]) as StringColumn
  const { groups: found, buckets, count } = groupRows({ groups }, all(5))
  t.same([...found!.of], [0, 1, 2, 0, 3])
  t.same([found!.count, count], [4, 4])
  t.same([...buckets], [...found!.of])
})

t.test('many groups fall into buckets by their names', async (t) => {
  const names = Array.from({ length: 20_000 }, (_, i) => `user ${Math.floor(i / 2)}`)
  const groups = columnOf(names) as StringColumn
  const whole = groupRows({ groups }, all(20_000))
  t.equal(whole.count, 4096)
  const part = groupRows({ groups }, all(20_000).subarray(9_000))
  t.ok(
    part.buckets.every((bucket, i) => bucket === whole.buckets[i + 9_000]),
    'the same bucket in every evaluation',
  )
  for (let i = 0; i < 20_000; i += 2) if (whole.buckets[i] !== whole.buckets[i + 1]) t.fail(names[i]!)
  t.ok(new Set(whole.buckets).size > 3500)
})

t.test('a task that the version lacks is reported', async (t) => {
  const wrong = { tasks: [{ name: 'ctr' }, { name: 'xtr' }] } as RowsSpec
  t.throws(() => selected(dataset({ labels }), wrong), {
    message: 'rows.yaml:\n  /tasks/1/name "xtr" is no task of the model: ctr, cvr, ctcvr',
  })
})

t.test('counts judged rows that were trained on', async (t) => {
  const cells = [columnOf(['a', 'b', 'a', 'c', 'a']), columnOf([1, 2, 1, 3, 1])]
  const parts = { train: Int32Array.of(0, 1), validation: none, test: Int32Array.of(2, 3, 4) }
  const repeated = dataset({ labels: [Int8Array.of(1, 0, 1, 0, 0)], cells, parts })
  t.equal(repeatedRows(repeated, parts.test), 1, 'row 2; row 4 has another label')
  t.equal(repeatedRows(repeated, parts.train), 0)
})
