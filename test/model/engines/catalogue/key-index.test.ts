import t from 'tap'
import { CandidateKeys } from '../../../../src/model/engines/catalogue/candidate-keys.ts'
import {
  emptyIndex,
  insert,
  isSound,
  nextPlace,
  placesFor,
  slotAt,
} from '../../../../src/model/engines/catalogue/key-index.ts'
import { fc } from '../../../support/cases.ts'

/** The slots whose hash is that. */
function slotsOf(index: Int32Array, hash: number): number[] {
  const slots: number[] = []
  for (let place = nextPlace(index, hash, hash); place >= 0; place = nextPlace(index, hash, place + 1))
    slots.push(slotAt(index, place))
  return slots
}

t.test('an index finds every slot by its hash, and no other', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.integer(), fc.integer({ min: -3, max: 3 })), { maxLength: 100 }), (hashes) => {
      const index = emptyIndex(hashes.length)
      hashes.forEach((hash, slot) => {
        insert(index, hash, slot)
      })
      if (!isSound(index, hashes.length)) return false
      const expected = (wanted: number) => hashes.flatMap((hash, slot) => (hash === wanted ? [slot] : []))
      return [...hashes, 12345].every((hash) => `${slotsOf(index, hash).sort((a, b) => a - b)}` === `${expected(hash)}`)
    }),
  )
  t.equal(placesFor(0), 16)
  t.equal(placesFor(8), 16)
  t.equal(placesFor(9), 32)
  t.equal(placesFor(1_000_000), 2 ** 21)
})

t.test('an index that could not be searched is not sound', async (t) => {
  const index = emptyIndex(2)
  insert(index, 1, 0)
  insert(index, 17, 1)
  t.ok(isSound(index, 2))
  t.notOk(isSound(index, 1), 'a slot beyond the rows')
  t.notOk(isSound(index, 3), 'a row without a place')
  t.notOk(isSound(index.subarray(0, 16), 2), 'too short')
  t.notOk(isSound(index.slice().fill(1), 2), 'no place is empty')
  index[0] = -7
  t.notOk(isSound(index, 2), 'a negative slot')
})

t.test('different keys get slots, equal ones do not; hashes may collide', async (t) => {
  for (const hash of [undefined, () => 5, (keys: Int32Array, start: number) => keys[start]! & 1]) {
    const keys = new CandidateKeys(2, hash)
    const rows = Int32Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? (i / 2) % 50 : (i >> 1) % 3))
    const seen = new Map<string, number>()
    for (let row = 0; row < 200; row++) {
      const key = `${rows.subarray(row * 2, row * 2 + 2)}`
      t.equal(keys.claim(rows, row), !seen.has(key))
      if (!seen.has(key)) seen.set(key, seen.size)
    }
    t.equal(keys.rows, seen.size)
    t.ok(isSound(keys.index, keys.rows))
    t.same(
      [...keys.from(0)],
      [...seen.keys()].flatMap((key) => key.split(',').map(Number)),
    )
  }
})

t.test('keys of several blocks', async (t) => {
  const keys = new CandidateKeys(1)
  const rows = Int32Array.from({ length: 150_000 }, (_, i) => i)
  for (let row = 0; row < rows.length; row++) if (!keys.claim(rows, row)) t.fail(`${row}`)
  for (const row of [0, 65_535, 65_536, 149_999]) t.notOk(keys.claim(rows, row))
  t.equal(keys.rows, 150_000)
  t.same(keys.from(65_530), rows.subarray(65_530))
  t.ok(isSound(keys.index, keys.rows))
})
