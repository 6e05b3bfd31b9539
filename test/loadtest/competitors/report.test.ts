import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { compareReports } from '../../../loadtest/competitors/against.ts'
import { summaryTable, toMarkdown } from '../../../loadtest/competitors/report.ts'
import { addTo, type CellResult, type ComparisonReport } from '../../../loadtest/competitors/results.ts'

const root = join(import.meta.dirname, '../../../..')

const closed = (requestsPerSecond: number, connections = 32) => ({
  connections,
  requestsPerSecond,
  p50: 1,
  p99: 2,
  p999: 3,
  errors: 0,
  serverMs: 0.5,
  generatorCores: 0.1,
  otherCores: 0,
})
const quantiles = (p99: number) => ({ p50: 1, p99, p999: 2 * p99, max: 3 * p99 })
const open = (load: number, lateness: number): CellResult['open'][number] => ({
  load,
  rate: load * 1000,
  seconds: 2,
  scheduled: load * 2000,
  good: 500,
  late: 0,
  rejected: load * 2000 - 500,
  failed: 0,
  noConnection: 0,
  latency: quantiles(40),
  rejection: quantiles(7),
  lateness: quantiles(lateness),
  reasons: [],
  generatorCores: 0.2,
  generatorSeconds: 0.5,
  otherCores: 0,
  lone: { ms: 1.5, status: 200 },
  raised: true,
})
const cell = (changes: Partial<CellResult>): CellResult => ({
  server: 'multigate',
  scenario: 'S3',
  form: 'tensors',
  candidates: 'new',
  date: '2026-01-02 03:04',
  workers: 2,
  batch: 1,
  bodyBytes: 27_000,
  distinct: 4096,
  closed: [closed(1000)],
  open: [],
  ...changes,
})
const report: ComparisonReport = {
  machine: {
    date: '2026-01-02 03:04',
    processor: 'P',
    cores: 2,
    loadBefore: 0,
    versions: { node: '22.0.0' },
    settings: {},
  },
  method: {
    short: false,
    generator: 'wrk 4',
    seconds: 4,
    repeats: 3,
    connections: [8, 32],
    openSeconds: 2,
    openConnections: 1024,
    deadlineMs: 60,
    mostRequestsPerSecond: 40_000,
    largestDifference: 1.2e-7,
  },
  servers: [{ name: 'FastAPI', versions: { fastapi: '0.1.0' } }],
  missing: [{ name: 'Triton', reason: 'not installed: no Python 3.12' }],
  cells: [
    cell({ server: 'fastify', scenario: 'S2', closed: [closed(4000)] }),
    cell({ server: 'fastify', closed: [closed(500)] }),
    cell({ scenario: 'S2', closed: [closed(6000, 8), closed(8000, 32)] }),
    cell({ open: [open(0.8, 1), open(3, 9)] }),
    cell({ candidates: 'seen', closed: [{ ...closed(1500), known: 0.97 }] }),
  ],
}

t.test('the overview has a row for each server and form, multigate first, and – where there is nothing', async (t) => {
  t.same(summaryTable(report).split('\n'), [
    '| server | S2: prod model, 1 row | S3: prod model, 1 user × 100 candidates | S3 at 3×: in 60 ms, of the maximum |',
    '| --- | --: | --: | --: |',
    '| multigate, tensors, new candidates | 8,000 | 1,000 | 25 % |',
    '| multigate, tensors, cached candidates | – | 1,500 | – |',
    '| Fastify + onnxruntime-node in the handler | 4,000 | 500 | – |',
  ])
})

t.test('the report says who was left out, what was late, and how servers compare', async (t) => {
  const text = toMarkdown(report)
  t.match(text, '**Omitted: Triton**, not installed: no Python 3.12')
  t.match(text, 'FastAPI: fastapi 0.1.0.')
  t.match(text, '| multigate, tensors, cached candidates | 1,500 | 1,500 – 1,500 | 150,000 | 3.00 |')
  t.match(text, '| 97 % |')
  t.match(text, '| multigate, tensors, new candidates | 0.8× | 800 | 250 | 31 % | 25 % |')
  t.match(text, '| multigate, tensors, new candidates | 3× † | 3,000 |')
  t.match(text, '| 1.00 / 7.00 |')
})

t.test('where the engine was timed alone, a table has its ceiling and the share that is served', async (t) => {
  const alone = [1600, 2000, 4000].map((warm) => ({ warm, cold: 2 * warm, variant: 'cached' }))
  const cells = [cell({ alone, closed: [closed(600)] }), cell({ server: 'fastify', closed: [closed(500)] })]
  const text = toMarkdown({ ...report, cells })
  t.match(text, 'what the engine alone takes for one request')
  t.match(text, '| multigate, tensors, new candidates | cached | 2,000 | 4,000 | 1,000 | 600 | 0.60 |')
  t.equal(text.match(/\| Fastify .* \|/g)!.length, 2, 'the engine of another server has no row')
  t.notMatch(toMarkdown(report), 'engine alone')
})

t.test('a server that fails in a scenario is omitted from it alone, until it is measured', async (t) => {
  const cells = [cell({ server: 'int8', form: 'binary', scenario: 'S2' }), cell({ scenario: 'S5', form: 'binary' })]
  const failure = { server: 'int8', scenario: 'S5', reason: 'int8 fails its check' } as const
  const failed = [failure]
  const some: ComparisonReport = { ...report, cells, failed }
  t.match(toMarkdown(some), '**Omitted: multigate, int8 in S5**, int8 fails its check')
  t.same(summaryTable(some).split('\n').slice(2), [
    '| multigate, binary tensors, new candidates | – | 1,000 |',
    '| multigate, int8, new candidates | 1,000 | omitted |',
  ])
  t.match(
    summaryTable({ ...some, cells: cells.slice(1) }),
    '| multigate, int8, new candidates | omitted |',
    'it has a row where it is never measured',
  )
  t.same(addTo(some, { ...report, cells: [] }).failed, failed, 'a run without it says nothing of it')
  t.same(addTo({ ...report, cells: [] }, some).failed, failed)
  const again = [{ ...failure, reason: 'another' }]
  t.same(addTo(some, { ...some, failed: again }).failed, again)
  const measured = addTo(some, { ...report, cells: [cell({ server: 'int8', form: 'binary', scenario: 'S5' })] })
  t.same(measured.failed, [])
})

t.test('results beside earlier ones have a row for each cell that both have', async (t) => {
  const now: ComparisonReport = {
    ...report,
    machine: { ...report.machine, date: '2026-05-06 07:08', processor: 'Q' },
    method: { ...report.method, short: true },
    cells: [
      cell({ closed: [{ ...closed(1500), serverMs: 0.25 }] }),
      cell({ scenario: 'S2', closed: [closed(4000)] }),
      cell({ scenario: 'S1', closed: [closed(9000)] }),
    ],
  }
  const [title, text, rows] = compareReports(report, now).split('\n\n')
  t.equal(title, '## Beside earlier results')
  t.match(
    text,
    'Before: 2026-01-02 03:04 UTC, P, 2 cores. Now: 2026-05-06 07:08 UTC, Q, 2 cores, the short form. On other machines',
  )
  t.same(rows!.split('\n'), [
    '| server | scenario | req/s before | now | ratio | server CPU, ms/req before | now | ratio |',
    '| --- | --: | --: | --: | --: | --: | --: | --: |',
    '| multigate, tensors, new candidates | S3 | 1,000 | 1,500 | 1.50 | 0.500 | 0.250 | 0.50 |',
    '| multigate, tensors, new candidates | S2 | 8,000 | 4,000 | 0.50 | 0.500 | 0.500 | 1.00 |',
  ])
})

t.test('what was measured again replaces what there was, and the report says from when to when', async (t) => {
  const again: ComparisonReport = {
    ...report,
    method: { ...report.method, largestDifference: 1e-8 },
    servers: [{ name: 'Triton', versions: { triton: '0.2.0' } }],
    missing: [],
    cells: [cell({ closed: [closed(1234)], date: '2026-01-03 00:00' }), cell({ server: 'triton', form: 'oip' })],
  }
  const both = addTo(report, again)
  t.equal(both.cells.length, report.cells.length + 1)
  t.same(
    both.servers.map(({ name }) => name),
    ['FastAPI', 'Triton'],
  )
  t.same(both.missing, [])
  t.equal(both.method.largestDifference, 1.2e-7)
  const text = toMarkdown(both)
  t.match(text, '2026-01-02 03:04 to 2026-01-03 00:00 UTC')
  t.match(text, '| multigate, tensors, new candidates | 8,000 | 1,234 |')
})

t.test('the committed report is made from the committed results', async (t) => {
  const results = JSON.parse(
    await readFile(join(root, 'loadtest/results/competitors.json'), 'utf8'),
  ) as ComparisonReport
  t.equal(await readFile(join(root, 'loadtest/results/competitors.md'), 'utf8'), toMarkdown(results))
})
