import t from 'tap'
import { type ListLength, lengthTensor, longestList } from '../../../src/model/contracts/list-length.ts'

const list: ListLength = {
  name: 'length',
  size: 3,
  each: 'rows',
  members: [
    { input: 'ids', columns: [1, 2, 3], padding: 9 },
    { input: 'ages', columns: [0, 1, 2], padding: 0 },
  ],
}

t.test('the longest list of some rows', async (t) => {
  const ids = Int32Array.of(5, 9, 9, 9, 5, 1, 9, 9, 5, 9, 1, 9, 5, 1, 9, 9)
  const ages = Float32Array.of(0, 0, 0, 3, 0, 0, 3, 0, 0, 3, 0, 0)
  const length = (...rows: number[]) => longestList(list, { ids, ages }, 4, rows)
  t.equal(length(0), 1, 'an empty list has a place')
  t.equal(length(1), 1)
  t.equal(length(2), 2, 'padding may stand before a value')
  t.equal(length(0, 1, 2, 3), 2)
  t.equal(length(), 1)
  ages[3 * 3 + 2] = 4
  t.equal(length(3), 3, 'the lists of a sequence have the same lengths')
})

t.test('where all values of one list equal padding, and those of another do not, all places count', async (t) => {
  const lengthOf = (ids: number[], ages: number[]) =>
    longestList(list, { ids: Int32Array.from(ids), ages: Float32Array.from(ages) }, 2, [0, 1])
  t.equal(lengthOf([5, 1, 1, 9, 5, 9, 9, 9], [2, 2, 0, 3, 2, 0]), 3)
  t.equal(lengthOf([5, 1, 1, 9, 5, 1, 9, 9], [2, 2, 0, 0, 0, 0]), 3)
  t.equal(lengthOf([5, 1, 1, 9, 5, 1, 9, 9], [2, 2, 0, 3, 0, 0]), 2)
  t.equal(lengthOf([5, 1, 1, 9, 5, 9, 9, 9], [2, 2, 0, 0, 0, 0]), 2)
})

t.test('graphs take a length as int64', async (t) => {
  t.same(lengthTensor(7), { data: BigInt64Array.of(7n), dims: [1] })
})
