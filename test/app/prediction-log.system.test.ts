import { once } from 'node:events'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Check } from 'typebox/value'
import { serve } from '../../src/app/listen.ts'
import { readConfiguration } from '../../src/base/configuration.ts'
import { logFiles, readRecords } from '../../src/prediction-log/log-records.ts'
import { LogRecord } from '../../src/schemas/prediction-log.ts'
import { temporaryFolder, testFeatures, writeTestBundle } from '../support/bundle.ts'
import { watchLive } from '../support/events.ts'
import { send as sendPlain, startProcess } from '../support/process.ts'
import { askAnew } from '../support/processes.ts'
import { until } from '../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models, { name: 'ads' })
const marked = testFeatures.map((field) => (field.name === 'country' ? { ...field, log: 'hash' as const } : field))
await writeTestBundle(models, { name: 'marked', manifest: { features: marked } })

const context = { country: 'DE', hour: 21 }
const candidates = [
  { id: 'a', campaign: 'c9', price: 1.25, bid: 1 },
  { id: 'b', campaign: 'c1', price: 0.1, bid: 30 },
  { id: 7, campaign: 'é\u{1f600}"\0', price: 1e-7, bid: 2 },
]

/** All records of a log, by request id, and the names of its files. */
async function readLog(folder: string): Promise<{ records: Map<string, LogRecord>; files: string[] }> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => /\.jsonl(?:\.open)?$/.test(file)).sort()
  const records = new Map<string, LogRecord>()
  for (const file of files)
    for (const line of (await readFile(join(folder, file), 'utf8')).split('\n').slice(0, -1)) {
      const record = JSON.parse(line) as LogRecord
      records.set(record.request_id, record)
    }
  return { records, files }
}

async function start(t: Test, folder: string, settings: object = {}) {
  const { configuration } = readConfiguration({}, {})
  const server = await serve({
    ...configuration,
    ...{ MULTIGATE_PORT: 0, MULTIGATE_MODELS: models, MULTIGATE_DEFAULT_MODEL: 'ads', MULTIGATE_WORKERS: 1 },
    ...{ MULTIGATE_DEADLINE_MS: 60_000, MULTIGATE_DRAIN_DELAY_MS: 0, MULTIGATE_WARM_UP_MS: 0 },
    ...{ MULTIGATE_LOG_LEVEL: 'silent' as never, MULTIGATE_PREDICTION_LOG: folder, MULTIGATE_LOG_SECRET: 's' },
    ...settings,
  })
  t.teardown(() => server.close())
  await server.loaded
  return server
}

interface Sent {
  path?: string
  body: object | string
  headers?: Record<string, string>
  /** Without a length: Fastify's way. */
  chunked?: boolean
}

/** Sends a request with this id; the answer. */
async function send(url: string, id: string, { path = '/predict', body, headers, chunked }: Sent): Promise<any> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const sent = chunked ? { body: new Blob([text]).stream(), duplex: 'half' as const } : { body: text }
  const all = { 'content-type': 'application/json', 'x-request-id': id, ...headers }
  return (await fetch(url + path, { method: 'POST', headers: all, ...sent })).json()
}

async function metric(url: string, series: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1],
  )
}

const bare = ({ id: _, bid: __, ...fields }: (typeof candidates)[number]) => fields
const near = (one: number, other: number) => Math.abs(one - other) <= 1e-7 * Math.abs(other)

t.test('requests of every protocol and way are recorded as they were sent and answered', async (t) => {
  const folder = join(await temporaryFolder(t), 'log')
  const { url, close } = await start(t, folder)
  const columns = Object.fromEntries(
    ['id', 'campaign', 'price'].map((name) => [name, candidates.map((one: any) => one[name])]),
  )
  const long = candidates.map((one) => ({ ...one, campaign: 'x'.repeat(100_000) }))
  const inputs = [
    { name: 'country', shape: [1, 1], datatype: 'BYTES', data: ['DE'] },
    { name: 'hour', shape: [1, 1], datatype: 'INT64', data: [21] },
    { name: 'campaign', shape: [3, 1], datatype: 'BYTES', data: candidates.map(({ campaign }) => campaign) },
    { name: 'price', shape: [3, 1], datatype: 'FP64', data: candidates.map(({ price }) => price) },
  ]
  const top = { rank: { by: 'ecpm', top_k: 1 } }
  const all: Record<string, Sent> = {
    rows: { body: { context, candidates, options: top } },
    columns: { body: { context, candidates: columns, tasks: ['cvr'] } },
    chunked: { body: { context, candidates }, chunked: true },
    large: { body: { context, candidates: long } },
    infer: { path: '/v2/models/ads/infer', body: { inputs } },
    serving: {
      path: '/v1/models/ads:predict',
      body: { instances: candidates.map((one) => ({ ...context, ...bare(one) })) },
    },
    version: { body: { model: 'ads', version: '1', context, candidates } },
    marked: { body: { model: 'marked', context, candidates } },
    tensors: { body: { sparse: [[0, 25, 30]], dense: [[0.8, -0.6]] } },
    invalid: { body: { context, candidates: [{ campaign: 'c9', price: 'no' }] } },
    nowhere: { body: { model: 'nothing', context, candidates } },
    broken: { body: '{"context":' },
    silent: { body: { context, candidates, options: { observe: false } } },
    console: { body: { context, candidates }, headers: { priority: 'u=7' } },
    traced: {
      body: { context, candidates },
      headers: { traceparent: '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01' },
    },
  }
  const answers: Record<string, any> = {}
  for (const [id, sent] of Object.entries(all)) answers[id] = await send(url, id, sent)
  await until(async () => (await metric(url, 'multigate_log_records_total')) === 13)
  await close()

  const { records, files } = await readLog(folder)
  t.equal(
    files.some((file) => file.endsWith('.open')),
    false,
    'files are complete once the server has stopped',
  )
  t.same(
    [...records.keys()].sort(),
    Object.keys(all)
      .filter((id) => id !== 'silent' && id !== 'console')
      .sort(),
  )
  for (const [id, record] of records) t.equal(Check(LogRecord, record), true, `${id} is as the schema says`)

  const served = answers.chunked.predictions as { ctr: number; cvr: number; ctcvr: number }[]
  for (const id of ['rows', 'columns', 'chunked', 'infer', 'serving', 'version', 'traced', 'marked']) {
    const { candidates: logged = [], outcome } = records.get(id)!
    t.equal(outcome, 'ok')
    t.same(
      logged.map(({ fields }) => fields),
      id === 'serving' ? candidates.map((one) => ({ ...context, ...bare(one) })) : candidates.map(bare),
      `${id} has all values`,
    )
    const isEqual = logged.every(({ served: task }, i) =>
      (['ctr', 'cvr', 'ctcvr'] as const).every((name) => near(task![name]!, served[i]![name])),
    )
    t.equal(isEqual, true, `${id} has all probabilities, also those that were not asked for`)
  }
  const { candidates: ranked, ...rows } = records.get('rows')!
  t.same(
    ranked!.map(({ rank, id, bid }) => [rank, id, bid]).sort(),
    [
      [0, 'b', 30],
      [1, 7, 2],
      [2, 'a', 1],
    ].sort(),
  )
  t.equal(ranked!.find(({ rank }) => rank === 0)!.id, answers.rows.predictions[0].id)
  t.match(rows, { context, chosen_by: 'default', sampled_by: 'rate', sample_rate: 1, model: 'ads', version: '1' })
  t.equal(records.get('version')!.chosen_by, 'version')
  t.equal(records.get('large')!.candidates![2]!.fields!.campaign, long[2]!.campaign)
  t.equal(records.get('traced')!.trace_id, '0123456789abcdef0123456789abcdef')
  t.match(records.get('marked')!.context, { hour: 21, country: /^[\w-]{43}$/ })
  t.match(records.get('tensors'), { unread: 'tensors', candidates: [{ position: 0, served: { ctr: Number } }] })
  t.match(records.get('invalid'), { outcome: 'invalid_request', problems: ['/candidates/0/price'], context })
  t.equal(records.get('invalid')!.candidates![0]!.served, undefined)
  t.match(records.get('nowhere'), { outcome: 'model_not_found', unread: 'no_version' })
  t.match(records.get('broken'), { outcome: 'invalid_request', unread: 'no_version' })
  const manifest = `ads/1/manifest-${rows.manifest}.json`
  t.equal(await readFile(join(folder, manifest), 'utf8'), await readFile(join(models, 'ads/1/manifest.json'), 'utf8'))
})

t.test('values that the version does not know, and lists that it cuts, are named as in answers', async (t) => {
  const folder = join(await temporaryFolder(t), 'log')
  const settings = { MULTIGATE_MODELS: 'models', MULTIGATE_DEFAULT_MODEL: 'ads-history' }
  const { url, close } = await start(t, folder, settings)
  const image = Array.from({ length: 16 }, () => 0.1)
  const history = Array.from({ length: 55 }, (_, i) => (i % 10 === 9 ? 'gone' : `c${i}`))
  const contexts = [
    { country: 'XX', segment: 's1', hour: 30, history, history_age: history.map((_, i) => i) },
    { segment: 's0', hour: 3, history: ['c1', 'nobody', 'c2'], history_age: [1, 2, 3] },
  ]
  const of = [
    { campaign: 'c0', tags: ['books', 'nothing', 'camping'], image, price: 1 },
    { campaign: 'none', tags: Array.from({ length: 9 }, () => 'books'), image, price: 2 },
    { campaign: 'c1', image, price: 3 },
  ]
  const columns = Object.fromEntries(
    ['campaign', 'image', 'price'].map((name) => [name, of.map((one: any) => one[name])]),
  )
  const asked = contexts.flatMap((context) => [
    { context, candidates: of },
    { context, candidates: columns },
  ])
  const answers = []
  for (const [i, body] of asked.entries())
    answers.push(await send(url, `unknown-${i}`, { body: { ...body, options: { unknown: true } } }))
  await close()
  const { records } = await readLog(folder)
  for (const [i, answer] of answers.entries()) {
    const { unknown = [], cut = [], candidates = [] } = records.get(`unknown-${i}`)!
    const { predictions } = answer
    const rows = Array.isArray(predictions)
      ? predictions
      : of.map((_, row) => ({ unknown: predictions.unknown[row], cut: predictions.cut[row] }))
    t.equal(candidates.length, 3)
    for (const [row, one] of candidates.entries()) {
      t.same([...unknown, ...(one.unknown ?? [])].sort(), [...rows[row].unknown].sort(), `${i} ${row}`)
      t.same([...cut, ...(one.cut ?? [])].sort(), [...(rows[row].cut ?? [])].sort(), `cut ${i} ${row}`)
    }
    t.ok(Check(LogRecord, records.get(`unknown-${i}`)))
  }
  t.match(records.get('unknown-0'), {
    unknown: ['country', 'hour', ...[9, 19, 29, 39, 49].map((i) => `history[${i}]`)],
    cut: undefined,
    candidates: [{ unknown: ['tags[1]'] }, { unknown: ['campaign'], cut: ['tags'] }, { unknown: undefined }],
  })
})

t.test('a share of requests, by their ids; failed and slow ones at shares of their own', async (t) => {
  const folder = await temporaryFolder(t)
  const shares = { MULTIGATE_PREDICTION_LOG_SAMPLE: 0.5, MULTIGATE_PREDICTION_LOG_FAILED: 1, MULTIGATE_ADMIN: true }
  const { url, close } = await start(t, folder, { ...shares, MULTIGATE_PREDICTION_LOG_SLOW: 0 })
  for (let i = 0; i < 40; i++) {
    await send(url, `good-${i}`, { body: { context, candidates } })
    await send(url, `bad-${i}`, { body: { context, candidates: [] } })
    await send(url, `forced-${i}`, { body: { context, candidates }, headers: { 'x-multigate-log': 'always' } })
    await send(url, `asked-${i}`, { body: { context, candidates }, headers: { 'x-multigate-log': 'please' } })
  }
  // Its client leaves before its body has come.
  const left = connect(Number(new URL(url).port), '127.0.0.1')
  const head = ['POST /predict HTTP/1.1', 'host: x', 'content-type: application/json', 'x-request-id: left']
  left.write(`${[...head, 'content-length: 100', 'expect: 100-continue'].join('\r\n')}\r\n\r\n`)
  // The server asks for the body: it has the headers.
  await once(left, 'data')
  left.destroy()
  const pin = (action: string, body: object) => send(url, action, { path: `/models/ads/${action}`, body })
  await pin('pin', { version: '1' })
  const always = { 'x-multigate-log': 'always' }
  await send(url, 'pinned', { body: { model: 'ads', context, candidates }, headers: always })
  await pin('unpin', {})
  await close()
  const { records } = await readLog(folder)
  t.equal(records.get('pinned')!.chosen_by, 'pin')
  const unread = { outcome: 'cancelled', unread: 'no_version', protocol: 'predict', sampled_by: 'failed' }
  t.match(records.get('left'), unread)
  t.equal(records.get('forced-1')!.chosen_by, 'default')
  const ids = [...records.keys()]
  const good = ids.filter((id) => id.startsWith('good'))
  // The hash decides: which ones is always the same.
  t.equal(ids.filter((id) => id.startsWith('forced')).length, 40)
  const asked = ids.filter((id) => id.startsWith('asked'))
  t.ok(asked.length > 10 && asked.length < 30, `other values of the header do nothing: ${asked.length}`)
  t.equal(good.length > 10 && good.length < 30, true, `${good.length} of 40`)
  t.equal(ids.filter((id) => id.startsWith('bad')).length, 40)
  const why = new Set([...records.values()].map(({ sampled_by, sample_rate }) => `${sampled_by} ${sample_rate}`))
  t.same([...why].sort(), ['failed 1', 'header 1', 'rate 0.5'])
  // Counts are divided by it: of requests like it, all are recorded.
  for (const id of ids.filter((id) => id.startsWith('bad'))) t.equal(records.get(id)!.sample_rate, 1, id)
})

t.test('a folder that takes nothing harms no request, is said, and is written again', async (t) => {
  const root = await temporaryFolder(t)
  const folder = join(root, 'log')
  const { url } = await start(t, folder, { MULTIGATE_ADMIN: true })
  const status = async () => (await (await fetch(`${url}/debug/prediction-log`)).json()) as any
  const ask = async (id: string) => t.ok((await send(url, id, { body: { context, candidates } })).predictions, id)
  await ask('before')
  await until(async () => (await metric(url, 'multigate_log_records_total')) === 1)
  await rename(folder, join(root, 'moved'))
  await writeFile(folder, '')
  await until(async () => {
    await ask('meanwhile')
    return (await metric(url, 'multigate_log_writable')) === 0
  })
  t.ok((await metric(url, 'multigate_log_dropped_total{reason="disk"}')) > 0)
  const { log: failing } = await status()
  t.match(failing, { settings: { folder }, problem: /^E[A-Z]+: / })
  t.ok(failing.dropped.disk > 0)
  t.notMatch(failing.problem, root, 'it is shown to those who may not see where')
  await rm(folder)
  await mkdir(folder)
  await until(async () => {
    await ask('again')
    return (await metric(url, 'multigate_log_writable')) === 1
  })
  t.equal((await status()).log.problem, undefined)
  t.ok((await readLog(folder)).records.has('again'))
  t.ok((await readLog(join(root, 'moved'))).records.has('before'))
})

t.test('what does not fit into the buffer is dropped and counted', async (t) => {
  const folder = await temporaryFolder(t)
  const { url } = await start(t, folder, { MULTIGATE_PREDICTION_LOG_BUFFER_BYTES: 65_536 })
  const large = candidates.map((one) => ({ ...one, campaign: 'x'.repeat(7000) }))
  t.ok((await send(url, 'large', { body: { context, candidates: large } })).predictions)
  t.equal(await metric(url, 'multigate_log_dropped_total{reason="too_large"}'), 1)
})

t.test('several processes: their counts together, and the files of all', async (t) => {
  const folder = await temporaryFolder(t)
  const { port } = await startProcess(
    t,
    {
      ...{ MULTIGATE_MODELS: models, MULTIGATE_DEFAULT_MODEL: 'ads', MULTIGATE_PREDICTION_LOG: folder },
      ...{ MULTIGATE_ADMIN: 'true', MULTIGATE_PROCESSES: '2' },
    },
    'all processes are ready',
  )
  const { sum, samples } = await watchLive(t, port)
  await until(() => samples().length > 0)
  for (let i = 0; i < 8; i++)
    await sendPlain(port, '/predict', {
      agent: new Agent(),
      payload: JSON.stringify({ context, candidates: [bare(candidates[0]!)] }),
    })
  const status = async () => JSON.parse((await askAnew(port, '/debug/prediction-log')).text).log
  let found = await status()
  // Each process lists the files for itself, and its list may be some seconds old.
  await until(async () => {
    found = await status()
    return found.records === 8 && found.files.newest.length > 0
  })
  const { buffer, files } = found
  t.equal(buffer.max_bytes, 2 * 2 ** 25)
  t.match(files.newest[0], { model: 'ads', version: '1', open: true })
  await until(() => Math.round(sum((sample) => sample.prediction_log.records)) === 8)
})

t.test(
  'a process that is killed loses no record older than a second; the next one ends and converts its files',
  async (t) => {
    const folder = await temporaryFolder(t)
    const settings = { MULTIGATE_MODELS: models, MULTIGATE_DEFAULT_MODEL: 'ads', MULTIGATE_PREDICTION_LOG: folder }
    const first = await startProcess(t, settings)
    await send(`http://127.0.0.1:${first.port}`, 'one', { body: { context, candidates } })
    await until(async () => (await readLog(folder)).records.size === 1)
    first.child.kill('SIGKILL')
    await first.ended
    const left = await readLog(folder)
    t.same([...left.records.keys()], ['one'])
    t.match(left.files, [/\.open$/])
    const parquet = { MULTIGATE_PREDICTION_LOG_FORMAT: 'parquet', MULTIGATE_PREDICTION_LOG_FILE_SECONDS: '1' }
    const second = await startProcess(t, { ...settings, ...parquet })
    const url = `http://127.0.0.1:${second.port}`
    await send(url, 'two', { body: { context, candidates } })
    await until(async () => (await metric(url, 'multigate_log_conversions_total{outcome="ok"}')) === 2)
    const records: LogRecord[] = []
    for (const file of await logFiles(folder)) for await (const { record } of readRecords(file)) records.push(record)
    t.same((await readLog(folder)).files, [])
    t.match(records, [left.records.get('one')!, { request_id: 'two', candidates: [{}, {}, {}] }])
    second.child.kill('SIGTERM')
    t.equal(await second.ended, 0)
  },
)

t.test('bounds that would remove each file are refused', async (t) => {
  await t.rejects(start(t, await temporaryFolder(t), { MULTIGATE_PREDICTION_LOG_MAX_BYTES: 1000 }), {
    message: /MAX_BYTES \(1000\) is less than MULTIGATE_PREDICTION_LOG_FILE_BYTES/,
  })
})
