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
  t.equal(reads() - asked, 11 + 3, 'by the second until ten are full')
})

t.test('what happened just before somebody came, and after they left, is in one sample', async (t) => {
  const { recorder, now, ticks } = start()
  await ticks(37)
  for (let i = 0; i < 8; i++) {
    await recorder.latest(now())
    await ticks(1)
  }
  await ticks(40)
  const { fine, coarse } = await recorder.history()
  t.match(fine[0], { at: 1_038_000, seconds: 7 })
  // As the page does: by the second where there is such a sample, else by ten.
  const others = coarse.filter(
    ({ at, seconds }) => !fine.some((sample) => sample.at > at - 1000 * seconds && sample.at <= at),
  )
  const spans = [...others, ...fine].sort((a, b) => a.at - b.at)
  for (const [i, { at, seconds }] of spans.entries())
    if (i > 0) t.equal(at - 1000 * seconds, spans[i - 1]!.at, 'each begins where the one before it ends')
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
