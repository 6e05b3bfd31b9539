import t from 'tap'
import type { RowBlock, Signature, Slab } from '../../../../src/model/contracts/engine.ts'
import { RowGatherer, SharedRows } from '../../../../src/model/engines/memory.ts'
import { fc, randomCases } from '../../../support/cases.ts'

const inputs: Signature['inputs'] = [
  { name: 'ids', dtype: 'int32', width: 3 },
  { name: 'numbers', dtype: 'float32', width: 2 },
  { name: 'nothing', dtype: 'float32', width: 0 },
]

/** Rows of a slab with these inputs; more get a slab of their own. */
const slabRows = Math.floor((1 << 18) / 20)

function setUp() {
  const gatherer = new RowGatherer(inputs)
  const slabs = new Set<number>()
  const state = { removedBytes: 0, waits: 0, pass: () => {} }
  const listener = {
    added(slab: Slab) {
      slabs.add(slab.id)
      gatherer.add(slab)
    },
    removed(id: number) {
      slabs.delete(id)
      state.removedBytes += gatherer.remove(id)
    },
  }
  const rows = new SharedRows(inputs, listener, (_, callback) => {
    state.waits++
    state.pass = callback
    return () => {
      state.waits--
    }
  })
  return { rows, gatherer, slabs, state }
}

/** Row i of the block that was made as the n-th. */
function fill({ inputs: { ids, numbers } }: RowBlock, n: number): void {
  for (let i = 0; i < ids!.length; i++) ids![i] = n * 1_000_003 + i
  for (let i = 0; i < numbers!.length; i++) numbers![i] = n + i / 8
}

/**
 * Throws where rows `start` … `start + count` of the n-th block are not what was written, from row `at` of a batch on.
 */
function check({ ids, numbers }: RowBlock['inputs'], at: number, n: number, start: number, count: number): void {
  for (let i = 0; i < count * 3; i++)
    if (ids![at * 3 + i] !== ((n * 1_000_003 + start * 3 + i) | 0)) throw new Error(`ids of block ${n} at ${i}`)
  for (let i = 0; i < count * 2; i++)
    if (numbers![at * 2 + i] !== Math.fround(n + (start * 2 + i) / 8)) throw new Error(`numbers of block ${n} at ${i}`)
}

t.test("no row is mixed with another request's, and memory that is released is used again", async () => {
  const size = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 40 }) },
    { weight: 2, arbitrary: fc.integer({ min: 1000, max: slabRows }) },
    { weight: 1, arbitrary: fc.constantFrom(slabRows - 1, slabRows, slabRows + 1, 2 * slabRows) },
  )
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ type: fc.constant('allocate' as const), size }) },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant('release' as const), block: fc.nat(), again: fc.boolean() }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('gather' as const),
        parts: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { minLength: 1, maxLength: 4 }),
      }),
    },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { rows, gatherer, slabs, state } = setUp()
      const live: { block: RowBlock; n: number; size: number }[] = []
      let made = 0
      for (const step of steps) {
        switch (step.type) {
          case 'allocate': {
            const block = rows.allocate(step.size)
            if (block.part.count !== step.size) throw new Error(`${block.part.count} rows`)
            fill(block, made)
            live.push({ block, n: made++, size: step.size })
            break
          }
          case 'release': {
            if (live.length === 0) break
            const [{ block }] = live.splice(step.block % live.length, 1) as [(typeof live)[number]]
            block.release()
            if (step.again) block.release()
            break
          }
          case 'gather': {
            if (live.length === 0) break
            const parts = step.parts.map(([which, from, count]) => {
              const { block, n, size } = live[which % live.length]!
              const start = from % size
              return {
                n,
                start,
                part: { ...block.part, start: block.part.start + start, count: 1 + (count % (size - start)) },
              }
            })
            const batch = gatherer.gather(parts.map(({ part }) => part))
            let at = 0
            for (const { n, start, part } of parts) {
              check(batch.inputs, at, n, start, part.count)
              at += part.count
            }
            if (batch.rows !== at || batch.inputs.ids!.length !== at * 3)
              throw new Error(`${batch.rows} rows, not ${at}`)
            break
          }
        }
        for (const { block, n, size } of live) check(block.inputs, 0, n, 0, size)
        const known = rows.slabs().map(({ id }) => id)
        if (known.length !== slabs.size || !known.every((id) => slabs.has(id)))
          throw new Error('a listener was not told')
      }
      for (const { block } of live) block.release()
      state.pass()
      const kept = rows.slabs()
      if (kept.length > 5 || kept.some(({ rows }) => rows > slabRows)) throw new Error(`${kept.length} slabs are kept`)
    }),
    { numRuns: randomCases(200) },
  )
})

t.test('a slab is used again from its start once all in it is released', async (t) => {
  const { rows, slabs } = setUp()
  const places: unknown[] = []
  for (let i = 0; i < 3; i++) {
    const blocks = [rows.allocate(5), rows.allocate(7)]
    places.push(blocks.map(({ part }) => part))
    for (const block of blocks) block.release()
  }
  const [first] = places
  t.same(places, [first, first, first])
  t.equal(slabs.size, 1)
})

t.test('memory follows what is under way: most slabs go when a flood is over', async (t) => {
  const { rows, slabs } = setUp()
  const flood = Array.from({ length: 20 }, () => rows.allocate(slabRows))
  t.equal(slabs.size, 20)
  for (const block of flood) block.release()
  t.equal(slabs.size, 5, 'the current one, and four to spare')
  const again = Array.from({ length: 5 }, () => rows.allocate(slabRows))
  t.equal(slabs.size, 5, 'which are used before others are made')
  for (const block of again) block.release()
})

t.test('a large request has a slab of its own, which goes once none has come for a while', async (t) => {
  const { rows, slabs, state } = setUp()
  const small = rows.allocate(1)
  const large = rows.allocate(slabRows + 1)
  t.not(large.part.slab, small.part.slab)
  const next = rows.allocate(1)
  t.equal(next.part.slab, small.part.slab, 'others go on in theirs')
  large.release()
  large.release()
  t.equal(state.waits, 1)
  state.pass()
  t.same([...slabs], [small.part.slab])
  t.equal(state.removedBytes, (slabRows + 1) * 20)
})

t.test('memory of large requests is used again, and there is as much of it as they need at a time', async (t) => {
  const { rows, slabs, state } = setUp()
  for (let i = 1; i <= 20; i++) {
    const pair = [rows.allocate(slabRows + i), rows.allocate(slabRows + 1)]
    for (const { release } of pair) release()
    t.equal(slabs.size, 2)
  }
  t.equal(state.waits, 1, 'each starts the wait again')
  const [first, second] = [rows.allocate(slabRows + 20), rows.allocate(slabRows + 1)]
  t.not(first.part.slab, second.part.slab)
  state.pass()
  t.equal(slabs.size, 2, 'slabs in use stay')
  first.release()
  state.pass()
  t.same([...slabs], [second.part.slab])
})

t.test('what copies rows says when it does not know their memory', async (t) => {
  const { rows, gatherer, state } = setUp()
  const { part, release } = rows.allocate(slabRows + 1)
  release()
  state.pass()
  t.throws(() => gatherer.gather([part]), /no shared memory/)
})

t.test('a gathered batch tells its requests apart, and is written over by the next', async (t) => {
  const { rows, gatherer } = setUp()
  const [a, b] = [rows.allocate(2), rows.allocate(3)]
  fill(a, 1)
  fill(b, 2)
  const batch = gatherer.gather([b.part, a.part])
  t.same([batch.rows, batch.requests], [5, [3, 2]])
  t.notOk(batch.inputs.ids!.buffer instanceof SharedArrayBuffer, 'engines take no shared memory')
  t.equal(gatherer.gather([a.part]).inputs.ids!.buffer, batch.inputs.ids!.buffer)
})
