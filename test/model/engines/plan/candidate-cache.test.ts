import t from 'tap'
import { hashWords } from '../../../../src/base/hash.ts'
import { CandidateCache, NEVER_SEEN, SEEN } from '../../../../src/model/engines/plan/candidate-cache.ts'
import type { SlotOwner } from '../../../../src/model/engines/plan/owned-slots.ts'
import { fc, randomCases } from '../../../support/cases.ts'

/** Memory for exactly `slots` of 2 words and 4 floats: 4 × (2 + 4) + 13 a slot, and 16 a place. */
const bytesFor = (slots: number) => slots * 37 + 2 ** Math.ceil(Math.log2(slots * 2)) * 16

/** Hashes that an adversary would choose: all the same, two alternatives, and neighbours that wrap round. */
const hashes = {
  murmur: hashWords,
  same: () => 0,
  last: () => -1,
  two: (keys: Int32Array, start: number) => (keys[start]! & 1) - 1,
  neighbours: (keys: Int32Array, start: number) => keys[start]! - 4,
}

/** Keys of 2 words that often differ in one alone. */
const keyOf = (candidate: number) => Int32Array.of(candidate % 8, candidate >> 3 === 0 ? -1 : candidate >> 3)

const CANDIDATES = 48
const keys = Int32Array.from(Array.from({ length: CANDIDATES }, (_, i) => [...keyOf(i)]).flat())
const candidate = fc.nat(CANDIDATES - 1)
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('begin' as const) }) },
  { weight: 12, arbitrary: fc.record({ type: fc.constant('find' as const), candidate }) },
  {
    weight: 12,
    arbitrary: fc.record({
      type: fc.constant('claim' as const),
      candidate,
      owner: fc.constantFrom(undefined, undefined, { id: 'half', cacheShare: 0.5 }, { id: 'few', cacheShare: 0.2 }),
    }),
  },
  // A worker's part: the candidates of a call, each found or else claimed.
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('call' as const), candidates: fc.array(candidate, { maxLength: 20 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('invalidate' as const), slot: fc.integer({ min: -1, max: 20 }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('clear' as const) }) },
)

/** Drives a cache and a model of it in step, and throws where they differ. */
function createChecked(slots: number, hash: keyof typeof hashes) {
  const cache = new CandidateCache({ keyWords: 2, width: 4, bytes: bytesFor(slots), hash: hashes[hash] })
  if (cache.slots !== slots) throw new Error(`${cache.slots} slots, not ${slots}`)
  const live = new Map<number, { slot: number; value: number; owner?: string | undefined }>()
  /** The value that was written last into each slot. */
  const held = new Map<number, number>()
  const inUse = new Set<number>()
  const asked = new Set<number>()
  let value = 0
  let finds = 0
  let hits = 0
  let evictions = 0

  const checked = {
    begin() {
      cache.begin()
      inUse.clear()
    },
    find(candidate: number) {
      const answer = cache.find(keys, candidate)
      const expected = live.get(candidate)
      finds++
      if (expected) {
        hits++
        inUse.add(expected.slot)
        if (answer !== expected.slot) throw new Error(`found ${answer}, not ${expected.slot}`)
      } else {
        const never = asked.size === 0 || (hash === 'murmur' && !asked.has(candidate))
        if (answer !== NEVER_SEEN && (answer !== SEEN || never)) throw new Error(`found ${answer} in vain`)
        asked.add(candidate)
      }
      return answer
    },
    claim(candidate: number, owner?: SlotOwner) {
      const slot = cache.claim(keys, candidate, owner)
      const known = live.get(candidate)
      const owned = [...live.values()].filter((entry) => owner !== undefined && entry.owner === owner.id)
      const limited = owner !== undefined && owned.length === Math.floor(owner.cacheShare * slots)
      if (known) {
        if (slot !== known.slot) throw new Error(`claimed ${slot} instead of ${known.slot}`)
      } else if (limited && owned.every(({ slot }) => inUse.has(slot))) {
        if (slot !== -1) throw new Error(`claimed ${slot} where the owner uses all that it may have`)
        return slot
      } else if (inUse.size === slots) {
        if (slot !== -1) throw new Error(`claimed ${slot} where all are in use`)
        return slot
      } else {
        if (!(slot >= 0 && slot < slots)) throw new Error(`claimed ${slot} of ${slots}`)
        if (inUse.has(slot)) throw new Error(`claimed ${slot}, which is in use`)
        const loser = [...live].find(([, entry]) => entry.slot === slot)
        if (loser) {
          if (limited && loser[1].owner !== owner.id) throw new Error('evicted what is not its own')
          if (live.size < slots && !limited) throw new Error('evicted where slots are free')
          live.delete(loser[0])
          evictions++
        } else if (limited) throw new Error('it has more than its share')
      }
      inUse.add(slot)
      value++
      live.set(candidate, { slot, value, owner: known ? known.owner : owner?.id })
      held.set(slot, value)
      return slot
    },
    call(candidates: number[]) {
      checked.begin()
      for (const candidate of candidates) if (checked.find(candidate) === SEEN) checked.claim(candidate)
    },
    invalidate(slot: number) {
      cache.invalidate(slot)
      inUse.delete(slot)
      for (const [candidate, entry] of live) if (entry.slot === slot) live.delete(candidate)
    },
    clear() {
      cache.clear()
      live.clear()
      inUse.clear()
      asked.clear()
    },
    check() {
      const stats = { hits, misses: finds - hits, bytes: live.size * 37, entries: live.size, evictions }
      if (JSON.stringify(cache.stats()) !== JSON.stringify(stats))
        throw new Error(`${JSON.stringify(cache.stats())} is not ${JSON.stringify(stats)}`)
      for (const { slot, value } of live.values()) {
        if (held.get(slot) !== value) throw new Error(`slot ${slot} holds ${held.get(slot)}, not ${value}`)
      }
    },
    /** Every candidate is where the model has it, and none elsewhere. */
    sweep() {
      for (let candidate = 0; candidate < CANDIDATES; candidate++) checked.find(candidate)
      checked.check()
    },
  }
  return checked
}

for (const hash of Object.keys(hashes) as (keyof typeof hashes)[])
  t.test(`in any order of calls it agrees with a map; hash: ${hash}`, async () => {
    fc.assert(
      fc.property(fc.integer({ min: 16, max: 19 }), fc.array(step, { maxLength: 150, size: 'max' }), (slots, steps) => {
        const checked = createChecked(slots, hash)
        for (const step of steps) {
          if (step.type === 'find') checked.find(step.candidate)
          else if (step.type === 'claim') checked.claim(step.candidate, step.owner)
          else if (step.type === 'call') checked.call(step.candidates)
          else if (step.type === 'invalidate') checked.invalidate(step.slot)
          else checked[step.type]()
          checked.check()
        }
        checked.sweep()
      }),
      { numRuns: randomCases(150) },
    )
  })

t.test('a candidate is worth keeping when it is asked for again, lately', async (t) => {
  const cache = new CandidateCache({ keyWords: 1, width: 4, bytes: 100_000 })
  const rows = Int32Array.from({ length: cache.slots * 20 }, (_, i) => i)
  t.equal(cache.find(rows, 0), NEVER_SEEN)
  t.equal(cache.find(rows, 0), SEEN)
  cache.begin()
  t.equal(cache.find(rows, 0), SEEN)

  for (let i = 1; i <= cache.slots; i++) cache.find(rows, i)
  let seen = 0
  for (let i = 1; i <= cache.slots; i++) if (cache.find(rows, i) === SEEN) seen++
  t.ok(seen >= 0.95 * cache.slots, 'it remembers as many as it has slots')

  for (let i = cache.slots; i < rows.length; i++) cache.find(rows, i)
  t.equal(cache.find(rows, 0), NEVER_SEEN, 'after many others it has forgotten')
  cache.clear()
  t.equal(cache.find(rows, rows.length - 1), NEVER_SEEN)
})

t.test('candidates that were found again outlive those that were not', async (t) => {
  const cache = new CandidateCache({ keyWords: 2, width: 4, bytes: bytesFor(16) })
  for (let i = 0; i < 16; i++) cache.claim(keys, i)
  cache.begin()
  for (let i = 0; i < 16; i += 2) cache.find(keys, i)
  cache.begin()
  for (let i = 16; i < 24; i++) t.ok(cache.claim(keys, i) % 2, 'the slot of one that was not found')
  for (let i = 0; i < 16; i += 2) t.ok(cache.find(keys, i) >= 0)
  t.equal(cache.claim(keys, 1), -1, 'all are in use')
  t.ok(cache.claim(keys, 23) >= 0, 'but this one has a slot')
  cache.begin()
  t.ok(cache.claim(keys, 1) >= 0)
  t.equal(cache.stats().evictions, 9)
})

t.test('what comes into the slot of a forgotten candidate has no second chance from it', async (t) => {
  const cache = new CandidateCache({ keyWords: 2, width: 4, bytes: bytesFor(16) })
  for (let i = 0; i < 16; i++) cache.claim(keys, i)
  cache.begin()
  const slots = Array.from({ length: 16 }, (_, i) => cache.find(keys, i))
  cache.invalidate(slots[3]!)
  t.equal(cache.claim(keys, 16), slots[3])
  cache.begin()
  t.equal(cache.claim(keys, 17), slots[3])
})

t.test('without columns of their own all candidates are the same', async (t) => {
  const cache = new CandidateCache({ keyWords: 0, width: 8, bytes: 1e6 })
  const none = new Int32Array(0)
  t.equal(cache.slots, 16, 'and more slots would never be used')
  t.equal(cache.find(none, 0), NEVER_SEEN)
  t.equal(cache.find(none, 5), SEEN)
  const slot = cache.claim(none, 5)
  t.equal(cache.find(none, 7), slot)
  t.equal(cache.claim(none, 9), slot)
  cache.invalidate(slot)
  t.equal(cache.find(none, 0), SEEN)
})

t.test('all its memory stays within the bound, and little of it is wasted', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 2400 }),
      fc.integer({ min: 0, max: 3_000_000 }),
      (keyWords, width, bytes) => {
        const before = process.memoryUsage().arrayBuffers
        const { slots } = new CandidateCache({ keyWords, width, bytes })
        const slabs = slots * 4 * width
        const allocated = process.memoryUsage().arrayBuffers - before + slabs
        // Where nothing is kept, the empty tables still are an object or two.
        if (allocated > Math.max(bytes, 64)) throw new Error(`${allocated} bytes of ${bytes}`)
        // The tables, rounded up to a power of 2, are at most 64 bytes a slot; 13 are bookkeeping.
        const perSlot = 4 * (keyWords + width) + 13 + 64
        if (slots < Math.floor(bytes / perSlot) && bytes / perSlot >= 16)
          throw new Error(`${slots} slots of ${perSlot} bytes in ${bytes}`)
      },
    ),
  )
})

t.test('where too few slots fit, or none, nothing is kept', async (t) => {
  for (const options of [
    { width: 4, bytes: bytesFor(16) - 1 },
    { width: 4, bytes: 0 },
    { width: 4, bytes: Number.NaN },
    // 2^30 elements of a slab are too many, however much memory there is.
    { width: 2 ** 26, bytes: 2 ** 40 },
  ]) {
    const cache = new CandidateCache({ keyWords: 2, ...options })
    t.equal(cache.slots, 0)
    for (let i = 0; i < 2; i++) {
      cache.begin()
      t.equal(cache.find(keys, 1), NEVER_SEEN)
      t.equal(cache.claim(keys, 1), -1)
    }
    cache.invalidate(0)
    cache.clear()
    t.same(cache.stats(), { hits: 0, misses: 2, bytes: 0, entries: 0, evictions: 0 })
  }
})

t.test('the hash tells apart small integers, floats of few digits and their places', async (t) => {
  const words = 5
  for (const [kind, wordOf] of [
    ['integers', (n: number) => n],
    ['floats', (n: number) => new Int32Array(Float32Array.of(n / 4).buffer)[0]!],
  ] as const) {
    const distinct = new Set<number>()
    const low = new Set<number>()
    const rows = 50_000
    for (let row = 0; row < rows; row++) {
      const key = Int32Array.from({ length: words }, (_, i) => wordOf(Math.floor(row / 9 ** i) % 9))
      const hash = hashWords(key, 0, words)
      distinct.add(hash)
      low.add(hash & 0xffff)
    }
    // 0.3 pairs of 50,000 would share a 32-bit hash by chance, and 53 % of 65,536 places be taken.
    t.ok(distinct.size > rows - 5, `${kind}: ${distinct.size} hashes`)
    t.ok(low.size > 0.52 * 65_536, `${kind}: ${low.size} places`)
  }
})

t.test("a tenant's catalogue evicts nothing of another's beyond its share", async (t) => {
  const cache = new CandidateCache({ keyWords: 1, width: 4, bytes: 100_000 })
  const catalogue = Int32Array.from({ length: cache.slots * 20 }, (_, i) => i)
  const half = Math.floor(cache.slots / 2)
  const limited = { id: 'limited', cacheShare: 0.25 }
  for (let row = 0; row < half; row++) {
    cache.begin()
    cache.claim(catalogue, row)
  }
  for (let row = half; row < catalogue.length; row++) {
    cache.begin()
    cache.claim(catalogue, row, limited)
  }
  let left = 0
  for (let row = 0; row < half; row++) if (cache.find(catalogue, row) >= 0) left++
  t.equal(left, half)
  t.equal(cache.stats().entries, half + Math.floor(cache.slots / 4))
})

t.test('a cache takes memory as it fills, also after it was cleared', async (t) => {
  const cache = new CandidateCache({ keyWords: 2, width: 4, bytes: 2 ** 30 })
  const before = process.memoryUsage().rss
  for (let round = 0; round < 3; round++) {
    cache.begin()
    cache.find(keys, 0)
    cache.claim(keys, 0)
    cache.clear()
    t.equal(cache.peek(keys, 0), -1)
  }
  const grown = process.memoryUsage().rss - before
  t.ok(grown < 2 ** 26, `${Math.round(grown / 2 ** 20)} MiB of an index of ${Math.round((cache.slots * 40) / 2 ** 20)}`)
})
