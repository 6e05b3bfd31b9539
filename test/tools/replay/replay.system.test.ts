import { appendFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { serve } from '../../../src/app/listen.ts'
import { readConfiguration } from '../../../src/base/configuration.ts'
import { logFiles, readRecords } from '../../../src/prediction-log/log-records.ts'
import { sampleHash } from '../../../src/prediction-log/sampling.ts'
import { createAdsFunnel } from '../../../src/tools/data/ads-funnel.ts'
import type { ReplayReport } from '../../../src/tools/replay/describe.ts'
import { formatReplay } from '../../../src/tools/replay/format-replay.ts'
import { parseGate } from '../../../src/tools/replay/gate.ts'
import type { RunReplayOptions } from '../../../src/tools/replay/run-replay.ts'
import { runCli } from '../../support/cli.ts'
import { replayOf as replay } from '../../support/replay.ts'
import { until } from '../../support/until.ts'

/*
 * Version 1 of a shipped model answers requests, which a log records; version 2 has the vocabulary of one field in
 * another order, as after a fault of a training pipeline, and lacks a value of another.
 */

const folder = t.testdir()
const models = join(folder, 'models')
const log = join(folder, 'log')
const versionFolder = (version: string) => join(models, 'ads-funnel', version)
await mkdir(join(models, 'ads-funnel'), { recursive: true })
for (const version of ['1', '2']) await cp('models/ads-funnel/1', versionFolder(version), { recursive: true })
const manifest = JSON.parse(await readFile(join(versionFolder('2'), 'manifest.json'), 'utf8'))
const field = (name: string) => manifest.features.find((one: { name: string }) => one.name === name)
const { values } = field('advertiser')
field('advertiser').values = [...values.slice(7), ...values.slice(0, 7)]
const format = field('format').values as string[]
format[format.indexOf('banner')] = 'poster'
await writeFile(
  join(versionFolder('2'), 'manifest.json'),
  JSON.stringify({ ...manifest, version: '2', golden: undefined }),
)

const start = async () => {
  const { configuration } = readConfiguration({}, {})
  const server = await serve({
    ...configuration,
    ...{ MULTIGATE_PORT: 0, MULTIGATE_MODELS: models, MULTIGATE_WORKERS: 1, MULTIGATE_DEADLINE_MS: 60_000 },
    ...{ MULTIGATE_DRAIN_DELAY_MS: 0, MULTIGATE_WARM_UP_MS: 0, MULTIGATE_LOG_LEVEL: 'silent' as never },
    ...{ MULTIGATE_PREDICTION_LOG: log, MULTIGATE_VERSIONS: 'all' as const },
  })
  await server.loaded
  return server
}

const server = await start()
t.teardown(() => server.close())
const contexts = ['country', 'hour', 'segment', 'device', 'weekday', 'user', 'session_depth']
const candidates = ['campaign', 'price', 'advertiser', 'category', 'format', 'quality', 'age_days', 'views']
const perRequest = 12
const source = createAdsFunnel({
  ...{ generator: 'ads-funnel', rows: 100 * perRequest, skip: 0, seed: 5 },
  ...{ click_rate: 0.025, conversion_rate: 0.12, relation: 0.6 },
})
const names = source.columns.map(({ name }) => name)
const rows: Record<string, unknown>[] = []
for await (const row of source.rows()) rows.push(Object.fromEntries(names.map((name, i) => [name, row[i]])))
const pick = (row: Record<string, unknown>, wanted: string[]) =>
  Object.fromEntries(wanted.flatMap((name) => (row[name] === null || row[name] === '' ? [] : [[name, row[name]]])))
async function ask(i: number): Promise<void> {
  const answer = await fetch(`${server.url}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': `request-${i / perRequest}` },
    body: JSON.stringify({
      ...{ model: 'ads-funnel', version: '1', context: pick(rows[i]!, contexts) },
      candidates: rows.slice(i, i + perRequest).map((row, j) => ({ id: `ad-${j}`, ...pick(row, candidates) })),
    }),
  })
  if (answer.status !== 200) throw new Error(await answer.text())
}
for (let i = 0; i < rows.length; i += perRequest) await ask(i)
const countRecords = async () => {
  let records = 0
  for (const file of await logFiles(log)) for await (const _ of readRecords(file)) records++
  return records
}
await until(async () => (await countRecords()) === 100)

const replayOf = (options: Partial<RunReplayOptions>) =>
  replay({ log, models, model: 'ads-funnel', against: '2', ...options })

t.test('recorded answers come out again', async (t) => {
  const { report, code } = await replayOf({ against: '1', gate: parseGate('same=1,winners=0,unknown=0') })
  t.equal(code, 0)
  t.match(report, { requests: 100, rows: 1200, unknown: {}, warnings: [] })
  t.equal(report.before, undefined)
  for (const { name, same, largest, overlap, winners } of report.tasks) {
    t.match({ same, overlap, winners }, { same: 1, overlap: 1, winners: 0 }, name)
    t.ok(largest <= 1e-6, `${name} ${largest}`)
  }
})

t.test('a share of the requests are those that a server with that share would have recorded', async (t) => {
  const kept = Array.from({ length: 100 }, (_, i) => sampleHash(undefined, `request-${i}`)).filter((hash) => hash < 0.3)
  const { report } = await replayOf({ against: '1', sample: 0.3 })
  t.equal(report.requests, kept.length)
  t.ok(kept.length > 10 && kept.length < 60, `${kept.length}`)
})

t.test('a sample is replayed where it lies beside the manifest of the version', async (t) => {
  const file = join(log, 'ads-funnel/1/sample.jsonl')
  t.teardown(() => rm(file))
  t.equal((await runCli(['log', 'sample', log, '--rate', '0.3', '--out', file])).code, 0)
  const last = JSON.parse((await readFile(file, 'utf8')).trim().split('\n').at(-1)!)
  await appendFile(file, `${JSON.stringify({ ...last, version: '9', request_id: 'of another version' })}\n`)
  const [sampled, asked] = [await replayOf({ log: file, against: '1' }), await replayOf({ against: '1', sample: 0.3 })]
  t.equal(sampled.report.requests, asked.report.requests)
})

t.test('a version with another calibration is said to keep the order of requests', async (t) => {
  await cp('models/ads-funnel/1', versionFolder('3'), { recursive: true })
  const original = JSON.parse(await readFile('models/ads-funnel/1/manifest.json', 'utf8'))
  const [ctr, ...others] = original.tasks
  const tasks = [{ ...ctr, calibration: { method: 'platt', a: 1.3, b: 0.2 } }, ...others]
  await writeFile(
    join(versionFolder('3'), 'manifest.json'),
    JSON.stringify({ ...original, version: '3', golden: undefined, tasks }),
  )
  const report = join(folder, 'calibrated')
  const text = formatReplay((await replayOf({ against: '3', report })).report)
  t.match(text, /ctr keeps the order of every request: its calibration differs/)
  t.notMatch(text, /cvr keeps/, 'which is the same')
  t.match(await readFile(join(report, 'report.html'), 'utf8'), /<p>ctr(?:, ctcvr)?: every request keeps the order/)
})

/** Version 2 against the recorded answers. */
let recorded: ReplayReport

t.test(
  'the field whose vocabulary was permuted is named, with its values and the winners that it changed',
  async (t) => {
    const folderOf = join(folder, 'report')
    const { report, code } = await replayOf({
      ...{ report: folderOf, gate: parseGate('winners=0,unknown=.01'), slices: ['format', 'country'] },
    })
    recorded = report
    const text = formatReplay(report)
    t.match(text, /ads-funnel\/2 against the recorded answers: 100 requests, 1,200 candidates/)
    t.match(text, /ctr differs by [^\n]*advertiser \(/)
    t.match(text, /✗ ctr: winners at most 0, found 0\.\d+/)
    t.equal(code, 3)
    t.match(report, { after: 'ads-funnel/2', requests: 100, rows: 1200 })
    const banners = rows.filter(({ format }) => format === 'banner').length
    t.same(report.unknown, { format: banners }, 'a value that the version lacks is unknown, where it was sent')
    for (const { name, fields, histogram, changed, winners } of report.tasks) {
      const [first, second] = fields
      t.ok(first!.explained > 0.2 && second!.explained <= first!.explained, name)
      const named = fields.slice(0, 3).map(({ field }) => field)
      t.ok(named.includes('advertiser'), `${name} ${named}`)
      t.ok(Math.abs(histogram.shares.reduce((sum, share) => sum + share) - 1) < 1e-9)
      t.ok(winners > 0, `${name} ${winners}`)
      for (const { values, before, after } of changed) {
        t.not(before.id, after.id)
        t.ok(Object.keys(values).length > 0)
      }
    }
    const [, slices] = report.tasks[0]!.slices
    t.equal(slices!.field, 'format')
    t.equal(
      slices!.values.reduce((sum, { rows }) => sum + rows, 0),
      1200,
    )
    t.same(report.cost.map(({ version }) => version).sort(), ['ads-funnel/2'])
    t.match(
      report.conditions!.filter(({ passed }) => !passed).map(({ condition }) => condition),
      report.tasks.map(({ name }) => `${name}: winners at most 0`),
    )
    const written = JSON.parse(await readFile(join(folderOf, 'report.json'), 'utf8'))
    t.same(written.tasks, report.tasks)
    const page = await readFile(join(folderOf, 'report.html'), 'utf8')
    for (const title of ['Differences', 'Fields that make the difference', 'Other winners', 'Slices', 'Unknown values'])
      t.ok(page.includes(`>${title}</h2>`), title)
    t.match(page, /aria-label="Fields that go with the differences of ctr: /)
  },
)

t.test('two versions answer the recorded requests', async (t) => {
  const { report } = await replayOf({ baseline: '1' })
  t.match(report, { before: 'ads-funnel/1' })
  t.same(report.cost.map(({ version }) => version).sort(), ['ads-funnel/1', 'ads-funnel/2'])
  for (const [i, { logit, winners }] of report.tasks.entries()) {
    const other = recorded.tasks[i]!
    t.equal(winners, other.winners)
    t.ok(Math.abs(logit['0.5']! - other.logit['0.5']!) < 1e-3)
  }
})

t.test('a service answers as the versions on disk, and does not record that', async (t) => {
  const { report } = await replayOf({ service: { url: server.url } })
  t.same(report.unknown, recorded.unknown)
  for (const [i, { probability }] of report.tasks.entries())
    for (const [share, value] of Object.entries(probability))
      t.ok(Math.abs(value - recorded.tasks[i]!.probability[share]!) < 1e-6)
  // Records are written in order: those of the replay would come before this one.
  await ask(0)
  await until(async () => (await countRecords()) > 100)
  t.equal(await countRecords(), 101)
})

t.test('what is wrong is named', async (t) => {
  const fails = (options: Partial<RunReplayOptions>, message: RegExp) =>
    t.rejects(replayOf(options), { message }, String(message))
  await fails({ model: 'shop' }, /^--model shop has no records; ads-funnel have/)
  await fails({ against: '9' }, /ads-funnel\/9/)
  await fails({ baseline: '9' }, /ads-funnel\/9/)
  await fails({ versions: ['7'] }, /^--versions ads-funnel 7 has no records; 1 have/)
  await fails({ slices: ['colour'] }, /--slices: ads-funnel has no field colour; it has country/)
  await fails({ log: models }, /has no files of a prediction log/)
  const common = ['replay', log, '--model', 'ads-funnel', '--against', '2', '--models', models]
  for (const [args, message] of [
    [['--gate', 'overlap'], /"overlap" must be a figure and its bound, of same, overlap/],
    [['--gate', 'speed=1'], /"speed=1" must be a figure/],
  ] as const) {
    const { code, stderr } = await runCli([...common, ...args])
    t.not(code, 0)
    t.match(stderr, message)
  }
})
