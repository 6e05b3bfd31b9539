import t from 'tap'
import { repeatedIndexes } from '../../src/base/arrays.ts'

t.test('names that occur earlier are found', async (t) => {
  t.same(repeatedIndexes([]), [])
  t.same(repeatedIndexes(['a', 'b', 'a', '__proto__', 'b', '__proto__', 'a']), [2, 4, 5, 6])
})

t.test('half a million names are looked through in one pass', async (t) => {
  // Looking each name up in the list would take minutes.
  const names = Array.from({ length: 500_000 }, (_, i) => `column ${i}`)
  t.same(repeatedIndexes([...names, 'column 7']), [500_000])
})
