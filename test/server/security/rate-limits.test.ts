import t from 'tap'
import type { Key } from '../../../src/server/security/keyring.ts'
import { RateLimits } from '../../../src/server/security/rate-limits.ts'
import { fc } from '../../support/cases.ts'

const key = (requestsPerSecond?: number, rowsPerSecond?: number, id = 'a'): Key => ({
  id,
  scopes: new Set(),
  models: undefined,
  expires: Number.POSITIVE_INFINITY,
  concurrentRequests: undefined,
  tenant: { id, queueShare: 1, cacheShare: 1 },
  requestsPerSecond,
  rowsPerSecond,
})

function start() {
  let now = 0
  const limits = new RateLimits(() => now)
  return {
    limits,
    pass(ms: number) {
      now += ms
    },
  }
}

t.test('requests: a second of them after a pause, then as they come', async (t) => {
  const { limits, pass } = start()
  const five = key(5)
  for (let i = 0; i < 5; i++) t.equal(limits.request(five), 0)
  t.ok(Math.abs(limits.request(five) - 0.2) < 1e-9)
  pass(199)
  t.ok(limits.request(five) > 0)
  pass(1.01)
  t.equal(limits.request(five), 0)
  t.ok(limits.request(five) > 0)
  pass(60_000)
  for (let i = 0; i < 5; i++) t.equal(limits.request(five), 0)
  t.ok(limits.request(five) > 0)
})

t.test('rows are taken when they are known, and may be overdrawn: then the key waits', async (t) => {
  const { limits, pass } = start()
  const hundred = key(undefined, 100)
  t.equal(limits.request(hundred), 0)
  limits.rows(hundred, 300)
  t.ok(Math.abs(limits.request(hundred) - 2.01) < 1e-9)
  pass(2020)
  t.equal(limits.request(hundred), 0)
})

t.test('a key without limits is never refused, and each key has its own', async (t) => {
  const { limits } = start()
  for (let i = 0; i < 1000; i++) t.equal(limits.request(key()), 0)
  t.equal(limits.request(key(1)), 0)
  t.ok(limits.request(key(1)) > 0)
  t.equal(limits.request(key(1, undefined, 'b')), 0)
})

t.test('a limit that changes holds from then on; a key that is gone is forgotten', async (t) => {
  const { limits } = start()
  t.equal(limits.request(key(1)), 0)
  t.ok(limits.request(key(1)) > 0)
  t.equal(limits.request(key(2)), 0)
  limits.keep([])
  t.equal(limits.request(key(2)), 0)
  t.equal(limits.request(key(2)), 0)
})

t.test('whatever comes when, no key gets more than its rate and a second of it', async (t) => {
  const steps = fc.array(fc.record({ ms: fc.nat({ max: 400 }), asks: fc.nat({ max: 20 }) }), { maxLength: 60 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), steps, (rate, steps) => {
      const { limits, pass } = start()
      let time = 0
      let taken = 0
      for (const { ms, asks } of steps) {
        pass(ms)
        time += ms
        for (let i = 0; i < asks; i++) if (limits.request(key(rate)) === 0) taken++
      }
      return taken <= rate + (time / 1000) * rate + 1e-6
    }),
  )
  t.pass('held')
})

t.test('processes that tell each other keep to the limit together', async (t) => {
  let now = 0
  const rate = key(50)
  const processes = [new RateLimits(() => now), new RateLimits(() => now), new RateLimits(() => now)]
  let taken = 0
  for (let step = 0; step < 100; step++) {
    now += 100
    for (const one of processes) for (let i = 0; i < 20; i++) if (one.request(rate) === 0) taken++
    for (const one of processes) {
      const usage = one.takeUsage()
      for (const other of processes) if (other !== one) other.addUsage(usage, [rate])
    }
  }
  // Ten seconds, and what they may use before they hear of each other.
  t.ok(taken <= 10 * 50 + 3 * 50, String(taken))
  t.ok(taken >= 10 * 50 - 50, String(taken))
})

t.test('requests in progress are limited by key, and each that ends makes room for one', async (t) => {
  const limits = new RateLimits(() => 0)
  const two = { ...key(), concurrentRequests: 2 }
  t.same([limits.begin(two), limits.begin(two), limits.begin(two)], [true, true, false])
  limits.end(two)
  t.same([limits.begin(two), limits.begin(two)], [true, false])
  t.equal(limits.begin({ ...two, id: 'b' }), true, 'another key has its own')
  t.equal(limits.begin(key()), true, 'no limit')
  for (let i = 0; i < 5; i++) limits.end(two)
  t.same([limits.begin(two), limits.begin(two), limits.begin(two)], [true, true, false])
})
