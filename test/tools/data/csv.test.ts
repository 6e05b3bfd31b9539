import t from 'tap'
import { differenceOf } from '../../../src/tools/data/csv.ts'

t.test('how a header differs from the first one', async (t) => {
  t.equal(differenceOf(['a', 'b'], ['a', 'b'], 'one.csv'), undefined)
  t.equal(differenceOf(['a'], ['a', 'b'], 'one.csv'), 'no column "b", which one.csv has')
  t.equal(differenceOf(['a', 'c'], ['a'], 'one.csv'), 'a column "c", which one.csv has not')
  t.equal(differenceOf(['a', 'a'], ['a'], 'one.csv'), 'a column twice')
  t.equal(differenceOf(['b', 'a'], ['a', 'b'], 'one.csv'), 'the columns in another order than one.csv')
})

t.test('headers of half a million columns are compared in one pass', async (t) => {
  // Looking each name up in a list would take minutes.
  const names = Array.from({ length: 500_000 }, (_, i) => `column ${i}`)
  t.equal(differenceOf([...names], names, 'one.csv'), undefined)
  t.match(differenceOf(names.toReversed(), names, 'one.csv'), /another order/)
})
