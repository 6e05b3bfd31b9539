import t from 'tap'
import { type AdmittedEntry, createAdmission, type Refusal } from '../../../src/server/overload/admission.ts'
import { createFakeClock } from '../../support/fakes/clock.ts'

/** A thread that is never idle but when the test says so, and engines that take what the test says. */
function setUp() {
  const clock = createFakeClock()
  let idle = 0
  const state = { drain: 0 }
  const admission = createAdmission({
    clock,
    predictedWait: () => state.drain,
    slots: 2,
    idleMs: () => idle,
  })
  const rest = async (ms: number) => {
    idle += ms
    await clock.advance(ms)
  }
  const enter = (deadlineMs = 60, bytes: number | undefined = 100, lowest = false) =>
    admission.enter(deadlineMs, bytes, undefined, lowest)
  const admit = (deadlineMs?: number, bytes?: number) => {
    const ticket = enter(deadlineMs, bytes)
    if (!ticket.admitted) throw new Error(ticket.message)
    return ticket
  }
  return { clock, state, rest, enter, admit }
}

const isRefused = (answer: AdmittedEntry | Refusal): answer is Refusal => !answer.admitted

t.test('a calm server admits all', async (t) => {
  const { enter, rest } = setUp()
  for (let i = 0; i < 1000; i++) {
    await rest(1)
    if (isRefused(enter(1))) t.fail(`number ${i} was refused`)
  }
})

t.test('who would have to wait too long for the engines is refused, and told when to come again', async (t) => {
  const { enter, rest, state } = setUp()
  await rest(10)
  state.drain = 0.029
  t.notOk(isRefused(enter(60)), 'half of it may be spent waiting')
  state.drain = 0.031
  t.ok(isRefused(enter(60)))
  state.drain = 0.06
  const refusal = enter(60)
  t.match(refusal, { admitted: false, message: /about 60 ms/, retryAfterSeconds: 0.06 })
  t.notOk(isRefused(enter(130)), 'who has more time may come')
  state.drain = 0
  t.notOk(isRefused(enter(1)), 'and all again when it is calm')
})

t.test('the lowest priority is admitted only where hardly anything waits', async (t) => {
  const { enter, rest, state } = setUp()
  await rest(10)
  t.notOk(isRefused(enter(1000, 100, true)))
  state.drain = 0.06
  t.ok(isRefused(enter(1000, 100, true)))
  t.notOk(isRefused(enter(1000, 100)), 'others are')
  state.drain = 0.04
  t.notOk(isRefused(enter(1000, 100, true)))
})

t.test('what is about to be read counts, by its bytes, until it has been', async (t) => {
  const { clock, enter, admit, rest, state } = setUp()
  await rest(10)
  // 0.1 ms a byte.
  admit(60, 100).wasRead(0.01, clock.now(), clock.now())
  state.drain = 0.001
  const entered = [1, 2, 3, 4, 5].map(() => admit(60, 100))
  // 26 ms on two engines, and 25 ms of its own: more than four fifths.
  t.ok(isRefused(enter(60, 250)))
  entered.push(admit(60, 100))
  t.ok(isRefused(enter(60, 1)), 'waiting alone takes more than half')
  for (const ticket of entered) ticket.wasRead(0.01, clock.now(), clock.now())
  t.notOk(isRefused(enter(60, 250)))
})

t.test('whoever is slow to send is not waited for', async (t) => {
  const { clock, admit, enter, rest, state } = setUp()
  await rest(10)
  admit(60, 100).wasRead(0.01, clock.now(), clock.now())
  for (let i = 0; i < 100; i++) admit(100_000, 900)
  state.drain = 0.001
  t.ok(isRefused(enter(60, 100)))
  for (let turn = 0; turn < 2; turn++) {
    await rest(10)
    enter(100_000, 1)
  }
  await rest(10)
  t.notOk(isRefused(enter(60, 100)))
})

t.test('who has waited in its socket while the thread was busy has less time left', async (t) => {
  const { clock, admit, enter, rest } = setUp()
  await rest(10)
  const start = clock.now()
  t.equal(admit().earliestArrival, start, 'the thread had nothing to do: it has just come')
  await clock.flush()
  await clock.advance(40)
  const late = admit(200)
  t.equal(late.earliestArrival, start, 'it may have come at any time since')
  t.ok(isRefused(enter(60)), 'more than half of its time is over')
  t.notOk(isRefused(enter(90)))
  await clock.flush()
  await rest(5)
  t.equal(admit(1000).earliestArrival, clock.now())
})

t.test('one long turn of the event loop is a pause, after two the next is taken to be as long', async (t) => {
  const { clock, enter, rest } = setUp()
  await rest(10)
  for (let i = 0; i < 10; i++) {
    enter()
    await clock.flush()
    await clock.advance(1)
  }
  await clock.advance(19)
  t.notOk(isRefused(enter(60)), 'after 20 ms, it has as long')
  await clock.flush()
  await clock.advance(20)
  t.ok(isRefused(enter(60)))
})

t.test('long turns of the event loop are forgotten when it is calm', async (t) => {
  const { clock, enter, rest } = setUp()
  for (let i = 0; i < 10; i++) {
    enter()
    await clock.flush()
    await clock.advance(30)
  }
  t.ok(isRefused(enter(60)))
  await clock.flush()
  for (let i = 0; i < 60; i++) {
    await rest(1)
    enter()
    await clock.flush()
  }
  await rest(1)
  t.notOk(isRefused(enter(1)))
})

t.test('of a large body that is announced no more is foreseen than may arrive at once', async (t) => {
  const { clock, admit, enter, rest, state } = setUp()
  await rest(10)
  // 1 µs a byte.
  admit(1000, 1000).wasRead(0.001, clock.now(), clock.now())
  admit(600_000, 16_000_000)
  state.drain = 0.001
  t.notOk(isRefused(enter(1000, 1000)), '33 ms, not 8 s')
  t.ok(isRefused(enter(60, 1000)), 'but those')
})

t.test('who arrived while another was read for long has waited since then', async (t) => {
  const { clock, admit, enter, rest } = setUp()
  await rest(10)
  const large = admit(100_000)
  await clock.flush()
  await rest(100)
  const began = clock.now()
  await clock.advance(500)
  large.wasRead(0.01, began, clock.now())
  t.ok(isRefused(enter(600)))
  t.equal(admit(10_000).earliestArrival, began)
  await clock.flush()
  await rest(1)
  t.equal(admit().earliestArrival, clock.now(), 'until the thread has been idle again')
})
