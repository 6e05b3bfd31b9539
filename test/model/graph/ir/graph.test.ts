import { create } from '@bufbuild/protobuf'
import t from 'tap'
import { attribute, floatAttribute, intAttribute, intsAttribute } from '../../../../src/model/graph/ir/attributes.ts'
import { isExternal } from '../../../../src/model/graph/ir/constants.ts'
import { Graph } from '../../../../src/model/graph/ir/graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProtoSchema,
} from '../../../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { smallGraph } from '../../../support/compile/law.ts'
import {
  answersOf,
  answerWith,
  differenceOf,
  emptyGraph,
  feedsOf,
  operatorsOf,
  reread,
} from '../../../support/compile/run-graph.ts'

const relu = (graph: Graph, name: string) => graph.node('Relu', [name])
const namesOf = (graph: Graph) => graph.nodes.map(({ input, output }) => `${input} → ${output}`)

t.test('tidy', async (t) => {
  t.test('drops what no output needs', async (t) => {
    const graph = smallGraph((g) => relu(g, g.node('Add', ['x', g.constant('used', new Float32Array(6), [6])])))
    graph.node('Mul', ['y', graph.constant('unused', new Float32Array(6), [6])])
    graph.tidy()
    t.equal(operatorsOf(graph), 'Add Relu')
    t.same([...graph.constants.keys()], ['used'])
    t.equal(graph.floats('unused'), undefined)
  })

  t.test('keeps a constant that is an output', async (t) => {
    const graph = emptyGraph({ x: floatShape(-1, 1) })
    answerWith(graph, graph.constant('answer', Float32Array.of(42), [1]))
    graph.tidy()
    t.ok(graph.constants.has('answer'))
  })

  t.test('puts nodes in an order that can be computed', async (t) => {
    const graph = smallGraph((g) => g.node('Sum', [relu(g, relu(g, 'x')), relu(g, 'y'), 'x']))
    const feeds = [feedsOf(graph, 2, new Dice(1))]
    const expected = await answersOf(graph, feeds)
    graph.nodes.reverse()
    graph.touch()
    t.equal(differenceOf(expected, await answersOf(graph, feeds)), undefined)
  })

  t.test('takes deep graphs', async (t) => {
    const graph = emptyGraph({ x: floatShape(-1, 1) })
    let name = 'x'
    for (let i = 0; i < 20_000; i++) name = graph.node('Relu', [name], { outputs: [`relu:${i}`] })
    answerWith(graph, name)
    graph.tidy()
    t.equal(graph.nodes.length, 20_000)
  })

  t.test('refuses nodes that depend on themselves', async (t) => {
    const graph = smallGraph((g) => relu(g, g.node('Add', ['x', 'later'], { outputs: ['sooner'] })))
    graph.node('Neg', ['sooner'], { outputs: ['later'] })
    t.throws(() => graph.tidy(), { code: 'INVALID_BUNDLE', message: 'the node sooner depends on itself' })
  })
})

t.test('replace', async (t) => {
  t.test('rewires all that read a tensor', async (t) => {
    const graph = smallGraph((g) => [relu(g, g.node('Neg', ['x'])), g.node('Add', ['neg', 'neg'])])
    graph.replace('neg', 'y')
    t.same(namesOf(graph).slice(1), ['y → relu', 'y,y → add'])
    t.same(
      graph.users('y').map(({ opType }) => opType),
      ['Relu', 'Add'],
    )
    t.same(graph.users('neg'), [])
  })

  t.test("keeps an output's name, for what answers it now", async (t) => {
    const graph = smallGraph((g) => g.node('Neg', ['x']))
    relu(graph, 'y')
    graph.shapes.set('relu', floatShape(-1, 6))
    graph.node('Abs', ['relu'])
    graph.replace('neg', 'relu')
    t.equal(graph.producer('neg')!.opType, 'Relu')
    t.same(graph.producer('abs')!.input, ['neg'])
    t.same(graph.shapes.get('neg'), floatShape(-1, 6))
    graph.tidy()
    t.same(namesOf(graph), ['y → neg'])
  })

  t.test('answers an input, a constant or another output by an Identity', async (t) => {
    const graph = smallGraph((g) => [g.node('Neg', ['x']), g.node('Abs', ['x']), g.node('Sin', ['x'])])
    graph.replace('neg', 'y')
    graph.replace('abs', 'sin')
    t.same(graph.producer('neg')!.input, ['y'])
    t.same(graph.producer('abs')!.input, ['sin'])
    t.equal(graph.producer('sin')!.opType, 'Sin')
    const feeds = [feedsOf(graph, 3, new Dice(1))]
    const [answers] = await answersOf(graph, feeds)
    t.same([...answers!.neg!.values], [...(feeds[0]!.y!.data as Float32Array)])
    t.same(answers!.abs, answers!.sin)
  })

  t.test('takes one output of a node for another', async (t) => {
    const graph = smallGraph((g) => {
      const [first, second] = g.nodeOf('Split', ['x', g.integers([3, 3])], 2, { attributes: { axis: 1 } })
      return [first!, g.node('Neg', [second!])]
    })
    const feeds = [feedsOf(graph, 3, new Dice(1))]
    const [before] = await answersOf(graph, feeds)
    graph.replace('split', 'split:1')
    const [after] = await answersOf(graph, feeds)
    t.same(
      [...after!.split!.values],
      [...before!.neg!.values].map((value) => -value),
    )
    t.equal(differenceOf([{ neg: before!.neg! }], [after!]), undefined)
  })
})

t.test('gives every node another name, whatever its output was renamed to', async (t) => {
  const graph = smallGraph((g) =>
    g.node('Neg', g.nodeOf('Split', ['x', g.integers([3, 3])], 2, { attributes: { axis: 1 } }).slice(0, 1)),
  )
  graph.producer('split')!.output[0] = 'elsewhere'
  graph.producer('neg')!.input[0] = 'elsewhere'
  graph.touch()
  const copy = graph.copy()
  answerWith(copy, ...copy.nodeOf('Split', ['y', copy.integers([3, 3])], 2, { attributes: { axis: 1 } }))
  const names = copy
    .toModel()
    .graph!.node.map(({ name }) => name)
    .filter((name) => name !== '')
  t.equal(new Set(names).size, names.length)
  t.equal((await answersOf(copy, [feedsOf(copy, 2, new Dice(1))])).length, 1)
})

t.test('fresh names are names of nothing else', async (t) => {
  const graph = smallGraph((g) => relu(g, 'x'))
  t.equal(graph.fresh('x'), 'x:1')
  t.equal(graph.fresh('x'), 'x:2')
  t.equal(graph.fresh('relu'), 'relu:1')
  t.equal(graph.fresh('new'), 'new')
  const name = graph.constant('relu', Float32Array.of(1), [1])
  t.equal(name, 'relu:2')
  t.equal(graph.copy().fresh('relu:2'), 'relu:2:1')
  t.equal(reread(graph).fresh('y'), 'y:1')
})

t.test('a copy shares the data of constants, and nothing else', async (t) => {
  const graph = smallGraph((g) => relu(g, g.node('Add', ['x', g.constant('c', new Float32Array(6), [6])])))
  graph.shapes.set('add', floatShape(-1, 6))
  const copy = graph.copy()
  t.equal(copy.constants.get('c')!.rawData, graph.constants.get('c')!.rawData)
  copy.nodes[0]!.input[0] = 'y'
  copy.shapes.set('relu', floatShape(-1, 6))
  copy.inputs.splice(0)
  copy.outputs.splice(0)
  copy.tidy()
  t.equal(operatorsOf(graph), 'Add Relu')
  t.equal(graph.nodes[0]!.input[0], 'x')
  t.same([...graph.shapes.keys()], ['add'])
  t.equal(graph.inputs.length, 3)
  t.equal(graph.outputs.length, 1)
  t.ok(graph.constants.has('c'))
  t.equal(copy.opset, graph.opset)
})

t.test('says who reads what', async (t) => {
  const graph = smallGraph((g) => [relu(g, g.node('Neg', ['x'])), g.node('Abs', [g.node('Add', ['neg', 'neg'])])])
  t.same(
    graph.users('neg').map(({ opType }) => opType),
    ['Relu', 'Add'],
  )
  t.equal(graph.isPrivate('neg', graph.producer('add')!), false)
  t.equal(graph.isPrivate('add', graph.producer('abs')!), true)
  t.equal(graph.isPrivate('add', graph.producer('relu')!), false)
  t.ok(graph.isOutput('abs'))
  t.notOk(graph.isOutput('neg'))
  t.equal(graph.producer('x'), undefined)
  t.same(graph.users('nothing'), [])
})

t.test('constants', async (t) => {
  const graph = emptyGraph({})
  const put = (parts: object) => {
    const name = graph.fresh('c')
    graph.constants.set(name, create(TensorProtoSchema, { name, ...parts }))
    return name
  }
  const shifted = (bytes: ArrayBuffer, by: number) => {
    const whole = new Uint8Array(bytes.byteLength + by)
    whole.set(new Uint8Array(bytes), by)
    return whole.subarray(by)
  }
  const floats = Float32Array.of(1.5, -2, 3)
  for (const name of [
    graph.constant('c', floats, [3]),
    put({ dataType: DataType.FLOAT, floatData: [...floats] }),
    put({ dataType: DataType.FLOAT, rawData: shifted(floats.buffer, 1) }),
    put({ dataType: DataType.FLOAT, rawData: shifted(floats.buffer, 4) }),
  ]) {
    t.same([...graph.floats(name)!], [...floats])
    t.equal(graph.floats(name), graph.floats(name), 'read once')
    t.equal(graph.integersOf(name), undefined)
  }
  const wide = BigInt64Array.of(-1n, 2n ** 40n)
  const narrow = Int32Array.of(-1, 7)
  for (const [name, expected] of [
    [graph.integers([-1, 2 ** 40]), [-1, 2 ** 40]],
    [put({ dataType: DataType.INT64, int64Data: [...wide] }), [-1, 2 ** 40]],
    [put({ dataType: DataType.INT64, rawData: shifted(wide.buffer, 3) }), [-1, 2 ** 40]],
    [graph.constant('c', narrow, [2]), [-1, 7]],
    [put({ dataType: DataType.INT32, int32Data: [...narrow] }), [-1, 7]],
  ] as const) {
    t.same(graph.integersOf(name), expected)
    t.equal(graph.floats(name), undefined)
  }
  const external = put({ dataType: DataType.FLOAT, dims: [4n, 2n], dataLocation: DataLocation.EXTERNAL })
  t.equal(graph.floats(external), undefined)
  t.ok(isExternal(graph.constants.get(external)!))
  t.same(graph.dimsOf(external), [4, 2])
  t.equal(graph.integersOf(put({ dataType: DataType.INT64, dataLocation: DataLocation.EXTERNAL })), undefined)
  for (const name of [
    graph.constant('c', Uint8Array.of(1), [1]),
    graph.constant('c', Int8Array.of(1), [1]),
    'nothing',
  ]) {
    t.equal(graph.floats(name), undefined)
    t.equal(graph.integersOf(name), undefined)
  }
  t.equal(graph.dimsOf('nothing'), undefined)
})

t.test('attributes', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 1) })
  const attributes = { axis: -1, alpha: { float: 0.5 }, perm: [1, 0], mode: 'linear' }
  answerWith(graph, graph.node('Made', ['x'], { attributes, domain: 'com.microsoft' }))
  const read = reread(graph)
  const [node] = read.nodes
  t.equal(intAttribute(node!, 'axis', 0), -1)
  t.equal(intAttribute(node!, 'other', 7), 7)
  t.equal(floatAttribute(node!, 'alpha', 1), 0.5)
  t.equal(floatAttribute(node!, 'other', 1), 1)
  t.same(intsAttribute(node!, 'perm'), [1, 0])
  t.equal(intsAttribute(node!, 'other'), undefined)
  t.equal(new TextDecoder().decode(attribute(node!, 'mode')!.s), 'linear')
  t.equal(graph.toModel().opsetImport.find(({ domain }) => domain === 'com.microsoft')?.version, 1n)
})

t.test('a declared side is fixed, the batch, or a multiple of it', (t) => {
  const declared = declare('x', floatShape(-1, 3, -2)).type!.value
  if (declared.case !== 'tensorType') throw new Error('no tensor')
  t.same(
    declared.value.shape!.dim.map(({ value }) => value.value),
    ['batch', 3n, 'batch*2'],
  )
  t.end()
})

t.test('reads a model', async (t) => {
  const model = (graph: object, rest: object = {}) =>
    create(ModelProtoSchema, {
      graph: create(GraphProtoSchema, graph),
      opsetImport: [{ domain: 'ai.onnx', version: 15n }],
      ...rest,
    })
  const tensor = { name: 'c', dataType: DataType.FLOAT, dims: [1n], floatData: [1] }

  t.test('without constants that are listed as inputs', async (t) => {
    const graph = Graph.from(model({ input: [{ name: 'x' }, { name: 'c' }], initializer: [tensor] }), '.')
    t.same(
      graph.inputs.map(({ name }) => name),
      ['x'],
    )
    t.same([...graph.constants.keys()], ['c'])
    t.equal(graph.opset, 15)
  })

  const nested = create(GraphProtoSchema, {})
  const refused: Record<string, [Parameters<typeof Graph.from>[0], string, RegExp]> = {
    'without a graph': [create(ModelProtoSchema, {}), 'INVALID_BUNDLE', /has no graph/],
    'with functions': [model({}, { functions: [{ name: 'f' }] }), 'UNSUPPORTED_GRAPH', /^functions/],
    'with sparse constants': [model({ sparseInitializer: [{}] }), 'UNSUPPORTED_GRAPH', /sparse constants/],
    'with a graph in a node': [
      model({ node: [{ opType: 'If', name: 'choice', attribute: [{ name: 'then_branch', g: nested }] }] }),
      'UNSUPPORTED_GRAPH',
      /^If choice contains a subgraph$/,
    ],
    'with two nodes of one output': [
      model({
        node: [
          { opType: 'Relu', name: 'first', output: ['y', ''] },
          { opType: 'Tanh', output: ['', 'y'] },
        ],
      }),
      'INVALID_BUNDLE',
      /^y is defined twice: it is the output of Relu first and the output of Tanh$/,
    ],
    'with one output name twice': [
      model({ node: [{ opType: 'Split', name: 's', output: ['y', 'y'] }] }),
      'INVALID_BUNDLE',
      /^y is defined twice: it is the output of Split s and the output of Split s$/,
    ],
    'with a node of the name of an input': [
      model({ input: [{ name: 'x' }], node: [{ opType: 'Relu', name: 'r', output: ['x'] }] }),
      'INVALID_BUNDLE',
      /^x is defined twice: it is an input of the graph and the output of Relu r$/,
    ],
    'with a node of the name of a constant': [
      model({ initializer: [tensor], node: [{ opType: 'Relu', name: 'r', output: ['c'] }] }),
      'INVALID_BUNDLE',
      /^c is defined twice: it is a constant and the output of Relu r$/,
    ],
    'with graphs in a node': [
      model({ node: [{ opType: 'Any', attribute: [{ name: 'branches', graphs: [nested] }] }] }),
      'UNSUPPORTED_GRAPH',
      /^Any {2}contains a subgraph$/,
    ],
  }
  for (const [name, [refusedModel, code, message]] of Object.entries(refused))
    t.test(`not one ${name}`, async (t) => {
      t.throws(() => Graph.from(refusedModel, '.'), { code, message })
    })
})

t.test('says the same after being written and read', async (t) => {
  const graph = smallGraph((g) => g.node('Add', [relu(g, 'x'), g.constant('c', Float32Array.of(1), [1])]))
  const again = reread(graph)
  t.same(again.toModel(), graph.toModel())
})
