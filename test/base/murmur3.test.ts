import { Buffer } from 'node:buffer'
import t from 'tap'
import { murmur3 } from '../../src/base/hash.ts'
import { fc } from '../support/cases.ts'

// Published vectors of MurmurHash3_x86_32; with one, two and three bytes after the last block, and without a block.
const vectors: [text: string, seed: number, hash: number][] = [
  ['', 0, 0],
  ['', 1, 0x514e28b7],
  ['', 0xffffffff, 0x81f16f39],
  ['test', 0, 0xba6bd213],
  ['test', 0x9747b28c, 0x704b81dc],
  ['a', 0x9747b28c, 0x7fa09ea6],
  ['aa', 0x9747b28c, 0x5d211726],
  ['aaa', 0x9747b28c, 0x283e0130],
  ['aaaa', 0x9747b28c, 0x5a97808a],
  ['abcd', 0x9747b28c, 0xf0478627],
  ['Hello, world!', 0, 0xc0363e43],
  ['Hello, world!', 0x9747b28c, 0x24884cba],
  ['The quick brown fox jumps over the lazy dog', 0, 0x2e4ff723],
  ['The quick brown fox jumps over the lazy dog', 0x9747b28c, 0x2fa826cd],
  ['ππππππππ', 0x9747b28c, 0xd58063c1],
]

for (const [text, seed, hash] of vectors) {
  t.test(`the hash of ${JSON.stringify(text)} with seed ${seed} is the published one`, async (t) => {
    t.equal(murmur3(text, seed), hash)
  })
}

t.test('text beyond the basic plane is hashed as its four UTF-8 bytes', async (t) => {
  t.equal(murmur3('😀', 1), reference(Buffer.from([0xf0, 0x9f, 0x98, 0x80]), 1))
})

t.test('half a surrogate pair is hashed as the replacement character', async (t) => {
  t.equal(murmur3('\ud83d', 0), murmur3('\ufffd', 0))
})

t.test('every text and seed hash as the definition says, in exact integers', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (text, seed) => {
      return murmur3(text, seed) === reference(Buffer.from(text, 'utf8'), seed)
    }),
  )
})

t.test('long texts, beyond the memory that is kept for short ones', async (t) => {
  for (const units of [23, 24, 25, 1364, 1365, 1366, 100_000])
    for (const letter of ['a', 'é', '価', '\ud83d']) {
      const text = letter.repeat(units)
      t.equal(murmur3(text, 5), reference(Buffer.from(text, 'utf8'), 5), `${units} × ${letter}`)
      t.equal(murmur3('b', 5), reference(Buffer.from('b'), 5), 'nothing of it is left')
    }
})

/** The definition in unbounded integers, cut to 32 bits after every step. */
function reference(bytes: Buffer, seed: number): number {
  const cut = (value: bigint) => value & 0xffffffffn
  const rotate = (value: bigint, by: bigint) => cut((value << by) | (value >> (32n - by)))
  const scramble = (block: bigint) => cut(rotate(cut(block * 0xcc9e2d51n), 15n) * 0x1b873593n)
  let hash = BigInt(seed)
  const whole = bytes.length - (bytes.length % 4)
  for (let i = 0; i < whole; i += 4) {
    hash = cut(rotate(hash ^ scramble(BigInt(bytes.readUInt32LE(i))), 13n) * 5n + 0xe6546b64n)
  }
  const tail = bytes.subarray(whole).reduce((sum, byte, i) => sum | (BigInt(byte) << BigInt(8 * i)), 0n)
  hash ^= scramble(tail)
  hash ^= BigInt(bytes.length)
  hash = cut((hash ^ (hash >> 16n)) * 0x85ebca6bn)
  hash = cut((hash ^ (hash >> 13n)) * 0xc2b2ae35n)
  return Number(hash ^ (hash >> 16n))
}
