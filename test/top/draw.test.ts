import t from 'tap'
import type { LiveModel, LiveProcess, LiveSample, LiveUpdate } from '../../src/schemas/live.ts'
import { draw, fit } from '../../src/top/draw.ts'

const quantiles = { p50: 1.5, p95: 4, p99: 1234 }
const sample: LiveSample = {
  at: 0,
  seconds: 1,
  requests: 200,
  ok: 150,
  candidates: 12_000,
  failed: { queue_full: 50 },
  shed: { busy: 40, predicted_wait: 10 },
  stages: { total: quantiles, encode: quantiles, queue: null, infer: quantiles },
  batches: { calls: 1, rows: 1, requests: 1 },
  queue_rows: 1500,
  wait_ms: 12,
  deadline_ms: 50,
  saturation: 1,
  loop_busy: 0.5,
  workers_busy: 0.25,
  cores: 1.25,
  resident_bytes: 2 ** 30,
  cache: { hits: 0, misses: 0, bytes: 2 ** 20 },
  connections: 3,
}
const model = { ...sample, model: 'ads\u001b[2J', version: '1', total: quantiles } as LiveModel
const one = { pid: 17, resident_bytes: 2 ** 29, cores: 1, loop_busy: 0.5, workers: 2, workers_replaced: 0 }
const processes: LiveProcess[] = [{ ...one, workers_busy: 0.1, connections: 3, saturation: 0, uptime_seconds: 7300 }]
const state = { clock: 0, events: [], silent: [], unstored: [], failed: [], unready: [] }
const update: LiveUpdate = { fine: [sample], coarse: [], models: [model], processes, ...state }
const text = (view: Partial<Parameters<typeof draw>[0]> = {}) =>
  draw({ url: 'http://h', update, lost: undefined, ...view })
    .map((line) => line.text)
    .join('\n')

t.test('all figures, with their units', async (t) => {
  const shown = text()
  for (const expected of [
    /Requests +200\/s, in time 75\.0 %/,
    /Candidates +12,000\/s/,
    /Failed +queue full 50\.0\/s/,
    /Shed +busy 40\.0\/s, predicted wait 10\.0\/s/,
    /total +1\.50 +4\.00 +1,234/,
    /queue +– +– +–/,
    /compute +1\.50/,
    /Queue +1,500 rows, predicted wait 12\.0 ms of a deadline of 50\.0 ms/,
    /Busy +event loop 50 %, workers 25 %, saturation 100 %/,
    /Memory +1\.0 GiB, of it cached candidates 1\.0 MiB/,
    /17 +2 h +512\.0 MiB +1\.00/,
  ])
    t.match(shown, expected)
  t.notMatch(shown.replaceAll('\n', ''), /\p{Cc}/u, 'names move no cursor')
  const red = draw({ url: '', update, lost: undefined }).filter(({ style }) => style === 'red')
  t.same(
    red.map((line) => line.text.slice(0, 6).trim()),
    ['Failed', 'Shed', 'Busy'],
  )
})

t.test('nothing yet, no answer, no requests', async (t) => {
  t.match(text({ update: undefined }), 'Waiting for the first figures')
  t.match(text({ update: undefined, lost: 'ECONNREFUSED' }), 'No answer, trying again: ECONNREFUSED')
  t.match(text({ lost: 'gone' }), /No answer[\s\S]*Requests +200/, 'the last figures stay')
  t.match(text({ update: { ...update, models: [] } }), 'No requests in the last second')
})

t.test('lines fit the terminal', async (t) => {
  const lines = fit(draw({ url: 'http://h', update, lost: undefined }), 20, 5)
  t.equal(lines.length, 5)
  t.ok(lines.every((line) => [...line.text].length <= 20))
})
