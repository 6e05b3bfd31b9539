import { toBinary } from '@bufbuild/protobuf'
import type { Tensor } from 'onnxruntime-node'
import t from 'tap'
import { product } from '../../../../src/base/arrays.ts'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { differentiate } from '../../../../src/model/graph/gradients/differentiate.ts'
import type { AttributeValue } from '../../../../src/model/graph/ir/attributes.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { ModelProtoSchema, type NodeProto } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { traceShapes } from '../../../../src/model/graph/ir/shapes.ts'
import { declare, floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { operators, ruleOf } from '../../../../src/model/graph/operators/table.ts'
import { unary } from '../../../../src/model/graph/operators/unary.ts'
import { createRandom, type Random } from '../../../../src/tools/data/random.ts'
import { emptyGraph } from '../../../support/compile/run-graph.ts'
import { inDouble } from '../../../support/double.ts'

/*
 * Every rule against float64 differences: the loss is a weighted sum of the operator's output, all of whose gradients
 * are compared. Then every term of the backward pass is removed in turn, and some gradient must change.
 */

interface Case {
  name: string
  /** Sides of each input; −1 is the batch. */
  inputs: Record<string, number[]>
  /** Draws a value; default: standard normal. */
  draw?: (random: Random) => number
  build: (graph: Graph) => string
  /** Operators whose removal is no fault here. */
  idle?: string[]
}

const step = 1e-6
const tolerance = 1e-6
const normal = (random: Random) => random.normal()
const small = (random: Random) => 2 * random.uniform() - 1
const positive = (random: Random) => 0.5 + random.uniform()

const vector = (graph: Graph, values: number[]) => graph.constant('vector', Float32Array.from(values), [values.length])
const number = (graph: Graph, value: number) => graph.constant('number', Float32Array.of(value), [])
const op =
  (opType: string, inputs: string[] = ['x'], attributes: Record<string, AttributeValue> = {}) =>
  (graph: Graph) =>
    graph.node(opType, inputs, { attributes })

const draws: Record<string, Case['draw']> = {
  Erf: small,
  Exp: small,
  Log: positive,
  Reciprocal: positive,
  Sqrt: positive,
}
/** Functions of one number; of those that are not here, cases follow. */
const unaries: Case[] = Object.keys(unary)
  .filter((opType) => ruleOf({ domain: '', opType }) !== undefined && !['Cast', 'Clip'].includes(opType))
  .map((name): Case => ({ name, inputs: { x: [-1, 3] }, draw: draws[name] ?? normal, build: op(name) }))
/** Where inputs differ everywhere, one alone equals the largest. */
const untied = (name: string) => (['Max', 'Min'].includes(name) ? { idle: ['Div', 'Add'] } : {})
const pairs: Case[] = ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Mean', 'Sum'].flatMap((name): Case[] => [
  { name, inputs: { x: [-1, 3], y: [-1, 3] }, draw: positive, build: op(name, ['x', 'y']), ...untied(name) },
  {
    name: `${name}, a row repeated`,
    inputs: { x: [-1, 3], y: [3] },
    draw: positive,
    build: op(name, ['x', 'y']),
    ...untied(name),
  },
  {
    name: `${name}, a column repeated`,
    inputs: { x: [-1, 1], y: [-1, 3] },
    draw: positive,
    build: op(name, ['x', 'y']),
    ...untied(name),
  },
  {
    name: `${name}, both repeated`,
    inputs: { x: [2, 1, 3], y: [-1, 1, 4, 1] },
    draw: positive,
    build: op(name, ['x', 'y']),
    ...untied(name),
  },
])

const cases: Case[] = [
  ...unaries,
  ...pairs,
  { name: 'Add, the same twice', inputs: { x: [-1, 3] }, build: op('Add', ['x', 'x']) },
  { name: 'Mul, the same twice', inputs: { x: [-1, 3] }, build: op('Mul', ['x', 'x']) },
  {
    name: 'Max of three',
    inputs: { x: [-1, 3], y: [-1, 3], z: [3] },
    build: op('Max', ['x', 'y', 'z']),
    ...untied('Max'),
  },
  { name: 'Max, the same twice', inputs: { x: [-1, 3] }, build: op('Max', ['x', 'x']), idle: ['Mul'] },
  {
    name: 'Elu and LeakyRelu, other slopes',
    inputs: { x: [-1, 4] },
    build: (g) =>
      g.node('Elu', [g.node('LeakyRelu', ['x'], { attributes: { alpha: { float: 0.3 } } })], {
        attributes: { alpha: { float: 1.7 } },
      }),
  },
  { name: 'Cast', inputs: { x: [-1, 2] }, build: op('Cast', ['x'], { to: 1 }) },
  { name: 'Clip', inputs: { x: [-1, 6] }, build: (g) => g.node('Clip', ['x', number(g, -0.5), number(g, 0.7)]) },
  { name: 'Pow', inputs: { x: [-1, 3] }, draw: positive, build: (g) => g.node('Pow', ['x', number(g, 2.5)]) },
  { name: 'Pow, a computed exponent', inputs: { x: [-1, 3], y: [3] }, draw: positive, build: op('Pow', ['x', 'y']) },
  {
    name: 'Where',
    inputs: { x: [-1, 3], y: [3], z: [-1, 3] },
    build: (g) => g.node('Where', [g.node('Greater', ['z', number(g, 0)]), 'x', 'y']),
  },
  { name: 'MatMul', inputs: { x: [-1, 3], w: [3, 4] }, build: op('MatMul', ['x', 'w']) },
  { name: 'MatMul of a stack by weights', inputs: { x: [-1, 2, 3], w: [3, 4] }, build: op('MatMul', ['x', 'w']) },
  { name: 'MatMul of two stacks', inputs: { x: [-1, 2, 3], y: [-1, 3, 2] }, build: op('MatMul', ['x', 'y']) },
  { name: 'MatMul of weights by a stack', inputs: { w: [2, 3], x: [-1, 3, 2] }, build: op('MatMul', ['w', 'x']) },
  {
    name: 'MatMul of a stack of rows by a stack',
    inputs: { x: [-1, 1, 3], y: [-1, 3, 2] },
    build: op('MatMul', ['x', 'y']),
  },
  {
    name: 'MatMul, the same twice',
    inputs: { x: [-1, 3], w: [3, 3] },
    build: (g) => g.node('Add', [g.node('MatMul', ['x', 'w']), g.node('MatMul', [g.node('MatMul', ['x', 'w']), 'w'])]),
  },
  {
    name: 'MatMul beside a path around it',
    inputs: { x: [-1, 3], w: [3, 3], v: [3, 2], u: [3, 2] },
    build: (g) => {
      const around = g.node('Add', [g.node('MatMul', ['x', 'w']), 'x'])
      return g.node('Add', [g.node('MatMul', [around, 'v']), g.node('MatMul', ['x', 'u'])])
    },
  },
  {
    name: 'MatMul of the same sum twice',
    inputs: { x: [-1, 3], y: [-1, 3], v: [3, 2], u: [3, 2] },
    build: (g) => {
      const sum = g.node('Add', ['x', 'y'])
      return g.node('Add', [g.node('MatMul', [g.node('Add', [sum, 'x']), 'v']), g.node('MatMul', ['x', 'u'])])
    },
  },
  { name: 'MatMul, a stack repeated', inputs: { x: [-1, 1, 2, 3], y: [4, 3, 2] }, build: op('MatMul', ['x', 'y']) },
  ...[0, 1].flatMap((transB): Case[] => [
    {
      name: `Gemm, transB ${transB}`,
      inputs: { x: [-1, 3], w: transB ? [4, 3] : [3, 4], b: [4] },
      build: op('Gemm', ['x', 'w', 'b'], { transB }),
    },
    {
      name: `Gemm, transA, transB ${transB}, scaled`,
      inputs: { x: [3, -1], w: transB ? [4, 3] : [3, 4], b: [1, 4] },
      build: op('Gemm', ['x', 'w', 'b'], { transA: 1, transB, alpha: { float: 0.5 }, beta: { float: 2 } }),
    },
  ]),
  {
    name: 'Einsum of a gate and experts',
    inputs: { x: [-1, 3], y: [-1, 3, 2] },
    build: op('Einsum', ['x', 'y'], { equation: 'be, beh -> bh' }),
  },
  {
    name: 'Einsum of all gates and experts',
    inputs: { x: [-1, 2, 3], y: [-1, 3, 2] },
    build: op('Einsum', ['x', 'y'], { equation: 'bte,beh->bth' }),
  },
  {
    name: 'Einsum of rows by a stack of weights',
    inputs: { x: [-1, 3], w: [2, 3, 4] },
    build: op('Einsum', ['x', 'w'], { equation: 'bi,eih->beh' }),
  },
  {
    name: 'Einsum without an arrow',
    inputs: { x: [-1, 3], w: [3, 2] },
    build: op('Einsum', ['x', 'w'], { equation: 'ik,kj' }),
  },
  {
    name: 'Einsum of one operand',
    inputs: { x: [-1, 3, 2] },
    build: op('Einsum', ['x'], { equation: 'abc->acb' }),
  },
  { name: 'Gemm without bias', inputs: { x: [-1, 3], w: [3, 2] }, build: op('Gemm', ['x', 'w']) },
  { name: 'Reshape', inputs: { x: [-1, 6] }, build: (g) => g.node('Reshape', ['x', g.integers([-1, 2, 3])]) },
  { name: 'Flatten', inputs: { x: [-1, 2, 3] }, build: op('Flatten') },
  { name: 'Squeeze', inputs: { x: [-1, 1, 3] }, build: (g) => g.node('Squeeze', ['x', g.integers([1])]) },
  { name: 'Unsqueeze', inputs: { x: [-1, 3] }, build: (g) => g.node('Unsqueeze', ['x', g.integers([1])]) },
  { name: 'Transpose', inputs: { x: [-1, 2, 3] }, build: op('Transpose', ['x'], { perm: [2, 0, 1] }) },
  { name: 'Transpose, reversed', inputs: { x: [-1, 2, 3] }, build: op('Transpose') },
  { name: 'Concat', inputs: { x: [-1, 2], y: [-1, 3] }, build: op('Concat', ['x', 'y', 'x'], { axis: -1 }) },
  { name: 'Concat of one', inputs: { x: [-1, 2] }, build: op('Concat', ['x'], { axis: 1 }) },
  {
    name: 'Split',
    inputs: { x: [-1, 5] },
    build: (g) => {
      const [a, b] = g.nodeOf('Split', ['x', g.integers([2, 3])], 2, { attributes: { axis: 1 } })
      return g.node('Concat', [b!, g.node('Tanh', [a!])], { attributes: { axis: 1 } })
    },
  },
  {
    name: 'Split, one part unused',
    inputs: { x: [-1, 5] },
    build: (g) => g.nodeOf('Split', ['x', g.integers([2, 3])], 2, { attributes: { axis: -1 } })[1]!,
  },
  {
    name: 'Slice',
    inputs: { x: [-1, 5, 2] },
    build: (g) => g.node('Slice', ['x', g.integers([1, 0]), g.integers([-1, 2 ** 31]), g.integers([1, 0])]),
  },
  {
    name: 'Slice without axes',
    inputs: { x: [-1, 5] },
    build: (g) => g.node('Slice', ['x', g.integers([0, 2]), g.integers([2 ** 31, 9])]),
  },
  { name: 'Expand', inputs: { x: [1, 3] }, build: (g) => g.node('Expand', ['x', g.integers([4, 3])]) },
  ...['ReduceSum', 'ReduceMean'].flatMap((name): Case[] =>
    [0, 1].map((keepdims) => ({
      name: `${name}, keepdims ${keepdims}`,
      inputs: { x: [-1, 2, 3] },
      build: (g: Graph) =>
        name === 'ReduceSum'
          ? g.node(name, ['x', g.integers([0, -1])], { attributes: { keepdims } })
          : g.node(name, ['x'], { attributes: { keepdims, axes: [0, -1] } }),
    })),
  ),
  {
    name: 'ReduceMax',
    inputs: { x: [-1, 4, 3] },
    build: (g) => g.node('ReduceMax', ['x'], { attributes: { keepdims: 0, axes: [1] } }),
    // No two of the numbers are equal.
    idle: ['Div'],
  },
  { name: 'ReduceMean of all', inputs: { x: [-1, 3] }, build: op('ReduceMean', ['x'], { keepdims: 0 }) },
  { name: 'ReduceSum of none', inputs: { x: [-1, 3] }, build: op('ReduceSum', ['x'], { noop_with_empty_axes: 1 }) },
  {
    // The second row is chosen twice.
    name: 'Gather of rows by computed indexes',
    inputs: { x: [4, 3] },
    build: (g) => {
      const places = g.node('Add', [
        g.constant('some', BigInt64Array.of(0n, 1n, 2n), [3]),
        g.constant('more', BigInt64Array.of(1n, 0n, 1n), [3]),
      ])
      return g.node('Gather', ['x', places], { attributes: { axis: 0 } })
    },
  },
  {
    name: 'ScatterND of rows beside zeros',
    inputs: { x: [2, 3] },
    build: (g) => {
      const zeros = g.constant('zeros', new Float32Array(12), [4, 3])
      return g.node('ScatterND', [zeros, g.constant('places', BigInt64Array.of(3n, 1n), [2, 1]), 'x'])
    },
  },
  {
    name: 'Gather of columns',
    inputs: { x: [-1, 4] },
    build: (g) => g.node('Gather', ['x', g.integers([2, 0, -2])], { attributes: { axis: 1 } }),
  },
  {
    name: 'Gather of one of a stack',
    inputs: { x: [-1, 3, 2] },
    build: (g) => g.node('Gather', ['x', g.constant('one', BigInt64Array.of(1n), [])], { attributes: { axis: 1 } }),
  },
  { name: 'Softmax', inputs: { x: [-1, 4] }, build: op('Softmax') },
  { name: 'Softmax, another axis', inputs: { x: [-1, 3, 2] }, build: op('Softmax', ['x'], { axis: 1 }) },
  { name: 'LogSoftmax', inputs: { x: [-1, 4] }, build: op('LogSoftmax') },
  {
    name: 'BatchNormalization',
    inputs: { x: [-1, 3], gamma: [3], beta: [3] },
    build: (g) => g.node('BatchNormalization', ['x', 'gamma', 'beta', vector(g, [0.1, -1, 0]), vector(g, [0.5, 1, 2])]),
  },
  {
    name: 'BatchNormalization in training',
    inputs: { x: [-1, 3], gamma: [3], beta: [3] },
    build: (g) =>
      g.node('BatchNormalization', ['x', 'gamma', 'beta', vector(g, [0.1, -1, 0]), vector(g, [0.5, 1, 2])], {
        attributes: { training_mode: 1, epsilon: { float: 0.25 } },
      }),
  },
  {
    name: 'BatchNormalization of channels in training',
    inputs: { x: [-1, 2, 3], gamma: [2], beta: [2] },
    build: (g) =>
      g.node('BatchNormalization', ['x', 'gamma', 'beta', vector(g, [0, 0]), vector(g, [1, 1])], {
        attributes: { training_mode: 1 },
      }),
  },
  {
    name: 'LayerNormalization',
    inputs: { x: [-1, 2, 3], gamma: [3], beta: [3] },
    build: op('LayerNormalization', ['x', 'gamma', 'beta'], { epsilon: { float: 0.25 } }),
  },
  {
    name: 'LayerNormalization of two axes without bias',
    inputs: { x: [-1, 2, 3], gamma: [2, 3] },
    build: op('LayerNormalization', ['x', 'gamma'], { axis: 1 }),
  },
]

const batch = 5

async function lossOf(one: Case) {
  const graph = emptyGraph(
    Object.fromEntries(Object.entries(one.inputs).map(([name, dims]) => [name, floatShape(...dims)])),
    17,
  )
  const y = one.build(graph)
  graph.outputs.push(declare(y, floatShape()))
  await traceShapes(graph)
  const shape = graph.shapes.get(y)!.dims
  // Weights that no symmetry of an operator cancels, the same for each row of the batch where it is first.
  const sides = shape.map((side) => (side < 0 ? 1 : side))
  const random = createRandom(5)
  const weights = graph.constant(
    'weights',
    Float32Array.from({ length: product(sides) }, normal.bind(undefined, random)),
    sides,
  )
  const squared = graph.node('Mul', [y, y], { shape: floatShape(...shape) })
  const mixed = graph.node('Add', [y, squared], { shape: floatShape(...shape) })
  const weighted = graph.node('Mul', [mixed, weights], { shape: floatShape(...shape) })
  const axes = shape.map((_, axis) => axis)
  const sum =
    axes.length === 0
      ? weighted
      : graph.node('ReduceSum', [weighted, graph.integers(axes)], { attributes: { keepdims: 0 }, shape: floatShape() })
  // So that the gradient which an operator is given is no power of two.
  const scaled = graph.node('Mul', [sum, number(graph, 0.01)], { shape: floatShape() })
  const loss = graph.node('Exp', [scaled], { shape: floatShape() })
  graph.outputs.splice(0, Infinity, declare(loss, floatShape()))
  graph.tidy()
  return { graph, loss }
}

type Values = Record<string, Float64Array>

function feedsOf(one: Case, values: Values): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(one.inputs).map(([name, dims]) => [
      name,
      new ort.Tensor(
        'float64',
        values[name]!,
        dims.map((side) => (side < 0 ? batch : side)),
      ),
    ]),
  )
}

const open = (graph: Graph) =>
  ort.InferenceSession.create(toBinary(ModelProtoSchema, inDouble(graph)), {
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })

async function numericGradients(one: Case, values: Values): Promise<Values> {
  const { graph, loss } = await lossOf(one)
  differentiate(graph, loss, [])
  const session = await open(graph)
  const at = async () => Number((await session.run(feedsOf(one, values)))[loss]!.data[0])
  const gradients: Values = {}
  for (const [name, inputs] of Object.entries(values)) {
    const gradient = new Float64Array(inputs.length)
    for (let i = 0; i < inputs.length; i++) {
      const kept = inputs[i]!
      inputs[i] = kept + step
      const above = await at()
      inputs[i] = kept - step
      const below = await at()
      inputs[i] = kept
      gradient[i] = (above - below) / (2 * step)
    }
    gradients[name] = gradient
  }
  await session.release()
  return gradients
}

/** Whether all gradients agree with the numeric ones; undefined if the graph can't be computed. */
async function agrees(one: Case, graph: Graph, names: Map<string, string>, values: Values, expected: Values) {
  const session = await open(graph).catch(() => undefined)
  if (session === undefined) return undefined
  try {
    const results = await session.run(feedsOf(one, values), [...new Set(names.values())])
    return Object.entries(expected).every(([input, wanted]) => {
      const found = results[names.get(input)!]!.data as Float64Array
      return (
        found.length === wanted.length &&
        wanted.every((value, i) => Math.abs(value - found[i]!) <= tolerance * Math.max(1, Math.abs(value)))
      )
    })
  } catch {
    return undefined
  } finally {
    await session.release()
  }
}

for (const one of cases)
  t.test(one.name, async (t) => {
    const random = createRandom(11)
    const values: Values = Object.fromEntries(
      Object.entries(one.inputs).map(([name, dims]) => [
        name,
        Float64Array.from({ length: Math.abs(product(dims)) * (dims.some((side) => side < 0) ? batch : 1) }, () =>
          (one.draw ?? normal)(random),
        ),
      ]),
    )
    const { graph, loss } = await lossOf(one)
    const forward = new Set(graph.nodes)
    const { gradients } = differentiate(graph, loss, Object.keys(one.inputs))
    const smooth = Object.fromEntries(Object.entries(values).filter(([name]) => gradients.has(name)))
    const expected = Object.fromEntries(
      Object.entries(await numericGradients(one, values)).filter(([name]) => name in smooth),
    )
    for (const name of Object.keys(one.inputs))
      if (!gradients.has(name)) t.equal(name, 'z', 'only a condition has no gradient')
    for (const [name, gradient] of gradients)
      t.same(graph.shapes.get(gradient)!.dims, one.inputs[name], `${name}: shape`)
    graph.outputs.splice(0, Infinity, ...[...new Set(gradients.values())].map((name) => declare(name, floatShape())))
    t.equal(await agrees(one, graph, gradients, values, expected), true, 'agrees with differences')

    // The forward pass of a normalisation in training is written out: its terms count too.
    graph.tidy()
    for (const [i, node] of graph.nodes.entries()) {
      if (forward.has(node) || one.idle?.includes(node.opType)) continue
      for (const term of termsOf(node)) {
        const broken = graph.copy()
        const copy = broken.nodes[i]!
        copy.opType = 'Identity'
        copy.attribute = []
        copy.input = [term]
        broken.touch()
        t.not(await agrees(one, broken, gradients, values, expected), true, `${node.opType} ${node.input} → ${term}`)
      }
    }
  })

/** The inputs that may take a node's place when one of its terms or factors is removed. */
function termsOf({ opType, input }: NodeProto): string[] {
  // The loss' own gradient is 1.
  if (input.includes('scalar:1') && opType === 'Mul') return []
  if (['Add', 'Sub', 'Mul', 'Div'].includes(opType)) return input.slice(0, 2)
  return ['Neg', 'Sign', 'Exp', 'Log', 'Sigmoid', 'Sqrt', 'Reciprocal'].includes(opType) ? input.slice(0, 1) : []
}

t.test('every operator that has a rule is tested', async (t) => {
  const tested = new Set<string>()
  for (const one of cases) {
    const { graph } = await lossOf(one)
    for (const { opType } of graph.nodes) tested.add(opType)
  }
  t.same(
    [...operators.keys()].filter((opType) => ruleOf({ domain: '', opType }) && !tested.has(opType)),
    [],
  )
})
