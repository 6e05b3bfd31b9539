import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { intsAttribute } from '../../../../src/model/graph/ir/attributes.ts'
import { isGemm } from '../../../../src/model/graph/ir/gemm.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { canonicalise } from '../../../../src/model/graph/passes/canonicalise.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { applied, assertLaw, breachOf, prepared, smallGraph } from '../../../support/compile/law.ts'
import { randomGraph } from '../../../support/compile/random-graph.ts'
import {
  answersOf,
  answerWith,
  differenceOf,
  emptyGraph,
  feedsOf,
  operatorsOf,
} from '../../../support/compile/run-graph.ts'

const dice = new Dice(1)
const axis = (axis: number) => ({ attributes: { axis } })
const matrix = (graph: Graph, k: number, n: number) => graph.constant('kernel', dice.floats(k * n), [k, n])
const vector = (graph: Graph, ...dims: number[]) =>
  graph.constant('vector', dice.floats(dims.reduce((size, side) => size * side, 1)), dims)
/** [batch, 6] → [batch, 2, 3] */
const shaped = (graph: Graph, name: string, ...sides: number[]) =>
  graph.node('Reshape', [name, graph.integers([-1, ...sides])])

/** Two fields, [batch, 2, 3]. */
const lookedUp = (graph: Graph) => graph.node('Gather', [vector(graph, 7, 3), 'ids'])

t.test('changes no answer, whatever the graph', () => assertLaw(randomGraph, (graph) => canonicalise(graph, new Map())))

t.test('a quotient stays exact where something is made of it before it is weighted', async (t) => {
  const floor = smallGraph((g) => g.node('Floor', [g.node('Div', ['x', g.constant('c', Float32Array.of(41), [1])])]))
  const graph = await prepared(floor)
  const rows = Float32Array.from({ length: 600 }, (_, i) => 41 * (i + 1))
  const feeds = [{ ...feedsOf(graph, 100, dice), x: new ort.Tensor('float32', rows, [100, 6]) }]
  const expected = await answersOf(graph, feeds)
  canonicalise(graph, new Map())
  t.equal(differenceOf(expected, await answersOf(graph, feeds)), undefined)
  t.match(operatorsOf(graph), /Div/)
  const halves = await prepared(
    smallGraph((g) => g.node('Floor', [g.node('Div', ['x', g.constant('c', Float32Array.of(4), [1])])])),
  )
  canonicalise(halves, new Map())
  t.notMatch(operatorsOf(halves), /Div/, 'by a power of two it is a product as well')
})

t.test('leaves nothing to do, and one form of everything', async (t) => {
  for (let seed = 0; seed < 40; seed++) {
    const graph = await prepared(randomGraph(seed))
    canonicalise(graph, new Map())
    t.equal(canonicalise(graph, new Map()), 0)
    for (const node of graph.nodes) {
      const { opType } = node
      if (/^(Constant|Identity|Dropout|Flatten|Squeeze|Unsqueeze|BatchNormalization|Einsum|Sub)$/.test(opType))
        t.fail(`${opType} is left in ${operatorsOf(graph)}`)
      if (opType === 'Gemm') t.ok(isGemm(graph, node))
      if (opType === 'Reshape' && graph.constants.has(node.input[1]!))
        t.not(graph.producer(node.input[0]!)?.opType, 'Reshape', operatorsOf(graph))
    }
  }
})

/** Each: what is written, and the operators that are left of it. */
const forms: Record<string, [(graph: Graph) => string | string[], string]> = {
  'Identity, in the middle and at the end': [
    (g) => g.node('Identity', [g.node('Relu', [g.node('Identity', ['x'])])]),
    'Relu',
  ],
  Dropout: [(g) => g.node('Relu', [g.nodeOf('Dropout', ['x'], 2)[0]!]), 'Relu'],
  'a cast to the same type': [
    (g) => g.node('Relu', [g.node('Cast', ['x'], { attributes: { to: DataType.FLOAT } })]),
    'Relu',
  ],
  'Unsqueeze and Squeeze': [
    (g) => g.node('Relu', [g.node('Squeeze', [g.node('Unsqueeze', ['x', g.integers([1])]), g.integers([1])])]),
    'Relu',
  ],
  'a Transpose that keeps the order': [
    (g) => g.node('Transpose', [shaped(g, 'x', 1, 6)], { attributes: { perm: [0, 2, 1] } }),
    'Reshape',
  ],
  'Flatten of a computed shape': [
    (g) => {
      const rows = g.node('Gather', [vector(g, 7, 3), 'ids'])
      const batch = g.node('Gather', [g.node('Shape', ['ids']), g.integers([0])])
      return g.node('Reshape', [rows, g.node('Concat', [batch, g.integers([-1])], axis(0))])
    },
    'Gather Reshape',
  ],
  'columns of what was looked up': [
    (g) => {
      const id = g.node('Slice', ['ids', g.integers([1]), g.integers([2]), g.integers([1])])
      const rows = shaped(g, g.node('Gather', [vector(g, 7, 3), id]), 3)
      const part = (from: number, to: number) =>
        g.node('Relu', [g.node('Slice', [rows, g.integers([from]), g.integers([to]), g.integers([1])])])
      return g.node('Concat', [part(0, 2), part(1, 3), part(0, 2)], axis(1))
    },
    'Slice Gather Reshape Relu Gather Reshape Relu Gather Reshape Relu Concat',
  ],
  'some fields of all that were looked up': [
    (g) => g.node('Slice', [lookedUp(g), ...[-1, 2, -2].map((place) => g.integers([place]))]),
    'Gather Gather',
  ],
  'one field of all that were looked up': [
    (g) => g.node('Gather', [lookedUp(g), g.constant('first', BigInt64Array.of(0n), [])], axis(1)),
    'Gather Gather Reshape',
  ],
  'all fields that were looked up, each for itself': [
    (g) => g.nodeOf('Split', [lookedUp(g), g.integers([1, 1])], 2, axis(-2)).map((field) => g.node('Relu', [field])),
    'Gather Gather Relu Gather Gather Relu',
  ],
  'rows joined, then flattened': [
    (g) => g.node('Flatten', [g.node('Concat', [shaped(g, 'x', 2, 3), shaped(g, 'y', 2, 3)], axis(1))]),
    'Concat',
  ],
  'Concat in Concat, counted from the end': [
    (g) => g.node('Relu', [g.node('Concat', [g.node('Concat', ['x', 'y'], axis(-1)), 'x'], axis(1))]),
    'Concat Relu',
  ],
  'Concat of one': [(g) => g.node('Relu', [g.node('Concat', ['x'], axis(1))]), 'Relu'],
  'Concat of what was split': [
    (g) => g.node('Relu', [g.node('Concat', g.nodeOf('Split', ['x', g.integers([4, 2])], 2, axis(-1)), axis(1))]),
    'Relu',
  ],
  'MatMul and Add': [(g) => g.node('Add', [vector(g, 1, 4), g.node('MatMul', ['x', matrix(g, 6, 4)])]), 'Gemm'],
  'MatMul by a transposed constant': [(g) => g.node('MatMul', ['x', g.node('Transpose', [matrix(g, 4, 6)])]), 'Gemm'],
  'MatMul by a part of a constant, of a sequence of one, times a number': [
    (g) => {
      const [, part] = g.nodeOf('Split', [matrix(g, 9, 6), g.integers([5, 4])], 2, axis(0))
      const [bias] = g.nodeOf('Split', [vector(g, 9), g.integers([4, 5])], 2, axis(0))
      const row = g.node('Reshape', ['x', g.integers([1, -1, 6])])
      const product = g.node('MatMul', [row, g.node('Transpose', [part!])])
      const heads = g.node('Reshape', [g.node('Add', [product, bias!]), g.integers([-1, 2, 1, 2])])
      return g.node('Mul', [heads, g.constant('factor', Float32Array.of(0.5), [])])
    },
    'Gemm Reshape',
  ],
  'a number that is repeated': [
    (g) => {
      const zeros = g.node('Expand', [g.constant('zero', Float32Array.of(0), []), g.node('Shape', ['x'])])
      const isNegative = g.node('Less', ['x', g.constant('zero', Float32Array.of(0), [])])
      return g.node('Where', [isNegative, g.constant('least', Float32Array.of(-1e9), []), zeros])
    },
    'Less Where',
  ],
  'MatMul of three dimensions': [
    (g) => g.node('MatMul', [shaped(g, 'x', 2, 3), matrix(g, 3, 4)]),
    'Reshape Gemm Reshape',
  ],
  'Gemm with transB, alpha and beta': [
    (g) =>
      g.node('Gemm', ['x', matrix(g, 4, 6), vector(g, 1)], {
        attributes: { transB: 1, alpha: { float: 0.5 }, beta: { float: 3 } },
      }),
    'Gemm',
  ],
  'two biases': [(g) => g.node('Add', [g.node('Gemm', ['x', matrix(g, 6, 4), vector(g, 4)]), vector(g, 4)]), 'Gemm'],
  'Sub and Div by constants': [
    (g) => g.node('Div', [g.node('Sub', ['x', vector(g, 6)]), g.constant('two', Float32Array.of(2), [])]),
    'Add Mul',
  ],
  'one minus x, and one by x': [
    (g) => {
      const one = g.constant('one', Float32Array.of(1), [])
      return g.node('Div', [one, g.node('Sub', [one, g.node('Exp', [g.node('Abs', ['x'])])])])
    },
    'Abs Exp Sub Div',
  ],
  BatchNormalization: [
    (g) => {
      const positive = g.constant(
        'variance',
        dice.floats(6).map((value) => value * value),
        [6],
      )
      return g.node('BatchNormalization', ['x', vector(g, 6), vector(g, 6), vector(g, 6), positive])
    },
    'Mul Add',
  ],
  'Einsum of a column': [
    (g) =>
      g.node(
        'Einsum',
        [shaped(g, 'x', 2, 3), g.node('Slice', ['y', g.integers([0]), g.integers([2]), g.integers([1])])],
        {
          attributes: { equation: 'beh,be->bh' },
        },
      ),
    'Reshape Transpose Slice Reshape MatMul Reshape',
  ],
  'Einsum of two matrices, the answer turned': [
    (g) => g.node('Einsum', [shaped(g, 'x', 3, 2), shaped(g, 'y', 2, 3)], { attributes: { equation: 'ble,ber->brl' } }),
    'Reshape Transpose Reshape Transpose MatMul',
  ],
  'Einsum with a constant, in any order of its sides': [
    (g) => [
      g.node('Einsum', ['x', vector(g, 3, 6, 2)], { attributes: { equation: 'bk,ekh->beh' } }),
      g.node('Einsum', [vector(g, 2, 3, 6), 'y'], { attributes: { equation: 'hek,bk->beh' } }),
    ],
    'Gemm Reshape Gemm Reshape',
  ],
  'Einsum with a matrix': [
    (g) => g.node('Einsum', ['x', vector(g, 4, 6)], { attributes: { equation: 'bk,nk->bn' } }),
    'Gemm',
  ],
  'Einsum with a vector': [
    (g) => g.node('Einsum', [vector(g, 6), 'x'], { attributes: { equation: 'k,bk->b' } }),
    'Gemm Reshape',
  ],
  'a bias for each expert': [
    (g) => {
      const rows = g.node('Einsum', ['x', vector(g, 3, 6, 2)], { attributes: { equation: 'bk,ekh->beh' } })
      return g.node('Add', [vector(g, 1, 3, 2), g.node('Add', [rows, vector(g, 3, 1)])])
    },
    'Gemm Reshape',
  ],
  'a bias for each of several rows': [
    (g) => g.node('Add', [vector(g, 4), g.node('MatMul', [shaped(g, 'x', 2, 3), matrix(g, 3, 4)])]),
    'Reshape Gemm Reshape',
  ],
  'PRelu, with a slope for each column': [
    (g) => g.node('PRelu', [g.node('MatMul', [shaped(g, 'x', 2, 3), matrix(g, 3, 4)]), vector(g, 1, 1, 4)]),
    'Reshape Gemm PRelu Reshape',
  ],
  'PRelu, with one slope': [
    (g) => g.node('PRelu', [shaped(g, g.node('MatMul', ['x', matrix(g, 6, 12)]), 4), vector(g, 1)]),
    'Gemm PRelu Reshape',
  ],
  'Einsum of rows': [
    (g) => g.node('Einsum', ['x', 'y'], { attributes: { equation: 'bi,bi->b' } }),
    'Reshape Reshape MatMul Reshape',
  ],
}

for (const [name, [write, expected]] of Object.entries(forms))
  t.test(`one form of ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write))
    t.equal(await breachOf(graph, (graph) => canonicalise(graph, new Map()), 1), undefined)
    t.equal(operatorsOf(graph), expected)
    t.equal(canonicalise(graph, new Map()), 0)
  })

/** Graphs that must stay as they are written. */
const kept: Record<string, (graph: Graph) => string | string[]> = {
  'a cast to another type': (g) =>
    g.node('Cast', [g.node('Cast', ['x'], { attributes: { to: DataType.INT32 } })], {
      attributes: { to: DataType.FLOAT },
    }),
  'Dropout whose mask is read': (g) => {
    const [, mask] = g.nodeOf('Dropout', ['x'], 2)
    return [g.node('Relu', ['dropout']), g.node('Cast', [mask!], { attributes: { to: DataType.FLOAT } })]
  },
  'an input that is an output': (g) => g.node('Identity', ['x']),
  'an output that is one twice': (g) => {
    const relu = g.node('Relu', ['x'])
    return [relu, g.node('Identity', [relu])]
  },
  'a Transpose that moves': (g) => g.node('Transpose', [shaped(g, 'x', 2, 3)], { attributes: { perm: [0, 2, 1] } }),
  'a Transpose of the batch': (g) => g.node('Transpose', ['x']),
  'a joint of other axes, then flattened': (g) =>
    g.node('Relu', [
      shaped(
        g,
        g.node('Concat', [g.node('Sin', [shaped(g, 'x', 2, 3)]), g.node('Sin', [shaped(g, 'y', 2, 3)])], axis(2)),
        12,
      ),
    ]),
  'parts of a Split in another order': (g) =>
    g.node('Relu', [g.node('Concat', g.nodeOf('Split', ['x', g.integers([3, 3])], 2, axis(1)).toReversed(), axis(1))]),
  'a Concat that others read too': (g) => {
    const inner = g.node('Concat', ['x', 'y'], axis(1))
    return [g.node('Relu', [inner]), g.node('Concat', [inner, 'x'], axis(1))]
  },
  'a matrix for a bias': (g) =>
    g.node('Add', [g.node('Gemm', ['x', matrix(g, 6, 4)]), g.node('Relu', [matrix(g, 1, 4)])]),
  'a bias that is wider': (g) => g.node('Add', [g.node('Gemm', ['x', matrix(g, 6, 1)]), vector(g, 4)]),
  'a product that others read too': (g) => {
    const product = g.node('Gemm', ['x', matrix(g, 6, 4)])
    return [g.node('Add', [product, vector(g, 4)]), product]
  },
  'a vector by a matrix': (g) => g.node('Add', [g.node('MatMul', [vector(g, 6), matrix(g, 6, 6)]), 'x']),
  'a sum over two letters': (g) =>
    g.node('Einsum', [shaped(g, 'x', 2, 3), shaped(g, 'y', 2, 3)], { attributes: { equation: 'beh,beh->b' } }),
  'an Einsum of several rows with a constant': (g) =>
    g.node('Einsum', [shaped(g, 'x', 2, 3), vector(g, 3, 4)], { attributes: { equation: 'bik,kn->bin' } }),
  'an Einsum with a matrix for each expert': (g) =>
    g.node('Einsum', [shaped(g, 'x', 2, 3), vector(g, 2, 3, 4)], { attributes: { equation: 'bek,ekn->ben' } }),
  'an Einsum with a constant, the batch last': (g) =>
    g.node('Einsum', ['x', vector(g, 6, 4)], { attributes: { equation: 'bk,kn->nb' } }),
  'an Einsum that adds up a constant': (g) =>
    g.node('Einsum', ['x', vector(g, 6, 4)], { attributes: { equation: 'bk,kn->b' } }),
  'a bias that differs from row to row': (g) =>
    g.node('Add', [
      g.node('Reshape', [g.node('Gemm', [shaped(g, 'x', 3), matrix(g, 3, 4)]), g.integers([-1, 2, 4])]),
      vector(g, 2, 4),
    ]),
  'a bias that makes rows longer': (g) =>
    g.node('Add', [shaped(g, g.node('Gemm', ['x', matrix(g, 6, 4)]), 4, 1), vector(g, 5)]),
  'slopes of columns of several rows that a product computes as one': (g) =>
    g.node('PRelu', [g.node('Reshape', [g.node('Gemm', ['x', matrix(g, 6, 12)]), g.integers([-1, 4])]), vector(g, 4)]),
  'slopes of rows': (g) =>
    g.node('PRelu', [
      g.node('Reshape', [g.node('Gemm', [shaped(g, 'x', 3), matrix(g, 3, 4)]), g.integers([-1, 2, 4])]),
      vector(g, 2, 1),
    ]),
  'an Einsum over the batch': (g) => g.node('Einsum', ['x', 'y'], { attributes: { equation: 'bi,bj->ij' } }),
  'an Einsum of one': (g) => g.node('Einsum', [shaped(g, 'x', 2, 3)], { attributes: { equation: 'bij->bji' } }),
  'an Einsum of a diagonal': (g) => {
    const square = shaped(g, g.node('Concat', ['x', 'y', 'x', 'y', 'x', 'y'], axis(1)), 6, 6)
    return g.node('Einsum', [square, 'y'], { attributes: { equation: 'bii,bi->bi' } })
  },
}

for (const [name, write] of Object.entries(kept))
  t.test(`keeps ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write))
    const before = operatorsOf(graph)
    t.equal(await breachOf(graph, (graph) => canonicalise(graph, new Map()), 1), undefined)
    t.equal(operatorsOf(graph), before)
  })

t.test('leaves ids that count from the end of a table to Gather', async (t) => {
  const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, 2] } })
  const number = (condition: string) => graph.node('Cast', [condition], { attributes: { to: DataType.INT64 } })
  const below = graph.node('Less', ['ids', graph.constant('zero', BigInt64Array.of(0n), [])])
  const raised = graph.node('Add', ['ids', graph.constant('rows', BigInt64Array.of(5n), [])])
  const shifted = graph.node('Mul', [number(below), raised])
  const ids = graph.node('Add', [shifted, graph.node('Mul', ['ids', number(graph.node('Not', [below]))])])
  answerWith(graph, graph.node('Gather', [vector(graph, 5, 3), ids]))
  const traced = await prepared(graph)
  const feeds = [{ ids: new ort.Tensor('int64', BigInt64Array.of(-5n, -1n, 0n, 4n, 2n, -3n), [3, 2]) }]
  const expected = await answersOf(traced, feeds)
  canonicalise(traced, new Map())
  t.equal(operatorsOf(traced), 'Gather')
  t.equal(differenceOf(expected, await answersOf(traced, feeds)), undefined)
})

t.test('keeps ids that are shifted by something else', async (t) => {
  const graph = await prepared(
    smallGraph((g) => {
      const shift = g.node('Add', ['ids', g.constant('one', BigInt64Array.of(1n), [])])
      const twice = g.node('Add', [g.node('Mul', ['ids', shift]), g.node('Mul', [shift, 'ids'])])
      const inside = g.node('Mod', [twice, g.constant('rows', BigInt64Array.of(5n), [])])
      return g.node('Gather', [
        vector(g, 5, 3),
        g.node('Add', [g.node('Mul', [inside, inside]), g.node('Mul', ['ids', 'ids'])]),
      ])
    }),
  )
  const before = operatorsOf(graph)
  canonicalise(graph, new Map())
  t.equal(operatorsOf(graph), before)
})

const reasons: Record<string, [(graph: Graph) => string, string]> = {
  'an operator that no pass knows': [(g) => g.node('Atan', ['x']), 'Atan: no pass knows this operator'],
  "another domain's operator": [
    (g) => g.node('Gelu', ['x'], { domain: 'com.microsoft' }),
    'Gelu: no pass knows this operator',
  ],
  'computed weights': [
    (g) => g.node('Gemm', ['x', g.node('Transpose', ['y'])]),
    'Gemm: its weights are not plain constants',
  ],
  'a transposed input': [
    (g) => g.node('Gemm', [g.node('Transpose', ['x']), matrix(g, 6, 4)], { attributes: { transA: 1 } }),
    'Gemm: its weights are not plain constants',
  ],
  'a bias that is computed': [
    (g) => g.node('Gemm', ['x', matrix(g, 6, 6), 'y'], { attributes: { beta: { float: 2 } } }),
    'Gemm: its weights are not plain constants',
  ],
  'a bias for each row': [
    (g) => g.node('Gemm', [vector(g, 2, 6), matrix(g, 6, 6), vector(g, 2, 1)], { attributes: { beta: { float: 2 } } }),
    'Gemm: its weights are not plain constants',
  ],
}
for (const [name, [write, reason]] of Object.entries(reasons))
  t.test(`says that it leaves ${name} alone`, async (t) => {
    const graph = await prepared(smallGraph(write))
    t.ok(applied(graph, canonicalise).reasons.includes(reason))
    t.equal(await breachOf(graph, (graph) => canonicalise(graph, new Map()), 1), undefined)
  })

t.test('turns a constant that is no square', async (t) => {
  const graph = await prepared(
    smallGraph((g) =>
      g.node('MatMul', [
        'x',
        g.node('Transpose', [
          g.constant(
            'w',
            Float32Array.from({ length: 12 }, (_, i) => i),
            [2, 6],
          ),
        ]),
      ]),
    ),
  )
  canonicalise(graph, new Map())
  const [gemm] = graph.nodes
  t.same(graph.dimsOf(gemm!.input[1]!), [6, 2])
  t.same([...graph.floats(gemm!.input[1]!)!], [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11])
  t.equal(intsAttribute(gemm!, 'perm'), undefined)
})
