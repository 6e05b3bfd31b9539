import t from 'tap'
import { placesOf } from '../../../../src/tools/train/threads/places.ts'

const list = { column: 1, max: 3, padding: 9 }
// A column before, three of the list, one after.
const rows = [
  [9, 4, 9, 9, 9],
  [9, 9, 9, 9, 9],
  [9, 9, 5, 6, 1],
]

t.test('places of values are counted through all rows, wherever padding stands', async (t) => {
  t.same([...placesOf(Int32Array.from(rows.flat()), 3, 5, list)], [0, 7, 8])
  t.same([...placesOf(Int32Array.from(rows.flat()), 2, 5, list)], [0])
})

t.test('without any value there is one place, of padding', async (t) => {
  t.same([...placesOf(Int32Array.from(rows[1]!), 1, 5, list)], [0])
})
