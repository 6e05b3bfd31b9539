import t from 'tap'
import type { Clock } from '../../../src/base/clock.ts'
import {
  type OpenLoopOptions,
  type OpenLoopResult,
  type Reply,
  runOpenLoop,
  type Transport,
} from '../../../src/tools/load/open-loop.ts'
import { createFakeClock, type FakeClock } from '../../support/fakes/clock.ts'

/** A server that answers each request so and so long after it was sent. */
function answering(
  clock: Clock,
  ms: (index: number) => number,
  reply: (index: number) => Reply = () => ({ status: 200 }),
): Transport {
  return {
    send(index, done) {
      clock.after(ms(index), () => done(reply(index)))
      return true
    },
  }
}

async function run(
  clock: FakeClock,
  options: Partial<OpenLoopOptions> & Pick<OpenLoopOptions, 'transport'>,
  ms = 10_000,
) {
  const schedule = Float64Array.of(0, 10, 20, 30)
  let result: OpenLoopResult | undefined
  runOpenLoop({ schedule, clock, deadlineMs: 50, graceMs: 500, ...options }).then((value) => {
    result = value
  })
  await clock.advance(ms)
  return result!
}

t.test('requests leave when the schedule says, whether or not earlier ones have been answered', async (t) => {
  const clock = createFakeClock()
  const start = clock.now()
  const sent: number[] = []
  const slow = answering(clock, () => 200)
  const result = await run(clock, {
    transport: {
      send(index, done) {
        sent.push(clock.now() - start)
        return slow.send(index, done)
      },
    },
  })
  t.same(sent, [0, 10, 20, 30])
  t.match(result, { scheduled: 4, good: 0, late: 4, latency: { p50: 200, max: 200 }, lateness: { max: 0 } })
})

t.test('latency counts from the schedule, so a late generator is charged too, and says how late it was', async (t) => {
  const clock = createFakeClock()
  const late: Clock = { ...clock, now: clock.now, after: (ms, callback) => clock.after(ms + 7, callback) }
  const result = await run(clock, { clock: late, transport: answering(clock, () => 5) })
  t.equal(result.lateness.max, 7)
  t.equal(result.latency.max, 12)
  t.equal(result.latency.p50, 12)
})

t.test('a stall is charged to every request that would have come meanwhile', async (t) => {
  const clock = createFakeClock()
  const end = clock.now() + 100
  const result = await run(clock, { transport: answering(clock, () => end - clock.now()), deadlineMs: 85 })
  t.equal(result.latency.max, 100)
  t.equal(result.latency.p50, 80)
  t.match(result, { good: 2, late: 2 })
})

t.test('each request ends in exactly one way', async (t) => {
  const clock = createFakeClock()
  const replies: Reply[] = [
    { status: 200 },
    { status: 200 },
    { status: 429 },
    { status: 503 },
    { status: 504 },
    { status: 500 },
    { error: 'ECONNRESET' },
  ]
  const server = answering(
    clock,
    (index) => (index === 1 ? 60 : 1),
    (index) => replies[index]!,
  )
  const transport: Transport = { send: (index, done) => index < replies.length && server.send(index, done) }
  const result = await run(clock, { schedule: Float64Array.from({ length: 9 }, (_, i) => i), transport })
  t.match(result, { scheduled: 9, good: 1, late: 1, rejected: 3, failed: 2, noConnection: 2 })
  t.same(result.reasons, ['status 500', 'ECONNRESET'])
})

t.test('it ends: what has no answer a while after the last request has failed, and is not counted again', async (t) => {
  const clock = createFakeClock()
  const result = await run(
    clock,
    { transport: answering(clock, (index) => (index === 3 ? 5000 : 1)), graceMs: 100 },
    131,
  )
  t.match(result, { good: 3, failed: 1, reasons: ['no answer'] })
  await clock.advance(10_000)
  t.match(result, { good: 3, late: 0, failed: 1 })
  t.equal(clock.timers, 0)
})

t.test('no requests, no figures', async (t) => {
  const clock = createFakeClock()
  const result = await run(clock, { schedule: new Float64Array(0), transport: answering(clock, () => 1) })
  t.match(result, { scheduled: 0, good: 0, failed: 0 })
  t.ok(Number.isNaN(result.latency.p50))
})
