import t from 'tap'
import { createRandom } from '../../src/data/random.ts'
import { createGather, type Examples } from '../../src/train/batches.ts'
import { unknownIdsOf } from '../../src/train/fields.ts'

const rows = 2000
const examples: Examples = {
  encoded: {
    rows,
    sparse: Int32Array.from({ length: rows * 2 }, (_, i) => (i % 2 === 0 ? 3 : 9)),
    dense: new Float32Array(rows),
    sparseFields: 2,
    denseFields: 1,
  },
  labels: [Int8Array.from({ length: rows }, (_, row) => [1, 0, -1][row % 3]!)],
}
const order = Int32Array.from({ length: rows }, (_, row) => row)

t.test('a share of the values becomes unknown, drawn again in each step; the rows stay as they are', async (t) => {
  const masking = { share: 0.1, unknown: Int32Array.of(0, -1), random: createRandom(1) }
  const gather = createGather(examples, [{ weight: 1 }], rows, masking)
  const masked = () => [...gather(order, 0, rows).sparse].filter((id) => id === 0).length
  const first = masked()
  t.ok(first > 150 && first < 250, `${first} of ${rows}`)
  t.not(first, masked())
  t.ok([...gather(order, 0, rows).sparse].every((id, i) => (i % 2 === 0 ? id === 0 || id === 3 : id === 9)))
  t.ok(examples.encoded.sparse.every((id) => id === 3 || id === 9))
  t.ok(
    createGather(examples, [{ weight: 1 }], rows)(order, 0, rows).sparse.every((id) => id > 0),
    'none without it',
  )
})

t.test('the ids of unknown values, where a field has them', async (t) => {
  const common = { side: 'candidate', missing: 'error' } as const
  const ids = unknownIdsOf([
    { ...common, name: 'a', kind: 'vocabulary', values: ['x', 'y'], out_of_vocabulary: 'bucket' },
    { ...common, name: 'n', kind: 'numeric', scaling: { method: 'none' } },
    { ...common, name: 'h', kind: 'hash', buckets: 7, seed: 0 },
    { ...common, name: 'e', kind: 'integer', size: 4, out_of_vocabulary: 'error' },
    { ...common, name: 'i', kind: 'integer', size: 4, out_of_vocabulary: 'bucket' },
  ])
  t.same([...ids], [0, -1, -1, 14])
})

t.test('weights of rows weight the loss', async (t) => {
  const weights = Float32Array.from({ length: rows }, (_, row) => (row === 0 ? 3 : 1))
  const { coefficients } = createGather({ ...examples, weights }, [{ weight: 2 }], 3)(order, 0, 3)
  t.same([...coefficients], [1.5, 0.5, 0])
  const none = createGather({ ...examples, weights: new Float32Array(rows) }, [{ weight: 2 }], 3)(order, 0, 3)
  t.same([...none.coefficients], [0, 0, 0], 'rows without weight')
})
