import t from 'tap'
import type { TrainField } from '../../../src/schemas/train-fields.ts'
import { binEdges } from '../../../src/tools/train/bin-edges.ts'

const fields = [
  { kind: 'hash' },
  { kind: 'numeric', bins: 4 },
  { kind: 'numeric' },
  { kind: 'numeric', bins: 2, name: 'd' },
] as unknown as TrainField[]

t.test('edges are quantiles of the training rows, equal ones once', async (t) => {
  const dense = Float32Array.from([4, 0, 7, 1, 0, 7, 3, 0, 7, 2, 0, 7, 5, 0, 9].flat())
  const encoded = { rows: 5, dense, denseFields: 3, sparse: new Int32Array(5), sparseFields: 1 }
  t.same(binEdges('spec.yaml', fields, { encoded }), [[1, 2, 3, 4, 5], undefined, [7, 9]])
  dense[14] = 7
  t.throws(
    () => binEdges('spec.yaml', fields, { encoded }),
    /\/fields\/3\/bins d has the same value in all training rows: leave bins out/,
  )
})

t.test('neither the order of many rows nor widths without an inverse in float32 hide a value', async (t) => {
  const many = { rows: 400_000, sparse: new Int32Array(), sparseFields: 0, denseFields: 1 }
  const alternating = Float32Array.from({ length: many.rows }, (_, row) => row % 2)
  const one = [fields[1]!]
  t.same(binEdges('spec.yaml', one, { encoded: { ...many, dense: alternating } }), [[0, 1]])
  const tiny = { ...many, rows: 4, dense: Float32Array.of(0, 1e-40, 2e-40, 1) }
  t.same(binEdges('spec.yaml', one, { encoded: tiny }), [[0, 1]])
})
