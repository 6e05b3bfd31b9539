import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { createOpenTelemetry } from '../../../src/server/telemetry/open-telemetry.ts'
import { collectGarbage } from '../../support/collect-garbage.ts'

const request = { method: 'POST', url: '/predict', id: 'r', headers: {}, routeOptions: { url: '/predict' } }
const now = () => performance.now()

t.test('while spans cannot be sent, memory is bounded', async (t) => {
  let exports = 0
  const traces = createOpenTelemetry({
    exporter: { export: () => void exports++, shutdown: async () => undefined },
    sample: 1,
    version: '0',
    now,
    wallClock: Date.now,
    onExported: () => undefined,
  })
  const run = (requests: number) => {
    for (let i = 0; i < requests; i++) {
      const arrived = now()
      const trace = traces.begin(traces.identify({}), request as unknown as FastifyRequest, arrived)
      const call = { rows: 1, requests: 1, onEnd: [] as ((at: number) => void)[] }
      trace.computing(now(), call)
      for (const onEnd of call.onEnd) onEnd(now())
      const at = now()
      trace.end({ arrived, admitted: at, read: at, encoded: at, begun: at, computed: at, ended: at, status: 200 })
    }
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  const before = run(2000)
  // 400,000 spans, of which each kept one takes more than a kilobyte.
  const grown = run(50_000) - before
  t.ok(grown < 20e6, `memory grew by ${Math.round(grown / 1e6)} MB`)
  t.ok(exports <= 1, 'one export at a time')
})

t.test('a wall clock that jumps moves no stage out of its request', async (t) => {
  const spans: { name: string; start: number; end: number }[] = []
  const traces = createOpenTelemetry({
    exporter: {
      export(ended, done) {
        for (const { name, startTime, endTime } of ended)
          spans.push({ name, start: startTime[0] * 1e3 + startTime[1] / 1e6, end: endTime[0] * 1e3 + endTime[1] / 1e6 })
        done({ code: 0 })
      },
      shutdown: async () => undefined,
    },
    sample: 1,
    version: '0',
    now: () => clock,
    wallClock: () => wall,
    onExported: () => undefined,
  })
  let [clock, wall] = [1000, 1e12]
  const trace = traces.begin(traces.identify({}), request as unknown as FastifyRequest, clock)
  wall -= 3_600_000
  clock = 1010
  trace.end({ arrived: 1000, admitted: 1001, read: 1002, encoded: 1003, computed: 1005, ended: 1010, status: 200 })
  await traces.close()
  const whole = spans.find(({ name }) => name === 'POST /predict')!
  t.equal(Math.round(whole.end - whole.start), 10)
  t.equal(spans.length, 7)
  for (const { name, start, end } of spans) t.ok(start >= whole.start - 0.01 && end <= whole.end + 0.01, name)
})

t.test('a trace is kept as its parent is, else by its id', async (t) => {
  const start = (sample: number) =>
    createOpenTelemetry({
      exporter: { export: () => undefined, shutdown: async () => undefined },
      sample,
      version: '0',
      now,
      wallClock: Date.now,
      onExported: () => undefined,
    })
  const [none, half, all] = [start(0), start(0.5), start(1)]
  const id = '0af7651916cd43dd8448eb211c80319c'
  for (const [traces, flags] of [
    [none, '01'],
    [all, '00'],
  ] as const) {
    const ids = traces.identify({ traceparent: `00-${id}-b7ad6b7169203331-${flags}` })
    t.match(ids, { trace_id: id, trace_flags: flags, span_id: /^[0-9a-f]{16}$/ })
    t.not(ids.span_id, 'b7ad6b7169203331')
  }
  for (const traceparent of ['nonsense', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, undefined]) {
    t.match(none.identify({ traceparent }), { trace_id: /^[0-9a-f]{32}$/, trace_flags: '00' })
    t.equal(all.identify({ traceparent }).trace_flags, '01')
  }
  const kept = Array.from({ length: 2000 }, () => half.identify({})).filter((ids) => ids.trace_flags === '01').length
  t.ok(kept > 800 && kept < 1200, `${kept} of 2000`)
})
