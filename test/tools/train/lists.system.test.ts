// Lists, vectors and sequences as users meet them: named in a spec, trained, continued and served.
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { listCsv } from '../../support/list-rows.ts'
import { startTestServer } from '../../support/server.ts'
import { trainIn } from '../../support/trained.ts'
import {
  checkAttention,
  checkPenalties,
  data,
  spec,
  trained,
  valuesOf,
  weightsOf,
} from '../../support/trained-lists.ts'

/** The version that the spec describes; tests only read it. */
const plain = await trained(t)

t.test('the manifest has the fields of the spec, fitted, and the version is served', async (t) => {
  const { folder, manifest } = plain
  const [, item, viewed, ages, tags, image] = manifest.features
  t.match(item, { kind: 'vocabulary', values: Array.from({ length: 8 }, (_, i) => `i${i}`) })
  t.match(viewed, { kind: 'shared', table: 'item', list: { max: 4, keep: 'last' }, sequence: 'views' })
  t.match(ages, { kind: 'numeric', scaling: { method: 'log1p' }, list: { max: 4 }, sequence: 'views' })
  t.match(tags, { list: { max: 3, weighted: true } })
  t.notOk('separator' in (tags as { list: object }).list)
  t.match(image, { kind: 'vector', length: 2 })
  t.match(manifest.provenance, {
    sequences: spec.sequences,
    field_options: { tags: { pooling: 'sqrt_n', separator: '|', weights: 'tag_weights' } },
  })
  t.match(Object.keys(manifest.drift!.lengths!).sort(), ['ages', 'tags', 'viewed'])
  const server = await startTestServer(t, { models: join(folder, 'models') })
  const [row] = manifest.golden!.rows as [Record<string, unknown>]
  const { hour, viewed: history, ages: old, ...candidate } = row
  const body = await server.predict({
    context: { hour, viewed: history, ages: old },
    candidates: [candidate, candidate],
  })
  t.equal(body.status, 200)
  t.ok(Math.abs(body.body.predictions[0].ctr - manifest.golden!.served![0]![0]!) < 1e-5)
})

t.test('the row of padding is neither read nor trained', async (t) => {
  const before = await trained(t, { training: { ...spec.training, epochs: 1, learning_rate: 1e-30 } })
  const { features } = plain.manifest
  const rows = (values: Float32Array, row: number) => Array.from(values.subarray(row * 4, row * 4 + 4))
  const [start, end] = [
    await valuesOf(before.folder, 'embedding/embeddings'),
    await valuesOf(plain.folder, 'embedding/embeddings'),
  ]
  // 25 hours, 9 items, then the tags: padding, and known ones.
  const padding = 25 + 1 + (features[1] as { values: string[] }).values.length
  t.same(rows(end, padding), rows(start, padding))
  t.notSame(rows(end, padding + 1), rows(start, padding + 1))
})

t.test('no penalty pulls the row of padding, and all other rows have it', (t) =>
  checkPenalties(t, [[undefined, 'adam']]),
)

// lists.full.test.ts trains others.
t.test('an architecture with another attention is trained', (t) =>
  checkAttention(t, { name: 'single_task', attention: 'multi_head', wide: true }),
)

t.test('training goes on from it, with rows of the next day alone', async (t) => {
  const folder = await temporaryFolder(t)
  await cp(plain.folder, folder, { recursive: true })
  await trainIn(folder, { data, training: { epochs: 1, learning_rate: 1e-30 } }, 'views')
  const names = [...(await weightsOf(folder)).weights.keys()].filter((name) => !/moving_/.test(name))
  t.ok(names.includes('features/views/score/kernel'))
  for (const name of names) t.same(await valuesOf(folder, name, '2'), await valuesOf(folder, name), name)
  const next = (await readBundle(join(folder, 'models'), 'views', '2')).manifest
  t.match(next.provenance, { sequences: spec.sequences, from: 'views/1' })
  const fields = spec.fields.map((field) =>
    field.name === 'tags' ? { ...field, list: { max: 9, weighted: true, separator: '|' } } : field,
  )
  await t.rejects(trainIn(folder, { ...spec, data, version: 3, fields }, 'views'), {
    message: /fields\/4\/list\/max must be 3, as in views\/2/,
  })
})

t.test('two runs give the same weights, bit for bit, and two threads nearly the same', async (t) => {
  const run = async (threads: number) => {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'views.csv'), listCsv())
    const architecture = { ...spec.architecture, normalisation: 'none', dropout_tasks: 0 }
    await trainIn(folder, { ...spec, architecture }, undefined, threads)
    return await readFile(join(folder, 'models/views/1/group1-shard1of1.bin'))
  }
  const [one, again, two] = [await run(1), await run(1), await run(2)]
  t.ok(one.equals(again))
  const floats = (bytes: Buffer) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
  t.ok(floats(one).every((value, i) => Math.abs(value - floats(two)[i]!) < 1e-3))
})

t.test('it is exported as ONNX, and not to programs without such layers', async (t) => {
  const { folder } = plain
  const run = (to: string) =>
    runCli(['export', 'views', '--models', join(folder, 'models'), '--to', to, '--out', join(folder, `as-${to}`)])
  t.match(await run('onnx'), { code: 0, stdout: /8 golden rows answered/ })
  t.match(await run('tfjs'), { code: 1, stderr: /TensorFlow\.js has no layers of lists: use --to onnx/ })
  t.match(await run('keras-weights'), { code: 1, stderr: /the reference's classes don't have lists: use --to onnx/ })
})

t.test('rows that do not fit are named with their line', async (t) => {
  const folder = await temporaryFolder(t)
  const [header, first, ...others] = listCsv(40).split('\n') as [string, string, ...string[]]
  const broken = first.replace(/"\[[^\]]*\]";(?=[^;]*;[^;]*;[^;]*$)/, '"[1,2,3]";')
  await writeFile(join(folder, 'views.csv'), [header, broken, ...others].join('\n'))
  await t.rejects(trainIn(folder, spec), { message: /\/fields\/5 views\.csv line 2: image has 3 numbers, not 2/ })
})
