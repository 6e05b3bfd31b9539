import t from 'tap'
import { createAdmission } from '../../src/server/admission.ts'
import { createFakeClock } from '../fakes/clock.ts'

/** A thread whose time passes as the test says: `work` keeps it busy, the clock's own time is idle. */
function setUp() {
  const clock = createFakeClock()
  let active = 0
  let last = clock.now()
  const admission = createAdmission(clock, (since) => {
    const now = { active, idle: clock.now() - last - active, utilization: 0 }
    const busy = now.active - (since?.active ?? 0)
    const idle = now.idle - (since?.idle ?? 0)
    return { active: busy, idle, utilization: busy + idle === 0 ? 0 : busy / (busy + idle) }
  })
  last = clock.now()
  const work = async (ms: number) => {
    active += ms
    await clock.advance(ms)
  }
  const serve = async (requests: number, msEach: number) => {
    for (let i = 0; i < requests; i++) {
      admission.enter(1000)
      await work(msEach)
      admission.leave()
    }
  }
  const enterMany = (requests: number, deadlineMs: number) => {
    let entered = 0
    try {
      for (; entered < requests; entered++) admission.enter(deadlineMs)
    } catch (error) {
      return { entered, error: error as Error }
    }
    return { entered, error: undefined }
  }
  return { clock, admission, work, serve, enterMany }
}

t.test('before it has measured anything it refuses nothing', async (t) => {
  const { enterMany } = setUp()
  t.equal(enterMany(5000, 1).entered, 5000)
})

t.test('it refuses what could not be answered within half of its deadline', async (t) => {
  const { admission, serve, enterMany } = setUp()
  await serve(250, 0.5)
  const { entered, error } = enterMany(1000, 60)
  // 0.5 ms each: 60 take 30 ms.
  t.equal(entered, 61)
  t.match(error, {
    code: 'QUEUE_FULL',
    message: /61 others are under way/,
    retryAfterSeconds: 0.0305,
  })
  t.equal(enterMany(1, 70).entered, 1, 'who has more time may come')
  t.equal(enterMany(1, 60).entered, 0)
  for (let i = 0; i < 62; i++) admission.leave()
  t.equal(enterMany(1, 60).entered, 1, 'and all again when it is calm')
})

t.test('what an idle thread does besides is not taken as the cost of requests', async (t) => {
  const { clock, serve, work, enterMany } = setUp()
  await serve(10, 0.1)
  await work(500)
  await clock.advance(5000)
  await serve(60, 0.1)
  t.equal(enterMany(1000, 60).entered, 1000)
})

t.test('refusing is cheap, and does not make requests look dearer', async (t) => {
  const { clock, serve, work, enterMany, admission } = setUp()
  await serve(250, 0.5)
  const before = enterMany(1000, 60).entered
  for (let i = 0; i < before; i++) admission.leave()
  // A flood: as many are refused as served, at a fifth of the cost.
  for (let round = 0; round < 10; round++) {
    const { entered } = enterMany(200, 60)
    enterMany(100, 60)
    await work(entered * 0.5 + 0.1)
    for (let i = 0; i < entered; i++) admission.leave()
    await clock.advance(1)
  }
  const after = enterMany(1000, 60).entered
  t.ok(Math.abs(after - before) <= before * 0.2, `${before} before, ${after} after`)
})

t.test(
  'one turn of the event loop reads for a tenth of a deadline, then refuses; the next one reads again',
  async (t) => {
    const { clock, admission } = setUp()
    admission.enter(60)
    clock.pass(6)
    admission.enter(60)
    clock.pass(1)
    t.throws(() => admission.enter(60), { code: 'QUEUE_FULL' })
    admission.enter(1000)
    await clock.flush()
    admission.enter(60)
  },
)
