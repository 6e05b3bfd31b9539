import t from 'tap'
import { StringPool, stringAt } from '../../../../src/model/serving/tables/string-pool.ts'
import { fc, randomCases } from '../../../support/cases.ts'

t.test('numbers different strings in their order', async (t) => {
  const text = fc.oneof(
    fc.string({ maxLength: 3 }),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.constantFrom('a', 'b', '', 'é', '\0', '😀'),
  )
  fc.assert(
    fc.property(fc.array(text, { maxLength: 200 }), (strings) => {
      const pool = new StringPool()
      const known = new Map<string, number>()
      for (const value of strings) {
        if (pool.find(value) !== (known.get(value) ?? -1)) throw new Error(`${JSON.stringify(value)} is found`)
        if (!known.has(value)) known.set(value, known.size)
        const bytes = Buffer.from(`<${value}>`)
        const place = { bytes, starts: Int32Array.of(1), ends: Int32Array.of(bytes.length - 1), numberOf: () => 0 }
        const add = [
          () => pool.add(value),
          () => pool.addBytes(bytes, 1, bytes.length - 1),
          () => pool.addBytes(bytes, 1, bytes.length - 1, pool.hashAll(place, 1)[0]),
        ][known.size % 3]!
        const number = add()
        if (number !== known.get(value)) throw new Error(`${JSON.stringify(value)} has another number`)
      }
      for (const [value, number] of known) {
        if (stringAt(pool, number) !== value || stringAt(pool.stored, number) !== value)
          throw new Error(`${number} is not ${JSON.stringify(value)}`)
      }
      if (pool.count !== known.size) throw new Error(`${pool.count} strings`)
    }),
    { numRuns: randomCases(200) },
  )
  const pool = new StringPool()
  t.throws(() => pool.add('a\ud800'), { message: 'has half of a surrogate pair' })
  t.equal(pool.find('\ufffd'), -1)
  pool.add('\ufffd')
  t.equal(pool.find('\ud800'), -1)
})

t.test('holds more strings than it had room for', async (t) => {
  const pool = new StringPool()
  for (let i = 0; i < 5000; i++) pool.add(`string ${i}`)
  t.equal(pool.count, 5000)
  t.same(
    [0, 1023, 1024, 4999].map((number) => stringAt(pool, number)),
    ['string 0', 'string 1023', 'string 1024', 'string 4999'],
  )
})
