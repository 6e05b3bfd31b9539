import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { serve } from '../../src/app/listen.ts'
import { readConfiguration } from '../../src/base/configuration.ts'
import { logFiles, readRecords } from '../../src/prediction-log/log-records.ts'
import { sampleHash } from '../../src/prediction-log/sampling.ts'
import type { LogData } from '../../src/schemas/log-data.ts'
import type { LogRecord } from '../../src/schemas/prediction-log.ts'
import { evaluateToJson } from '../support/evaluate.ts'
import { importRows } from '../support/feature-table.ts'
import { ads, csvOf, predictionsOf, prepareKeyed, rows } from '../support/keyed-rows.ts'
import { replayOf } from '../support/replay.ts'

/* A model whose features come from tables is asked, and then judged by the rows of the prediction log. */

const { folder, models, write } = await prepareKeyed(t)
const log = join(folder, 'log')

const number = (cell: string) => (cell === '' ? {} : { price: Number(cell) })
/** Requests of five rows each, and one whose body another thread reads. */
const requests = Array.from({ length: 41 }, (_, i) => {
  const of = i < 40 ? rows.slice(5 * i, 5 * i + 5) : Array.from({ length: 4 }, () => rows).flat()
  const { user_id, hour } = of[0]!
  const candidates = of.map(({ ad_id, views, price }, j) => ({
    ...{ id: `c${j}`, ad_id: ad_id || 'ad-99', views, ...number(price) },
  }))
  return { id: `request-${i}`, body: { context: { user_id: user_id || 'nobody', hour }, candidates }, of }
})

const answers: { predictions?: unknown; features?: unknown }[] = []
const records = await (async () => {
  const { configuration } = readConfiguration({}, {})
  const server = await serve({
    ...configuration,
    ...{ MULTIGATE_PORT: 0, MULTIGATE_MODELS: models, MULTIGATE_WORKERS: 1, MULTIGATE_DEADLINE_MS: 60_000 },
    ...{ MULTIGATE_DRAIN_DELAY_MS: 0, MULTIGATE_WARM_UP_MS: 0, MULTIGATE_LOG_LEVEL: 'silent' as never },
    MULTIGATE_PREDICTION_LOG: log,
  })
  await server.loaded
  // None of its candidates is answered.
  const leftOut = { context: { user_id: '1', hour: 1 }, candidates: [{ ad_id: [] }], options: { partial: true } }
  for (const { id, body } of [...requests, { id: 'left-out', body: leftOut }]) {
    const answer = await fetch(`${server.url}/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': id },
      body: JSON.stringify(body),
    })
    answers.push((await answer.json()) as { predictions?: unknown; features?: unknown })
  }
  await server.close()
  const found = new Map<string, LogRecord>()
  for (const file of await logFiles(log))
    for await (const { record } of readRecords(file)) found.set(record.request_id, record)
  return found
})()

const recorded = requests.flatMap(({ id }) => records.get(id)!.candidates!)

const events = requests.flatMap(({ id, of }) =>
  of.flatMap(({ ctr, cvr }, j) => {
    const at = Date.parse(records.get(id)!.time) / 1000
    const event = (type: string, time: number) => [id, `c${j}`, type, time]
    // A conversion in the second hour is too late.
    return [
      ...(ctr ? [event('click', at + 60)] : []),
      ...(cvr ? [event('conversion', at + (j === 1 ? 3700 : 30))] : []),
    ]
  }),
)
await writeFile(join(folder, 'events.csv'), csvOf(['request', 'ad', 'kind', 'at'], events))

const label = (name: string, more: object = {}) => ({
  ...{ name, csv: 'events.csv', request: 'request', candidate: 'ad', where: `kind == "${name}"` },
  ...{ time: 'at', window: '1h', ...more },
})
async function specOf(name: string, data: Partial<LogData> & { labels?: unknown }, more: object = {}) {
  const tasks = [
    { name: 'ctr', label: 'click' },
    { name: 'cvr', label: 'conversion', where: 'click' },
  ]
  const path = join(folder, `${name}.json`)
  await writeFile(
    path,
    JSON.stringify({ data: { log: 'log', ...data }, tasks, group: 'log_request', weight: 'log_weight', ...more }),
  )
  return path
}
const labels = [label('click'), label('conversion')]

t.test('records have the values of tables, where none was sent', async (t) => {
  for (const { predictions, features } of answers)
    t.same(
      [Array.isArray(predictions), features],
      [true, undefined],
      'answers have values of tables only where the client asks',
    )
  for (const { id, body } of requests) {
    const { candidates = [], context, fetched } = records.get(id)!
    t.match(context, body.context, id)
    if (body.context.user_id === 'nobody') t.equal(fetched, undefined)
    for (const [j, candidate] of candidates.entries()) {
      const { ad_id, price } = body.candidates[j] as { ad_id: string; price?: number }
      const { price: known, ...ad } = ads.get(ad_id) ?? { price: null }
      const values = { ...ad, ...(price === undefined && { price: known }) }
      const expected = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))
      if (ads.has(ad_id)) t.same(candidate.fetched, expected, `${id} ${ad_id}`)
      else t.match(candidate, { unknown_keys: ['ad'], fetched: undefined })
    }
  }
})

t.test('rows of the log are, bit for bit, those that were asked, whatever the tables have by now', async (t) => {
  const asked = requests.flatMap(({ body: { context, candidates }, of }) =>
    candidates.map(({ ad_id, views }, j) => {
      const { price, ctr, cvr } = of[j]!
      return [ad_id, context.user_id, context.hour, views, price, ctr, cvr]
    }),
  )
  // A price that was not sent is the table's: rows with an empty cell would say that there is none.
  const isSent = asked.map((cells) => cells[4] !== '')
  const columns = ['ad_id', 'user_id', 'hour', 'views', 'price', 'ctr', 'cvr']
  const sent = await write('sent', csvOf(columns, asked))
  const rest = asked.map((cells) => cells.filter((_, column) => column !== 4))
  const fetched = await write(
    'fetched',
    csvOf(
      columns.filter((name) => name !== 'price'),
      rest,
    ),
  )
  const [a, b] = [
    await predictionsOf(folder, { data: sent, models }),
    await predictionsOf(folder, { data: fetched, models }),
  ]
  await importRows(
    models,
    'ads',
    [...ads].map(([id, ad]) => ({ id, ...ad, price: 100 })),
  )
  const predicted = await predictionsOf(folder, { data: await specOf('log', { labels }), models })
  // Records of files are in the order of their writing, that of requests.
  t.same(
    predicted.ctr,
    isSent.map((own, row) => (own ? a : b).ctr![row]),
  )
  const near = recorded.every(({ served }, row) => Math.abs(served!.ctr! - predicted.ctr![row]!) < 1e-6)
  t.ok(near, 'and are answered as they were')
})

t.test(
  'metrics equal those of the same rows in a CSV file, and warnings count late and unmatched events',
  async (t) => {
    const names = ['user', 'request', 'hour', 'ctr', 'cvr', 'campaign', 'price', 'item', 'tags', 'image'] as const
    const more = ['views', 'country', 'history', 'ages'] as const
    const cell = (value: unknown) => (value === null || value === undefined ? '' : JSON.stringify(value))
    const text = (value: unknown) => (value === null || value === undefined ? '' : String(value))
    const plain = requests.flatMap(({ id, of }) => {
      const record = records.get(id)!
      return of.map(({ ctr, cvr }, j) => {
        const { fields = {}, fetched = {} } = record.candidates![j]!
        const has = { ...record.fetched, ...fetched, ...record.context, ...fields } as Record<string, unknown>
        const late = cvr === 1 && j === 1
        return [
          ...[text(has.user_id), id, text(has.hour), ctr, late ? 0 : cvr, text(has.campaign), text(has.price)],
          ...[text(has.item), cell(has.tags), cell(has.image)],
          ...[text(has.views), text(has.country), cell(has.history), cell(has.ages)],
        ]
      })
    })
    await writeFile(join(folder, 'plain.csv'), csvOf([...names, ...more], plain))
    const tasks = [
      { name: 'ctr', label: 'ctr == "1"' },
      { name: 'cvr', label: 'cvr == "1"', where: 'ctr == "1"' },
    ]
    await writeFile(
      join(folder, 'plain.json'),
      JSON.stringify({ data: { csv: ['plain.csv'] }, tasks, group: 'request' }),
    )
    const judge = (data: string) => evaluateToJson({ target: 'ads', data, models })
    const [ofLog, ofCsv] = [await judge(await specOf('log', { labels })), await judge(join(folder, 'plain.json'))]
    t.same(
      ofLog.tasks.map(({ metrics, positives, rows }) => ({ metrics, positives, rows })),
      ofCsv.tasks.map(({ metrics, positives, rows }) => ({ metrics, positives, rows })),
    )
    const late = events.filter(([, , type]) => type === 'conversion').length
    t.match(ofLog.warnings.join('\n'), new RegExp(`of ${late.toLocaleString('en')} events of conversion are of no row`))
    t.match(
      ofLog.warnings.join('\n'),
      /rows are less than 3600 s older than the last event of click: those that are 0 may yet become 1/,
    )
  },
)

t.test('a replay asks by the values that tables had, and gets the recorded answers', async (t) => {
  const { report } = await replayOf({ log, models, model: 'ads', against: '1' })
  t.match(report, { requests: requests.length, rows: recorded.length, left_out: 0 })
  for (const { name, same, largest } of report.tasks) t.equal(same, 1, `${name} ${largest}`)
})

t.test('a share of the requests are rows, with the weights and the labels that they have', async (t) => {
  const predicted = await predictionsOf(folder, { data: await specOf('log', { labels }), models })
  const sample = await predictionsOf(folder, { data: await specOf('sample', { labels, sample: 0.4 }), models })
  const isKept = requests.flatMap(({ id, of }) => of.map(() => sampleHash(undefined, id) < 0.4))
  const kept = predicted.ctr!.filter((_, row) => isKept[row])
  t.same(sample.ctr, kept)
  t.ok(kept.length > 20 && kept.length < isKept.length - 20, `${kept.length} of ${isKept.length}`)
  const judge = async (share: number) =>
    evaluateToJson({ target: 'ads', data: await specOf('sample', { labels, sample: share }), models })
  const [all, some] = [await judge(1), await judge(0.4)]
  t.match(some.tasks[0]!.rows, kept.length)
  t.same(
    some.warnings.filter((warning) => /events of/.test(warning)),
    all.warnings.filter((warning) => /events of/.test(warning)),
    'events of requests that are not in the sample are of rows',
  )
})

t.test('what is wrong with a log or its labels is named', async (t) => {
  const fails = async (data: Parameters<typeof specOf>[1], message: RegExp, more: object = {}) => {
    const spec = await specOf('wrong', data, more)
    await t.rejects(evaluateToJson({ target: 'ads', data: spec, models }), { message }, String(message))
  }
  await fails({ labels, log: 'none' }, /\/data\/log .*none can't be read/)
  await fails({ labels, log: ['log', 'models/ads'] }, /\/data\/log\/1 models\/ads has no files of a prediction log/)
  await fails({ labels, model: 'shop' }, /\/data\/model shop has no records; ads have/)
  await fails({ labels, versions: ['1', '9'] }, /\/data\/versions\/1 ads 9 has no records/)
  await fails({ labels: [label('click', { request: 'reqest' })] }, /\/data\/labels\/0\/request no column "reqest"/)
  await fails({ labels: [label('click', { time: undefined })] }, /\/data\/labels\/0\/time is required/)
  await fails({ labels: [label('click', { window: 'soon' })] }, /\/data\/labels\/0\/window/)
  await fails({ labels: [label('click', { csv: 'no.csv' })] }, /\/data\/labels\/0\/csv\/0 no such file: no.csv/)
  await fails({ labels: [label('click', { csv: undefined })] }, /\/data\/labels\/0 must have either csv or parquet/)
  await fails(
    { labels: [label('click'), label('click')] },
    /\/data\/labels\/1\/name click is the name of another column/,
  )
  await fails({ labels: [label('click', { where: 'form == "x"' })] }, /\/data\/labels\/0\/where/)
  await fails(
    { labels: label('click', { candidate: 'kind' }) },
    /\/data\/labels none of [\d,]+ events of click is of a row/,
    {
      tasks: [{ name: 'ctr', label: 'click' }],
    },
  )
  await fails({ labels: label('label', { where: 'kind == "none"' }) }, /\/data\/labels there are no events of label/, {
    tasks: [{ name: 'ctr', label: 'label' }],
  })
})
