import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toBinary } from '@bufbuild/protobuf'
import t from 'tap'
import type { Graph } from '../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType, ModelProtoSchema } from '../../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../../src/model/graph/ir/tensor-shape.ts'
import { parseManifest } from '../../../src/model/serving/bundle/manifest.ts'
import type { Field } from '../../../src/schemas/features.ts'
import { type InitOptions, writeInit } from '../../../src/tools/convert/write-init.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { answerWith, emptyGraph } from '../../support/compile/run-graph.ts'
import { initOptions } from '../../support/init-options.ts'
import { perFeatureGraph } from '../../support/per-feature.ts'
import { noReference, readReference } from '../../support/reference.ts'
import { startTestServer } from '../../support/server.ts'

t.test('beside a graph in its place, a manifest that can be served', async (t) => {
  const models = await temporaryFolder(t)
  const folder = join(models, 'shop/3')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'graph.onnx'), perFeatureGraph().toBytes())
  const sides = { context: ['country', 'hour'], cross: ['price'] }
  const { manifest, found, left } = await writeInit({ ...initOptions(folder, models), sides })
  t.match(manifest, { name: 'shop', version: '3', tasks: [{ name: 'click' }, { name: 'buy' }] })
  t.same(
    manifest.features.map((field) => [field.name, field.kind, field.side, field.kind === 'integer' ? field.size : 0]),
    [
      ['country', 'integer', 'context', 5],
      ['hour', 'integer', 'context', 24],
      ['price', 'numeric', 'cross', 0],
      ...[0, 1, 2, 3].map((i) => [`sizes_${i}`, 'numeric', 'candidate', 0]),
    ],
  )
  t.same(manifest.graph, {
    format: 'onnx',
    file: 'graph.onnx',
    inputs: { sparse: ['country', 'hour'], dense: ['price', 'sizes'] },
    outputs: { probabilities: ['click', 'buy'] },
  })
  t.ok(found.includes('click, buy → click, buy'))
  t.ok(left.some((line) => line.startsWith('/features/*/side')))
  t.same((await readdir(models)).sort(), ['shop'], 'nothing is left over')
  const { predict } = await startTestServer(t, { models })
  const { status, body } = await predict({ model: 'shop', candidates: manifest.golden!.rows })
  t.equal(status, 200, JSON.stringify(body))
  for (const [row, [click]] of manifest.golden!.probabilities.entries())
    t.ok(Math.abs(body.predictions[row].click - click!) < 1e-6)

  await t.rejects(writeInit(initOptions(folder, models)), {
    code: 'INVALID_REQUEST',
    message: /has a manifest already: --force/,
  })
  const again = await writeInit({ ...initOptions(folder, models), tasks: ['ctr', 'cvr'], force: true })
  t.match(again.manifest.tasks, [{ name: 'ctr' }, { name: 'cvr' }])
})

t.test('a graph elsewhere becomes a version, whole', { skip: noReference }, async (t) => {
  const { folder, batch, probabilities } = await readReference('keras2/mmoe')
  const models = await temporaryFolder(t)
  const options = { ...initOptions(join(folder, 'model.onnx'), models), name: 'census' }
  const { manifest, left } = await writeInit({ ...options, tasks: ['income', 'married'] })
  t.same(await readdir(join(models, 'census')), ['1'])
  t.equal(manifest.graph.inputs.ids, 'per_field')
  t.ok(left.some((line) => /one table of 484 rows/.test(line)))
  const { predict } = await startTestServer(t, { models })
  const candidates = Array.from({ length: batch.rows }, (_, row) => ({
    ...Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`input_1_${i}`, batch.inputs.sparse![row * 31 + i]])),
    ...Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`input_2_${i}`, batch.inputs.dense![row * 7 + i]])),
  }))
  const { body } = await predict({ candidates })
  for (let row = 0; row < batch.rows; row++) {
    t.ok(Math.abs(body.predictions[row].income - probabilities[row * 2]!) < 1e-5)
    t.ok(Math.abs(body.predictions[row].married - probabilities[row * 2 + 1]!) < 1e-5)
  }
  await t.rejects(writeInit(options), { code: 'INVALID_REQUEST', message: /exists already/ })
  const second = await writeInit({ ...options, version: '2' })
  t.equal(second.manifest.version, '2')
})

t.test('a person is asked of a first draft, and keeps what options say', async (t) => {
  const models = await temporaryFolder(t)
  const folder = join(models, 'shop/3')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'graph.onnx'), perFeatureGraph().toBytes())
  const answers = {
    ...{ name: 'shop', tasks: ['ctr', 'cvr'], derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'] }] },
    ...{ stated: undefined, context: undefined, golden: undefined, data: undefined, longest: undefined },
  }
  const sides = { context: ['country'], cross: ['price'] }
  const { manifest } = await writeInit({
    ...{ ...initOptions(folder, models), sides },
    async review({ manifest }) {
      t.match(manifest.tasks, [{ name: 'click' }, { name: 'buy' }])
      return answers
    },
  })
  t.match(manifest, { name: 'shop', version: '3', tasks: [{ name: 'ctr' }, { name: 'cvr' }], derived: answers.derived })
  t.same(
    manifest.features.slice(0, 3).map(({ side }) => side),
    ['context', 'candidate', 'cross'],
  )
  const review = async () => ({ ...answers, name: 'store', context: ['hour'] })
  const copy = await writeInit({ ...initOptions(folder, models), review, force: true })
  t.match(copy.manifest, { name: 'store', version: '1' })
  t.equal(copy.manifest.features.find(({ name }) => name === 'hour')!.side, 'context')
})

t.test('offsets that the graph adds to ids tell the size of each field', async (t) => {
  const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, 3] } })
  const offsets = graph.constant('offsets', BigInt64Array.of(0n, 4n, 9n), [1, 3])
  const table = graph.constant(
    'table',
    Float32Array.from({ length: 32 }, (_, i) => (i - 16) / 8),
    [16, 2],
  )
  const at = graph.node('Add', ['ids', offsets])
  const embedded = graph.node('Reshape', [
    graph.node('Gather', [table, at]),
    graph.constant('flat', BigInt64Array.of(-1n, 6n), [2]),
  ])
  const weights = graph.constant('weights', Float32Array.of(1, 2, 3, 4, 5, 6), [6, 1])
  graph.node('MatMul', [embedded, weights], { outputs: ['logit'] })
  graph.outputs.push(declare('logit', floatShape(-1, 1)))
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'shared.onnx'), graph.toBytes())
  const options = initOptions(join(folder, 'shared.onnx'), join(folder, 'models'))
  const { manifest, found } = await writeInit(options)
  t.same(
    manifest.features.map((field) => field.kind === 'integer' && field.size),
    [4, 5, 7],
  )
  t.equal(manifest.graph.inputs.ids, 'per_field')
  t.ok(found.includes('the graph adds offsets to the columns of ids: the ids of each begin at 0'))
  const stated = { features: manifest.features, derived: [] }
  const again = await writeInit({ ...options, name: 'stated', stated })
  t.same(again.manifest.golden!.probabilities, manifest.golden!.probabilities)
  const wrong = { ...stated, features: stated.features.with(1, { ...stated.features[1]!, size: 6 } as Field) }
  await t.rejects(writeInit({ ...options, name: 'wrong', stated: wrong }), {
    message: /\/features\/1: ids_1 has 6 ids, but its table in shared\.onnx has 5 rows/,
  })
})

t.test('logits are known by their values', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 2) })
  const weights = graph.constant('weights', Float32Array.of(5, 7), [2, 1])
  graph.node('MatMul', ['x', weights], { outputs: ['logit'] })
  graph.outputs.push(declare('logit', floatShape(-1, 1)))
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'clicks.onnx'), graph.toBytes())
  const { manifest, found } = await writeInit(initOptions(join(folder, 'clicks.onnx'), join(folder, 'models')))
  t.match(manifest, { name: 'clicks', version: '1', graph: { outputs: { activation: 'sigmoid' } } })
  t.ok(found.some((line) => line.includes('logits')))
  const [row] = manifest.golden!.rows
  const logit = 5 * (row!.x_0 as number) + 7 * (row!.x_1 as number)
  t.ok(Math.abs(manifest.golden!.probabilities[0]![0]! - 1 / (1 + Math.exp(-logit))) < 1e-5)
})

t.test('logits are known by the last operator, whatever their values', async (t) => {
  const folder = await temporaryFolder(t)
  const init = async (name: string, write: (graph: Graph, logit: string) => string, golden?: object) => {
    const graph = emptyGraph({ x: floatShape(-1, 2) })
    const weights = graph.constant('weights', Float32Array.of(0.1, 0.2), [2, 1])
    const bias = graph.constant('bias', Float32Array.of(0.3), [1])
    const answer = write(graph, graph.node('Add', [graph.node('MatMul', ['x', weights]), bias]))
    graph.node('Squeeze', [answer, graph.integers([1])], { outputs: ['click'] })
    graph.outputs.push(declare('click', floatShape(-1)))
    await writeFile(join(folder, `${name}.onnx`), graph.toBytes())
    const file = join(folder, `${name}.json`)
    if (golden) await writeFile(file, JSON.stringify(golden))
    const options = { ...initOptions(join(folder, `${name}.onnx`), join(folder, 'models')), golden: golden && file }
    const { manifest, found, left } = await writeInit(options)
    const asked = left.some((line) => line.startsWith('/graph/outputs/activation'))
    return { activation: manifest.graph.outputs.activation, found: found.join('; '), asked }
  }
  const logits = await init('logits', (_, logit) => logit)
  t.match(logits, { activation: 'sigmoid', asked: true })
  t.match(logits.found, 'the outputs come from no sigmoid or softmax, so the outputs are taken as logits')
  t.match(await init('probabilities', (g, logit) => g.node('Sigmoid', [logit])), {
    activation: undefined,
    asked: false,
  })
  t.match(await init('open', (g, logit) => g.node('Tanh', [logit])), { activation: undefined, asked: true })
  // A linear model of probabilities: only its answers show that.
  const golden = { rows: [{ x_0: 1, x_1: 1 }], probabilities: [[0.6]] }
  const linear = await init('linear', (_, logit) => logit, golden)
  t.match(linear, { activation: undefined, asked: false })
  t.match(linear.found, 'the outputs are probabilities, according to the golden rows')
})

t.test('a graph whose answers are no probabilities of rows is refused with the cause', async (t) => {
  const folder = await temporaryFolder(t)
  const init = async (write: (graph: Graph, x: string) => string, ...shape: number[]) => {
    const graph = emptyGraph({ x: floatShape(-1, 2) })
    const weights = graph.constant('weights', Float32Array.of(0.1, 0.2, 0.3, 0.4), [2, 2])
    graph.node('Identity', [write(graph, graph.node('MatMul', ['x', weights]))], { outputs: ['click'] })
    graph.outputs.push(declare('click', floatShape(...shape)))
    await writeFile(join(folder, 'odd.onnx'), graph.toBytes())
    return writeInit(initOptions(join(folder, 'odd.onnx'), join(folder, 'models')))
  }
  const refused = (message: RegExp) => ({ code: 'UNSUPPORTED_GRAPH', message })
  const numbers = (...values: number[]) => Float32Array.from(values)
  await t.rejects(
    init((g, x) => g.node('Sigmoid', [g.node('Add', [x, g.constant('bias', numbers(0, Number.NaN), [2])])]), -1, 2),
    refused(/^odd\.onnx: the graph answers NaN for task_1: its weights hold NaN: bias \[2\]$/),
  )
  await t.rejects(
    init((g, x) => g.node('Log', [g.node('Sub', [g.node('Abs', [x]), g.constant('nine', numbers(999), [])])]), -1, 2),
    refused(/^odd\.onnx: the graph answers NaN for task_0: none of its weights is NaN, and the row is \{"x_0":/),
  )
  const mean = (keepdims: number) => (g: Graph, x: string) =>
    g.node('ReduceMean', [x], { attributes: { axes: [0], keepdims } })
  for (const [keepdims, shape] of [
    [0, [2]],
    [1, [1, 2]],
  ] as const)
    await t.rejects(
      init(mean(keepdims), ...shape),
      refused(
        new RegExp(
          `^odd\\.onnx: the output click has the shape \\[${shape.join(', ')}\\], not one row for each row of the inputs$`,
        ),
      ),
    )
  // An example's number of rows, declared by mistake.
  t.match((await init((g, x) => g.node('Sigmoid', [x]), 1, 2)).manifest, { tasks: [{}, {}] })
})

t.test('fields with the names of inputs belong to them, in any order', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'model.onnx')
  await writeFile(path, perFeatureGraph().toBytes())
  const id = (name: string, size: number): Field => ({
    ...{ name, side: 'candidate', kind: 'integer', size, out_of_vocabulary: 'error', missing: 'error' },
  })
  const number = (name: string): Field => ({
    ...{ name, side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' },
  })
  const numbers = ['price', 'a', 'b', 'c', 'd'].map(number)
  const init = (name: string, features: Field[]) =>
    writeInit({ ...initOptions(path, join(folder, 'models')), name, stated: { features, derived: [] } })
  const { manifest } = await init('any', [id('hour', 24), id('country', 5), ...numbers])
  t.same(manifest.graph.inputs, { sparse: ['hour', 'country'], dense: ['price', 'sizes'] })
  const { manifest: renamed } = await init('renamed', [id('land', 5), id('time', 24), ...numbers])
  t.same(renamed.graph.inputs.sparse, ['country', 'hour'])
  await t.rejects(init('crossed', [id('hour', 24), id('land', 5), ...numbers]), {
    code: 'INVALID_REQUEST',
    message: /^\/features\/0: hour stands in the place of the graph's input country; give the fields the order/,
  })
  await t.rejects(init('shifted', [id('country', 5), id('hour', 24), ...numbers.toReversed()]), {
    message: /^\/features\/6: price stands in the place of the graph's input sizes/,
  })
})

t.test('a classifier with one column per class, and an input of halves', async (t) => {
  const folder = await temporaryFolder(t)
  const refusal = async (dtype: number, tasks: string[]) => {
    const graph = emptyGraph({ x: { dtype, dims: [-1, 2] } })
    answerWith(graph, graph.node('Softmax', ['x']))
    await writeFile(join(folder, 'clicks.onnx'), graph.toBytes())
    const options = { ...initOptions(join(folder, 'clicks.onnx'), join(folder, 'models')), tasks, force: true }
    return writeInit(options).then(
      () => 'it is taken',
      ({ message }) => message,
    )
  }
  t.equal(
    await refusal(DataType.FLOAT, ['ctr']),
    "1 task name given, but the outputs have 2 columns; if they are a classifier's P(0) and P(1), name both: --tasks no_ctr,ctr",
  )
  t.equal(await refusal(DataType.FLOAT, ['no_ctr', 'ctr']), 'it is taken')
  t.equal(
    await refusal(DataType.FLOAT16, ['no_ctr', 'ctr']),
    'clicks.onnx: the input x is float16, not int32, int64 or float32',
  )
})

t.test('what the graph does not tell is asked for, and what does not fit is refused', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'model.onnx')
  await writeFile(path, perFeatureGraph().toBytes())
  const options = { ...initOptions(path, join(folder, 'models')), name: 'shop' }
  const refusal = (changes: Partial<InitOptions>) =>
    writeInit({ ...options, ...changes }).then(
      () => 'it is taken',
      ({ message }) => message,
    )
  t.equal(await refusal({ tasks: ['a'] }), '1 task name given, but the outputs have 2 columns')
  t.match(
    await refusal({ outputs: ['nowhere'] }),
    /has no output nowhere; its outputs are click \[rows, 1\], buy \[rows\]/,
  )
  t.match(
    await refusal({ sides: { context: ['land'], cross: [] } }),
    /there is no field "land"; the fields are country, hour/,
  )
  t.match(
    await refusal({
      stated: {
        features: [{ name: 'x', side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' }],
        derived: [],
      },
    }),
    /the features have 0 sparse fields, but the graph takes 2/,
  )
  t.match(
    await refusal({ path: join(folder, 'nowhere') }),
    /is neither a graph \(\.onnx, model\.json, saved_model\.pb, \.keras, \.h5\)/,
  )
  for (const name of ['sh op', '../esc']) t.match(await refusal({ name }), /can't be the name of a model: --name/)
  t.match(await refusal({ version: '1.0' }), /"1\.0" can't be a version/)
  t.same(await readdir(folder), ['model.onnx'], 'nothing was written')

  const wide = emptyGraph({ a: { dtype: DataType.INT64, dims: [-1, 2] }, b: { dtype: DataType.INT64, dims: [-1, 3] } })
  const cast = ['a', 'b'].map((name) => wide.node('Cast', [name], { attributes: { to: DataType.FLOAT } }))
  wide.node('Concat', cast, { attributes: { axis: 1 }, outputs: ['all'] })
  wide.outputs.push(declare('all', floatShape(-1, 5)))
  await writeFile(path, wide.toBytes())
  t.match(
    await refusal({}),
    /has 2 inputs of ids, and the 2 columns of a are fields of their own: a manifest supports one such input/,
  )
})

t.test('fields that are said of a graph with a table a column have ids of their own', async (t) => {
  const path = join(import.meta.dirname, '../../../../test/fixtures/pytorch/mmoe-sum-script.onnx')
  const models = await temporaryFolder(t)
  const sized = (...sizes: number[]): Field[] => [
    ...sizes.map(
      (size, i): Field => ({
        name: `field_${i}`,
        side: 'candidate',
        kind: 'integer',
        size,
        out_of_vocabulary: 'bucket',
        missing: 'error',
      }),
    ),
    ...[0, 1, 2].map(
      (i): Field => ({
        name: `number_${i}`,
        side: 'candidate',
        kind: 'numeric',
        scaling: { method: 'none' },
        missing: 'error',
      }),
    ),
  ]
  const options = { ...initOptions(path, models), name: 'shop' }
  await t.rejects(writeInit({ ...options, name: 'unused', stated: { features: sized(19, 19, 18, 19), derived: [] } }), {
    code: 'INVALID_REQUEST',
    message: /field_2 has 19 ids, but its table in mmoe-sum-script\.onnx has 20 rows: give the sizes/,
  })
  const { manifest, left } = await writeInit({
    ...options,
    stated: { features: sized(19, 19, 18, 19), derived: [] },
    allowUnused: true,
  })
  t.match(manifest.graph.inputs, { sparse: 'ids', ids: 'per_field' })
  t.same(
    left.filter((line) => line.startsWith('/features')),
    [
      '/features/2: field_2 has 19 ids, but its table in mmoe-sum-script.onnx has 20 rows: is a value missing, or the id of unknown values (out_of_vocabulary)?',
    ],
  )
  await t.rejects(writeInit({ ...options, name: 'other', stated: { features: sized(19, 20, 19, 19), derived: [] } }), {
    code: 'INVALID_REQUEST',
    message: '/features/1: field_1 has 21 ids, but its table in mmoe-sum-script.onnx has 20 rows',
  })
})

t.test('a manifest that was written is one', async (t) => {
  const models = await temporaryFolder(t)
  const folder = join(models, 'shop/1')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'graph.onnx'), perFeatureGraph().toBytes())
  await writeInit(initOptions(join(folder, 'graph.onnx'), models))
  const manifest = parseManifest(await readFile(join(folder, 'manifest.json'), 'utf8'), 'manifest.json')
  t.same(Object.keys(manifest.files), ['graph.onnx'])
  await cp(folder, join(models, 'shop/2'), { recursive: true })
})

t.test('force replaces a manifest by the model’s name, though its graph has changed, and a version', async (t) => {
  const models = await temporaryFolder(t)
  const elsewhere = join(await temporaryFolder(t), 'click.onnx')
  await writeFile(elsewhere, perFeatureGraph().toBytes())
  const options = { ...initOptions(elsewhere, models), name: 'shop' }
  const first = await writeInit(options)
  const changed = perFeatureGraph().toModel()
  changed.producerName = 'another export'
  await writeFile(join(first.folder, 'click.onnx'), toBinary(ModelProtoSchema, changed))
  await t.rejects(writeInit(initOptions('shop', models)), { code: 'INVALID_BUNDLE' })
  const again = await writeInit({ ...initOptions('shop', models), force: true, tasks: ['ctr', 'cvr'] })
  t.equal(again.folder, first.folder)
  t.match(again.manifest.tasks, [{ name: 'ctr' }, { name: 'cvr' }])
  const named = await writeInit({ ...initOptions('shop', models), name: 'shop', force: true })
  t.equal(named.folder, first.folder, 'its own place is not copied to')
  await t.rejects(writeInit(options), { message: /exists already: --force replaces it/ })
  const replaced = await writeInit({ ...options, force: true })
  t.match(replaced.manifest.tasks, [{ name: 'click' }, { name: 'buy' }])
  t.same([await readdir(models), await readdir(join(models, 'shop'))], [['shop'], ['1']], 'nothing is left over')
})

t.test('golden rows of the training program are held against the graph', async (t) => {
  const models = await temporaryFolder(t)
  const path = join(models, 'click.onnx')
  await writeFile(path, perFeatureGraph().toBytes())
  const { manifest } = await writeInit({ ...initOptions(path, models), name: 'drawn' })
  const golden = join(models, 'answers.json')
  await writeFile(golden, JSON.stringify(manifest.golden))
  const options = { ...initOptions(path, models), name: 'shop', golden }
  const result = await writeInit(options)
  t.same(result.manifest.golden, manifest.golden)
  t.same(manifest.golden!.served, manifest.golden!.probabilities)
  t.ok(
    result.left.some((line) => line.includes('/golden/served')),
    'a calibration changes them',
  )
  t.ok(result.found.some((line) => /16 golden rows of .*answers\.json/.test(line)))
  t.notOk(result.left.some((line) => line.startsWith('/golden')))
  const { rows, probabilities } = manifest.golden!
  const moved = probabilities.map(([click, buy], i) => (i === 2 ? [click! / 2, buy] : [click, buy]))
  await writeFile(golden, JSON.stringify({ rows, probabilities: moved }))
  await t.rejects(writeInit({ ...options, version: '2' }), {
    code: 'INVALID_REQUEST',
    message: /answers\.json: \/probabilities\/2\/0 is .*, but the graph answers/,
  })
  const misspelt = rows.map(({ country, ...row }, i) => ({ ...row, [i === 2 ? 'county' : 'country']: country! }))
  await writeFile(golden, JSON.stringify({ rows: misspelt, probabilities }))
  await t.rejects(writeInit({ ...options, version: '2' }), {
    message: /answers\.json: \/rows\/2\/county is no field; did you mean country\?; the fields are country, hour/,
  })
  const wrong = rows.map((row, i) => (i === 2 ? { ...row, country: 99 } : row))
  await writeFile(golden, JSON.stringify({ rows: wrong, probabilities }))
  await t.rejects(writeInit({ ...options, version: '2' }), {
    message: /answers\.json: \/rows\/2\/country must be from 0 to 4/,
  })
  t.same(await readdir(join(models, 'shop')), ['1'], 'nothing is half-written')
})

t.test('fields whose sizes are not their tables’ are refused', { skip: noReference }, async (t) => {
  const { folder } = await readReference('keras2/mmoe')
  const models = await temporaryFolder(t)
  const numeric = { kind: 'numeric', scaling: { method: 'none' } } as const
  const common = { side: 'candidate', missing: 'error' } as const
  const fields = (first: number): Field[] => [
    ...Array.from({ length: 31 }, (_, i) => ({
      ...common,
      name: `s${i}`,
      kind: 'integer' as const,
      size: i === 0 ? first : 2,
      out_of_vocabulary: 'error' as const,
    })),
    ...Array.from({ length: 7 }, (_, i) => ({ ...common, ...numeric, name: `d${i}` })),
  ]
  const options = { ...initOptions(join(folder, 'model.onnx'), models), name: 'census' }
  await t.rejects(writeInit({ ...options, stated: { features: fields(421), derived: [] } }), {
    code: 'INVALID_REQUEST',
    message: /the features, s0 to s30, have 481 ids, but the table has 484 rows/,
  })
  await writeInit({ ...options, stated: { features: fields(421), derived: [] }, allowUnused: true })
  await writeInit({ ...options, stated: { features: fields(424), derived: [] }, version: '2' })
})
