import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { lengthTensor } from '../../../../src/model/contracts/list-length.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { cutLists } from '../../../../src/model/graph/lists/cut-lists.ts'
import { fullVariant } from '../../../../src/model/graph/sides/tensor-names.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import { answersOf, answerWith, differenceOf, emptyGraph, operatorsOf } from '../../../support/compile/run-graph.ts'

const [size, dim, ids] = [10, 3, 7]
const dice = new Dice(3)

const axis = (axis: number) => ({ attributes: { axis } })
const constant = (g: Graph, values: Float32Array, ...dims: number[]) => g.constant('constant', values, dims)
const scalar = (g: Graph, value: number) => constant(g, Float32Array.of(value))
const reshape = (g: Graph, x: string, ...sides: number[]) => g.node('Reshape', [x, g.integers(sides)])
const sum = (g: Graph, x: string, opType = 'ReduceSum', along = 1) =>
  opType === 'ReduceSum'
    ? g.node(opType, [x, g.integers([along])], { attributes: { keepdims: 0 } })
    : g.node(opType, [x], { attributes: { axes: [along], keepdims: 0 } })

/** Embeddings of the items, [batch, size, dim]; `padding`: the row of id 0. */
const items = (g: Graph, padding?: number) => {
  const table = dice.floats(ids * dim)
  if (padding !== undefined) table.fill(padding, 0, dim)
  return g.node('Gather', [constant(g, table, ids, dim), 'list'])
}
/** 1 where there is an item, [batch, size, 1]. */
const known = (g: Graph) => {
  const isPadding = g.node('Equal', ['list', g.constant('padding', BigInt64Array.of(0n), [])])
  const there = g.node('Cast', [g.node('Not', [isPadding])], { attributes: { to: DataType.FLOAT } })
  return reshape(g, there, -1, size, 1)
}
const masked = (g: Graph, x: string) => g.node('Mul', [x, known(g)])
const positions = (g: Graph) => constant(g, dice.floats(size * dim), size, dim)
/** x or, at padding, `otherwise`. */
const where = (g: Graph, x: string, otherwise: number) => {
  const there = g.node('Cast', [known(g)], { attributes: { to: DataType.BOOL } })
  return g.node('Where', [there, x, scalar(g, otherwise)])
}
/** Shares of the items, [batch, 1, size]. */
const shares = (g: Graph, scores: string) => reshape(g, g.node('Softmax', [scores], axis(1)), -1, 1, size)
const score = (g: Graph, x: string) => g.node('MatMul', [x, constant(g, dice.floats(dim), dim, 1)])
const low = (g: Graph, x: string) => {
  const padding = g.node('Mul', [g.node('Sub', [known(g), scalar(g, 1)]), scalar(g, 1e9)])
  return g.node('Add', [x, padding])
}
const weigh = (g: Graph, weights: string, x: string) => reshape(g, g.node('MatMul', [weights, x]), -1, dim)

const cut: Record<string, (g: Graph) => string> = {
  'a sum of items whose padding is zeros': (g) => sum(g, items(g, 0)),
  'a sum of items times their mask': (g) => sum(g, masked(g, items(g))),
  'a sum of functions of items and of their positions': (g) =>
    sum(g, masked(g, g.node('Tanh', [g.node('Add', [items(g), positions(g)])]))),
  'a sum of parts, side by side': (g) => {
    const both = g.node('Concat', [items(g), g.node('Neg', [items(g)])], axis(2))
    const [, second] = g.nodeOf('Split', [masked(g, both), g.integers([dim, dim])], 2, axis(2))
    return sum(g, second!)
  },
  'numbers for each item': (g) => sum(g, g.node('Mul', [reshape(g, 'ages', -1, size, 1), items(g)])),
  'the largest of items': (g) => sum(g, where(g, items(g), -1e9), 'ReduceMax'),
  'shares of −∞': (g) => {
    const x = items(g)
    return weigh(g, shares(g, where(g, score(g, x), -1e9)), x)
  },
  'shares of scores plus −10⁹': (g) => {
    const x = items(g)
    return weigh(g, shares(g, low(g, score(g, x))), x)
  },
  'items that attend to each other': (g) => {
    const x = items(g)
    const scores = g.node('MatMul', [x, g.node('Transpose', [x], { attributes: { perm: [0, 2, 1] } })])
    const there = reshape(g, g.node('Cast', [known(g)], { attributes: { to: DataType.BOOL } }), -1, 1, size)
    const weights = g.node('Softmax', [g.node('Where', [there, scores, scalar(g, -1e9)])], axis(2))
    return sum(g, masked(g, g.node('MatMul', [weights, x])))
  },
}

const left: Record<string, [(g: Graph) => string, RegExp]> = {
  'a mean over places': [(g) => sum(g, items(g, 0), 'ReduceMean'), /ReduceMean .* counts padding/],
  'a sum of items whose padding is not zeros': [(g) => sum(g, items(g, 1)), /ReduceSum .* counts padding/],
  'the largest of items and zeros': [(g) => sum(g, masked(g, items(g)), 'ReduceMax'), /counts padding/],
  'shares of padding': [(g) => weigh(g, shares(g, score(g, items(g))), items(g)), /Softmax .* gives padding a share/],
  'shares in an empty list, of items at positions': [
    (g) => {
      const x = g.node('Add', [items(g), positions(g)])
      return weigh(g, shares(g, where(g, score(g, x), -1e9)), x)
    },
    /MatMul .* sums over padding/,
  ],
  'scores of positions in an empty list': [
    (g) => {
      const x = g.node('Add', [items(g), positions(g)])
      return weigh(g, shares(g, low(g, score(g, x))), items(g))
    },
    /Softmax .* gives the places of an empty list different shares/,
  ],
  'weights of places': [
    (g) =>
      g.node('MatMul', [
        reshape(g, masked(g, items(g)), -1, size * dim),
        constant(g, dice.floats(size * dim), size * dim, 1),
      ]),
    /has a weight for each place/,
  ],
  'the last place': [
    (g) => g.node('Gather', [masked(g, items(g)), g.constant('last', BigInt64Array.of(-1n), [])], axis(1)),
    /picks places/,
  ],
  'lists one behind the other': [
    (g) => sum(g, g.node('Concat', [masked(g, items(g)), masked(g, items(g))], axis(1))),
    /puts lists one behind the other/,
  ],
  'an answer for each place': [(g) => masked(g, items(g)), /has a value for each of its places/],
  'an operator that is not followed': [
    (g) => sum(g, g.node('CumSum', [masked(g, items(g)), g.constant('along', BigInt64Array.of(1n), [])])),
    /CumSum .* reads it whole/,
  ],
}

const columns = Array.from({ length: size }, (_, i) => i)
const lists = [
  {
    name: 'views',
    size,
    members: [
      { input: 'list', columns, padding: 0 },
      { input: 'ages', columns, padding: 0 },
    ],
  },
]

async function cutOf(make: (g: Graph) => string) {
  const written = emptyGraph({
    list: { dtype: DataType.INT64, dims: [-1, size] },
    ages: { dtype: DataType.FLOAT, dims: [-1, size] },
  })
  answerWith(written, written.node('Identity', [make(written)]))
  const graph = await prepared(written)
  const reasons: string[] = []
  const variant = cutLists(fullVariant(graph), lists, (list, reason) => reasons.push(`${list}: ${reason}`))
  return { graph, variant, reasons }
}

/** Lists of these lengths, in rows. */
function listsOf(lengths: readonly number[]) {
  const list = new BigInt64Array(lengths.length * size)
  const ages = new Float32Array(lengths.length * size)
  lengths.forEach((length, row) => {
    for (let place = 0; place < length; place++) {
      list[row * size + place] = BigInt(1 + dice.below(ids - 1))
      ages[row * size + place] = 1 + dice.below(5)
    }
  })
  const dims = [lengths.length, size]
  return { list: new ort.Tensor('int64', list, dims), ages: new ort.Tensor('float32', ages, dims) }
}

for (const [name, make] of Object.entries(cut))
  t.test(`cuts lists for ${name}`, async (t) => {
    const { graph, variant, reasons } = await cutOf(make)
    t.strictSame(reasons, [])
    const [length] = variant.lists!
    t.match(length, { size, each: 'rows' })
    t.match(operatorsOf(variant.graph), /Slice/)
    for (const lengths of [
      [3, 1, 0, 2],
      [0, 0, 0, 0],
      [10, 4, 0, 9],
    ]) {
      const feeds = listsOf(lengths)
      const { data, dims } = lengthTensor(Math.max(1, ...lengths))
      const short = { ...feeds, [length!.name]: new ort.Tensor('int64', data, dims) }
      t.equal(
        differenceOf(await answersOf(graph, [feeds]), await answersOf(variant.graph, [short])),
        undefined,
        `${lengths}`,
      )
    }
  })

for (const [name, [make, reason]] of Object.entries(left))
  t.test(`leaves lists whole for ${name}`, async (t) => {
    const { variant, reasons } = await cutOf(make)
    t.match(reasons, [reason])
    t.equal(variant.lists, undefined)
  })

t.test('leaves short lists whole', async (t) => {
  const { graph } = await cutOf(cut['a sum of items times their mask']!)
  const short = [{ ...lists[0]!, size: 7 }]
  t.equal(cutLists(fullVariant(graph), short, () => t.fail()).lists, undefined)
})
