import t from 'tap'
import { prepareTensorFlow, registerSegmentSum } from '../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { fc, randomCases } from '../../../support/cases.ts'

for (const backend of ['wasm', 'cpu'] as const) {
  t.test(backend, async (t) => {
    const { tf } = await prepareTensorFlow(backend)

    t.test('sums the rows of each segment', async (t) => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 6 }),
          fc.integer({ min: 1, max: 4 }),
          fc.array(fc.integer({ min: -1, max: 5 }), { minLength: 1, maxLength: 20 }),
          (segments, width, places) => {
            const ids = places.map((place) => Math.min(place, segments - 1))
            const rows = ids.map((_, n) => Array.from({ length: width }, (_, i) => n + i / 4))
            const expected = Array.from({ length: segments }, (_, segment) =>
              Array.from({ length: width }, (_, i) =>
                rows.reduce((sum, row, n) => sum + (ids[n] === segment ? row[i]! : 0), 0),
              ),
            )
            const actual = tf.tidy(() =>
              tf.unsortedSegmentSum(tf.tensor2d(rows), tf.tensor1d(ids, 'int32'), segments).arraySync(),
            )
            t.same(actual, expected)
          },
        ),
        { numRuns: randomCases(50) },
      )
    })

    t.test('keeps integers and higher ranks', async (t) => {
      const sums = tf.unsortedSegmentSum(tf.ones([3, 2, 2], 'int32'), tf.tensor1d([1, 1, 0], 'int32'), 3)
      t.equal(sums.dtype, 'int32')
      t.same(sums.arraySync(), [
        [
          [1, 1],
          [1, 1],
        ],
        [
          [2, 2],
          [2, 2],
        ],
        [
          [0, 0],
          [0, 0],
        ],
      ])
    })

    t.test('is what an embedding learns by', async (t) => {
      const table = tf.ones([5, 2])
      const ids = tf.tensor2d([4, 0, 4], [3, 1], 'int32')
      const gradient = tf.grad((table) => tf.sum(tf.gather(table, ids)))(table)
      t.same(gradient.arraySync(), [
        [1, 1],
        [0, 0],
        [0, 0],
        [0, 0],
        [2, 2],
      ])
    })

    t.test('refuses a segment that is not there', async (t) => {
      t.throws(() => tf.unsortedSegmentSum(tf.ones([1, 2]), tf.tensor1d([3], 'int32'), 3), {
        code: 'MODEL_FAILED',
        message: 'segment 3 is not below 3',
      })
    })

    t.test('is registered once', async (t) => {
      const before = tf.getKernel('UnsortedSegmentSum', backend)
      registerSegmentSum(tf, backend)
      t.equal(tf.getKernel('UnsortedSegmentSum', backend), before)
    })
  })
}
