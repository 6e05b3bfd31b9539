import { create } from '@bufbuild/protobuf'
import t from 'tap'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
} from '../../../../src/model/graph/ir/onnx_pb.ts'
import { traceShapes } from '../../../../src/model/graph/ir/shapes.ts'
import { floatShape, type TensorShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { smallGraph } from '../../../support/compile/law.ts'
import { answerWith, emptyGraph, operatorsOf, reread } from '../../../support/compile/run-graph.ts'

const axis = (axis: number) => ({ attributes: { axis } })
const integer = (...dims: number[]): TensorShape => ({ dtype: DataType.INT64, dims })

/** The shape of what `write` adds, as it is traced. */
async function shapeOf(write: (graph: Graph) => string): Promise<TensorShape | undefined> {
  const graph = reread(smallGraph(write))
  await traceShapes(graph)
  return graph.shapes.get(graph.outputs[0]!.name)
}

const shapes: Record<string, [(g: Graph) => string, TensorShape | undefined]> = {
  'rows of the batch': [(g) => g.node('Relu', ['x']), floatShape(-1, 6)],
  'several rows a row': [(g) => g.node('Reshape', ['x', g.integers([-1, 2])]), floatShape(-3, 2)],
  'the batch twice': [(g) => g.node('Concat', ['x', 'y', 'x'], axis(0)), floatShape(-3, 6)],
  'a batch that lies last': [(g) => g.node('Transpose', ['x']), floatShape(6, -1)],
  'the batch by itself': [(g) => g.node('MatMul', ['x', g.node('Transpose', ['y'])]), floatShape(-1, -1)],
  'a sum of all': [(g) => g.node('ReduceSum', ['x'], { attributes: { keepdims: 0 } }), floatShape()],
  'a shape': [(g) => g.node('Shape', ['x']), integer(2)],
  'what is computed of constants alone': [
    (g) => g.node('Neg', [g.constant('c', new Float32Array(3), [3])]),
    floatShape(3),
  ],
  ids: [(g) => g.node('Abs', ['ids']), integer(-1, 2)],
  conditions: [(g) => g.node('Less', ['x', 'y']), { dtype: DataType.BOOL, dims: [-1, 6] }],
  'a batch and a half': [
    (g) => g.node('Concat', ['x', g.constant('row', new Float32Array(6), [1, 6])], axis(0)),
    undefined,
  ],
  'the batch squared': [
    (g) => g.node('Reshape', [g.node('MatMul', ['x', g.node('Transpose', ['y'])]), g.integers([-1])]),
    undefined,
  ],
  'a rank that depends on the batch': [
    (g) => {
      const batch = g.node('Gather', [g.node('Shape', ['x']), g.integers([0])])
      const ones = g.node('ConstantOfShape', [g.node('Sub', [batch, g.integers([12])])])
      return g.node('Reshape', [
        'x',
        g.node(
          'Concat',
          [g.node('Cast', [g.node('Cos', [ones])], { attributes: { to: DataType.INT64 } }), g.integers([-1])],
          axis(0),
        ),
      ])
    },
    undefined,
  ],
}
for (const [name, [write, expected]] of Object.entries(shapes))
  t.test(`knows the shape of ${name}`, async (t) => {
    t.same(await shapeOf(write), expected)
  })

t.test('knows every tensor, inputs too, and leaves the graph as it is', async (t) => {
  const graph = reread(
    smallGraph((g) =>
      g.node('Relu', [g.node('Concat', g.nodeOf('Split', ['x', g.integers([4, 2])], 2, axis(1)), axis(1))]),
    ),
  )
  const before = graph.toBytes()
  await traceShapes(graph)
  t.same(Object.fromEntries(graph.shapes), {
    x: floatShape(-1, 6),
    y: floatShape(-1, 6),
    ids: integer(-1, 2),
    split: floatShape(-1, 4),
    'split:1': floatShape(-1, 2),
    concat: floatShape(-1, 6),
    relu: floatShape(-1, 6),
  })
  t.same(graph.toBytes(), before)
})

t.test('needs no large table, and none that lies in a file', async (t) => {
  const tables: [string, Parameters<typeof create<typeof TensorProtoSchema>>[1]][] = [
    ['half floats', { dataType: DataType.FLOAT16, dims: [600_000n, 2n], rawData: new Uint8Array(2_400_000) }],
    [
      'a file that is not there',
      {
        dataType: DataType.FLOAT,
        dims: [10n, 2n],
        dataLocation: DataLocation.EXTERNAL,
        externalData: [create(StringStringEntryProtoSchema, { key: 'location', value: 'absent.bin' })],
      },
    ],
  ]
  for (const [what, parts] of tables)
    for (const dtype of [DataType.INT32, DataType.INT64]) {
      const graph = emptyGraph({ ids: { dtype, dims: [-1, 3] } })
      graph.constants.set('table', create(TensorProtoSchema, { name: 'table', ...parts }))
      const rows = graph.node('Gather', ['table', 'ids'])
      answerWith(graph, graph.node('Cast', [rows], { attributes: { to: DataType.FLOAT } }))
      await traceShapes(graph)
      t.same(graph.shapes.get('cast'), floatShape(-1, 3, 2), what)
      t.equal(operatorsOf(graph), 'Gather Cast')
      t.same(graph.dimsOf('table'), parts!.dims!.map(Number))
    }
})

t.test('takes a fixed number of rows for what it is', async (t) => {
  const graph = emptyGraph({ x: floatShape(4, 6) })
  answerWith(graph, graph.node('Relu', ['x']))
  await traceShapes(graph)
  t.same(graph.shapes.get('relu'), floatShape(4, 6))
})

t.test('rejects what ONNX Runtime does', async (t) => {
  await t.rejects(
    shapeOf((g) => g.node('Nonsense', ['x'])),
    /Nonsense/,
  )
  await t.rejects(
    shapeOf((g) => g.node('MatMul', ['x', g.constant('w', new Float32Array(4), [2, 2])])),
    /MatMul/,
  )
  const graph = emptyGraph({ halves: { dtype: DataType.FLOAT16, dims: [-1, 2] } })
  answerWith(graph, graph.node('Cast', ['halves'], { attributes: { to: DataType.FLOAT } }))
  await t.rejects(traceShapes(graph), { message: 'the input halves is float16' })
})
