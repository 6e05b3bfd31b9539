import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { createLayout } from '../../../../src/model/serving/features/layout.ts'
import type { Field } from '../../../../src/schemas/features.ts'
import { unknownIdsOf } from '../../../../src/tools/train/fields.ts'
import { stepBounds } from '../../../../src/tools/train/fit.ts'
import type { TermLabels } from '../../../../src/tools/train/terms.ts'
import { createGather, partOf } from '../../../../src/tools/train/threads/gather.ts'

const rows = 2000
const labels = Int8Array.from({ length: rows }, (_, row) => [1, 0, -1][row % 3]!)
const examples = {
  rows,
  sparse: Int32Array.from({ length: rows * 2 }, (_, i) => (i % 2 === 0 ? 3 : 9)),
  dense: Float32Array.from({ length: rows }, (_, row) => row),
  sparseFields: 2,
  denseFields: 1,
  terms: [{ labels, weights: undefined }] as TermLabels[],
}
const order = Int32Array.from({ length: rows }, (_, row) => row)
const none = { share: 0, ids: new Int32Array(2) }
const whole = { thread: 0, threads: 1, termWeights: [1], seed: 1, unknown: none, order, largest: rows, examples }
const all = { start: 0, end: rows }

t.test('a share of the values becomes unknown, drawn again in each epoch; the rows stay the same', async (t) => {
  const gather = createGather({ ...whole, unknown: { share: 0.1, ids: Int32Array.of(0, -1) } })
  const masked = (epoch: number) => Int32Array.from(gather(all, epoch).sparse)
  const first = masked(1)
  const count = first.filter((id) => id === 0).length
  t.ok(count > 150 && count < 250, `${count} of ${rows}`)
  t.notOk(isDeepStrictEqual(first, masked(2)))
  t.same(first, masked(1), 'an epoch draws the same again')
  t.ok(first.every((id, i) => (i % 2 === 0 ? id === 0 || id === 3 : id === 9)))
  t.ok(examples.sparse.every((id) => id === 3 || id === 9))
  t.ok(
    createGather(whole)(all, 1).sparse.every((id) => id > 0),
    'none without it',
  )
})

t.test('threads take parts of a step, which together are the step', async (t) => {
  const step = { start: 5, end: 12 }
  const parts = [0, 1, 2].map((thread) => partOf(step, thread, 3))
  t.same(parts, [
    { start: 5, end: 7 },
    { start: 7, end: 9 },
    { start: 9, end: 12 },
  ])
  const gathered = [0, 1, 2].flatMap((thread) => {
    const { dense, coefficients } = createGather({ ...whole, thread, threads: 3, largest: 3 })(step, 1)
    return [...dense].map((row, i) => [row, coefficients[i]])
  })
  const alone = createGather(whole)(step, 1)
  t.same(
    gathered,
    [...alone.dense].map((row, i) => [row, alone.coefficients[i]]),
  )
})

t.test('gathers rows in the order asked for, weights spread over the sample space', async (t) => {
  const terms = [
    { labels: Int8Array.of(1, 0, 1, 0), weights: undefined },
    { labels: Int8Array.of(1, -1, 0, -1), weights: undefined },
  ]
  const four = {
    ...{ rows: 4, sparse: Int32Array.of(0, 3, 1, 4, 2, 3, 0, 4), dense: Float32Array.of(0.5, -1, 2, 0) },
    ...{ sparseFields: 2, denseFields: 1, terms },
  }
  const gather = createGather({ ...whole, examples: four, termWeights: [2, 0.5], order: Int32Array.of(3, 2, 1, 0) })
  const { rows, sparse, dense, labels, coefficients } = gather({ start: 1, end: 4 }, 1)
  t.equal(rows, 3)
  t.same([...sparse], [2, 3, 1, 4, 0, 3])
  t.same([...dense], [2, -1, 0.5])
  t.same([...labels], [1, 0, 0, 0, 1, 1])
  t.same([...coefficients], [2 / 3, 0.25, 2 / 3, 0, 2 / 3, 0.25].map(Math.fround))
  const setup = { ...whole, examples: four, termWeights: [2, 0.5], order: Int32Array.of(3, 2, 1, 0), rowMean: true }
  const mean = createGather(setup)({ start: 1, end: 4 }, 1).coefficients
  t.same([...mean], [2 / 3, 0.5 / 3, 2 / 3, 0, 2 / 3, 0.5 / 3].map(Math.fround), 'one mean over all rows')
})

t.test('weights of rows weight the loss', async (t) => {
  const weighted = (weights: Float32Array) =>
    createGather({ ...whole, termWeights: [2], examples: { ...examples, terms: [{ labels, weights }] } })(
      { start: 0, end: 3 },
      1,
    ).coefficients
  t.same([...weighted(Float32Array.from({ length: rows }, (_, row) => (row === 0 ? 3 : 1)))], [1.5, 0.5, 0])
  t.same([...weighted(new Float32Array(rows))], [0, 0, 0], 'rows without weight')
})

t.test('the ids of unknown values, where a field has them', async (t) => {
  const common = { side: 'candidate', missing: 'error' } as const
  const fields: Field[] = [
    { ...common, name: 'a', kind: 'vocabulary', values: ['x', 'y'], out_of_vocabulary: 'bucket' },
    { ...common, name: 'n', kind: 'numeric', scaling: { method: 'none' } },
    { ...common, name: 'h', kind: 'hash', buckets: 7, seed: 0 },
    { ...common, name: 'e', kind: 'integer', size: 4, out_of_vocabulary: 'error' },
    { ...common, name: 'i', kind: 'integer', size: 4, out_of_vocabulary: 'bucket' },
  ]
  t.same([...unknownIdsOf(createLayout(fields))], [0, -1, -1, 14])
  t.same([...unknownIdsOf(createLayout(fields, { ownIds: true }))], [0, -1, -1, 0], 'a table per field')
})

t.test('steps never end in fewer rows than batch normalisation needs', async (t) => {
  t.same(stepBounds(5, 2), [
    { start: 0, end: 2 },
    { start: 2, end: 5 },
  ])
  t.same(stepBounds(4, 2), [
    { start: 0, end: 2 },
    { start: 2, end: 4 },
  ])
  t.same(stepBounds(3, 8), [{ start: 0, end: 3 }])
  t.same(stepBounds(1, 8), [{ start: 0, end: 1 }])
  t.same(stepBounds(11, 4, 4), [
    { start: 0, end: 4 },
    { start: 4, end: 11 },
  ])
})
