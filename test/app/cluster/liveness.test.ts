import t from 'tap'
import { Heartbeat, type Liveness, livenessOf, pingInterval } from '../../../src/app/cluster/liveness.ts'
import { createFakeClock } from '../../support/fakes/clock.ts'

for (const [missed, liveness] of [
  [0, 'responsive'],
  [4, 'responsive'],
  [5, 'unresponsive'],
  [29, 'unresponsive'],
  [30, 'lost'],
  [1000, 'lost'],
] as const)
  t.test(`after ${missed} pings without an answer: ${liveness}`, async (t) => t.equal(livenessOf(missed), liveness))

t.test('a process that answers again is responsive; a lost one is pinged no more', async (t) => {
  const clock = createFakeClock()
  const seen: Liveness[] = []
  let answers = true
  const heartbeat = new Heartbeat((liveness) => seen.push(liveness))
  const ping = () => {
    if (answers) heartbeat.answered()
  }
  heartbeat.start(ping, clock)
  await clock.advance(60 * pingInterval)
  t.same(seen, [])
  answers = false
  await clock.advance(6 * pingInterval)
  answers = true
  await clock.advance(pingInterval)
  t.same(seen, ['unresponsive', 'responsive'])
  answers = false
  await clock.advance(40 * pingInterval)
  heartbeat.answered()
  t.same(seen.slice(2), ['unresponsive', 'lost'])
  t.equal(clock.timers, 0)
})
