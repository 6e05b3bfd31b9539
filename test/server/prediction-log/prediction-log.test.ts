import t from 'tap'
import { createPredictionLog } from '../../../src/server/prediction-log/prediction-log.ts'
import type { RingWriter } from '../../../src/server/prediction-log/ring.ts'

t.test('a flood of requests whose bodies are not read leaves at most a hundred records a second', async (t) => {
  // A ring without room counts what is put into it.
  const ring = { bytes: Buffer.alloc(1000), used: 0, reserve: () => -1 } as unknown as RingWriter
  const rates = { rate: 0, failed: 1, slow: 0 }
  let time = 5000
  const log = createPredictionLog({
    ring,
    rates,
    slowMs: 1000,
    introduce: () => 0,
    introduceTable: () => 0,
    now: () => time,
  })
  const refuse = (times: number) => {
    for (let i = 0; i < times; i++) {
      const request = { id: `r${i}`, traceId: undefined }
      log.unread(request, { protocol: 'predict', key: undefined, outcome: 'queue_full', ms: { total: 1 } })
    }
  }
  refuse(250)
  t.equal(log.state.full, 100)
  time = 6000
  refuse(30)
  t.equal(log.state.full, 130)
})
