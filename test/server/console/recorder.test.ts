import t from 'tap'
import { createRecorder } from '../../../src/server/console/recorder.ts'
import { aReading, aVersion } from '../../support/readings.ts'

/** A recorder on a clock that moves by a second at a time, with ten requests each. */
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
    /** `watch`: what a viewer does each second. */
    async pass(seconds: number, watch?: () => Promise<unknown>) {
      for (let i = 0; i < seconds; i++) {
        at += 1000
        if ((at / 1000) % 10 === 0) await recorder.tick()
        await watch?.()
      }
    },
  }
}

t.test('while nobody watches, it reads once in ten seconds', async (t) => {
  const { recorder, reads, pass } = start()
  await pass(100)
  t.equal(reads(), 10)
  const { fine, coarse } = await recorder.history()
  t.same(fine, [])
  t.equal(coarse.length, 9)
  t.match(coarse[0], { seconds: 10, requests: 10 })
})

t.test('while somebody asks, there is a sample per second; afterwards no more', async (t) => {
  const { recorder, reads, now, pass } = start()
  await recorder.history()
  await pass(20, () => recorder.latest(now() - 1000))
  t.equal(reads(), 20)
  const latest = await recorder.latest(now() - 3000)
  t.match(latest, { fine: [{ seconds: 1, requests: 10 }, {}, {}], processes: [{ pid: 1 }], silent: [], unready: [] })
  t.equal(await recorder.latest(now()), undefined, 'nothing new')
  t.equal(reads(), 20, 'the last sample is the latest')
  await pass(40)
  t.equal(reads(), 24)
})

t.test('viewers that ask at different moments share a sample, and a slow reading', async (t) => {
  let at = 0
  let reads = 0
  let answer: (() => void) | undefined
  const recorder = createRecorder(
    async () => {
      reads++
      const reading = aReading({ at })
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return { answered: [reading], silent: [] }
    },
    () => at,
  )
  const answered = async <T>(asking: Promise<T>) => {
    await Promise.resolve()
    answer!()
    return asking
  }
  await answered(recorder.tick())
  at = 1000
  const first = recorder.latest(0)
  at = 2500
  const second = recorder.latest(0)
  const due = recorder.tick()
  t.match(await answered(Promise.all([first, second])), [{ fine: [{ at: 1000 }] }, { fine: [{ at: 1000 }] }])
  t.equal(reads, 3, 'ten seconds that end meanwhile are read after it')
  await answered(due)
  at = 3300
  t.match(await recorder.latest(1000), { fine: [{ at: 2500 }], coarse: [{ at: 2500, seconds: 2.5 }] })
  t.equal(reads, 3)
})

t.test('what happened just before somebody came, and after they left, is in one sample', async (t) => {
  const { recorder, now, pass } = start()
  await pass(37)
  await pass(8, () => recorder.latest(now()))
  await pass(40)
  const { fine, coarse } = await recorder.history()
  t.match(fine[0], { at: 1_038_000, seconds: 8 })
  // As the page does: by the second where there is such a sample, else by ten.
  const others = coarse.filter(
    ({ at, seconds }) => !fine.some((sample) => sample.at > at - 1000 * seconds && sample.at <= at),
  )
  const spans = [...others, ...fine].sort((a, b) => a.at - b.at)
  for (const [i, { at, seconds }] of spans.entries())
    if (i > 0) t.equal(at - 1000 * seconds, spans[i - 1]!.at, 'each begins where the one before it ends')
})

t.test('an hour and five minutes are kept', async (t) => {
  const { recorder, now, pass } = start()
  await recorder.history()
  await pass(4000, () => recorder.latest(now()))
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
