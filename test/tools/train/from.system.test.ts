import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import { Graph } from '../../../src/model/graph/ir/graph.ts'
import { readLayersModel } from '../../../src/model/graph/lower/layers/layers-model.ts'
import { readEvaluation } from '../../../src/model/serving/bundle/evaluation.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { evaluateToJson } from '../../support/evaluate.ts'
import { perFeatureGraph } from '../../support/per-feature.ts'
import { copyShop, stated } from '../../support/pytorch-example.ts'
import { startTestServer } from '../../support/server.ts'
import { tinyCsv, tinySpec } from '../../support/tiny.ts'
import { copyTrainedTiny, trainIn } from '../../support/trained.ts'

/* `multigate train --from`: training that goes on from a version, ours or an export of PyTorch. */

const root = join(import.meta.dirname, '../../../..')

/** Log-loss of each task of a version on the rows that it was tested on as it was trained. */
async function testedLosses(folder: string, name: string, version: string): Promise<number[]> {
  const { tasks } = (await readEvaluation(await readBundle(join(folder, 'models'), name, version)))!
  return tasks.map(({ metrics }) => metrics.logloss.value!)
}

/** Log-loss of each task on the test rows of `spec.json`. */
async function logLosses(folder: string, name: string, version: string): Promise<number[]> {
  const target = join(folder, 'models', name, version)
  const { tasks } = await evaluateToJson({ data: join(folder, 'spec.json'), target, models: join(folder, 'models') })
  return tasks.map(({ metrics }) => metrics.logloss.value!)
}

/** Rows of another kind than `tinyCsv`'s: green things are clicked, and violet ones exist. */
function freshCsv(): string {
  const turned: Record<string, string> = { red: 'green', green: 'violet' }
  return tinyCsv(1000).replace(/^(red|green),/gm, (_, colour) => `${turned[colour]},`)
}

/** A version of ours, and rows that it was not trained on. */
async function tinyVersion(t: Test) {
  const folder = await copyTrainedTiny(t)
  await writeFile(join(folder, 'tiny.csv'), freshCsv())
  const { architecture: _, ...rest } = tinySpec()
  return { folder, spec: { ...rest, training: { ...rest.training, epochs: 1 } } }
}

t.test('a version of ours goes on with fresh rows, as the next version', async (t) => {
  const { folder, spec } = await tinyVersion(t)
  await trainIn(folder, spec, 'tiny')
  const [before, after] = await Promise.all(['1', '2'].map((it) => readBundle(join(folder, 'models'), 'tiny', it)))
  t.same(after!.manifest.features, before!.manifest.features, 'vocabularies and scaling stay')
  t.same(after!.manifest.architecture, before!.manifest.architecture)
  t.match(after!.manifest, { version: '2', provenance: { from: 'tiny/1', epochs: 1 } })
  const [stale, fresh] = [await logLosses(folder, 'tiny', '1'), await testedLosses(folder, 'tiny', '2')]
  t.ok(fresh[0]! < stale[0]! - 0.05, `log-loss of ctr from ${stale[0]} to ${fresh[0]}`)

  // A spec may leave out what the version knows, and name the version to write.
  const { data, split, training } = spec
  const weights = (version: string) => readFile(join(folder, 'models/tiny', version, 'group1-shard1of1.bin'))
  await trainIn(folder, { data, split, training, version: 7 }, 'tiny/1')
  t.ok((await weights('7')).equals(await weights('2')), 'the same fields, expressions, labels and calibrations')
  const [whole, short] = await Promise.all(['2', '7'].map((it) => readBundle(join(folder, 'models'), 'tiny', it)))
  t.same(short!.manifest.tasks, whole!.manifest.tasks)
  t.same(short!.manifest.derived, whole!.manifest.derived)
  const renamed = freshCsv().replace('hour,size', 'hour,width')
  await writeFile(join(folder, 'tiny.csv'), renamed)
  const fields = [{ name: 'size', column: 'width' }]
  await trainIn(folder, { data, split, training, tasks: [{ name: 'cvr', where: 'click == "1"' }], fields }, 'tiny/1')
  t.ok((await weights('8')).equals(await weights('2')), 'a field and a task have the rest of the version')
})

t.test('frozen weights stay, bit for bit', async (t) => {
  const { folder, spec } = await tinyVersion(t)
  const freeze = ['embedding/*', 'expert_0/*']
  // The same architecture may be named.
  const { architecture } = tinySpec()
  await trainIn(folder, { ...spec, architecture, training: { ...spec.training, freeze } }, 'tiny')
  const weights = async (version: string) =>
    (await readLayersModel(join(folder, 'models/tiny', version), 'model.json')).weights
  const [before, after] = [await weights('1'), await weights('2')]
  for (const [name, { data }] of before) {
    const same = Buffer.from(data).equals(after.get(name)!.data)
    t.equal(same, /^(embedding|expert_0)\//.test(name), name)
  }
})

/**
 * `shop.onnx`, an export of PyTorch with a table per field and its weights in a file, and rows that it was not trained
 * on.
 */
async function shopVersion(t: Test) {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'features.json'), JSON.stringify(stated.features))
  await copyShop(folder)
  const random = createRandom(5)
  const lines = ['country,hour,item,price,rating,click,sale,again']
  const chance = (logit: number) => Number(random.uniform() < 1 / (1 + Math.exp(-logit)))
  for (let i = 0; i < 3000; i++) {
    const country = ['DE', 'FR', 'US', 'XX'][random.integer(4)]!
    const [hour, item, rating] = [random.integer(24), random.integer(500), 1 + random.integer(5)]
    const click = chance((country === 'DE' ? 1 : -1) + (rating - 3) / 2)
    const sale = click * chance(hour > 12 ? 1 : -1)
    const again = sale * chance(rating > 3 ? 1 : -1)
    lines.push([country, hour, item, (20 * random.uniform()).toFixed(2), rating, click, sale, again].join())
  }
  await writeFile(join(folder, 'rows.csv'), lines.join('\n'))
  const spec = {
    name: 'shop',
    data: { csv: ['rows.csv'] },
    tasks: [
      { name: 'ctr', label: 'click == "1"' },
      { name: 'cvr', label: 'sale == "1"', where: 'click == "1"' },
      { name: 'again', label: 'again == "1"', where: 'sale == "1"' },
    ],
    split: { by: 'order', train: 0.6, validation: 0.2, test: 0.2 },
    training: { epochs: 1, batch_size: 64, learning_rate: 0.01, seed: 3 },
  }
  await writeFile(join(folder, 'spec.json'), JSON.stringify(spec))
  const models = ['--models', join(folder, 'models')]
  const cli = async (...args: string[]) => runCli([...args, ...models])
  const init = async (file = 'shop.onnx') => {
    const options = ['--name', 'shop', '--features', join(folder, 'features.json'), '--tasks', 'ctr,cvr,again']
    const { code, stderr } = await cli('init', join(folder, file), ...options)
    t.equal(code, 0, stderr)
  }
  return { folder, spec, cli, init }
}

t.test('an export of PyTorch goes on from the command line, and is served', async (t) => {
  const { folder, cli, init } = await shopVersion(t)
  await init()
  const { code, stdout, stderr } = await cli('train', join(folder, 'spec.json'), '--from', 'shop')
  t.equal(code, 0, stderr)
  t.match(stdout, /kept epoch 1 of 1/)
  const [stale, fresh] = [await logLosses(folder, 'shop', '1'), await testedLosses(folder, 'shop', '2')]
  for (const [task, before] of stale.entries())
    t.ok(fresh[task]! < before - 0.01, `task ${task}: from ${before} to ${fresh[task]}`)

  const { manifest } = await readBundle(join(folder, 'models'), 'shop', '2')
  t.match(manifest, { graph: { format: 'onnx', file: 'shop.onnx' }, provenance: { from: 'shop/1' } })
  // A server refuses a version that does not answer its golden rows.
  const server = await startTestServer(t, { models: join(folder, 'models') })
  const { rows, served } = manifest.golden!
  const answered = await server.fastify.inject({
    ...{ method: 'POST', url: '/predict' },
    payload: { model: 'shop', version: '2', candidates: rows.map((row, i) => ({ id: `${i}`, ...row })) },
  })
  t.equal(answered.statusCode, 200, answered.body)
  for (const [i, { ctr }] of answered.json().predictions.entries())
    t.ok(Math.abs(ctr - served![i]![0]!) < 1e-5, `row ${i}: ${ctr}, ${served![i]}`)
})

const integer = (name: string, size: number) => ({
  ...{ name, side: 'candidate', kind: 'integer', size, out_of_vocabulary: 'error', missing: 'error' },
})
const numeric = (name: string) => ({
  ...{ name, side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' },
})

/** Trains `own/2` from an ONNX file, on rows that the first field tells the label of; both versions' graphs. */
async function goOn(
  t: Test,
  file: Uint8Array,
  features: ReturnType<typeof integer | typeof numeric>[],
  freeze: string[],
) {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'own.onnx'), file)
  await writeFile(join(folder, 'features.json'), JSON.stringify(features))
  const places = ['--features', join(folder, 'features.json'), '--models', join(folder, 'models')]
  const made = await runCli(['init', join(folder, 'own.onnx'), '--name', 'own', '--tasks', 'click,buy', ...places])
  t.equal(made.code, 0, made.stderr)
  const random = createRandom(3)
  const lines = [[...features.map(({ name }) => name), 'label'].join()]
  for (let i = 0; i < 2000; i++) {
    const values = features.map((field) =>
      'size' in field ? random.integer(field.size) : Number(random.normal().toFixed(3)),
    )
    lines.push([...values, Number(random.uniform() < (values[0]! > 2 ? 0.8 : 0.2))].join())
  }
  await writeFile(join(folder, 'rows.csv'), lines.join('\n'))
  const spec = {
    name: 'own',
    data: { csv: ['rows.csv'] },
    tasks: ['click', 'buy'].map((name) => ({ name, label: 'label == "1"' })),
    fields: features.map((field) => ('scaling' in field ? { ...field, scaling: 'none' } : field)),
    split: { by: 'order', train: 0.6, validation: 0.2, test: 0.2 },
    training: { epochs: 1, batch_size: 64, learning_rate: 0.02, seed: 3, freeze },
  }
  await trainIn(folder, spec, 'own/1')
  const [stale, fresh] = [await logLosses(folder, 'own', '1'), await testedLosses(folder, 'own', '2')]
  for (const [task, before] of stale.entries()) t.ok(fresh[task]! < before, `task ${task}: ${before}, ${fresh[task]}`)
  const graph = async (version: string) =>
    Graph.parse(await readFile(join(folder, 'models/own', version, 'own.onnx')), folder)
  const [before, after] = [await graph('1'), await graph('2')]
  const same = (name: string) => isDeepStrictEqual(before.floats(name), after.floats(name))
  return { before, after, same }
}

t.test('a tensor per field and per task; frozen weights of a graph stay', async (t) => {
  const sizes = [0, 1, 2, 3].map((i) => numeric(`size_${i}`))
  const features = [integer('country', 5), integer('hour', 24), numeric('price'), ...sizes]
  const { after, same } = await goOn(t, perFeatureGraph().toBytes(), features, ['hour_table', '*_2'])
  const outputs = after.outputs.map(({ name }) => name)
  t.same(outputs, ['click', 'buy'], 'with all its outputs')
  for (const name of ['hour_table', 'kernel_2', 'bias_2']) t.ok(same(name), `${name} is frozen`)
  for (const name of ['country_table', 'kernel_1', 'bias_1', 'kernel_3', 'bias_3']) t.notOk(same(name), name)
})

t.test("an export's matrix of int64 ids; statistics of its normalisations stay", async (t) => {
  const file = await readFile(join(root, 'test/fixtures/pytorch/mmoe-einsum-script.onnx'))
  const ids = [0, 1, 2, 3].map((i) => integer(`id_${i}`, 5))
  const { before, same } = await goOn(t, file, [...ids, ...[0, 1, 2].map((i) => numeric(`x_${i}`))], [])
  const normalisations = before.nodes.filter(({ opType }) => opType === 'BatchNormalization')
  t.equal(normalisations.length, 5)
  for (const { input } of normalisations) {
    const [, scale, bias, mean, variance] = input as [string, string, string, string, string]
    t.same([scale, bias, mean, variance].map(same), [false, false, true, true], scale)
  }
})

t.test('an operator that has no gradient is refused by name and place', async (t) => {
  const { folder, cli, init } = await shopVersion(t)
  const graph = Graph.parse(await readFile(join(folder, 'shop.onnx')), folder)
  const relu = graph.nodes.find(({ opType }) => opType === 'Relu')!
  relu.opType = 'Tan'
  relu.name = 'tower/wave'
  await writeFile(join(folder, 'waves.onnx'), graph.toBytes())
  await init('waves.onnx')
  const { code, stderr } = await cli('train', join(folder, 'spec.json'), '--from', 'shop')
  t.equal(code, 1)
  t.match(stderr, /waves\.onnx can't be trained: Tan tower\/wave: there is no rule for the gradient of this operator/)
  t.notMatch(stderr, /at .*\.js/, 'without a stack')
})

t.test('a spec that contradicts the version is refused by place', async (t) => {
  const { folder, spec } = await tinyVersion(t)
  const refuses = async (changes: object, ...messages: RegExp[]) => {
    const error = await trainIn(folder, { ...spec, ...changes }, 'tiny').catch((error) => error)
    for (const message of messages) t.match(String(error.message), message)
  }
  const { fields, tasks, training } = spec
  await refuses(
    { architecture: { name: 'shared_bottom' } },
    /\/architecture is another one than that of tiny\/1, which --from continues/,
  )
  const more = { name: 'click', kind: 'vocabulary' }
  await refuses({ fields: [...fields, more] }, /\/fields\/5 click is no field of tiny\/1, which --from continues/)
  const kind = { name: 'colour', kind: 'hash', buckets: 4, missing: { default: '' } }
  const bucket = { ...fields[1], buckets: 9 }
  const wider = { ...fields[2], size: 25, side: 'cross' }
  await refuses(
    { fields: [kind, bucket, wider, ...fields.slice(3)] },
    /\/fields\/0\/kind must be vocabulary, as in tiny\/1/,
    /\/fields\/1\/buckets must be 8, as in tiny\/1/,
    /\/fields\/2\/side must be context, as in tiny\/1/,
    /\/fields\/2\/size must be 24, as in tiny\/1/,
  )
  await refuses(
    { tasks: [...tasks, { ...tasks[0], name: 'buy' }] },
    /\/tasks must be those of tiny\/1, which --from continues, in their order: ctr, cvr/,
  )
  await refuses(
    { training: { ...training, freeze: ['embedding/*', 'expert_7/*'] } },
    /\/training\/freeze\/1 "expert_7\/\*" matches none of the weights of tiny\/1, such as embedding\/embeddings/,
  )
  await refuses({ training: { ...training, freeze: ['*'] } }, /\/training\/freeze leaves no weight of tiny\/1 to train/)
  await t.rejects(trainIn(folder, { ...tinySpec(), version: 7, training: { ...training, freeze: ['embedding/*'] } }), {
    message: /\/training\/freeze freezes weights of a version that --from names/,
  })
  await t.rejects(trainIn(folder, { ...spec, version: 8 }), {
    message: /\/architecture is needed to train without --from/,
  })
  await refuses(
    { version: 1 },
    /\/version .*models\/tiny\/1 exists already: leave \/version out to write the next, 2, or replace it by --force/,
  )
  await t.rejects(trainIn(folder, spec, 'tiny/9'), {
    message: /^tiny\/9 is neither .* nor a model in .*\/models or models; .*models\/tiny has the versions 1$/,
  })
})
