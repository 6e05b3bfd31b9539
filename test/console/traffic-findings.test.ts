import t from 'tap'
import { createTrafficFindings } from '../../src/console/pages/live/traffic-findings.ts'
import type { LiveClient, LiveEvent, LiveModel, LiveSample } from '../../src/schemas/live-figures.ts'
import { liveSample } from '../support/live-sample.ts'

/* The notices about traffic on the page Live. */

type Failed = Record<string, number>

const model = (name: string, failed: Failed): LiveModel => ({
  model: name,
  version: '1',
  requests: 10,
  ok: 9,
  candidates: 10,
  failed,
  shed: {},
  total: null,
  queue_rows: 0,
  wait_ms: 0,
})

/** A page that watches; each second has a sample with these errors, and models that had them. */
function watch() {
  const findings = createTrafficFindings()
  const fine: LiveSample[] = []
  let now = 1_000_000
  return (
    failed: Failed = {},
    models: LiveModel[] = [],
    more: Partial<LiveSample> = {},
    clients: LiveClient[] = [],
    events: LiveEvent[] = [],
  ) => {
    now += 1000
    const stages = { total: null, encode: null, queue: null, infer: null }
    fine.push({ ...liveSample, at: now, requests: 1000, shed: {}, failed, stages, deadline_ms: 100, ...more })
    return findings({ fine, coarse: [], models, clients, events }, now)
  }
}

const times = (count: number) => Array.from({ length: count }, (_, i) => i)

t.test('name the models whose requests fail, in the same order each second', async (t) => {
  const second = watch()
  const [first] = second({ invalid_request: 5 }, [model('b', { invalid_request: 5 })])
  t.match(first, {
    tone: 'warning',
    title: 'Over ten seconds, 0.5% of the requests failed.',
    text: /^The most frequent error: invalid request \(5\/s\), for b\. /,
  })
  second({ invalid_request: 2 }, [model('c', { invalid_request: 2 }), model('a', { invalid_request: 1 })])
  const [later] = second({ invalid_request: 9 }, [model('d', { model_failed: 9 }), model('b', {})])
  t.match(later?.text, /invalid request \(5\.33\/s\), for a, b, c\./)
  t.match(second({ invalid_request: 9 }, [model('e', { invalid_request: 1 })])[0]?.text, /for a, b, c and 1 more\./)
  const unnamed = times(11).map(() => second({ invalid_request: 9 })[0]?.text)
  t.match(unnamed.at(-1), /^The most frequent error: invalid request \(9\/s\)\. /)
})

t.test('stay while traffic is near a limit, and go when it was below for ten seconds', async (t) => {
  const second = watch()
  const shown = times(60).map((i) => second({ invalid_request: i % 15 === 0 ? 12 : 0 }).length)
  t.same(
    shown,
    times(60).map(() => 1),
    'with twelve in fifteen seconds, which is more than 0.1 % in ten of them',
  )
  const gone = times(25).map(() => second().length)
  t.same([gone.at(2), gone.at(-1)], [1, 0])
})

t.test('of one slow second stay, too, and what is refused comes first', async (t) => {
  const second = watch()
  const slow = { stages: { ...liveSample.stages, total: { p50: 1, p95: 90, p99: 99 } } }
  t.match(second({}, [], slow)[0]?.title, 'The slowest requests come close to their deadline.')
  const both = second({ queue_full: 10 }, [], { shed: { busy: 10 } }).map(({ title }) => title)
  t.same(both, [
    'Over ten seconds, 0.5% of the requests were refused or dropped.',
    'The slowest requests come close to their deadline.',
  ])
  t.same(
    times(40)
      .map(() => second())
      .at(-1),
    [],
  )
})

t.test('a few are none, and a flood is named', async (t) => {
  const few = watch()
  t.same(few({ invalid_request: 4 }, [], { requests: 4 }), [], 'somebody tries something')
  const second = watch()
  for (const _ of times(60)) second({}, [], { candidates: 500 })
  const flooded = { shed: { busy: 50 }, candidates: 60_000 }
  const [found] = times(3)
    .flatMap(() => second({ queue_full: 50 }, [], flooded).slice(0, 1))
    .slice(-1)
  t.match(found?.text, /Candidates per second rose from 500 to 60K\./)
  const clients = [
    { client: 'eu', requests: 10, candidates: 500, failed: 0 },
    { client: 'us', requests: 80, candidates: 59_500, failed: 9 },
  ]
  t.match(second({}, [], flooded, clients)[0]?.text, / 99% of the candidates come from us\. /)
  const wrong = watch()
  t.match(
    wrong({ invalid_request: 9 }, [], {}, clients)[0]?.text,
    'The most frequent error: invalid request (9/s). Clients: us (9/s). ',
  )
})
