import t from 'tap'
import { createSaturation } from '../../../src/server/overload/saturation.ts'

function start(workers = 2) {
  const state = { now: 0, loop: 0, busy: 0, wait: 0 }
  const saturation = createSaturation({
    clock: { now: () => state.now },
    loopBusyMs: () => state.loop,
    workerSeconds: () => state.busy,
    workers,
    predictedWait: () => state.wait,
    deadlineMs: 1000,
  })
  /** Seconds in which the event loop and each worker are busy for these shares. */
  const pass = (seconds: number, loop: number, worker: number, wait = 0) => {
    for (let i = 0; i < seconds; i++) {
      state.now += 1000
      state.loop += 1000 * loop
      state.busy += workers * worker
      state.wait = wait
      saturation.sample()
    }
    return saturation.value
  }
  return { saturation, pass, state }
}

const near = (value: number, wanted: number) => Math.abs(value - wanted) < 0.01

t.test('the largest share counts', async (t) => {
  t.ok(near(start().pass(100, 0.3, 0.1), 0.3))
  t.ok(near(start().pass(100, 0.3, 0.6), 0.6))
  t.ok(near(start().pass(100, 0.3, 0.6, 0.4), 0.8))
  t.ok(near(start(8).pass(100, 0.1, 0.5), 0.5), 'whatever the number of workers')
})

t.test('it stays between 0 and 1', async (t) => {
  t.equal(start().pass(3, 0, 0), 0)
  const { pass } = start()
  const value = pass(1000, 1.2, 1.5, 60)
  t.ok(value <= 1 && value > 0.99)
})

t.test('a burst shows a little, what lasts shows within half a minute, and goes as fast', async (t) => {
  const { pass } = start()
  t.ok(pass(1, 1, 1) < 0.15)
  t.ok(pass(29, 1, 1) > 0.9)
  t.ok(pass(30, 0, 0) < 0.1)
})

t.test('a clock that stands still changes nothing', async (t) => {
  const { saturation, state, pass } = start()
  const before = pass(5, 0.5, 0.5)
  state.loop += 1e6
  saturation.sample()
  t.equal(saturation.value, before)
})
