import t from 'tap'
import { closestName } from '../../src/schemas/closest-name.ts'
import { fc, randomCases } from '../support/cases.ts'

const known = ['country', 'device', 'user_id', 'hour_of_day', 'ctr', 'cvr', 'ctcvr']

t.test('a name with one letter wrong, missing, added or swapped is recognised', async (t) => {
  t.equal(closestName('countrz', known), 'country')
  t.equal(closestName('contry', known), 'country')
  t.equal(closestName('countrry', known), 'country')
  t.equal(closestName('cuontry', known), 'country')
  t.equal(closestName('hour_of_dya', known), 'hour_of_day')
  t.equal(closestName('cttr', known), 'ctr')
})

t.test('case and separators make no difference', async (t) => {
  t.equal(closestName('userId', known), 'user_id')
  t.equal(closestName('USER-ID', known), 'user_id')
  t.equal(closestName('hourofday', known), 'hour_of_day')
})

t.test('the closest of several wins, and the first of equally close ones', async (t) => {
  t.equal(closestName('ctcv', known), 'ctcvr')
  t.equal(closestName('cxr', known), 'ctr')
})

t.test('a name that is like none has no suggestion', async (t) => {
  t.equal(closestName('banana', known), undefined)
  t.equal(closestName('x', ['y', 'id']), undefined)
  t.equal(closestName('', known), undefined)
  t.equal(closestName('ctr', []), undefined)
})

t.test('the work is bounded: long names and the names after the first 500 are not considered', async (t) => {
  const long = 'a'.repeat(65)
  t.equal(closestName(`${long.slice(1)}b`, [long]), undefined)
  t.equal(closestName(long, [long.slice(1)]), undefined)
  let read = 0
  const endless = (function* () {
    for (;;) yield `name ${read++}`
  })()
  t.equal(closestName('something else', endless), undefined)
  t.ok(read <= 501)
})

t.test('the band around the diagonal gives what the whole table gives', async () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(word, word, (wrong, name) => {
      const allowed = Math.min(3, Math.floor(Math.max(wrong.length, name.length) / 3))
      const close = wholeTable(wrong, name) <= allowed
      return (closestName(wrong, [name]) === name) === close
    }),
    { numRuns: randomCases(2000) },
  )
})

function wholeTable(a: string, b: string): number {
  const table = [...Array(a.length + 1)].map((_, row) => [...Array(b.length + 1)].map((_, column) => row || column))
  for (let row = 1; row <= a.length; row++) {
    for (let column = 1; column <= b.length; column++) {
      const replaced = table[row - 1]![column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1)
      let least = Math.min(table[row - 1]![column]! + 1, table[row]![column - 1]! + 1, replaced)
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        least = Math.min(least, table[row - 2]![column - 2]! + 1)
      }
      table[row]![column] = least
    }
  }
  return table[a.length]![b.length]!
}
