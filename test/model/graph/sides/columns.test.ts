import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { canonicalise } from '../../../../src/model/graph/passes/canonicalise.ts'
import { segmentsOf } from '../../../../src/model/graph/sides/columns.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared, smallGraph } from '../../../support/compile/law.ts'
import { answersOf, answerWith, differenceOf, emptyGraph, feedsOf } from '../../../support/compile/run-graph.ts'

const dice = new Dice(6)
const axis = (axis: number) => ({ attributes: { axis } })
const vector = (g: Graph, ...dims: number[]) =>
  g.constant('vector', dice.floats(dims.reduce((size, side) => size * side, 1)), dims)
const scalar = (g: Graph, value: number) => g.constant('column', BigInt64Array.of(BigInt(value)), [])
const slice = (g: Graph, ...bounds: number[]) => g.node('Slice', ['x', ...bounds.map((bound) => g.integers([bound]))])
const table = (g: Graph, ids: string, dim = 3) =>
  g.node('Gather', [g.constant('table', dice.floats(7 * dim), [7, dim]), ids])
const flat = (g: Graph, name: string, n: number) => g.node('Reshape', [name, g.integers([-1, n])])

/** Each: a tensor, and its columns: `input[columns]`, with `·dim` where a table stands between. */
const followed: Record<string, [(g: Graph) => string, string]> = {
  'inputs side by side': [
    (g) => g.node('Concat', ['y', 'x', slice(g, 1, 2, 1)], axis(1)),
    'y[0,1,2,3,4,5] x[0,1,2,3,4,5] x[1]',
  ],
  'Gather of columns': [(g) => g.node('Gather', ['x', g.integers([4, -1, 4])], axis(-1)), 'x[4,5,4]'],
  'Slice from the end': [(g) => slice(g, -4, 2 ** 31, -1), 'x[2,3,4,5]'],
  'Slice with a step of 1': [(g) => slice(g, 1, -1, 1, 1), 'x[1,2,3,4]'],
  'a part of a Split': [(g) => g.nodeOf('Split', ['x', g.integers([1, 3, 2])], 3, axis(1))[1]!, 'x[1,2,3]'],
  'an equal part of a Split': [(g) => g.nodeOf('Split', ['x'], 3, axis(-1))[1]!, 'x[2,3]'],
  'columns of columns': [
    (g) =>
      g.node('Gather', [g.nodeOf('Split', ['x', g.integers([1, 5])], 2, axis(1))[1]!, g.integers([3, 0])], axis(1)),
    'x[4,1]',
  ],
  'rows of a table': [(g) => flat(g, table(g, 'ids'), 6), 'ids[0,1]·3'],
  'rows of a table for one column': [(g) => table(g, g.node('Gather', ['ids', scalar(g, -1)], axis(1)), 2), 'ids[1]·2'],
  'rows of a table for ids in another order, of another type': [
    (g) => {
      const ids = g.node('Cast', ['ids'], { attributes: { to: DataType.INT32 } })
      return flat(g, table(g, g.node('Gather', [ids, g.integers([1, 0])], axis(1))), 6)
    },
    'ids[1,0]·3',
  ],
  'functions of single values': [
    (g) => {
      const log = g.node('Log', [g.node('Add', [g.node('Abs', ['x']), vector(g, 1)])])
      return g.node('Mul', [g.node('Where', [g.node('Less', [log, vector(g, 6)]), log, 'x']), vector(g, 1, 6)])
    },
    'x[0,1,2,3,4,5]',
  ],
  'functions of columns side by side': [
    (g) => {
      const some = g.node('Concat', [slice(g, 4, 6, 1), g.node('Log', [slice(g, 1, 2, 1)])], axis(1))
      return g.node('Add', [g.node('Mul', [some, vector(g, 3)]), vector(g, 3)])
    },
    'x[4,5,1]',
  ],
  'numbers within bounds': [
    (g) => g.node('Log', [g.node('Add', [g.node('Clip', ['x', vector(g)]), vector(g, 1)])]),
    'x[0,1,2,3,4,5]',
  ],
  'a column of its own': [
    (g) => g.node('Unsqueeze', [g.node('Squeeze', [slice(g, 2, 3, 1), g.integers([1])]), g.integers([1])]),
    'x[2]',
  ],
}

/** The segments as the table above writes them. */
function textOf(graph: Graph, name: string): string | undefined {
  return segmentsOf(graph, name)
    ?.map(({ input, columns, dim, table }) => `${input}[${columns}]${table === undefined ? '' : `·${dim}`}`)
    .join(' ')
}

for (const [name, [write, expected]] of Object.entries(followed))
  t.test(`follows ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write), [canonicalise])
    t.equal(textOf(graph, graph.outputs[0]!.name), expected)
  })

/** Four columns, each computed from one. */
const computed: Record<string, (g: Graph) => string> = {
  functions(g) {
    const picked = g.node('Gather', ['x', g.integers([5, 1, 2, 4])], axis(1))
    const scaled = g.node('Add', [g.node('Mul', [picked, vector(g, 4)]), vector(g, 1)])
    return g.node('Where', [g.node('Greater', [scaled, picked]), scaled, g.node('Neg', [picked])])
  },
  'functions of parts'(g) {
    const part = g.node('Exp', [slice(g, 3, 5, 1)])
    const some = g.node('Concat', [g.node('Neg', [slice(g, 5, 6, 1)]), part, slice(g, 0, 1, 1)], axis(1))
    return g.node('Clip', [g.node('Mul', [some, vector(g, 4)]), '', vector(g)])
  },
  'parts that are not computed': (g) =>
    g.node('Abs', [g.node('Concat', [slice(g, 3, 5, 1), slice(g, 0, 2, 1)], axis(1))]),
}
for (const [name, write] of Object.entries(computed))
  t.test(`builds the same ${name} from any of the columns, packed in that order`, async (t) => {
    const graph = await prepared(smallGraph(write))
    const [segment] = segmentsOf(graph, graph.outputs[0]!.name)!
    const feeds = feedsOf(graph, 5, dice)
    const [whole] = Object.values((await answersOf(graph, [feeds]))[0]!)
    const pick = (values: Float32Array, columns: number[]) =>
      Float32Array.from({ length: 5 * columns.length }, (_, i) => {
        const row = Math.floor(i / columns.length)
        return values[row * (values.length / 5) + columns[i % columns.length]!]!
      })
    for (const positions of [[0], [3, 0], [1, 1, 2], [2, 1], [0, 1, 2, 3]]) {
      const built = emptyGraph({ packed: floatShape(-1, positions.length) })
      const name = segment!.build(built, 'packed', positions)
      t.equal(segment!.build(built, 'packed', positions), name, 'what is the same is built once')
      answerWith(built, name)
      const columns = positions.map((i) => segment!.columns[i]!)
      const dims = [5, positions.length]
      const packed = new ort.Tensor('float32', pick(feeds.x!.data as Float32Array, columns), dims)
      const [actual] = await answersOf(built, [{ packed }])
      t.equal(differenceOf([{ [name]: { dims, values: pick(whole!.values, positions) } }], [actual!]), undefined)
    }
  })

/** Tensors whose columns depend on others, or are of no single input. */
const lost: Record<string, (g: Graph) => string> = {
  'a product': (g) => g.node('MatMul', ['x', vector(g, 6, 6)]),
  'a softmax': (g) => g.node('Softmax', ['x'], axis(1)),
  'a sum of two inputs': (g) => g.node('Add', ['x', 'y']),
  'a sum of different columns': (g) => g.node('Add', [slice(g, 0, 3, 1), slice(g, 3, 6, 1)]),
  'a sum of one column and many': (g) => g.node('Add', ['x', slice(g, 3, 4, 1)]),
  'every second column': (g) => slice(g, 0, 6, 1, 2),
  'columns in reverse': (g) => slice(g, 5, -7, 1, -1),
  'columns up to a computed one': (g) =>
    g.node('Slice', [
      'x',
      g.integers([0]),
      g.integers([9]),
      g.integers([1]),
      g.node('Add', [g.integers([1]), g.integers([0])]),
    ]),
  'some of the rows': (g) => slice(g, 0, 1, 0),
  'columns that are computed': (g) => g.node('Gather', ['x', g.node('Neg', [g.integers([1, 2])])], axis(1)),
  'a column wider than it is': (g) => g.node('Add', [slice(g, 0, 1, 1), vector(g, 4)]),
  'a matrix of factors': (g) =>
    flat(g, g.node('Mul', [g.node('Reshape', ['x', g.integers([-1, 2, 3])]), vector(g, 2, 3)]), 6),
  'three dimensions': (g) => g.node('Reshape', ['x', g.integers([-1, 2, 3])]),
  'half rows': (g) => g.node('Reshape', ['x', g.integers([-1, 3])]),
  'rows joined below each other': (g) => g.node('Concat', ['x', 'y'], axis(0)),
  'a table of a table': (g) => {
    const other = g.constant('other', BigInt64Array.of(3n, 1n, 2n, 6n, 5n, 4n, 0n), [7])
    return flat(g, table(g, g.node('Gather', [other, 'ids'])), 6)
  },
  'a table of three dimensions': (g) => flat(g, g.node('Gather', [vector(g, 7, 2, 2), 'ids']), 8),
  'a table that is computed': (g) => flat(g, g.node('Gather', [g.node('Neg', [vector(g, 7, 3)]), 'ids']), 6),
  'half the row of a table': (g) => flat(g, table(g, 'ids', 4), 4),
  'whole rows, of which one is a product': (g) =>
    g.node('Concat', ['x', g.node('MatMul', ['y', vector(g, 6, 2)])], axis(1)),
  "another domain's operator": (g) => g.node('Gelu', ['x'], { domain: 'com.microsoft' }),
}
for (const [name, write] of Object.entries(lost))
  t.test(`does not follow ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write))
    t.equal(textOf(graph, graph.outputs[0]!.name), undefined)
  })

t.test('does not follow inputs of three dimensions, of one, or of a fixed number of rows', async (t) => {
  const graph = emptyGraph({ deep: floatShape(-1, 2, 3), one: floatShape(-1), fixed: floatShape(4, 6) })
  for (const [name, shape] of Object.entries({ deep: [-1, 2, 3], one: [-1], fixed: [4, 6] }))
    graph.shapes.set(name, floatShape(...shape))
  for (const { name } of graph.inputs) t.equal(segmentsOf(graph, name), undefined)
})
