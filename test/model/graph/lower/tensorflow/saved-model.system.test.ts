import { cp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import t, { type Test } from 'tap'
import type { GraphSource } from '../../../../../src/model/contracts/engine.ts'
import { createOnnxEngine } from '../../../../../src/model/engines/onnx/onnx.ts'
import { prepare } from '../../../../../src/model/graph/compile/prepare.ts'
import { isExternal } from '../../../../../src/model/graph/ir/constants.ts'
import { externalPlace } from '../../../../../src/model/graph/ir/external-data.ts'
import { readTensorflowGraph } from '../../../../../src/model/graph/lower/read-tensorflow-graph.ts'
import {
  DataType,
  type SavedModel,
  SavedModelSchema,
  TensorInfoSchema,
  TensorProtoSchema,
} from '../../../../../src/model/graph/lower/tensorflow/tensorflow_pb.ts'
import { fc, randomCases } from '../../../../support/cases.ts'
import { noReference, readReference } from '../../../../support/reference.ts'
import { freshFolder } from '../../../../support/tensorflow/fresh-folder.ts'
import {
  call,
  constant,
  floats,
  functionOf,
  integers,
  node,
  placeholder,
  shapeProto,
} from '../../../../support/tensorflow/graph-def.ts'
import { batchFor, errorOf, referenceGraphs } from '../../../../support/tensorflow/reference-graphs.ts'
import { type HandWritten, saveSavedModel } from '../../../../support/tensorflow/save-model.ts'

const { DT_FLOAT: F, DT_INT32: I, DT_STRING: S } = DataType
const engine = await createOnnxEngine({ threads: 1 })

const x = { x: ['x', F, [-1, 2]] } satisfies HandWritten['inputs']

/** The answer to two rows, 1 2 and 3 4. */
async function answer(source: GraphSource): Promise<number[]> {
  const graph = await engine.load(source)
  try {
    const [output] = source.outputs as [string]
    return [...(await graph.run({ rows: 2, inputs: { x: Float32Array.of(1, 2, 3, 4) } }, [output]))[output]!]
  } finally {
    await graph.close()
  }
}

t.test('puts functions in the place of their calls', async (t) => {
  const scaled = functionOf('scaled', ['value', 'factor'], [node('Mul', 'product', ['value', 'factor'])], {
    result: 'product:z:0',
    same: 'value',
  })
  const twice = functionOf(
    'twice',
    ['value', 'factor'],
    [
      call('first', 'scaled', ['value', 'factor']),
      call('second', 'scaled', ['first:output:0', 'factor']),
      node('Sub', 'less', ['second:output:0', 'second:output:1']),
    ],
    { result: 'less:z:0' },
  )
  const model: HandWritten = {
    nodes: [
      placeholder('x'),
      constant('three', floats([], [3])),
      call('call', 'twice', ['x', 'three']),
      // A function that is its own operator.
      node('scaled', 'own', ['call', 'three']),
      node('Identity', 'named', ['own:1']),
    ],
    functions: [scaled, twice],
    inputs: x,
    outputs: { answer: 'named:0' },
  }
  // 9x − 3x
  t.same(await answer(await saveSavedModel(await freshFolder(t), model)), [6, 12, 18, 24])
})

t.test('gives variables what the graph itself would restore', async (t) => {
  const read = functionOf(
    'read',
    ['value', 'w', 'b'],
    [
      node('ReadVariableOp', 'kernel', ['w']),
      node('ReadVariableOp', 'bias', ['b']),
      node('MatMul', 'product', ['value', 'kernel:value:0']),
      node('BiasAdd', 'sum', ['product:product:0', 'bias:value:0']),
    ],
    { result: 'sum:output:0' },
  )
  const model: HandWritten = {
    nodes: [placeholder('x'), call('call', 'read', ['x', 'kernel', 'bias'])],
    functions: [read],
    inputs: x,
    outputs: { answer: 'call' },
    variables: {
      bias: { shape: [2], values: Float32Array.of(10, 20) },
      kernel: { shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) },
      // Nobody reads this one; Adam's moments are such.
      unread: { shape: [1], values: Float32Array.of(1) },
    },
  }
  t.same(await answer(await saveSavedModel(await freshFolder(t), model)), [17, 30, 25, 42])
})

t.test('leaves large tables in their file, as saved and as compiled', async (t) => {
  const [rows, width] = [4096, 8]
  const values = Float32Array.from({ length: rows * width }, (_, i) => i)
  const model: HandWritten = {
    nodes: [
      placeholder('ids', I),
      node('ResourceGather', 'looked_up', ['table', 'ids']),
      constant('axis', integers([1])),
      node('Sum', 'out', ['looked_up', 'axis'], { keep_dims: false }),
    ],
    inputs: { ids: ['ids', I, [-1, 2]] },
    outputs: { answer: 'out' },
    // The one before makes it lie at an odd place.
    variables: { before: { shape: [3], values: Float32Array.of(1, 2, 3) }, table: { shape: [rows, width], values } },
  }
  const source = await saveSavedModel(await freshFolder(t), model)
  const graph = await readTensorflowGraph(source)
  const [table] = graph.constants.values()
  t.ok(isExternal(table!))
  t.same(externalPlace(table!), {
    location: 'variables/variables.data-00000-of-00001',
    start: 12,
    length: values.byteLength,
  })

  const { plan, problem } = await prepare({
    source,
    output: 'answer',
    sides: undefined,
    fields: {},
    precision: 'float32',
    quantization: undefined,
    identity: '',
    cache: await freshFolder(t),
    now: 0,
  })
  t.equal(problem, undefined)
  for (const given of [source, { ...source, plan: plan! }]) {
    const loaded = await engine.load(given)
    const sums = (await loaded.run({ rows: 1, inputs: { ids: Int32Array.of(rows - 1, 1) } }, ['answer'])).answer!
    t.same(
      [...sums],
      Array.from({ length: width }, (_, i) => (rows - 1) * width + i + width + i),
    )
    const negative = { rows: 1, inputs: { ids: Int32Array.of(0, -1) } }
    await t.rejects(loaded.run(negative, ['answer']), { message: 'the input ids holds the id -1' })
    await t.rejects(loaded.run({ rows: 1, inputs: { ids: Int32Array.of(0, rows) } }, ['answer']), {
      code: 'MODEL_FAILED',
    })
    await loaded.close()
  }
  const data = join(source.folder, 'variables/variables.data-00000-of-00001')
  const bytes = await readFile(data)
  bytes[4000]! ^= 1
  await writeFile(data, bytes)
  await t.rejects(engine.load(source), {
    code: 'INVALID_BUNDLE',
    message: /data-00000-of-00001: table\/value, at byte 12: is damaged/,
  })
})

/** A SavedModel of one product, with a changed message. */
async function changed(t: Test, change: (model: SavedModel) => void): Promise<GraphSource> {
  const model = { nodes: [placeholder('x'), node('Mul', 'out', ['x', 'x'])], inputs: x, outputs: { answer: 'out' } }
  const source = await saveSavedModel(await freshFolder(t), model)
  const path = join(source.folder, source.file)
  const message = fromBinary(SavedModelSchema, await readFile(path))
  change(message)
  await writeFile(path, toBinary(SavedModelSchema, message))
  return source
}

t.test('takes the signature that is meant', async (t) => {
  const rename = (names: string[]) =>
    changed(t, ({ metaGraphs: [graph] }) => {
      const { serving_default: own } = graph!.signatureDef
      graph!.signatureDef = Object.fromEntries(names.map((name) => [name, own!]))
    })
  for (const names of [['serving_default', 'other'], ['other', 'serve'], ['only'], ['only', '__saved_model_init_op']])
    t.same(await answer(await rename(names)), [1, 4, 9, 16], names.join())
  t.same(await answer({ ...(await rename(['a', 'b'])), signature: 'b' }), [1, 4, 9, 16])
  const refused: [GraphSource, string][] = [
    [await rename(['a', 'b']), 'saved_model.pb: which of its signatures is meant, a, b?'],
    [{ ...(await rename(['a', 'b'])), signature: 'c' }, 'saved_model.pb: there is no signature c, but a, b'],
    [{ ...(await rename(['a'])), signature: '__proto__' }, 'saved_model.pb: there is no signature __proto__, but a'],
    [await rename([]), 'saved_model.pb: has no signature'],
  ]
  for (const [source, message] of refused)
    await t.rejects(engine.load(source), { code: 'INVALID_BUNDLE', message }, message)
})

t.test('refuses what is malformed, naming file and place', async (t) => {
  const cases: [string, Promise<GraphSource>, RegExp, string?][] = [
    ['no graph', changed(t, (model) => model.metaGraphs.splice(0)), /is a SavedModel without a graph/],
    [
      'two graphs',
      changed(t, ({ metaGraphs }) => {
        metaGraphs[0]!.metaInfoDef!.tags = ['a']
        metaGraphs.push(metaGraphs[0]!)
      }),
      /which of its graphs is meant, \[a\], \[a\]\?/,
    ],
    [
      'no outputs',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.signatureDef.serving_default!.outputs = {}
      }),
      /the signature serving_default has no outputs/,
    ],
    [
      'a node that is not there',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.graphDef!.node[1]!.input[0] = 'absent'
      }),
      /there is no node absent/,
    ],
    [
      'an input that is not there',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.graphDef!.node[1]!.input.pop()
      }),
      /node out \(Mul\): lacks its input 1/,
    ],
    [
      'an output that is not there',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.graphDef!.node[1]!.input[0] = 'x:7'
      }),
      /node x \(Placeholder\): its output 7/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'an output that is no number',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.graphDef!.node[1]!.input[0] = 'x:-1'
      }),
      /x has no output -1/,
    ],
    [
      'a node that depends on itself',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.graphDef!.node[1]!.input[0] = 'out'
      }),
      /the node out depends on itself/,
    ],
    [
      'two nodes of one name',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.graphDef!.node.push(g!.graphDef!.node[1]!)
      }),
      /two nodes are named out/,
    ],
    [
      'a placeholder that is no input',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.signatureDef.serving_default!.inputs = {}
      }),
      /node x \(Placeholder\): is no input of the signature/,
    ],
    [
      'an operator of nobody',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.graphDef!.node[1]!.op = 'Frobnicate'
      }),
      /^saved_model.pb: node out \(Frobnicate\): this operator is not supported$/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'an operator of every object',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.graphDef!.node[1]!.op = 'constructor'
      }),
      /node out \(constructor\): this operator/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'strings',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.signatureDef.serving_default!.inputs.x!.dtype = S
      }),
      /the input x is string, not float32 or an integer/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a ragged input',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.signatureDef.serving_default!.inputs.x = create(TensorInfoSchema, {
          encoding: { case: 'compositeTensor', value: {} },
        })
      }),
      /the input x is ragged/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a sparse input',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.signatureDef.serving_default!.inputs.x = create(TensorInfoSchema, {
          encoding: { case: 'cooSparse', value: {} },
        })
      }),
      /the input x is sparse/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'an open rank',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.signatureDef.serving_default!.inputs.x!.tensorShape!.unknownRank = true
      }),
      /the shape of the input x is open/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'an open width',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.signatureDef.serving_default!.inputs.x!.tensorShape = shapeProto([-1, -1])
      }),
      /the input x has no fixed width/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a fixed batch',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.signatureDef.serving_default!.inputs.x!.tensorShape = shapeProto([8, 2])
      }),
      /has room for 8 rows alone/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'an output named like an input',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.signatureDef.serving_default!.outputs.x = g!.signatureDef.serving_default!.outputs.answer!
      }),
      /two inputs or outputs are named "x"/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a function that is not there',
      changed(t, ({ metaGraphs: [g] }) => {
        g!.graphDef!.node[1] = call('out', 'absent', ['x'])
      }),
      /out: there is no function absent/,
    ],
  ]
  for (const [what, made, message, code = 'INVALID_BUNDLE'] of cases)
    await t.rejects(engine.load(await made), { code, message }, what)

  const whole = await changed(t, () => undefined)
  const path = join(whole.folder, whole.file)
  const bytes = await readFile(path)
  await t.rejects(engine.load({ ...whole, file: 'absent.pb' }), {
    code: 'INVALID_BUNDLE',
    message: 'absent.pb: is missing',
  })
  await t.rejects(engine.load({ ...whole, file: '../saved_model.pb' }), {
    code: 'INVALID_BUNDLE',
    message: /is not a path inside/,
  })
  await t.rejects(engine.load({ ...whole, outputs: ['other'] }), {
    code: 'INVALID_BUNDLE',
    message: /there is no output other/,
  })
  for (let length = 1; length < bytes.length; length += 7) {
    await writeFile(path, bytes.subarray(0, length))
    await t.rejects(
      engine.load(whole),
      { code: /INVALID_BUNDLE|UNSUPPORTED_GRAPH/, message: /^saved_model.pb: / },
      `${length} bytes`,
    )
  }
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 100 }), async (garbage) => {
      await writeFile(path, garbage)
      await engine.load(whole).then(
        () => Promise.reject(new Error('garbage was loaded')),
        (error) => (/INVALID_BUNDLE|UNSUPPORTED_GRAPH/.test(error.code) ? undefined : Promise.reject(error)),
      )
    }),
    { numRuns: randomCases(100) },
  )
})

t.test('bounds what functions and constants grow to', async (t) => {
  const model = (parts: Partial<HandWritten>): HandWritten => ({
    nodes: [],
    inputs: x,
    outputs: { answer: 'out' },
    ...parts,
  })
  const callee = (name: string, inner: string) =>
    functionOf(name, ['v'], [call('a', inner, ['v']), call('b', inner, ['a:output:0'])], { r: 'b:output:0' })
  const levels = Array.from({ length: 40 }, (_, i) => callee(`f${i}`, `f${i + 1}`))
  const last = functionOf('f40', ['v'], [node('Neg', 'n', ['v'])], { r: 'n:y:0' })
  const deep = Array.from({ length: 200 }, (_, i) =>
    functionOf(`g${i}`, ['v'], [call('a', `g${i + 1}`, ['v'])], { r: 'a:output:0' }),
  )
  const passed = functionOf('same', ['v'], [], { r: 'v' })
  const repeated = (dims: number[]) =>
    create(TensorProtoSchema, { dtype: F, tensorShape: shapeProto(dims), floatVal: [1] })
  const start = placeholder('x')
  const grown = (times: string) => [
    start,
    constant('times', integers([1, 2 ** 30])),
    constant('to', integers([2 ** 20, 2 ** 20])),
    constant('one', floats([], [1])),
    times === 'Tile' ? node('Tile', 'big', ['x', 'times']) : node('Fill', 'big', ['to', 'one']),
    node('AddV2', 'out', ['big', 'one']),
  ]
  const cases: [string, HandWritten, RegExp, string][] = [
    [
      'a function that calls itself',
      model({
        nodes: [start, call('out', 'f', ['x'])],
        functions: [functionOf('f', ['v'], [call('again', 'f', ['v'])], { r: 'again:output:0' })],
      }),
      /the function f calls itself/,
      'INVALID_BUNDLE',
    ],
    [
      'two that call each other',
      model({
        nodes: [start, call('out', 'f', ['x'])],
        functions: [
          functionOf('f', ['v'], [call('a', 'g', ['v'])], { r: 'a:output:0' }),
          functionOf('g', ['v'], [call('a', 'f', ['v'])], { r: 'a:output:0' }),
        ],
      }),
      /the function f calls itself/,
      'INVALID_BUNDLE',
    ],
    [
      'calls that double',
      model({ nodes: [start, call('out', 'f0', ['x'])], functions: [...levels, last] }),
      /more than \d+ (calls|nodes)/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'calls within calls',
      model({
        nodes: [start, call('out', 'g0', ['x'])],
        functions: [...deep, functionOf('g200', ['v'], [], { r: 'v' })],
      }),
      /calls are nested deeper than 100/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a call of its own answer',
      model({ nodes: [start, call('out', 'same', ['out'])], functions: [passed] }),
      /more than \d+ calls and arguments/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a chain of a million nodes',
      model({
        nodes: [
          start,
          ...Array.from({ length: 1_000_000 }, (_, i) =>
            node('Neg', i === 999_999 ? 'out' : `n${i}`, [i === 0 ? 'x' : `n${i - 1}`]),
          ),
        ],
      }),
      /has 1000001 nodes, more than 100000/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      '2^40 elements of one value',
      model({ nodes: [start, constant('c', repeated([2 ** 20, 2 ** 20])), node('AddV2', 'out', ['x', 'c'])] }),
      /node c \(Const\): a constant of 4398046511104 bytes/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'many constants of one value',
      model({
        nodes: [
          start,
          ...Array.from({ length: 9 }, (_, i) => constant(`c${i}`, repeated([1, 2 ** 21]))),
          node('AddN', 'out', ['x', ...Array.from({ length: 9 }, (_, i) => `c${i}`)]),
        ],
      }),
      /node c8 \(Const\): a constant of 8388608 bytes/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a negative side',
      model({ nodes: [start, constant('c', repeated([-1])), node('AddV2', 'out', ['x', 'c'])] }),
      /node c \(Const\): a constant of the shape \[-1\]/,
      'INVALID_BUNDLE',
    ],
    [
      'values of another shape',
      model({
        nodes: [
          start,
          constant('c', { ...floats([2], [1, 2]), tensorShape: shapeProto([3]) }),
          node('AddV2', 'out', ['x', 'c']),
        ],
      }),
      /its 8 bytes are not those of float32 \[3\]/,
      'INVALID_BUNDLE',
    ],
    [
      'tiles without end',
      model({ nodes: grown('Tile') }),
      /node big \(Tile\): computes \d+ elements per row/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a fill without end',
      model({ nodes: grown('Fill') }),
      /node big \(Fill\): computes 1099511627776 elements per row/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'parts without end',
      model({ nodes: [start, node('Unpack', 'out', ['x'], { num: 2 ** 40, axis: 1 })] }),
      /node out \(Unpack\): makes 1099511627776 parts/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a variable that was not saved',
      model({
        nodes: [
          start,
          node('VarHandleOp', 'w'),
          node('ReadVariableOp', 'read', ['w']),
          node('AddV2', 'out', ['x', 'read']),
        ],
      }),
      /the variable w was not saved/,
      'INVALID_BUNDLE',
    ],
    [
      'a variable as a number',
      model({
        nodes: [start, node('AddV2', 'out', ['x', 'w'])],
        variables: { w: { shape: [2], values: Float32Array.of(1, 2) } },
      }),
      /node out \(AddV2\): reads the variable w\/value in a way/,
      'UNSUPPORTED_GRAPH',
    ],
  ]
  for (const [what, graph, message, code] of cases)
    await t.rejects(engine.load(await saveSavedModel(await freshFolder(t), graph)), { code, message }, what)
})

t.test('computes a graph of ten thousand nodes', async (t) => {
  const nodes = Array.from({ length: 10_000 }, (_, i) =>
    node('Neg', i === 9999 ? 'out' : `n${i}`, [i === 0 ? 'x' : `n${i - 1}`]),
  )
  const source = await saveSavedModel(await freshFolder(t), {
    nodes: [placeholder('x'), ...nodes],
    inputs: x,
    outputs: { answer: 'out' },
  })
  t.same(await answer(source), [1, 2, 3, 4])
})

t.test('refuses damaged variables, naming their file', { skip: noReference }, async (t) => {
  const { source, model } = referenceGraphs.find(({ name }) => name === 'saved_model')!
  const folder = await freshFolder(t)
  await cp(source.folder, folder, { recursive: true })
  const copy = { ...source, folder }
  const loaded = await engine.load(copy)
  const reference = await readReference(model)
  const [output] = copy.outputs as [string]
  t.ok(
    errorOf((await loaded.run(batchFor(loaded.signature, reference), [output]))[output]!, reference.probabilities) <
      1e-5,
  )
  await loaded.close()
  const [index, data] = ['index', 'data-00000-of-00001'].map((end) => join(folder, `variables/variables.${end}`)) as [
    string,
    string,
  ]
  const bytes = await readFile(index)
  for (const [what, damage, message] of [
    ['cut off', bytes.subarray(0, bytes.length - 100), /^variables\/variables.index: is not the index/],
    [
      'changed',
      Uint8Array.from(bytes, (byte, i) => (i === 100 ? byte ^ 4 : byte)),
      /^variables\/variables.index: the block at byte 0: is damaged/,
    ],
  ] as const) {
    await writeFile(index, damage)
    await t.rejects(engine.load(copy), { code: 'INVALID_BUNDLE', message }, what)
  }
  await writeFile(index, bytes)
  await truncate(data, 1000)
  await t.rejects(engine.load(copy), {
    code: 'INVALID_BUNDLE',
    message: /lie outside of variables.data-00000-of-00001/,
  })
  await rm(data)
  await t.rejects(engine.load(copy), { code: 'INVALID_BUNDLE', message: /data-00000-of-00001: is missing/ })
  await rm(index)
  await t.rejects(engine.load(copy), { code: 'INVALID_BUNDLE', message: 'variables/variables.index: is missing' })
})
