import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Tables } from '../../../src/model/serving/tables/tables.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { runEvaluate } from '../../../src/tools/evaluate/run-evaluate.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { evaluateDefaults } from '../../support/evaluate.ts'
import { importRows } from '../../support/feature-table.ts'
import { startTestServer } from '../../support/server.ts'
import { specs, tinyCsv, tinySpec } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

/*
 * A version that is trained on keys is the one that is trained on values joined by hand, and is served by keys.
 */

const folder = await temporaryFolder(t)
const models = join(folder, 'models')
const entities = {
  thing: { key: 'thing_id', side: 'candidate', table: 'things', features: ['colour', 'size'] },
}

interface Thing {
  colour: string
  size: number | null
}

/** The rows of `tiny.csv`, and those with keys in place of colour and size. */
const [, ...lines] = tinyCsv().trim().split('\n')
const things = new Map<string, Thing>()
const rows = lines.map((line) => {
  const [colour, shop, hour, size, click, sale] = line.split(',') as [string, string, string, string, string, string]
  const thing_id = `${colour}-${size}`
  things.set(thing_id, { colour, size: size === '' ? null : Number(size) })
  return { thing_id, shop, hour: Number(hour), click, sale }
})
const names = ['thing_id', 'shop', 'hour', 'click', 'sale'] as const

/** With fields that have values of tables alone: an expression would compute one from them, which nobody sends. */
function specOf(csv: string, more: object = {}) {
  const { fields, ...spec } = tinySpec()
  return { ...spec, data: { csv: [csv] }, fields: fields.filter(({ name }) => name !== 'is_red'), ...more }
}

await writeFile(join(folder, 'tiny.csv'), tinyCsv())
await writeFile(join(folder, 'keys.csv'), [names, ...rows.map((row) => names.map((name) => row[name]))].join('\n'))
await importRows(
  models,
  'things',
  [...things].map(([id, thing]) => ({ id, ...thing })),
)
await trainIn(folder, specOf('keys.csv', { entities }))
await trainIn(folder, specOf('tiny.csv', { name: 'by-hand' }))

const manifestOf = async (version: string) => JSON.parse(await readFile(join(models, version, 'manifest.json'), 'utf8'))

t.test('the fields and the weights are those of values joined by hand', async (t) => {
  const [manifest, other] = [await manifestOf('tiny/1'), await manifestOf('by-hand/1')]
  t.same(manifest.entities, { thing: { ...entities.thing, unknown: 'defaults' } })
  t.same(manifest.features, other.features)
  t.same(manifest.golden, other.golden)
  t.equal(manifest.files['group1-shard1of1.bin'], other.files['group1-shard1of1.bin'])
  t.match(manifest.provenance.feature_tables, [
    { name: 'things', version: '1', rows: things.size, key: 'thing_id', unknown: 0, without_key: 0 },
  ])
  t.notOk('feature_tables' in other.provenance)
  t.notOk('entities' in other)
})

t.test('the version answers requests by id with the probabilities that it was judged by', async (t) => {
  const path = join(folder, 'predictions.csv')
  const judged = { ...evaluateDefaults, models, data: join(folder, 'spec.json'), part: 'test', target: 'tiny' } as const
  await writeFile(join(folder, 'spec.json'), JSON.stringify(specOf('keys.csv', { entities })))
  t.equal(await runEvaluate({ ...judged, predictions: path }), 0)
  const tables = new Tables(models)
  const { registry } = await startTestServer(t, { models, limits: { tables } })
  const { model } = registry.live().find(({ name }) => name === 'tiny')!
  let count = 0
  for (const line of (await readFile(path, 'utf8')).trim().split('\n').slice(1)) {
    const [task, row, , , , prediction] = line.split(',')
    const { thing_id, shop, hour } = rows[Number(row) - 1]!
    const { table } = model.predict({
      rows: { form: 'rows', context: { shop, hour }, candidates: [thing_id] },
      options: {},
      deadline: Number.POSITIVE_INFINITY,
    })
    const answer = new Map((await table).tasks).get(task!)![0]
    if (answer !== Number(prediction)) t.equal(answer, Number(prediction), `row ${row}, ${task}`)
    count++
  }
  t.ok(count > 200)
})

t.test('--from keeps the entities of a version', async (t) => {
  await trainIn(folder, { data: { csv: ['keys.csv'] }, training: { epochs: 1 } }, 'tiny')
  const manifest = await manifestOf('tiny/2')
  t.same(manifest.entities, { thing: { ...entities.thing, unknown: 'defaults' } })
  t.match(manifest.provenance.feature_tables, [{ name: 'things' }])
})

t.test('rows that a server would not answer are in no part', async (t) => {
  const lost = Array.from({ length: 20 }, (_, i) => [`lost-${i}`, ...names.slice(1).map((name) => rows[i]![name])])
  const known = rows.map((row) => names.map((name) => row[name]))
  await writeFile(join(folder, 'lost.csv'), [names, ...lost, ...known].join('\n'))
  for (const unknown of ['leave_out', 'refuse']) {
    const name = unknown.replace('_', '-')
    await trainIn(folder, specOf('lost.csv', { name, entities: { thing: { ...entities.thing, unknown } } }))
    const { provenance } = await manifestOf(`${name}/1`)
    t.match(provenance.feature_tables, [{ unknown: lost.length, left_out: lost.length }])
    const { train, validation, test } = provenance.rows
    t.equal(train + validation + test, rows.length)
  }
})

t.test('entities that do not fit the fields, and tables that are lacking, are refused', async (t) => {
  const read = async (more: object) => {
    await writeFile(join(folder, 'wrong.json'), JSON.stringify(specOf('keys.csv', more)))
    return readSpec(join(folder, 'wrong.json'), specs).then(
      () => [],
      (error) => error.message.split('\n').slice(1),
    )
  }
  t.same(await read({ entities: { thing: { ...entities.thing, side: 'context' } } }), [
    '  /entities/thing/features/0 is a field of the candidate, not of the context (and 1 more place)',
  ])
  // Expressions over columns of tables are right where another part of the spec is wrong.
  const tasks = [{ name: 'ctr', label: 'click == "1"', where: 'size > 1.0 && colour == "red"' }]
  const problems = await read({ entities, tasks, derived: [], group: 'thing', patience: 1 })
  t.equal(problems.length, 2)
  t.match(problems, [/\/patience is unknown/, /\/group no column "thing"; the columns are .*, colour, size/])
  await t.rejects(
    trainIn(folder, specOf('keys.csv', { version: 9, entities: { thing: { ...entities.thing, table: 'thing' } } })),
    {
      message: /\/entities\/thing .*\.tables has no table "thing"; did you mean "things"\?/,
    },
  )
})
