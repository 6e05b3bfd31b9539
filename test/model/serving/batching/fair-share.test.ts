import t from 'tap'
import { FairShare, type ModelSlots, type ModelWork } from '../../../../src/model/serving/batching/fair-share.ts'
import { fc, randomCases } from '../../../support/cases.ts'

/** A model with so many calls waiting, each of so many seconds; its calls end when the test says so. */
interface FakeModel extends ModelWork {
  share: ModelSlots
  waiting: number
  running: number
  /** Seconds of calls that were started. */
  used: number
  submit(calls: number): void
}

function join(fair: FairShare, seconds = 1, running: { model: FakeModel; seconds: number }[] = []): FakeModel {
  const model: FakeModel = {
    share: undefined as unknown as ModelSlots,
    waiting: 0,
    running: 0,
    used: 0,
    hasAny: () => model.waiting + model.running > 0,
    ready: () => model.waiting > 0,
    start() {
      model.waiting--
      model.running++
      model.used += seconds
      running.push({ model, seconds })
    },
    backlog: () => model.waiting * seconds,
    inFlight: () => model.running * seconds,
    submit(calls) {
      model.waiting += calls
      model.share.wake()
      model.share.pump()
    },
  }
  model.share = fair.join(model)
  return model
}

/** A share whose calls take their time on a clock of its own. */
function simulate(slots: number) {
  const fair = new FairShare(slots)
  const running: { model: FakeModel; seconds: number; end?: number }[] = []
  let now = 0
  return {
    fair,
    join: (seconds: number) => join(fair, seconds, running),
    now: () => now,
    /** Ends calls in their order until this time. */
    until(time: number) {
      for (;;) {
        for (const call of running) call.end ??= now + call.seconds
        const next = running.reduce<(typeof running)[number] | undefined>(
          (first, call) => (first === undefined || call.end! < first.end! ? call : first),
          undefined,
        )
        if (next === undefined || next.end! > time) break
        now = next.end!
        running.splice(running.indexOf(next), 1)
        next.model.running--
        next.model.share.release(next.seconds)
      }
      now = time
    },
  }
}

t.test('a flood of one model leaves another its half, whatever their calls take', async () => {
  const duration = fc.double({ min: 0.01, max: 1, noNaN: true })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), duration, duration, (slots, long, short) => {
      const { join, until } = simulate(slots)
      const flood = join(long)
      const other = join(short)
      flood.submit(100_000)
      other.submit(100_000)
      until(200)
      const half = (slots * 200) / 2
      // To within a call of each slot.
      const slack = 2 * slots * Math.max(long, short)
      return Math.abs(other.used - half) <= slack && Math.abs(flood.used - half) <= slack
    }),
    { numRuns: randomCases(50) },
  )
})

t.test('who needs less than its share gets it at the next call that ends', async (t) => {
  const { join, until } = simulate(1)
  const flood = join(1)
  const other = join(0.1)
  flood.submit(1000)
  for (let second = 0; second < 50; second += 2) {
    until(second + 0.5)
    other.submit(1)
    until(second + 1.5)
    t.equal(other.waiting, 0)
  }
})

t.test('idleness earns no credit', async (t) => {
  const { join, until } = simulate(1)
  const steady = join(1)
  const sleeper = join(1)
  sleeper.submit(1)
  until(2)
  steady.submit(1000)
  until(102)
  const before = steady.used
  sleeper.submit(1000)
  until(122)
  t.ok(Math.abs(steady.used - before - 10) <= 2, `${steady.used - before} s of 20`)
})

t.test('nor does a model that joins late owe or own anything', async (t) => {
  const { join, until } = simulate(1)
  const first = join(1)
  first.submit(1000)
  until(100)
  const late = join(1)
  late.submit(1000)
  const before = first.used
  until(120)
  t.ok(Math.abs(late.used - 10) <= 2, `${late.used} s of 20`)
  t.ok(Math.abs(first.used - before - 10) <= 2)
})

t.test('no slot is exceeded, lost, or idle while a model waits', async () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant('submit' as const), model: fc.nat(3), calls: fc.integer({ min: 1, max: 5 }) }),
    fc.record({
      type: fc.constant('end' as const),
      call: fc.nat(9),
      seconds: fc.double({ min: 0, max: 9, noNaN: true }),
    }),
    fc.record({ type: fc.constant('leave' as const), model: fc.nat(3) }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.nat(2), fc.array(step, { maxLength: 60 }), (slots, ahead, steps) => {
      const fair = new FairShare(slots, ahead)
      const running: { model: FakeModel; seconds: number }[] = []
      const models = Array.from({ length: 4 }, () => join(fair, 1, running))
      const gone = new Set<FakeModel>()
      for (const step of steps) {
        if (step.type === 'submit') {
          const model = models[step.model]!
          if (!gone.has(model)) model.submit(step.calls)
        } else if (step.type === 'leave') {
          const model = models[step.model]!
          model.share.leave()
          gone.add(model)
        } else if (running.length > 0) {
          const [call] = running.splice(step.call % running.length, 1)
          call!.model.running--
          call!.model.share.release(step.seconds)
        }
        const waiting = models.some((model) => model.waiting > 0 && !gone.has(model))
        const most = slots * (1 + ahead)
        if (fair.free !== Math.max(0, slots - running.length) || running.length > most)
          throw new Error(`${running.length} of ${slots}, and ${fair.free} free`)
        if (waiting && running.length < most) throw new Error('a slot idles, or gets no call ahead')
      }
    }),
  )
})

t.test('slots are given work for a turn, where that is more than one call ahead', async (t) => {
  for (const [ahead, most] of [
    [1, 10],
    [0, 2],
  ] as const) {
    const fair = new FairShare(2, ahead)
    const model = join(fair, 0.001)
    model.submit(100)
    t.equal(model.running, 2 * (1 + ahead))
    fair.eventLoopTurn(5)
    model.share.pump()
    t.equal(model.running, most)
    fair.eventLoopTurn(0.1)
    for (let i = 0; i < 7; i++) {
      model.running--
      model.share.release(0.001)
    }
    t.equal(model.running, Math.max(2 * (1 + ahead), most - 7))
  }
})

t.test('a model waits for its own and as much of the others, divided by the slots', async (t) => {
  const fair = new FairShare(2)
  const [busy, quiet] = [join(fair), join(fair)]
  t.equal(busy.share.predictedWait(), 0)
  t.equal(fair.predictedWait(), 0)
  busy.submit(12)
  t.equal(fair.free, 0)
  t.equal(busy.share.predictedWait(), 6, 'two under way and ten waiting')
  t.equal(quiet.share.predictedWait(), 1, 'those under way alone: it would be next')
  t.equal(fair.predictedWait(), 6, 'who has not been asked lately does not count')
  quiet.submit(3)
  t.equal(busy.share.predictedWait(), 7.5, 'and three of the other')
  t.equal(quiet.share.predictedWait(), 4, 'three of its own and three of the other')
  t.equal(fair.predictedWait(), 4, 'the least of those that are asked')
})

t.test('of many models, those that have had no work for long are not looked at', async (t) => {
  const fair = new FairShare(1)
  let looked = 0
  const models = Array.from({ length: 200 }, () => {
    const model = join(fair)
    const { backlog, inFlight, ready } = model
    return Object.assign(model, {
      backlog(tenant?: string) {
        looked++
        return backlog(tenant)
      },
      inFlight() {
        looked++
        return inFlight()
      },
      ready(ahead: boolean) {
        looked++
        return ready(ahead)
      },
    })
  })
  const compute = (model: FakeModel) => {
    model.submit(1)
    model.running--
    model.share.release(1)
  }
  for (const model of models) compute(model)
  for (let i = 0; i < 300; i++) compute(models[0]!)
  looked = 0
  fair.predictedWait()
  models[0]!.share.predictedWait()
  compute(models[0]!)
  t.ok(looked > 0 && looked < 20, `${looked} looks at 200 models`)
  // One that comes back is served.
  models[199]!.submit(2)
  t.equal(models[199]!.running, 1)
  t.ok(models[199]!.share.predictedWait() > 0)
})
