import t from 'tap'
import { StringCache } from '../../../src/tools/data/string-cache.ts'

t.test('finds the strings of bytes, whichever others took their places', async (t) => {
  const cache = new StringCache()
  const read = (text: string) => {
    const bytes = Buffer.from(`,${text},`)
    const found = cache.find(bytes, 1, bytes.length - 1)
    return { found, text: found ?? cache.add(bytes, 1, bytes.length - 1, text) }
  }
  t.same(read('é'), { found: undefined, text: 'é' })
  t.same(read('é'), { found: 'é', text: 'é' })
  t.equal(read('').found, '')
  const long = 'x'.repeat(33)
  for (let i = 0; i < 2; i++) t.same(read(long), { found: undefined, text: long }, 'long strings are not kept')
  const texts = Array.from({ length: 200_000 }, (_, i) => `user ${i}`)
  let wrong = 0
  for (let round = 0; round < 2; round++) for (const text of texts) if (read(text).text !== text) wrong++
  t.equal(wrong, 0)
})
