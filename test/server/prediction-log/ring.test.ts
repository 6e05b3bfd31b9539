import t from 'tap'
import { putEntry, readEntry } from '../../../src/server/prediction-log/entry.ts'
import type { EntryHeader } from '../../../src/server/prediction-log/messages.ts'
import { createRing, RingReader, RingWriter } from '../../../src/server/prediction-log/ring.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { randomCases, seed } from '../../support/cases.ts'

t.test('entries of all sizes come out whole and in order; one that does not fit changes nothing', async (t) => {
  const random = createRandom(seed)
  for (let ring = 0; ring < randomCases(60); ring++) {
    const size = 64 + 8 * random.integer(30)
    const memory = createRing(size)
    const [writer, reader] = [new RingWriter(memory), new RingReader(memory)]
    const waiting: Uint8Array[] = []
    let refused = 0
    for (let i = 0; i < 400; i++) {
      if (random.integer(2) === 0) {
        const most = random.integer(size)
        const entry = Uint8Array.from({ length: random.integer(most + 1) }, () => random.integer(256))
        const at = writer.reserve(most)
        if (at < 0) {
          refused++
          // Half of an empty ring is always free, wherever its places are.
          if (waiting.length === 0 && most + 24 <= size / 2)
            t.fail(`no room for ${most} bytes in an empty ring of ${size}`)
          continue
        }
        writer.bytes.set(entry, at)
        writer.commit(entry.length)
        waiting.push(entry)
      } else if (!same(reader.next(), waiting.shift()))
        return t.fail(`another entry in a ring of ${size} (seed ${seed})`)
    }
    for (const entry of waiting)
      if (!same(reader.next(), entry)) return t.fail(`another entry at the end (seed ${seed})`)
    if (reader.next() !== undefined || writer.used !== 0) return t.fail('a ring that was read is not empty')
    if (refused === 0) return t.fail('a ring was never full')
  }
  t.pass()
})

function same(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one === undefined || other === undefined ? one === other : Buffer.compare(one, other) === 0
}

t.test('an entry has its parts again', async (t) => {
  const memory = createRing(4096)
  const [writer, reader] = [new RingWriter(memory), new RingReader(memory)]
  const header = { request_id: 'é\u{1f600}', outcome: 'ok' } as EntryHeader
  const entries = [
    { probabilities: Float32Array.of(0.25, 0.5), index: Int32Array.of(3), body: Buffer.from('{"a":1}'), header },
    { probabilities: new Float32Array(), index: new Int32Array(), body: Buffer.alloc(0), header },
  ]
  for (const { header, body, probabilities, index } of entries)
    t.equal(putEntry(writer, header, body, probabilities, index), true)
  for (const { body, ...entry } of entries) {
    const { body: read, ...rest } = readEntry(reader.next()!)
    t.same(rest, entry)
    t.same([...read], [...body])
  }
  t.equal(putEntry(writer, header, Buffer.alloc(4096), new Float32Array(), new Int32Array()), false)
  t.equal(reader.next(), undefined)
})
