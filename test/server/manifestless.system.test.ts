import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { onnxruntime as ort } from '../../src/base/onnxruntime.ts'
import { Graph } from '../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../src/model/graph/ir/onnx_pb.ts'
import { writeBundle } from '../../src/model/serving/bundle/write.ts'
import type { Features } from '../../src/schemas/features.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { answersOf, answerWith, emptyGraph } from '../support/compile/run-graph.ts'
import { perFeatureGraph } from '../support/per-feature.ts'
import { noReference, readReference } from '../support/reference.ts'
import { startTestServer } from '../support/server.ts'

/* Graphs as they are, without a manifest, and graphs with a tensor a field and a task. */

const rows = {
  country: [0, 4, 2],
  hour: [[23], [0], [7]],
  price: [0.5, -1, 2],
  sizes: [
    [
      [1, 2],
      [3, 4],
    ],
    [
      [0.1, 0.2],
      [0.3, 0.4],
    ],
    [
      [-1, 0],
      [1, 0],
    ],
  ],
}

/** The answers of ONNX Runtime itself to these rows. */
async function expected(): Promise<{ click: Float32Array; buy: Float32Array }> {
  const feeds = {
    country: new ort.Tensor('int64', BigInt64Array.from(rows.country, BigInt), [3]),
    hour: new ort.Tensor('int32', Int32Array.from(rows.hour.flat()), [3, 1]),
    price: new ort.Tensor('float32', Float32Array.from(rows.price), [3]),
    sizes: new ort.Tensor('float32', Float32Array.from(rows.sizes.flat(2)), [3, 2, 2]),
  }
  const [answers] = await answersOf(perFeatureGraph(), [feeds])
  return { click: answers!.click!.values, buy: answers!.buy!.values }
}

async function writeGraph(models: string, version: string, bytes: Uint8Array): Promise<void> {
  await mkdir(join(models, version), { recursive: true })
  await writeFile(join(models, version, 'model.onnx'), bytes)
}

/** Several servers open the same plans. */
const cache = await temporaryFolder(t)

async function serve(t: Test, models: string) {
  const compiler = { cache, candidateBytes: 1 << 20, now: Date.now }
  return startTestServer(t, { models, limits: { compiler } })
}

function isClose(t: Test, answers: number[], wanted: ArrayLike<number>): void {
  t.equal(answers.length, wanted.length)
  for (const [i, answer] of answers.entries()) t.ok(Math.abs(answer - wanted[i]!) < 1e-6, `${answer} is ${wanted[i]}`)
}

t.test('a graph without a manifest answers by its own names', async (t) => {
  const models = await temporaryFolder(t)
  await writeGraph(models, 'shop/1', perFeatureGraph().toBytes())
  const { predict, fastify } = await serve(t, models)
  const { status, body } = await predict({ model: 'shop', inputs: rows })
  t.equal(status, 200, JSON.stringify(body))
  const { click, buy } = await expected()
  isClose(
    t,
    body.predictions.map((row: any) => row.click),
    click,
  )
  isClose(
    t,
    body.predictions.map((row: any) => row.buy),
    buy,
  )

  const metadata = (await fastify.inject('/v2/models/shop')).json()
  t.same(metadata.inputs, [
    { name: 'country', datatype: 'INT64', shape: [-1] },
    { name: 'hour', datatype: 'INT32', shape: [-1, 1] },
    { name: 'price', datatype: 'FP32', shape: [-1] },
    { name: 'sizes', datatype: 'FP32', shape: [-1, 2, 2] },
  ])
  t.same(metadata.outputs, [
    { name: 'click', datatype: 'FP32', shape: [-1, 1] },
    { name: 'buy', datatype: 'FP32', shape: [-1] },
  ])
  const { plan, tasks } = (await fastify.inject('/models/shop')).json()
  t.equal(plan.compiled, true)
  t.same(tasks, [
    { name: 'click', gate: false },
    { name: 'buy', gate: false },
  ])
})

t.test('what is wrong with tensors is told by their names and places', async (t) => {
  const models = await temporaryFolder(t)
  await writeGraph(models, 'shop/1', perFeatureGraph().toBytes())
  const { predict } = await serve(t, models)
  const problems = async (inputs: unknown) => {
    const { status, body } = await predict({ model: 'shop', inputs })
    t.equal(status, 400)
    return body.errors.map(({ path, message }: { path: string; message: string }) => `${path} ${message}`)
  }
  t.same(await problems({ ...rows, country: [0, 5, -1] }), [
    '/inputs/country/1 is not an id of country: must be from 0 to 4',
    '/inputs/country/2 is not an id of country: must be from 0 to 4',
  ])
  t.same(await problems({ ...rows, hour: [[1.5], ['x'], [null]] }), [
    '/inputs/hour/1/0 must be a number, not a string',
    '/inputs/hour/2/0 must be a number, not null',
  ])
  t.same(await problems({ ...rows, hour: [1, 2, 24] }), ['/inputs/hour/2/0 is not an id of hour: must be from 0 to 23'])
  t.same(await problems({ ...rows, sizes: [[[1, 2], [3]], 4, [[1, 2, 3], []]] }), [
    '/inputs/sizes/0/1 has 1 values, not 2',
    '/inputs/sizes/1 must be an array of 2, not a number',
    '/inputs/sizes/2/0 has 3 values, not 2',
    '/inputs/sizes/2/1 has 0 values, not 2',
  ])
  t.same(await problems({ ...rows, price: [1, 2, 1e39] }), ['/inputs/price/2 is too large for float32'])
  const { price: _, ...without } = rows
  t.same(await problems({ ...without, cost: [1] }), [
    '/inputs/cost is no input of this model; it has country, hour, price, sizes',
    '/inputs/price is required: [rows]',
  ])
  t.same(await problems({ ...rows, price: [1, 2] }), ['/inputs/price has 2 rows where country has 3'])
  t.same(await problems({ ...rows, price: [] }), [
    '/inputs/price must be an array of at least one row, not an empty one',
  ])
  const named = await predict({ model: 'shop', candidates: [{ country: 'DE' }] })
  t.match(
    named.body.detail,
    /has no manifest that names features; send \{"inputs": …\} with country, hour, price, sizes/,
  )
  const both = await predict({ model: 'shop', inputs: rows, context: {} })
  t.equal(both.body.detail, '/context is given beside tensors (inputs): only one form is possible')
  const partial = await predict({ model: 'shop', inputs: { ...rows, country: [0, 9, 2] }, options: { partial: true } })
  t.equal(partial.status, 200)
  t.equal(partial.body.predictions[1], null)
  t.equal(partial.body.errors[0].path, '/inputs/country/1')
})

const features: Features = [
  {
    name: 'land',
    side: 'context',
    kind: 'vocabulary',
    values: ['DE', 'FR', 'US', 'IT'],
    out_of_vocabulary: 'bucket',
    missing: 'error',
  },
  { name: 'hour', side: 'context', kind: 'integer', size: 24, out_of_vocabulary: 'error', missing: 'error' },
  ...['price', 'a', 'b', 'c', 'd'].map((name) => ({
    name,
    side: 'candidate' as const,
    kind: 'numeric' as const,
    scaling: { method: 'none' as const },
    missing: 'error' as const,
  })),
]

t.test('a manifest may name a tensor a field, and one a task', async (t) => {
  const models = await temporaryFolder(t)
  // Fields share one id space; each of these tables begins at 0.
  const graph = perFeatureGraph()
  const manifest: Omit<Manifest, 'files'> = {
    manifest: 1,
    name: 'shop',
    version: '1',
    features,
    tasks: [{ name: 'ctr' }, { name: 'cvr' }],
    derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'] }],
    graph: {
      format: 'onnx',
      file: 'model.onnx',
      inputs: { sparse: ['country', 'hour'], dense: ['price', 'sizes'] },
      outputs: { probabilities: ['click', 'buy'] },
    },
    precision: 'float32',
  }
  await writeBundle(join(models, 'shop/1'), { manifest, files: { 'model.onnx': graph.toBytes() } })
  const { predict, fastify } = await serve(t, models)
  const flat = rows.sizes.map((size) => size.flat())
  const { status, body } = await predict({
    model: 'shop',
    context: { land: 'nowhere' },
    candidates: {
      hour: [23, 0, 7],
      price: rows.price,
      ...Object.fromEntries(['a', 'b', 'c', 'd'].map((name, i) => [name, flat.map((size) => size[i])])),
    },
  })
  t.equal(status, 200, JSON.stringify(body))
  const { click, buy } = await expected()
  t.ok(Math.abs(body.predictions.ctr[0] - click[0]!) < 1e-6)
  t.ok(Math.abs(body.predictions.cvr[0] - buy[0]!) < 1e-6)
  const tensors = await predict({ model: 'shop', inputs: { ...rows, hour: rows.hour } })
  isClose(
    t,
    tensors.body.predictions.map((row: any) => row.ctr),
    click,
  )
  isClose(
    t,
    tensors.body.predictions.map((row: any) => row.cvr),
    buy,
  )
  t.equal((await fastify.inject('/models/shop')).json().plan.compiled, true)
})

t.test('a manifest may say that each field has a table, and that the graph answers logits', async (t) => {
  const sizes = [3, 5]
  const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, 2] } })
  const columns = sizes.map((size, column) => {
    const values = Float32Array.from({ length: size }, (_, id) => (column === 0 ? id : 10 * id))
    const place = graph.constant('place', BigInt64Array.of(BigInt(column)), [])
    const ids = graph.node('Gather', ['ids', place], { attributes: { axis: 1 } })
    return graph.node('Gather', [graph.constant('table', values, [size, 1]), ids])
  })
  answerWith(graph, graph.node('Sub', [columns[0]!, columns[1]!]))
  const models = await temporaryFolder(t)
  const field = (name: string, size: number) => ({
    name,
    side: 'candidate' as const,
    kind: 'integer' as const,
    size,
    out_of_vocabulary: 'error' as const,
    missing: 'error' as const,
  })
  const write = (version: string, logits: boolean) =>
    writeBundle(join(models, 'shop', version), {
      manifest: {
        manifest: 1,
        name: 'shop',
        version,
        features: [field('a', 3), field('b', 5)],
        tasks: [{ name: 'ctr' }],
        derived: [],
        graph: {
          format: 'onnx',
          file: 'model.onnx',
          inputs: { sparse: 'ids', ids: 'per_field' },
          outputs: { probabilities: graph.outputs[0]!.name, ...(logits && { activation: 'sigmoid' as const }) },
        },
        precision: 'float32',
      },
      files: { 'model.onnx': graph.toBytes() },
    })
  await write('1', true)
  const { predict } = await serve(t, models)
  const { status, body } = await predict({ model: 'shop', candidates: { a: [2, 0, 1], b: [0, 0, 4] } })
  t.equal(status, 200, JSON.stringify(body))
  isClose(t, body.predictions.ctr, [1 / (1 + Math.exp(-2)), 0.5, 1 / (1 + Math.exp(39))])
  await write('2', false)
  const second = await serve(t, models)
  const bare = await second.predict({ model: 'shop', version: '2', candidates: { a: [2], b: [0] } })
  t.match(bare.body.detail, 'The model answered 2 as the probability of ctr')
})

for (const reference of ['keras2/mmoe', 'keras3/mmoe', 'keras3/shared_bottom', 'keras2/aitm'] as const) {
  t.test(`what tf2onnx made of ${reference} answers as it is`, { skip: noReference }, async (t) => {
    const { folder, batch, probabilities } = await readReference(reference)
    const models = await temporaryFolder(t)
    await writeGraph(models, 'census/1', await readFile(join(folder, 'model.onnx')))
    const { predict } = await serve(t, models)
    const [ids, numbers] = reference.startsWith('keras2') ? ['input_1', 'input_2'] : ['args_0', 'args_0_1']
    const matrix = (values: ArrayLike<number>, width: number) =>
      Array.from({ length: batch.rows }, (_, row) => Array.from({ length: width }, (_, i) => values[row * width + i]!))
    const inputs = { [ids]: matrix(batch.inputs.sparse!, 31), [numbers]: matrix(batch.inputs.dense!, 7) }
    const { body } = await predict({ model: 'census', inputs })
    const answers = body.predictions.flatMap((row: any) => [row.task_0, row.task_1])
    for (const [i, answer] of answers.entries()) t.ok(Math.abs(answer - probabilities[i]!) <= 1e-5)
    inputs[ids]![2]![3] = -1
    t.match((await predict({ model: 'census', inputs })).body.detail, `/inputs/${ids}/2/3 is not an id of ${ids}`)
  })
}

t.test('a graph that can not be asked is refused, and it is said why; others go on', async (t) => {
  const models = await temporaryFolder(t)
  await writeGraph(models, 'good/1', perFeatureGraph().toBytes())
  await writeGraph(models, 'cut/1', perFeatureGraph().toBytes().slice(0, 300))
  await writeGraph(models, 'two/1', perFeatureGraph().toBytes())
  await writeFile(join(models, 'two/1/other.onnx'), '')
  const text = Graph.parse(perFeatureGraph().toBytes(), '.')
  const type = text.inputs[0]!.type!.value
  if (type.case === 'tensorType') type.value.elemType = 8
  await writeGraph(models, 'text/1', text.toBytes())
  await mkdir(join(models, 'empty/1'), { recursive: true })
  const { registry, predict } = await serve(t, models)
  const errors = Object.fromEntries(registry.list().map(({ name, versions }) => [name, versions[0]?.error]))
  t.equal(errors.good, undefined)
  t.equal(errors.cut, 'cut/1/model.onnx: is not an ONNX file')
  t.equal(errors.two, 'two/1 has no manifest.json to say which of its graphs is meant: model.onnx, other.onnx')
  t.equal(errors.text, 'text/1/model.onnx: the input country is string, not int32, int64 or float32')
  t.equal(errors.empty, "empty/1/manifest.json can't be read: it is missing")
  t.equal((await predict({ model: 'good', inputs: rows })).status, 200)
})

t.test('where other versions have a manifest, one without is not served', async (t) => {
  const models = await temporaryFolder(t)
  await writeGraph(models, 'shop/2', perFeatureGraph().toBytes())
  await mkdir(join(models, 'shop/1'))
  await writeFile(join(models, 'shop/1/manifest.json'), '{}')
  const { registry } = await serve(t, models)
  t.equal(registry.list()[0]!.versions[0]!.error, 'shop/2/manifest.json is missing, though shop/1 has one')
})
