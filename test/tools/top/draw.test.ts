import t from 'tap'
import type { LiveModel, LiveProcess, LiveUpdate } from '../../../src/schemas/live-figures.ts'
import { draw, fit } from '../../../src/tools/top/draw.ts'
import { liveSample as sample } from '../../support/live-sample.ts'

const model = { ...sample, model: 'ads\u001b[2J', version: '1', total: sample.stages.total } as LiveModel
const one = { pid: 17, resident_bytes: 2 ** 29, cores: 1, loop_busy: 0.5, workers: 2, workers_replaced: 0 }
const processes: LiveProcess[] = [{ ...one, workers_busy: 0.1, connections: 3, saturation: 0, uptime_seconds: 7300 }]
const state = { clock: 0, events: [], clients: [], silent: [], unstored: [], failed: [], unready: [] }
const update: LiveUpdate = { fine: [sample], coarse: [], models: [model], processes, ...state }
const text = (view: Partial<Parameters<typeof draw>[0]> = {}) =>
  draw({ url: 'http://h', update, problem: undefined, ...view })
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
  const red = draw({ url: '', update, problem: undefined }).filter(({ style }) => style === 'red')
  t.same(
    red.map((line) => line.text.slice(0, 6).trim()),
    ['Failed', 'Shed', 'Busy'],
  )
})

t.test('nothing yet, no answer, no requests', async (t) => {
  t.match(text({ update: undefined }), 'Waiting for the first figures')
  t.match(text({ update: undefined, problem: 'No answer' }), /No answer$/)
  t.match(text({ problem: 'No answer' }), /No answer[\s\S]*Requests +200/, 'the last figures stay')
  t.match(text({ update: { ...update, models: [] } }), 'No requests in the last second')
})

t.test('lines fit the terminal', async (t) => {
  const lines = fit(draw({ url: 'http://h', update, problem: undefined }), 20, 5)
  t.equal(lines.length, 5)
  t.ok(lines.every((line) => [...line.text].length <= 20))
})
