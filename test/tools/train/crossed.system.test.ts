// Crossed fields as users meet them: named in a spec, trained, and served without being sent.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'
import { specs, tinyCsv, tinySpec } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

const crossed = [
  { name: 'colour_hour', kind: 'crossed', of: ['colour', 'hour'] },
  { name: 'shop_hour', kind: 'crossed', of: ['shop', 'hour'], buckets: 20 },
]
const { fields, training, ...rest } = tinySpec()
const spec = { ...rest, fields: [...fields, ...crossed], training: { ...training, unknown: 0.05 } }
const folder = await temporaryFolder(t)
await writeFile(join(folder, 'tiny.csv'), tinyCsv())
await trainIn(folder, spec)
const models = join(folder, 'models')
const { manifest } = await readBundle(models, 'tiny', '1')

/** Logistic in nothing: a label that the combination alone tells. */
function exclusiveCsv(rows: number): string {
  const lines = ['colour,shop,hour,size,click,sale']
  for (let i = 0; i < rows; i++) {
    const [colour, hour] = [(i * 7 + (i >> 4)) % 2, (i * 5 + (i >> 3)) % 2]
    lines.push(`${['red', 'blue'][colour]},a,${hour},1,${colour ^ hour},${i % 2}`)
  }
  return `${lines.join('\n')}\n`
}

t.test('the manifest names them apart from what requests give', async (t) => {
  t.same(manifest.crossed, [
    { name: 'colour_hour', of: ['colour', 'hour'], buckets: 100_000, seed: 0 },
    { name: 'shop_hour', of: ['shop', 'hour'], buckets: 20, seed: 0 },
  ])
  t.same(
    manifest.features.map(({ name }) => name),
    fields.map(({ name }) => name),
  )
  t.same(Object.keys(manifest.drift!.features).sort(), fields.map(({ name }) => name).sort())
  for (const row of manifest.golden!.rows) t.same(Object.keys(row).sort(), fields.map(({ name }) => name).sort())
})

t.test('every form of a request is answered alike, and the description says what is computed', async (t) => {
  const server = await startTestServer(t, { models })
  const context = { shop: 'shop 3', hour: 9 }
  const candidates = [
    { colour: 'red', size: 1.5, is_red: 1 },
    { colour: 'blue', size: 3, is_red: 0 },
  ]
  const rows = await server.predict({ context, candidates })
  t.equal(rows.status, 200)
  const columns = { colour: ['red', 'blue'], size: [1.5, 3], is_red: [1, 0] }
  const byColumns = await server.predict({ context, candidates: columns })
  t.same(
    byColumns.body.predictions.ctr,
    rows.body.predictions.map(({ ctr }: { ctr: number }) => ctr),
  )
  const read = async (url: string) => JSON.parse((await server.fastify.inject({ method: 'GET', url })).body)
  const details = await read('/models/tiny')
  t.same(details.crossed, [
    { name: 'colour_hour', side: 'cross', of: ['colour', 'hour'], ids: [37, 136], hashed: false },
    { name: 'shop_hour', side: 'context', of: ['shop', 'hour'], ids: [137, 156], hashed: true },
  ])
  t.match(details.inputs, [
    { name: 'sparse', shape: [3] },
    { name: 'dense', shape: [2] },
  ])
  const inputs = (await read('/v2/models/tiny')).inputs
  t.match(inputs, [
    { name: 'sparse', shape: [-1, 3] },
    { name: 'dense', shape: [-1, 2] },
  ])
  const given = await server.predict({ ...details.example, candidates: [{ ...candidates[0], colour_hour: 'x' }] })
  t.match(JSON.stringify(given.body), /candidates\/0\/colour_hour.*is computed from colour × hour: leave it out/)
  t.equal((await server.predict(details.example)).status, 200)
})

t.test('training goes on with the same crossed fields alone', async (t) => {
  await t.rejects(
    trainIn(folder, { ...spec, fields: [...fields, { ...crossed[1], buckets: 21 }] }, 'tiny/1'),
    /\/fields must have the crossed fields of tiny\/1, which --from continues: colour_hour of colour × hour \(100000 buckets, seed 0\), shop_hour/,
  )
  await trainIn(folder, { ...spec, training: { ...spec.training, epochs: 1 } }, 'tiny/1')
  t.same((await readBundle(models, 'tiny', '2')).manifest.crossed, manifest.crossed)
})

t.test('they tell what no sum of their parts does', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'tiny.csv'), exclusiveCsv(2000))
  const one = {
    ...spec,
    architecture: { name: 'shared_bottom', dim_emb: 2, num_hidden_shared: 1, num_hidden_tasks: 1 },
  }
  await trainIn(folder, { ...one, derived: [], tasks: [tinySpec().tasks[0]] })
  const { quality } = (await readBundle(join(folder, 'models'), 'tiny', '1')).manifest
  t.ok(quality!.ctr!.auc! > 0.99, `${quality!.ctr!.auc}`)
})

t.test('a wide part, Adagrad and a schedule: trained, served and continued', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'tiny.csv'), tinyCsv())
  const settings = { tables: 'adagrad', schedule: 'cosine', warm_up: 3, weight_decay: 0.01 }
  // Look-ups of one side compute their indexes, in a graph without the masks of dropout.
  const architecture = { ...spec.architecture, num_experts_context: 1, wide: true, wide_l2: 1e-5 }
  const wide = { ...spec, architecture, training: { ...spec.training, ...settings } }
  await trainIn(folder, wide)
  const { manifest } = await readBundle(join(folder, 'models'), 'tiny', '1')
  t.match(manifest.architecture, { wide: true, wide_l2: 1e-5 })
  const server = await startTestServer(t, { models: join(folder, 'models') })
  t.equal((await server.predict({ candidates: [{ colour: 'red', hour: 3, is_red: 1 }] })).status, 200)
  await trainIn(folder, wide, 'tiny/1')
  const tooLong = { ...wide, name: 'long', training: { ...wide.training, warm_up: 1000 } }
  await t.rejects(trainIn(folder, tooLong), /\/training\/warm_up 1000 steps are more than the 12 of the whole run/)
})

t.test('tables that no memory holds are refused before they are made', async (t) => {
  const huge = { name: 'huge', kind: 'crossed', of: ['shop', 'user'], buckets: 1e9 }
  const architecture = { ...spec.architecture, dim_emb: 64 }
  const user = { name: 'user', column: 'shop', kind: 'hash', buckets: 2 ** 28 }
  await t.rejects(
    trainIn(folder, { ...spec, name: 'huge', architecture, fields: [...fields, user, huge] }),
    /\/fields\/6 the embeddings would take [\d.]+ GiB of memory, and .* are available; huge has 1,000,000,000 of the ids: give it fewer, or lower dim_emb/,
  )
})

t.test('options that would do nothing are refused', async (t) => {
  const file = join(folder, 'useless.json')
  const [colour, , , size] = fields
  const useless = {
    ...spec,
    fields: [colour, { ...size, scaling: 'log1p', clip: true }],
    architecture: { ...spec.architecture, wide_l2: 1e-5 },
    training: { ...training, tables_learning_rate: 0.1, weight_decay: 200, task_epochs: 2, select: 'ctr.auc' },
  }
  await writeFile(file, JSON.stringify(useless))
  const { problems } = await readSpec(file, specs).catch((error) => error)
  t.same(
    problems.map(({ path, message }: { path: string; message: string }) => `${path} ${message}`),
    [
      '/architecture/wide_l2 has no effect without wide: true',
      '/training/task_epochs contradicts select, which keeps one epoch for all tasks: leave one out',
      '/training/tables_learning_rate has no effect without tables: adagrad',
      '/training/weight_decay must be below 100, at which a step would take away all of a weight',
      '/fields/1/clip has no effect without scaling: standard',
    ],
  )
})

t.test('specs with crossed fields that make no sense', async (t) => {
  const problems = async (...more: object[]) => {
    const file = join(folder, 'wrong.json')
    await writeFile(file, JSON.stringify({ ...spec, fields: more }))
    return (await readSpec(file, specs).catch((error) => error)).problems.map(
      ({ path, message }: { path: string; message: string }) => `${path} ${message}`,
    )
  }
  const [colour] = fields
  t.same(await problems(crossed[0]!, ...fields), ['/fields/0 is crossed: crossed fields come after all others'])
  t.same(await problems(colour!, { name: 'a', kind: 'crossed', of: ['colour', 'a'] }), [
    '/fields/1/of/1 is the field itself',
  ])
  t.same(await problems(colour!, { name: 'colour', kind: 'crossed', of: ['colour', 'shop'] }), [
    '/fields/1/name "colour" is already used',
  ])
  t.same(await problems(colour!, { name: 'a', kind: 'crossed', of: ['colour', 'colour'] }), [
    '/fields/1/of must not have duplicate items',
  ])
  t.same(await problems(colour!, { name: 'a', kind: 'crossed', of: ['colour'], buckets: 0 }), [
    '/fields/1/of must have at least 2 items',
    '/fields/1/buckets must be at least 1',
  ])
  t.same(await problems(...fields, { name: 'a', kind: 'crossed', of: ['colour', 'size'] }), [
    '/fields/5/of/1 "size" is numeric: only fields with ids can be crossed',
  ])
})
