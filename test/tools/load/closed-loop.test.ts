import t from 'tap'
import { runClosedLoop } from '../../../src/tools/load/closed-loop.ts'
import type { Reply, Transport } from '../../../src/tools/load/open-loop.ts'
import { createFakeClock } from '../../support/fakes/clock.ts'

t.test('a fixed number of requests is in progress until the time is over', async (t) => {
  const clock = createFakeClock()
  let [running, most] = [0, 0]
  const replies: Reply[] = [{ status: 200 }, { status: 429 }, { status: 200 }, { status: 500 }]
  const transport: Transport = {
    send(index, done) {
      most = Math.max(most, ++running)
      clock.after(10, () => {
        running--
        done(replies[index % 4]!)
      })
      return true
    },
  }
  let result: Awaited<ReturnType<typeof runClosedLoop>> | undefined
  runClosedLoop({ transport, clock, inProgress: 4, seconds: 1 }).then((value) => {
    result = value
  })
  await clock.advance(2000)
  t.equal(most, 4)
  t.match(result, { answers: 200, rejected: 100, failed: 100, reasons: ['status 500'], seconds: 1 })
})

t.test('a server that is gone ends the loop', async (t) => {
  const clock = createFakeClock()
  const transport: Transport = {
    send(_index, done) {
      clock.after(1, () => done({ error: 'ECONNREFUSED' }))
      return true
    },
  }
  const running = runClosedLoop({ transport, clock, inProgress: 2, seconds: 1 })
  await clock.advance(5)
  t.match(await running, { answers: 0, failed: 2, reasons: ['ECONNREFUSED'] })
  t.match(await runClosedLoop({ transport: { send: () => false }, clock, inProgress: 1, seconds: 1 }), {
    failed: 1,
    reasons: ['no connection'],
  })
})
