import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { InputUse } from '../../../../src/model/contracts/saved-signature.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { describeManifestless } from '../../../../src/model/serving/version/manifestless.ts'
import { raggedInputs } from '../../../../src/model/serving/version/ragged-inputs.ts'
import { survey } from '../../../../src/model/serving/version/survey.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { emptyGraph } from '../../../support/compile/run-graph.ts'

const ids = (...dims: number[]) => ({ dtype: DataType.INT64, dims })

async function save(t: Test, graph: Graph) {
  const folder = join(await temporaryFolder(t), 'shop/1')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'model.onnx'), graph.toBytes())
  return { folder, format: 'onnx' as const, file: 'model.onnx', outputs: [] }
}

/** A table of `rows` rows of two numbers, of which these are zeros. */
function table(graph: Graph, name: string, rows: number, zeros: number[] = []): string {
  const values = Float32Array.from({ length: rows * 2 }, (_, i) => (zeros.includes(i >> 1) ? 0 : i + 1))
  return graph.constant(name, values, [rows, 2])
}

const look = (graph: Graph, from: string, at: string) => graph.node('Gather', [from, at])

/** The sum of a list's embeddings, [batch, 2]. */
const sum = (graph: Graph, list: string) =>
  graph.node('ReduceSum', [list, graph.integers([1])], { attributes: { keepdims: 0 } })

function answer(graph: Graph, parts: string[], width: number): Graph {
  graph.node('Concat', parts, { attributes: { axis: 1 }, outputs: ['answer'] })
  graph.outputs.push(declare('answer', floatShape(-1, width)))
  return graph
}

async function usesOf(t: Test, graph: Graph): Promise<Record<string, InputUse>> {
  const { inputs } = await survey(await save(t, graph), { uses: true })
  return Object.fromEntries(inputs.map(({ name, use }) => [name, use!]))
}

t.test('the id of padding is that of the comparison, or of the row of zeros', async (t) => {
  const compared = async (opType: string, operands: (value: string) => string[], value = 0n) => {
    const graph = emptyGraph({ hist: ids(-1, 3) })
    const constant = graph.constant('value', BigInt64Array.of(value), [])
    const is = graph.node(opType, operands(constant))
    const mask = graph.node('Unsqueeze', [
      graph.node('Cast', [is], { attributes: { to: DataType.FLOAT } }),
      graph.integers([2]),
    ])
    const masked = graph.node('Mul', [look(graph, table(graph, 'items', 5, [4]), 'hist'), mask])
    return (await usesOf(t, answer(graph, [sum(graph, masked)], 2))).hist!.padding
  }
  t.equal(await compared('Equal', (value) => ['hist', value], 3n), 3)
  t.equal(await compared('Greater', (value) => ['hist', value]), 0)
  t.equal(await compared('Less', (value) => [value, 'hist']), 0)
  t.equal(await compared('GreaterOrEqual', (value) => ['hist', value], 1n), 0)
  t.equal(await compared('Less', (value) => ['hist', value], 3n), 4, 'this says nothing: the row of zeros does')
  const zeros = async (rows: number[]) => {
    const graph = emptyGraph({ hist: ids(-1, 3) })
    return (await usesOf(t, answer(graph, [sum(graph, look(graph, table(graph, 'items', 5, rows), 'hist'))], 2))).hist!
      .padding
  }
  t.same([await zeros([0, 3]), await zeros([3]), await zeros([2, 3]), await zeros([])], [0, 3, undefined, undefined])
})

t.test('tables with the same values are one, and inputs meet where they are combined by position', async (t) => {
  const graph = emptyGraph({
    ...{ hist: ids(-1, 3), kinds: ids(-1, 3), tags: ids(-1, 3), item: ids(-1) },
    ...{ ages: floatShape(-1, 3), seen: { dtype: DataType.BOOL, dims: [-1, 3] }, image: floatShape(-1, 3) },
  })
  const [first, copy] = ['items', 'copy'].map((name) => table(graph, name, 5))
  const both = graph.node('Add', [look(graph, first!, 'hist'), look(graph, table(graph, 'kind', 9), 'kinds')])
  const float = (name: string) => graph.node('Cast', [name], { attributes: { to: DataType.FLOAT } })
  const weights = graph.node('Unsqueeze', [graph.node('Mul', ['ages', float('seen')]), graph.integers([2])])
  const tags = look(graph, table(graph, 'tag', 4), 'tags')
  const parts = [sum(graph, graph.node('Mul', [both, weights])), sum(graph, tags), look(graph, copy!, 'item'), 'image']
  const uses = await usesOf(t, answer(graph, parts, 9))
  t.same([uses.hist!.tables, uses.item!.tables, uses.tags!.tables], [['items'], ['items'], ['tag']])
  t.same(uses.hist!.meets.sort(), ['ages', 'kinds', 'seen'])
  t.same(uses.seen!.meets.sort(), ['ages', 'hist', 'kinds'])
  t.same([uses.tags!.meets, uses.image!.meets], [[], []])
  t.same([uses.hist!.apart, uses.image!.apart], [false, false])
})

t.test('columns that are cut out, or stand side by side, have uses of their own', async (t) => {
  const apart = async (build: (graph: Graph, embedded: string) => string, width: number) => {
    const graph = emptyGraph({ words: ids(-1, 3) })
    const embedded = look(graph, table(graph, 'items', 5), 'words')
    return (await usesOf(t, answer(graph, [build(graph, embedded)], width))).words!.apart
  }
  t.notOk(await apart((graph, embedded) => sum(graph, embedded), 2))
  t.ok(await apart((graph, embedded) => graph.node('Reshape', [embedded, graph.integers([-1, 6])]), 6))
  const last = (graph: Graph, embedded: string) =>
    graph.node('Gather', [embedded, graph.constant('last', BigInt64Array.of(2n), [])], { attributes: { axis: 1 } })
  t.ok(await apart(last, 2))
  const longer = (graph: Graph, embedded: string) =>
    sum(graph, graph.node('Concat', [embedded, embedded], { attributes: { axis: 1 } }))
  t.ok(await apart(longer, 2))
})

t.test('a list without a length is reported, and needs a manifest', async (t) => {
  const graph = emptyGraph({ hist: ids(-1, -2) })
  const source = await save(t, answer(graph, [sum(graph, look(graph, table(graph, 'items', 5), 'hist'))], 2))
  t.match((await survey(source)).inputs, [{ name: 'hist', dims: [-1], ids: [5], shared: true }])
  await t.rejects(describeManifestless(source.folder, source, { name: 'shop', version: '1' }), {
    code: 'UNSUPPORTED_GRAPH',
    message: /the input hist has no fixed width: a manifest says how long its lists are \(multigate init writes one\)$/,
  })
})

t.test('values and offsets are named where a look-up shows them', async (t) => {
  const ragged = (offsets: string, length: string) => {
    const graph = emptyGraph({ clicks: ids(-1), [offsets]: ids(-1) })
    graph.inputs[1] = declare(offsets, ids(-1), length)
    look(graph, table(graph, 'items', 5), 'clicks')
    return raggedInputs(graph)
  }
  t.same(ragged('click_offsets', 'rows'), { values: 'clicks', offsets: 'click_offsets' })
  t.equal(ragged('click_offsets', 'batch'), undefined, 'both have one value for each row')
  t.equal(ragged('item', 'rows'), undefined)
})
