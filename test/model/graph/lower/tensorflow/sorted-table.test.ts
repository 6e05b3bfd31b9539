import { snappyCompress } from 'hysnappy'
import t from 'tap'
import { createCrc32c, readSortedTable } from '../../../../../src/model/graph/lower/tensorflow/sorted-table.ts'
import { fc, randomCases } from '../../../../support/cases.ts'
import { type TableOptions, writeTable } from '../../../../support/tensorflow/table-writer.ts'

const crc = await createCrc32c()
const read = (bytes: Uint8Array) => readSortedTable(bytes, 'variables.index', crc)

const entriesOf = fc
  .uniqueArray(fc.tuple(fc.stringMatching(/^[a-d/_0]{0,12}$/), fc.uint8Array({ maxLength: 40 })), {
    selector: ([key]) => key,
    minLength: 1,
    maxLength: 60,
  })
  .map((entries) => entries.sort(([a], [b]) => (a < b ? -1 : 1)))

const optionsOf: fc.Arbitrary<TableOptions> = fc
  .record({
    perBlock: fc.integer({ min: 1, max: 20 }),
    restartEvery: fc.integer({ min: 1, max: 8 }),
    snappy: fc.boolean(),
  })
  .map(({ snappy, ...rest }) => (snappy ? { ...rest, compress: snappyCompress } : rest))

t.test('reads what was written, however it was cut and compressed', async () => {
  await fc.assert(
    fc.asyncProperty(entriesOf, optionsOf, async (entries, options) => {
      const table = read(await writeTable(entries, options))
      if (table.size !== entries.length) throw new Error(`${table.size} entries of ${entries.length}`)
      for (const [key, value] of entries)
        if (Buffer.compare(table.get(key)!, value) !== 0) throw new Error(`${key} has another value`)
    }),
    { numRuns: randomCases(60) },
  )
})

t.test('finds every byte that was changed, and every cut', async (t) => {
  const table = await writeTable([
    ['', Uint8Array.of(1)],
    ['dense/bias', Uint8Array.of(2, 3)],
    ['dense/kernel', Uint8Array.of(4)],
  ])
  t.equal(read(table).size, 3)
  const refused = { code: 'INVALID_BUNDLE', message: /^variables\.index: / }
  // Between the places of two blocks and the magic number are zeros that nobody reads.
  const footer = table.length - 48
  for (let i = 0; i < table.length; i++) {
    const changed = Uint8Array.from(table)
    changed[i]! ^= 1
    if (i >= footer && i < table.length - 8) {
      try {
        read(changed)
      } catch (error) {
        t.match(error, refused, `byte ${i}`)
      }
    } else t.throws(() => read(changed), refused, `byte ${i}`)
    t.throws(() => read(table.subarray(0, i)), refused, `${i} bytes`)
  }
})

t.test('takes no word for lengths', async (t) => {
  await fc.assert(
    fc.property(fc.uint8Array({ minLength: 48, maxLength: 200 }), (bytes) => {
      bytes.set([0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb], bytes.length - 8)
      try {
        read(bytes)
      } catch (error) {
        if ((error as { code?: string }).code !== 'INVALID_BUNDLE') throw error
        return
      }
      throw new Error('garbage was read')
    }),
    { numRuns: randomCases(200) },
  )
  const bomb = (block: Uint8Array) => {
    const packed = snappyCompress(block)
    // Snappy begins with the length; this one claims 256 MiB.
    return Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x01, ...packed.subarray(1)])
  }
  const table = await writeTable([['a', Uint8Array.of(1)]], { perBlock: 1, restartEvery: 1, compress: bomb })
  t.throws(() => read(table), { code: 'INVALID_BUNDLE', message: /claims to be 268435456 bytes, compressed to \d+$/ })
})
