import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Tables } from '../../../src/model/serving/tables/tables.ts'
import type { Entities } from '../../../src/schemas/entities.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { runCompare } from '../../../src/tools/evaluate/run-compare.ts'
import { type RunEvaluateOptions, runEvaluate } from '../../../src/tools/evaluate/run-evaluate.ts'
import { runQuantize } from '../../../src/tools/evaluate/run-quantize.ts'
import { writeTestBundle } from '../../support/bundle.ts'
import { evaluateDefaults, evaluateToJson } from '../../support/evaluate.ts'
import { importRows } from '../../support/feature-table.ts'
import {
  ads,
  type Cell,
  csvOf,
  entities,
  features,
  judgedOf,
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
 * Rows that a server does not answer are not judged, and a service that is asked by keys has the probabilities of an
 * evaluation on disk.
 */

const names = ['ad_id', 'user_id', 'hour', 'views', 'ctr', 'cvr'] as const
const golden = listCandidates.map((candidate) => ({ ...listContext, ...candidate }))
const isUnknown = ({ ad_id: id }: (typeof rows)[number]) => id !== '' && !ads.has(id)
const unknown = rows.filter(isUnknown).length

const adsWith = (fate: Entities[string]['unknown']): Entities => ({
  ...entities,
  ad: { ...entities.ad!, unknown: fate },
})

/** Versions 1, 2 and 3, which differ in the fate of unknown keys alone. */
async function prepareFates(t: Test) {
  const prepared = await prepareKeyed(t)
  for (const [version, fate] of [['2', 'leave_out'] as const, ['3', 'refuse'] as const])
    await writeTestBundle(prepared.models, {
      ...{ version, manifest: { features, entities: adsWith(fate) }, rows: golden },
    })
  return { ...prepared, data: await prepared.write('keys', keyed(names)) }
}

/** A service with all versions. */
async function serve(t: Test, models: string): Promise<string> {
  const tables = new Tables(models)
  await tables.refresh()
  const server = await startTestServer(t, { models, tables, registry: { mode: 'all' } })
  return server.fastify.listen({ host: '127.0.0.1', port: 0 })
}

/** The problems of rows that can't be judged. */
async function problemsOf(options: Parameters<typeof evaluateToJson>[0]) {
  const error = await evaluateToJson(options).catch((error) => error)
  if (!(error instanceof SpecError)) throw error
  return error.problems
}

/** Output of a command. */
async function outputOf(options: Partial<RunEvaluateOptions> & { data: string; models: string }) {
  const [out, err] = [[] as string[], [] as string[]]
  const code = await runEvaluate({
    ...{ ...evaluateDefaults, ...options },
    ...{ out: { write: (text: string) => out.push(text) }, err: { write: (text: string) => err.push(text) } },
  })
  return { code, out: out.join(''), err: err.join('') }
}

t.test('rows with keys that a table lacks are not judged where a server leaves them out or refuses them', async (t) => {
  const { folder, models, data } = await prepareFates(t)
  const full = await judgedOf(folder, { models, data, target: 'ads/1' })
  t.equal(full.data.judged, rows.length)
  t.notOk('left_out' in full.data)
  for (const target of ['ads/2', 'ads/3']) {
    const report = join(folder, target)
    const { data: about, tasks, predictions } = await judgedOf(folder, { models, data, target, report })
    for (const [task, values] of Object.entries(full.predictions)) {
      const kept = values.map((value, i) => (isUnknown(rows[i]!) ? undefined : value))
      t.same([...predictions[task]!], kept, 'the others have the same answers, and their places')
    }
    t.match(about, { rows: rows.length, judged: rows.length - unknown, left_out: unknown })
    t.match(about.tables, [{ name: 'ads', unknown, left_out: unknown }, { name: 'users' }])
    t.notOk('left_out' in about.tables![1]!)
    t.equal(tasks[0]!.rows, rows.length - unknown)
    const page = await readFile(join(report, 'report.html'), 'utf8')
    t.match(page, `${rows.length - unknown} judged of 400 read; ${unknown} left out, as a server does not answer them`)
    const { out, err } = await outputOf({ models, data, target })
    t.match(
      err,
      `${rows.length - unknown} rows of keys.json; ${unknown} more are left out, as a server does not answer`,
    )
    t.match(
      out,
      `lacks the keys of ${unknown} rows, which are left out, as a server does not answer them, and 10 rows have no key`,
    )
  }
  // Versions are compared on the rows that both answer.
  const out: string[] = []
  const options = { ...evaluateDefaults, models, data, out: { write: (text: string) => out.push(text) } }
  t.equal(await runCompare({ ...options, a: 'ads/1', b: 'ads/2', json: true }), 0)
  const { data: compared, comparison } = JSON.parse(out.join(''))
  t.match(compared, { judged: rows.length - unknown, left_out: unknown })
  t.equal(comparison.tasks[0].metrics.auc.difference.value, 0)
})

t.test('nothing is judged where no row has a key of the table', async (t) => {
  const { models, data, write } = await prepareFates(t)
  await importRows(models, 'ads', [{ id: 'other', campaign: 'c', price: 1, item: 'a', tags: ['x'], image: [0, 1] }])
  const keyless = rows.filter(({ ad_id }) => ad_id === '').length
  t.match(await evaluateToJson({ models, data, target: 'ads/2' }), {
    data: { judged: keyless, left_out: rows.length - keyless },
    warnings: [/the table ads\/2 lacks the ad_id of 390 of 400 rows: they are left out/],
  })
  const known = await write(
    'known',
    csvOf(
      names,
      rows.flatMap((row) => (row.ad_id === '' ? [] : [names.map((name) => row[name])])),
    ),
  )
  t.same(await problemsOf({ models, data: known, target: 'ads/2' }), [
    {
      path: '/data',
      message: 'has 0 rows with keys that the tables have; 390 more are left out, as a server does not answer them',
    },
  ])
})

t.test('a service answers keys as an evaluation on disk does', async (t) => {
  const { folder, models, data, write } = await prepareFates(t)
  const url = await serve(t, models)
  const service = { url }
  const closeTo = (found: Record<string, number[]>, wanted: Record<string, number[]>) => {
    t.same(Object.keys(found), Object.keys(wanted))
    for (const [task, values] of Object.entries(wanted)) {
      t.equal(found[task]!.length, values.length)
      // The answer's JSON has eight digits.
      const far = values.findIndex(
        (value, i) => !(Math.abs(value - found[task]![i]!) < 1e-7 || value === found[task]![i]),
      )
      t.equal(far, -1, `${task} of row ${far}: ${found[task]![far]}, not ${values[far]}`)
    }
  }
  for (const target of ['ads/1', 'ads/2', 'ads/3']) {
    const here = { models, data, target }
    const { data: about, warnings, model, predictions } = await judgedOf(folder, { ...here, service })
    closeTo(predictions, await predictionsOf(folder, here))
    const left = target === 'ads/1' ? undefined : unknown
    t.equal(about.left_out, left)
    t.equal(about.judged, rows.length - (left ?? 0))
    t.match(about.tables, [
      {
        name: 'ads',
        version: '1',
        rows: 30,
        key: 'ad_id',
        service: true,
        without_key: 10,
        features: entities.ad!.features,
      },
      { name: 'users', version: '1', rows: 12, key: 'user_id', service: true, without_key: 8 },
    ])
    t.same(
      model.fields.map(({ name }) => name),
      ['hour', 'views'],
    )
    t.match(warnings.join('\n'), /campaign, price, item, tags, image are in the service's table ads\/1 alone: slices/)
  }
  // Columns of the rows are sent, and win.
  const sent = await write('sent', keyed([...names, 'price']))
  const here = { models, data: sent, target: 'ads/2' }
  closeTo(await predictionsOf(folder, { ...here, service }), await predictionsOf(folder, here))
  const { out } = await outputOf({ ...here, service })
  t.match(
    out,
    /from the service's table ads\/1 by ad_id: campaign, item, tags, image; 30 rows of .*, and 10 rows have no key\n/,
  )
  // Rows with all features are sent without keys: none is left out.
  const fields = features.map(({ name }) => name)
  const text = (value: unknown) => (Array.isArray(value) ? JSON.stringify(value) : ((value ?? '') as Cell))
  const whole = rows.map(({ ad_id, user_id, hour, views, ctr, cvr }) => {
    const values = { hour, views, ...(ads.get(ad_id) ?? noAd), ...(users.get(user_id) ?? noUser) } as Record<
      string,
      unknown
    >
    return [ad_id, ...fields.map((name) => text(values[name])), ctr, cvr]
  })
  const values = await write('values', csvOf(['ad_id', ...fields, 'ctr', 'cvr'], whole))
  const byValues = await evaluateToJson({ models, data: values, target: 'ads/3', service })
  t.equal(byValues.data.judged, rows.length)
  t.notOk('tables' in byValues.data)
  // Versions that answer different rows are compared on those that both answer.
  const out2: string[] = []
  const options = { ...evaluateDefaults, models, data, service, out: { write: (line: string) => out2.push(line) } }
  t.equal(await runCompare({ ...options, a: 'ads/1', b: 'ads/2', json: true }), 0)
  t.match(JSON.parse(out2.join('')).data, { judged: rows.length - unknown, left_out: unknown })
})

t.test('a service is asked for keys that the rows have', async (t) => {
  const { models, write } = await prepareFates(t)
  const service = { url: await serve(t, models) }
  const keyless = await write('keyless', keyed(['ad_id', 'hour', 'views', 'ctr', 'cvr']))
  t.same(await problemsOf({ models, data: keyless, target: 'ads/2', service }), [
    {
      path: '/data',
      message: 'the entity user of ads/2: the rows have neither country, history, ages nor the key "user_id"',
    },
  ])
  const others = rows.map(({ user_id, hour, views, ctr, cvr }, i) => [`no-${i}`, user_id, hour, views, ctr, cvr])
  const lost = await write('lost', csvOf(names, others))
  for (const target of ['ads/2', 'ads/3'])
    t.same(await problemsOf({ models, data: lost, target, service }), [
      { path: '/data', message: `none of 400 rows has an answer of ${target}: its tables lack their keys` },
    ])
})

t.test('deltas that are refused are said, and the values are those that a server has', async (t) => {
  const { folder, models, data } = await prepareFates(t)
  const before = await predictionsOf(folder, { models, data, target: 'ads/1' })
  const deltas = join(models, '.tables/ads/1/deltas')
  await mkdir(deltas)
  await writeFile(join(deltas, 'delta-1.bin'), 'damaged')
  const warning = /the table ads\/1 is read without deltas\/delta-1.bin and later deltas, as a server reads it: /
  const { data: about, warnings, predictions } = await judgedOf(folder, { models, data, target: 'ads/1' })
  t.same(predictions, before)
  t.match(about.tables, [{ deltas: 0, refused_delta: { file: 'deltas/delta-1.bin', reason: String } }, {}])
  t.notOk('refused_delta' in about.tables![1]!)
  t.match(warnings, [warning])
  const { out, err, code } = await outputOf({ models, data, target: 'ads/1' })
  t.equal(code, 0)
  t.match(out, warning)
  t.match(err, warning)
  const service = { url: await serve(t, models) }
  t.match((await evaluateToJson({ models, data, target: 'ads/1', service })).warnings, [warning])
  const said: string[] = []
  const quantizing = { ...evaluateDefaults, models, data, target: 'ads/1', precision: 'float32', rows: 300 } as const
  await runQuantize({ ...quantizing, dryRun: true, out: { write: (text: string) => said.push(text) } })
  t.match(said.join(''), warning)
})
