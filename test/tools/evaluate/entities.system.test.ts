import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Tables } from '../../../src/model/serving/tables/tables.ts'
import { runCalibrate } from '../../../src/tools/evaluate/run-calibrate.ts'
import { runCompare } from '../../../src/tools/evaluate/run-compare.ts'
import { runEvaluate } from '../../../src/tools/evaluate/run-evaluate.ts'
import { runQuantize } from '../../../src/tools/evaluate/run-quantize.ts'
import { writeTestBundle } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { evaluateDefaults, evaluateToJson } from '../../support/evaluate.ts'
import { importRows } from '../../support/feature-table.ts'
import {
  ads,
  type Cell,
  csvOf,
  entities,
  features,
  keyed,
  noAd,
  noUser,
  predictionsOf,
  prepareKeyed,
  rows,
  users,
} from '../../support/keyed-rows.ts'
import { listCandidates, listContext } from '../../support/list-features.ts'
import { startTestServer } from '../../support/server.ts'

/*
 * Labelled rows with keys alone are judged with the features that a server would have fetched.
 */

/** Per row, the answers of a server to a request by id, with all digits, of which its JSON has eight. */
async function answersOf(t: Test, models: string, sends: (row: (typeof rows)[number]) => Record<string, unknown>) {
  const tables = new Tables(models)
  const { predict, registry } = await startTestServer(t, { models, limits: { tables } })
  const [{ model }] = registry.live() as [ReturnType<typeof registry.live>[number]]
  const found: Record<string, number[]> = { ctr: [], cvr: [], ctcvr: [] }
  for (const row of rows) {
    const context = { ...(row.user_id !== '' && { user_id: row.user_id }), hour: row.hour }
    const candidates = [{ views: row.views, ...(row.ad_id !== '' && { ad_id: row.ad_id }), ...sends(row) }]
    const { table } = model.predict({
      ...{ rows: { form: 'rows', context, candidates }, options: {}, deadline: Number.POSITIVE_INFINITY },
    })
    const answers = (await table).tasks.map(([task, values]) => [task, values[0]!] as const)
    const { body } = await predict({ context, candidates })
    for (const [task, value] of answers) {
      found[task]!.push(value)
      if (Math.abs(value - body.predictions[0][task]) > 1e-8) throw new Error(`${task} is ${value}`)
    }
  }
  return found
}

t.test('an evaluation of keys has the probabilities of requests by id, and of values joined by hand', async (t) => {
  const { folder, models, write } = await prepareKeyed(t)
  const byKey = await predictionsOf(folder, {
    models,
    data: await write('keys', keyed(['ad_id', 'user_id', 'hour', 'views', 'ctr', 'cvr'])),
  })
  t.same(byKey, await answersOf(t, models, () => ({})), 'bit for bit')
  t.ok(new Set(byKey.ctr).size > 200)
  const names = ['hour', 'views', 'country', 'history', 'ages', 'campaign', 'price', 'item', 'tags', 'image']
  const text = (value: unknown) => (Array.isArray(value) ? JSON.stringify(value) : ((value ?? '') as Cell))
  const joined = rows.map(({ ad_id, user_id, hour, views, ctr, cvr }) => {
    const values: Record<string, unknown> = {
      hour,
      views,
      ...(ads.get(ad_id) ?? noAd),
      ...(users.get(user_id) ?? noUser),
    }
    return [...names.map((name) => text(values[name])), ctr, cvr]
  })
  const byHand = await predictionsOf(folder, {
    models,
    data: await write('hand', csvOf([...names, 'ctr', 'cvr'], joined)),
  })
  t.same(byKey, byHand, 'bit for bit')
  // As they are served after a delta, too.
  const items = join(folder, 'items.csv')
  await writeFile(items, 'id,item\nad-1,c\nad-2,\nad-31,b')
  t.equal((await runCli(['features', 'delta', 'ads', items, '--models', models])).code, 0)
  const sent = await predictionsOf(folder, {
    models,
    data: await write('sent', keyed(['ad_id', 'user_id', 'hour', 'views', 'price', 'ctr', 'cvr'])),
  })
  const asked = await answersOf(t, models, ({ price }) => ({ price: price === '' ? null : Number(price) }))
  t.same(sent, asked, 'what is sent wins, and an empty cell is a null')
  t.strictNotSame(sent, byKey)
})

t.test('a report says which tables it has judged with, and how many keys they lacked', async (t) => {
  const { folder, models, write } = await prepareKeyed(t)
  const data = await write('keys', keyed(['ad_id', 'user_id', 'hour', 'views', 'ctr', 'cvr']))
  const lacks = (known: ReadonlyMap<string, unknown>, key: 'ad_id' | 'user_id') =>
    rows.filter((row) => row[key] !== '' && !known.has(row[key])).length
  const { data: judged, model } = await evaluateToJson({ data, models, target: 'ads', report: join(folder, 'out') })
  t.match(judged.tables, [
    {
      ...{
        name: 'ads',
        version: '1',
        rows: 30,
        key: 'ad_id',
        features: ['campaign', 'price', 'item', 'tags', 'image'],
      },
      ...{ unknown: lacks(ads, 'ad_id'), without_key: 10, created_at: /^2/ },
    },
    { name: 'users', version: '1', rows: 12, key: 'user_id', unknown: lacks(users, 'user_id'), without_key: 8 },
  ])
  t.match(
    model.fields.find(({ name }) => name === 'item'),
    { unknown: Number },
  )
  t.match(
    await readFile(join(folder, 'out/report.html'), 'utf8'),
    /<dt>Table ads\/1<.*the keys of 38 rows, and 10 rows have no key/,
  )
  const out: string[] = []
  const options = { ...evaluateDefaults, models, out: { write: (text: string) => out.push(text) } }
  // The highest version of a table is read; another folder of tables where the spec names one.
  const other = await prepareKeyed(t, { price: (own) => own * 2 })
  await importRows(models, 'ads', [{ id: 'ad-1', campaign: 'c', price: 1, item: 'a', tags: [], image: [0, 1] }])
  t.equal(await runEvaluate({ ...options, data, target: 'ads', report: join(folder, 'second') }), 0)
  t.match(out.splice(0).join(''), /from the table ads\/2 by ad_id: .*; 1 row of .*lacks the keys of \d+ rows.*\n/)
  t.match(JSON.parse(await readFile(join(folder, 'second/report.json'), 'utf8')).warnings, [
    /ads\/2 lacks the ad_id of \d+ of 400 rows/,
  ])
  const named = await write('named', keyed(['ad_id', 'user_id', 'hour', 'views', 'ctr', 'cvr']), {
    tables: join(other.models, '.tables'),
  })
  t.match((await evaluateToJson({ data: named, models, target: 'ads' })).data.tables, [{ version: '1', rows: 30 }, {}])
})

t.test('compare, calibrate and quantize read the tables, too', async (t) => {
  const { models, write } = await prepareKeyed(t)
  await writeTestBundle(models, {
    ...{ version: '2', seed: 2, manifest: { features } },
    rows: listCandidates.map((candidate) => ({ ...listContext, ...candidate })),
  })
  const data = await write('keys', keyed(['ad_id', 'user_id', 'hour', 'views', 'ctr', 'cvr']))
  const out: string[] = []
  const options = { ...evaluateDefaults, models, data, out: { write: (text: string) => out.push(text) } }
  // A version without entities is judged with the same values.
  await runCompare({ ...options, a: 'ads/2', b: 'ads/1' })
  t.match(
    out.splice(0).join(''),
    /ads\/1 compared with ads\/2: .*\nfrom the table ads\/1 by ad_id: .*\nfrom the table users/s,
  )
  const calibration = { method: 'platt', force: true, dryRun: false } as const
  t.equal(await runCalibrate({ ...options, ...calibration, target: 'ads/1' }), 0)
  t.match(out.splice(0).join(''), /from the table ads\/1 by ad_id/)
  const manifest = JSON.parse(await readFile(join(models, 'ads/3/manifest.json'), 'utf8'))
  t.same(manifest.entities, entities)
  t.type(manifest.drift.features.price, Object)
  t.equal(await runQuantize({ ...options, precision: 'float32', rows: 300, dryRun: true, target: 'ads/1' }), 0)
  t.match(out.splice(0).join(''), /from the table ads\/1 by ad_id/)
})

t.test('what is lacking is said, with its place', async (t) => {
  const { models, folder, write } = await prepareKeyed(t)
  const problemsOf = (data: string, target = 'ads') =>
    runEvaluate({ ...evaluateDefaults, models, data, target }).then(
      () => [],
      (error) => error.message.split('\n').slice(1) as string[],
    )
  const data = await write('keys', keyed(['ad_id', 'user_id', 'hour', 'views', 'ctr', 'cvr']))
  t.same(await problemsOf(await write('keyless', keyed(['ad_id', 'hour', 'views', 'ctr', 'cvr']))), [
    '  /data the entity user of ads/1: the rows have neither country, history, ages nor the key "user_id"',
  ])
  const change = (entity: object, version: string) =>
    writeTestBundle(models, {
      ...{ version, manifest: { features, entities: { ...entities, ad: { ...entities.ad!, ...entity } } } },
      rows: listCandidates.map((candidate) => ({ ...listContext, ...candidate })),
    })
  await change({ table: 'add' }, '2')
  t.same(await problemsOf(data, 'ads/2'), [
    `  /data the entity ad of ads/2: ${join(models, '.tables')} has no table "add"; did you mean "ads"? It has ads, users`,
  ])
  await change({ table: 'users' }, '3')
  t.match(await problemsOf(data, 'ads/3'), [
    /the entity ad of ads\/3: the table users\/1 in .* has no column "campaign"/,
    ...[/"price"/, /"item"/, /"tags"/, /"image"/],
  ])
  await importRows(models, 'words', [{ id: 'a', campaign: 1.5, price: '1.5', item: ['a'], tags: [1], image: 2 }])
  await change({ table: 'words' }, '4')
  t.match(await problemsOf(data, 'ads/4'), [
    /has a column "price" of strings, and the field is one of numbers/,
    /has a column "item" of lists/,
    /has a column "tags" of lists of numbers, and the field is one of strings/,
    /has a column "image" of single values, and the field is a list: import it with --list "image=\|"/,
  ])
  // Versions with a feature of different tables.
  await importRows(
    models,
    'ads-b',
    [...ads].map(([id, ad]) => ({ id, ...ad })),
  )
  await change({ table: 'ads-b' }, '6')
  await t.rejects(
    runCompare({ ...evaluateDefaults, models, data, a: 'ads/1', b: 'ads/6' }),
    /\/data the entity ad of ads\/6: campaign has another table or key than in ads\/1: give the rows a column campaign/,
  )
  t.ok(folder)
})
