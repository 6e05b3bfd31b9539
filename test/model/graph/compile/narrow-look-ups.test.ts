import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { NarrowFormat } from '../../../../src/model/contracts/compiled-plan.ts'
import { createNarrower } from '../../../../src/model/graph/compile/narrow-tables.ts'
import { openSession } from '../../../../src/model/graph/int8/observe-ranges.ts'
import { external } from '../../../../src/model/graph/ir/external-data.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { traceShapes } from '../../../../src/model/graph/ir/shapes.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { fullVariant } from '../../../../src/model/graph/sides/tensor-names.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { answerWith, emptyGraph, operatorsOf, reread } from '../../../support/compile/run-graph.ts'
import { widened } from '../../../support/compile/widened.ts'

const rows = 9
const dim = 5
/** Bytes before the table in its file. */
const start = 12
const values = new Dice(1).floats(rows * dim, 3)

/** Ids [batch, 2], and what `build` computes from them and a table in a file. */
async function graphOf(
  t: Parameters<typeof temporaryFolder>[0],
  build: (graph: Graph) => string,
  table = values,
  isTraced = true,
): Promise<Graph> {
  const graph = emptyGraph({ ids: { dtype: DataType.INT32, dims: [-1, 2] } })
  graph.folder = await temporaryFolder(t)
  await writeFile(join(graph.folder, 'tables'), Buffer.concat([Buffer.alloc(start), Buffer.from(table.buffer)]))
  const like = { name: 'table', dataType: DataType.FLOAT, dims: [BigInt(rows), BigInt(dim)] }
  graph.constants.set('table', external(like, 'tables', start, table.byteLength))
  answerWith(graph, build(graph))
  const read = reread(graph)
  if (isTraced) await traceShapes(read)
  return read
}

const ids = Int32Array.of(0, 8, 3, 3, 7, 1)

async function answer(graph: Graph): Promise<Float32Array> {
  const session = await openSession(graph.copy().toBytes(), graph.folder)
  try {
    const outputs = await session.run({ ids: new ort.Tensor('int32', ids, [ids.length / 2, 2]) })
    return outputs[session.outputNames[0]!]!.data as Float32Array
  } finally {
    await session.release()
  }
}

const column = (graph: Graph, i: number) =>
  graph.node('Gather', ['ids', graph.constant('i', BigInt64Array.of(BigInt(i)), [])], { attributes: { axis: 1 } })

/** Look-ups of [batch, 2] ids, of [batch] ids, and of fixed ones. */
const lookUps: Record<string, (graph: Graph) => string> = {
  'rows of both columns': (graph) => graph.node('Gather', ['table', 'ids']),
  'rows of one column': (graph) => graph.node('Gather', ['table', column(graph, 1)]),
  'the same table twice': (graph) =>
    graph.node('Add', [
      graph.node('Gather', ['table', column(graph, 0)]),
      graph.node('Gather', ['table', column(graph, 1)]),
    ]),
}

for (const format of ['float16', 'int8'] satisfies NarrowFormat[])
  for (const [what, build] of Object.entries(lookUps))
    t.test(`${format}: ${what} are the table's, rounded`, async (t) => {
      const graph = await graphOf(t, build)
      const narrower = createNarrower(format)
      const before = operatorsOf(graph)
      const { graph: narrow } = narrower.narrow(fullVariant(graph))
      const rounded = await graphOf(t, build, widened(values, dim, format))
      const [expected, actual] = [await answer(rounded), await answer(narrow)]
      t.ok(expected.every((value, i) => Math.abs(value - actual[i]!) < 1e-6))
      t.equal(narrower.tables, 1)
      t.notOk(narrow.constants.has('table'), 'the float32 table is not read')
      t.equal(operatorsOf(graph), before, 'the graph itself is left as it was')
      const again = narrower.narrow(fullVariant(graph))
      t.same([...(await answer(again.graph))], [...actual])
      t.equal((await readdir(graph.folder)).length, 2, 'a table is stored once')
    })

t.test('bytes and scales are in one file, the scales on a page of their own', async (t) => {
  const graph = await graphOf(t, lookUps['rows of both columns']!)
  createNarrower('int8').narrow(fullVariant(graph))
  const [file] = (await readdir(graph.folder)).filter((name) => name.startsWith('int8-'))
  t.equal((await readFile(join(graph.folder, file!))).length, 4096 + rows * 4)
})

t.test('what is not a table in a file that look-ups alone read stays float32', async (t) => {
  const others: Record<string, (graph: Graph) => string> = {
    'in the graph': (graph) => graph.node('Gather', [graph.constant('small', values, [rows, dim]), 'ids']),
    'looked up by its columns': (graph) => {
      const picked = graph.node('Gather', ['table', graph.integers([0, 1])], { attributes: { axis: 1 } })
      return graph.node('Gather', [picked, 'ids'])
    },
    'multiplied too': (graph) =>
      graph.node('Mul', [
        graph.node('Gather', ['table', 'ids']),
        graph.node('ReduceSum', ['table'], { attributes: { keepdims: 0 } }),
      ]),
  }
  for (const [what, build] of Object.entries(others)) {
    const narrower = createNarrower('float16')
    // ONNX Runtime would look for the file to find the shapes.
    const other = await graphOf(t, build, values, false)
    for (const { output } of other.nodes) other.shapes.set(output[0]!, floatShape(-1, 2))
    const { graph } = narrower.narrow(fullVariant(other))
    t.equal(narrower.tables, 0, what)
    t.notMatch(operatorsOf(graph), /Cast/, what)
  }
})

t.test('a table that a format can not hold is named', async (t) => {
  const large = values.with(7, 1e6)
  const graph = await graphOf(t, lookUps['rows of both columns']!, large)
  t.throws(() => createNarrower('float16').narrow(fullVariant(graph)), {
    message: "the table table can't be stored as float16: 1000000 is no float16",
  })
})
