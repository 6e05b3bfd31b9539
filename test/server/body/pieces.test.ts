import { deepEqual } from 'node:assert/strict'
import t from 'tap'
import { Pieces } from '../../../src/server/body/pieces.ts'
import { fc } from '../../support/cases.ts'

t.test('a body in one piece is not copied', async (t) => {
  const pieces = new Pieces()
  const body = Buffer.from('abc')
  pieces.add(body)
  t.equal(pieces.take(), body)
  t.equal(pieces.length, 0)
})

t.test('whatever the sizes of its pieces, a body is what came', async () => {
  const size = fc.oneof(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: 1000, max: 1100 }),
    fc.integer({ max: 40_000, min: 0 }),
  )
  fc.assert(
    fc.property(fc.array(size, { maxLength: 60 }), (sizes) => {
      const pieces = new Pieces()
      const all = sizes.map((length, i) => Buffer.alloc(length, i + 1))
      for (const piece of all) pieces.add(piece)
      deepEqual([pieces.count, pieces.length], [all.length, Buffer.concat(all).length])
      deepEqual(pieces.take(), Buffer.concat(all))
    }),
  )
})

t.test('a body that comes byte by byte takes hardly more memory than its bytes', async (t) => {
  const pieces = new Pieces()
  const byte = Buffer.from('x')
  const before = process.memoryUsage()
  for (let i = 0; i < 1_000_000; i++) pieces.add(byte)
  const after = process.memoryUsage()
  const taken = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  t.ok(taken < 8_000_000, `${taken} bytes for a million; a Buffer each would take 100,000,000`)
  t.equal(pieces.take().length, 1_000_000)
})
