import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { TensorProto_DataType as DataType } from '../../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../../src/model/graph/ir/tensor-shape.ts'
import { survey } from '../../../src/model/serving/version/survey.ts'
import type { Field } from '../../../src/schemas/features.ts'
import { scaffold } from '../../../src/tools/convert/init.ts'
import { writeInit } from '../../../src/tools/convert/write-init.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { emptyGraph } from '../../support/compile/run-graph.ts'
import { initOptions } from '../../support/init-options.ts'
import { type ListAnswers, listFixture, readListAnswers, rowsOfLists } from '../../support/list-models.ts'
import { startTestServer } from '../../support/server.ts'

const { din, masked } = await readListAnswers()

/** The largest difference of predictions from what PyTorch answers. */
function worst(predictions: Record<string, number>[], { outputs }: ListAnswers): number {
  return Math.max(
    ...predictions.flatMap(({ ctr, cvr }, row) => [
      Math.abs(ctr! - outputs[row]![0]!),
      Math.abs(cvr! - outputs[row]![1]!),
    ]),
  )
}

const plain = {
  tasks: ['ctr', 'cvr'],
  sides: { context: ['user', 'hist'], cross: [] },
}

const list = (max: number) => ({ max, keep: 'first', weighted: false, padding: 0 })

t.test('histories of both exporters become lists, a sequence, shared tables and a vector', async (t) => {
  const models = await temporaryFolder(t)
  for (const exporter of ['script', 'dynamo']) {
    const { manifest, found, left } = await writeInit({
      ...initOptions(listFixture(`din-${exporter}`), models),
      ...plain,
    })
    const one = { missing: 'error', out_of_vocabulary: 'error' }
    const several = { missing: { default: [] }, out_of_vocabulary: 'drop' }
    const views = { ...several, side: 'context', kind: 'shared', list: list(6), sequence: 'hist' }
    t.same(manifest.features, [
      { ...one, name: 'user', side: 'context', kind: 'integer', size: 7 },
      { ...views, name: 'hist', table: 'item' },
      { ...views, name: 'hist_cat', table: 'cat' },
      { ...one, name: 'item', side: 'candidate', kind: 'integer', size: 13 },
      { ...one, name: 'cat', side: 'candidate', kind: 'integer', size: 6 },
      { ...several, name: 'tags', side: 'candidate', kind: 'integer', size: 7, list: list(3) },
      { name: 'image', side: 'candidate', missing: 'error', kind: 'vector', length: 3 },
      { name: 'price', side: 'candidate', missing: 'error', kind: 'numeric', scaling: { method: 'none' } },
    ])
    t.same(manifest.graph.inputs, {
      fields: Object.fromEntries([
        ...['user', 'hist', 'hist_cat', 'item', 'cat', 'tags'].map((name) => [name, { ids: name }]),
        ...['image', 'price'].map((name) => [name, { values: name }]),
      ]),
    })
    t.ok(found.includes('hist: lists of at most 6 values; of the same items as hist_cat; reads the table of item'))
    t.ok(left.some((line) => line.startsWith('/features/*/list/keep')))
    t.notOk(left.some((line) => line.includes('padding')))
  }
  const { predict, fastify } = await startTestServer(t, { models })
  const { fields } = (await fastify.inject('/models/din-script')).json()
  const range = (name: string) => fields.find((field: { name: string }) => field.name === name)
  t.match(range('tags'), { minimum: 1, maximum: 6 }, '0 is padding')
  t.match(range('hist'), { minimum: 1, maximum: 12 })
  t.match(range('item'), { minimum: 0, maximum: 12 }, 'which a single value may be')
  for (const model of ['din-script', 'din-dynamo']) {
    const predictions: Record<string, number>[] = []
    for (const { context, candidate } of rowsOfLists(din)) {
      const { status, body } = await predict({ model, context, candidates: [candidate, candidate] })
      t.equal(status, 200, JSON.stringify(body))
      predictions.push(body.predictions[1])
    }
    t.ok(worst(predictions, din) < 1e-5)
    const { body } = await predict({ model, inputs: din.inputs })
    t.ok(worst(body.predictions, din) < 1e-5, 'the tensors of the graph are taken too')
    const turned = Object.fromEntries(
      ['hist', 'hist_cat', 'tags'].map((name) => [
        name,
        din.inputs[name]!.map((ids) => (ids as number[]).toReversed()),
      ]),
    )
    const padded = await predict({ model, inputs: { ...din.inputs, ...turned } })
    t.ok(worst(padded.body.predictions, din) < 1e-5, 'with padding wherever it is')
  }
})

t.test('lists of any length get one, and masks and lengths follow from them', async (t) => {
  const models = await temporaryFolder(t)
  for (const exporter of ['script', 'dynamo']) {
    const { manifest, found, left } = await writeInit({
      ...initOptions(listFixture(`masked-${exporter}`), models),
      ...plain,
      longest:
        exporter === 'script'
          ? undefined
          : new Map([
              ['hist', 8],
              ['hist_cat', 8],
            ]),
    })
    const max = exporter === 'script' ? 50 : 8
    t.match(manifest.features.slice(1, 3), [{ list: { max } }, { list: { max } }])
    t.match(manifest.graph.inputs.fields, { hist: { ids: 'hist', mask: 'mask', lengths: 'lengths' } })
    t.ok(found.includes('mask: the mask of hist, which follows from its values'))
    t.ok(left.some((line) => line.startsWith('/features/1/list/max: hist may be of any length')))
    t.ok(left.includes('/graph/inputs/fields: whether lengths is the lengths of hist'))
  }
  const { predict, fastify } = await startTestServer(t, { models })
  const metadata = (await fastify.inject('/v2/models/masked-script')).json()
  const mask = metadata.inputs.find(({ name }: { name: string }) => name === 'mask')
  t.match(mask, { datatype: 'BOOL' }, 'as the graph has it')
  t.match((await fastify.inject('/v1/models/masked-script/metadata')).json(), {
    metadata: { signature_def: { signature_def: { serving_default: { inputs: { mask: { dtype: 'DT_BOOL' } } } } } },
  })
  const tensors = metadata.inputs.map(
    ({ name, datatype, shape }: { name: string; datatype: string; shape: number[] }) => {
      const data = masked.inputs[name]!.flatMap((row) =>
        Array.isArray(row) ? [...row, ...new Array(shape[1]! - row.length).fill(0)] : row,
      )
      return {
        name,
        datatype,
        shape: [data.length / (shape[1] ?? 1), ...shape.slice(1)],
        data: datatype === 'BOOL' ? data.map(Boolean) : data,
      }
    },
  )
  const url = '/v2/models/masked-script/infer'
  const { statusCode, body } = await fastify.inject({ method: 'POST', url, payload: { inputs: tensors } })
  t.equal(statusCode, 200, body)
  for (const model of ['masked-script', 'masked-dynamo']) {
    const predictions: Record<string, number>[] = []
    for (const { context, candidate } of rowsOfLists(masked)) {
      const { body } = await predict({ model, context, candidates: [candidate] })
      predictions.push(body.predictions[0])
    }
    t.ok(worst(predictions, masked) < 1e-5)
  }
})

t.test('a person says how long lists of any length are', async (t) => {
  const models = await temporaryFolder(t)
  const { manifest } = await writeInit({
    ...initOptions(listFixture('masked-dynamo'), models),
    async review({ anyLength }) {
      t.same(anyLength, [['hist', 'hist_cat']])
      const none = { stated: undefined, tasks: undefined, golden: undefined, data: undefined }
      const longest = new Map(anyLength.flat().map((name) => [name, 12]))
      return { name: 'shop', ...none, context: ['hist_cat'], longest, derived: [] }
    },
  })
  t.match(manifest.features.slice(1, 3), [
    { list: { max: 12 }, side: 'context' },
    { list: { max: 12 }, side: 'context' },
  ])
})

const vocabulary = (prefix: string, count: number) =>
  ({ kind: 'vocabulary', values: Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`) }) as const
const bucket = { out_of_vocabulary: 'bucket', missing: 'error' } as const
const dropped = { out_of_vocabulary: 'drop' as const, missing: { default: [] } }

/** Fields of a person for the DIN, who names values and calls the history differently. */
function stated(table = 'article'): Field[] {
  const views = { kind: 'shared' as const, side: 'context' as const, ...dropped, list: { max: 6 }, sequence: 'views' }
  return [
    { name: 'visitor', side: 'context', kind: 'integer', size: 7, out_of_vocabulary: 'error', missing: 'error' },
    { name: 'history', ...views, table },
    { name: 'history_cat', ...views, table: 'category' },
    { name: 'article', side: 'candidate', ...vocabulary('i', 12), ...bucket },
    { name: 'category', side: 'candidate', ...vocabulary('c', 5), ...bucket },
    { name: 'labels', side: 'candidate', ...vocabulary('t', 6), ...dropped, list: { max: 3 } },
    { name: 'picture', side: 'candidate', kind: 'vector', length: 3, missing: 'error' },
    { name: 'cost', side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' },
  ]
}

t.test('fields of a file are fitted to the inputs in order, with the values that they name', async (t) => {
  const models = await temporaryFolder(t)
  const { manifest } = await writeInit({
    ...initOptions(listFixture('din-dynamo'), models),
    ...{ name: 'shop', tasks: ['ctr', 'cvr'], stated: { features: stated(), derived: [] } },
  })
  t.match(manifest.graph.inputs.fields, { history: { ids: 'hist' }, picture: { values: 'image' } })
  const { predict } = await startTestServer(t, { models })
  const named = (prefix: string, ids: number[]) => ids.map((id) => `${prefix}${id}`)
  const predictions: Record<string, number>[] = []
  for (const { context, candidate } of rowsOfLists(din)) {
    const { user, hist, hist_cat } = context
    const { item, cat, tags, image, price } = candidate
    const { body } = await predict({
      context: { visitor: user, history: named('i', hist), history_cat: named('c', hist_cat) },
      candidates: [{ article: `i${item}`, category: `c${cat}`, labels: named('t', tags), picture: image, cost: price }],
    })
    predictions.push(body.predictions[0])
  }
  t.ok(worst(predictions, din) < 1e-5)
})

t.test('fields that are not what the graph takes are refused, with their place', async (t) => {
  const source = { ...(await sourceOf('din-script')), outputs: [] }
  const signature = await survey(source, { uses: true })
  const choice = { name: 'shop', version: '1', tasks: undefined, outputs: undefined, allowUnused: false }
  const refusal = (features: Field[] | undefined, context: string[] = []) => {
    try {
      scaffold(source, signature, { ...choice, features, sides: { context, cross: [] } })
    } catch (error) {
      return (error as Error).message
    }
    return 'they are taken'
  }
  const changed = (name: string, change: object) =>
    stated().map((field) => (field.name === name ? ({ ...field, ...change } as Field) : field))
  t.equal(refusal(stated()), 'they are taken')
  t.match(
    refusal(changed('labels', { list: { max: 4 } })),
    /the features have 19 sparse columns \(visitor 1, history 6, .*\), but the graph takes 18: user 1, hist 6/,
  )
  const shorter = stated().map((field) =>
    field.name === 'history' || field.name === 'history_cat'
      ? { ...field, list: { max: field.name === 'history' ? 5 : 7 }, sequence: field.name }
      : field,
  ) as Field[]
  t.match(
    refusal(shorter),
    "/features/2: history_cat has 7 columns, with history before it, in the place of the graph's input hist, which has 6",
  )
  t.match(
    refusal(stated('category')),
    /\/features\/1\/table is "category", but din-script\.onnx looks up history in item\.weight, and category in cat\.weight/,
  )
  t.match(
    refusal(changed('article', vocabulary('i', 11))),
    /\/features\/3: article has 12 ids, but its table in din-script\.onnx has 13 rows/,
  )
  t.match(refusal(stated('nowhere')), /\/features\/1\/table "nowhere" is not a field/)
  t.match(
    refusal(changed('visitor', { name: 'item' })),
    "/features/0: item stands in the place of the graph's input user; give the fields the order of the inputs",
  )
  t.match(refusal(undefined, ['visits']), /there is no field "visits"; the fields are user, hist/)
})

t.test('a mean that is NaN without values is reported, and golden rows have some', async (t) => {
  const graph = emptyGraph({ hist: { dtype: DataType.INT64, dims: [-1, 2] } })
  const equal = graph.node('Equal', ['hist', graph.constant('none', BigInt64Array.of(0n), [])])
  const known = graph.node('Cast', [graph.node('Not', [equal])], { attributes: { to: DataType.FLOAT } })
  const mask = graph.node('Reshape', [known, graph.integers([-1, 2, 1])])
  const table = graph.constant('items', Float32Array.of(0, 0.1, 0.4), [3, 1])
  const items = graph.node('Gather', [table, 'hist'])
  const sum = (name: string) => graph.node('ReduceSum', [name, graph.integers([1])], { attributes: { keepdims: 0 } })
  graph.node('Div', [sum(graph.node('Mul', [items, mask])), sum(mask)], { outputs: ['mean'] })
  graph.outputs.push(declare('mean', floatShape(-1, 1)))
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'mean.onnx'), graph.toBytes())
  const models = join(folder, 'models')
  const { manifest, left } = await writeInit({ ...initOptions(join(folder, 'mean.onnx'), models), longest: new Map() })
  t.ok(manifest.golden!.rows.every(({ hist }) => (hist as number[]).length > 0))
  t.ok(left.some((line) => line.startsWith('/features: the graph answers NaN where hist is empty')))
})

t.test('ragged inputs are refused by name, with the export that works', async (t) => {
  const models = await temporaryFolder(t)
  await t.rejects(writeInit(initOptions(listFixture('bag-script'), models)), {
    code: 'UNSUPPORTED_GRAPH',
    message:
      /^bag-script\.onnx: the inputs clicks and starts are the values and offsets of lists .*: export the model with padded ids/,
  })
})

async function sourceOf(name: string) {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, `${name}.onnx`), await readFile(listFixture(name)))
  return { folder, format: 'onnx' as const, file: `${name}.onnx` }
}
