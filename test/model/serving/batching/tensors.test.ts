import t from 'tap'
import type { Batch } from '../../../../src/model/contracts/engine.ts'
import { type BatchSlice, concatenate } from '../../../../src/model/serving/batching/tensors.ts'

t.test('what is known of each request stays with its rows', async () => {
  const of = (about: Partial<Batch>): BatchSlice => ({
    batch: { rows: 1, inputs: { ids: new Int32Array(1) }, ...about },
    start: 0,
    count: 1,
  })
  t.same(concatenate([of({ alike: [true] }), of({})]).alike, [true, undefined])
  t.equal(concatenate([of({}), of({})]).alike, undefined)
})
