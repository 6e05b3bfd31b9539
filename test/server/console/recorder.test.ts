import t from 'tap'
import { createRecorder } from '../../../src/server/console/recorder.ts'
import { aReading, aVersion } from '../../support/readings.ts'

/** A recorder on a clock that moves by a second at each tick, with ten requests each. */
function start() {
  let at = 1_000_000
  let reads = 0
  const recorder = createRecorder(
    async () => {
      reads++
      const versions = [aVersion({ outcomes: { ok: at / 100 } })]
      return { answered: [aReading({ at, versions })], silent: [] }
    },
    () => at,
  )
  return {
    recorder,
    reads: () => reads,
    now: () => at,
    async ticks(count: number) {
      for (let i = 0; i < count; i++) {
        at += 1000
        await recorder.tick()
      }
    },
  }
}

t.test('while nobody watches, it reads once in ten seconds', async (t) => {
  const { recorder, reads, ticks } = start()
  await ticks(100)
  t.equal(reads(), 10)
  const { fine, coarse } = await recorder.history()
  t.same(fine, [])
  t.equal(coarse.length, 9)
  t.match(coarse[0], { seconds: 10, requests: 10 })
})

t.test('while somebody asks, there is a sample per second; afterwards no more', async (t) => {
  const { recorder, reads, now, ticks } = start()
  await recorder.history()
  for (let i = 0; i < 20; i++) {
    await ticks(1)
    await recorder.latest(now() - 1000)
  }
  t.equal(reads(), 20)
  const latest = await recorder.latest(now() - 3000)
  t.match(latest, { fine: [{ seconds: 1, requests: 10 }, {}, {}], processes: [{ pid: 1 }], silent: [], unready: [] })
  t.equal(await recorder.latest(now()), undefined, 'nothing new')
  const asked = reads()
  await ticks(43)
  t.equal(reads() - asked, 3 + 4)
})

t.test('an hour and five minutes are kept', async (t) => {
  const { recorder, now, ticks } = start()
  await recorder.history()
  for (let i = 0; i < 4000; i++) {
    await ticks(1)
    await recorder.latest(now())
  }
  const { fine, coarse } = await recorder.history()
  t.equal(fine.length, 300)
  t.equal(coarse.length, 360)
})

t.test('processes that do not answer, or fail, leave a gap and nothing else', async (t) => {
  let at = 0
  const answers = [[aReading({ at: 0 })], [], 'fails', [aReading({ at: 3000 })]]
  const recorder = createRecorder(
    async () => {
      const answered = answers[at / 1000]
      if (typeof answered === 'string') throw new Error('no')
      return { answered: answered ?? [], silent: answered?.length === 0 ? [1] : [] }
    },
    () => at,
  )
  await recorder.history()
  for (const _ of answers) {
    await recorder.tick().catch(() => undefined)
    await recorder.latest(0)
    at += 1000
  }
  const { fine, events } = await recorder.history()
  t.match(fine, [{ at: 3000, seconds: 3 }])
  t.match(events, [{ kind: 'process_silent' }, { kind: 'process_answers' }])
})
