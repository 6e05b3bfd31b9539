import t from 'tap'
import { createSlowRequests, slowest } from '../../../src/server/request/request-recorder.ts'

const record = (total_ms: number) => ({ total_ms })
const times = (records: { total_ms: number }[]) => records.map(({ total_ms }) => total_ms)

t.test('the slowest of this minute and the last, slowest first', async (t) => {
  let now = 0
  const slow = createSlowRequests({ most: 3, now: () => now })
  t.same(slow.list(), [])
  for (const ms of [5, 1, 9, 2, 7, 3]) slow.add(record(ms))
  t.same(times(slow.list()), [9, 7, 5])
  t.equal(slow.add(record(5)), false)
  t.equal(createSlowRequests({ most: 0, now: () => now }).add(record(5)), false, 'none is kept where none is wanted')
  now = 61_000
  for (const ms of [4, 8]) slow.add(record(ms))
  t.same(times(slow.list()), [9, 8, 7], 'of both minutes')
  now = 121_000
  t.same(times(slow.list()), [8, 4])
  now = 300_000
  t.same(slow.list(), [], 'older ones are gone')
})

t.test('of several processes', async (t) => {
  t.same(times(slowest([record(1), record(3), record(2)], 2)), [3, 2])
})
