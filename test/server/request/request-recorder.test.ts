import t from 'tap'
import type { RequestRecord } from '../../../src/schemas/requests.ts'
import { createRequestRecorder, joinLists } from '../../../src/server/request/request-recorder.ts'

let moment = 0
const record = (more: Partial<RequestRecord> = {}): RequestRecord => ({
  ended: new Date(moment++).toISOString(),
  method: 'POST',
  url: '/predict',
  status: 200,
  total_ms: 1,
  ...more,
})
const start = (options: Partial<Parameters<typeof createRequestRecorder>[0]> = {}) =>
  createRequestRecorder({ slow: 2, recent: 3, bodies: true, now: () => 0, ...options })
const ids = (records: RequestRecord[]) => records.map(({ request_id }) => request_id)

t.test('three lists, each within its bound, newest or slowest first', async (t) => {
  const recorder = start()
  for (const [i, total_ms] of [5, 1, 9, 2, 7].entries()) recorder.add(record({ request_id: `r${i}`, total_ms }))
  recorder.add(record({ request_id: 'bad', status: 400, code: 'INVALID_REQUEST' }))
  const { slow, failed, recent } = recorder.list()
  t.same(ids(slow), ['r2', 'r4'])
  t.same(ids(failed), ['bad'])
  t.same(ids(recent), ['bad', 'r4', 'r3'])
  t.same(recorder.recorded, { slow: 2, failed: 25, recent: 3, bodies: true })
})

t.test('a flood of one refusal does not push out other failures', async (t) => {
  const recorder = start({ slow: 0, recent: 1 })
  recorder.add(record({ request_id: 'crash', status: 500, code: 'MODEL_FAILED' }))
  recorder.add(record({ request_id: 'gone', status: 499 }))
  for (let i = 0; i < 1000; i++) recorder.add(record({ request_id: `q${i}`, status: 429, code: 'QUEUE_FULL' }))
  const { slow, failed, recent } = recorder.list()
  t.equal(failed.length, 27)
  t.same(ids(failed).slice(0, 2), ['q999', 'q998'])
  t.same(ids(failed).slice(-2), ['gone', 'crash'])
  t.same(ids(recent), ['q999'])
  t.same(slow, [])
})

t.test('bodies are held only of requests that are kept, and read only when asked for', async (t) => {
  const recorder = start({ recent: 0, slow: 1 })
  const asked: string[] = []
  const add = (id: string, total_ms: number, status = 200) =>
    recorder.add(record({ request_id: id, total_ms, status }), () => {
      asked.push(`hold ${id}`)
      return () => {
        asked.push(`read ${id}`)
        return id === 'third' ? { missing: 'not_json' } : { body: { id }, changed: true }
      }
    })
  add('first', 2)
  add('second', 1)
  add('third', 1, 400)
  t.same(asked, ['hold first', 'hold third'])
  t.notOk('body' in recorder.list().slow[0]!)
  t.match(recorder.find('first'), { request_id: 'first', body: { id: 'first' }, body_changed: true })
  t.match(recorder.find('third'), { body_missing: 'not_json' })
  t.equal(recorder.find('second'), undefined)
  t.match(recorder.slow(), [{ body: { id: 'first' } }])
  t.same(asked, ['hold first', 'hold third', 'read first', 'read third', 'read first'])
  const without = start({ bodies: false })
  without.add(record({ request_id: 'x' }), () => t.fail('bodies are off') as never)
  t.notOk('body' in without.find('x')!)
})

t.test('of several requests with one id, the newest', async (t) => {
  const recorder = start()
  for (const rows of [1, 2, 3]) recorder.add(record({ request_id: 'same', rows, total_ms: 10 - rows }))
  t.equal(recorder.find('same')?.rows, 3)
})

t.test('lists of several processes are joined within the same bounds', async (t) => {
  const one = start()
  const other = start()
  for (let i = 0; i < 40; i++) {
    const target = i % 2 === 0 ? one : other
    target.add(record({ request_id: `r${i}`, total_ms: i, status: 429, code: 'QUEUE_FULL' }))
  }
  const { slow, failed, recent } = joinLists([one.list(), other.list()], one.recorded)
  t.same(ids(slow), ['r39', 'r38'])
  t.same(ids(recent), ['r39', 'r38', 'r37'])
  t.equal(failed.length, 25)
  t.equal(failed[0]?.request_id, 'r39')
})
