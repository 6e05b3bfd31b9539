import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Engine, GraphSource } from '../../../../../src/model/contracts/engine.ts'
import { createOnnxEngine } from '../../../../../src/model/engines/onnx/onnx.ts'
import { createTensorflowEngine } from '../../../../../src/model/engines/tensorflow/tensorflow.ts'
import { DataType } from '../../../../../src/model/graph/lower/tensorflow/tensorflow_pb.ts'
import { fc, randomCases } from '../../../../support/cases.ts'
import { Dice } from '../../../../support/compile/dice.ts'
import { freshFolder } from '../../../../support/tensorflow/fresh-folder.ts'
import {
  constant,
  floats,
  integers,
  node,
  placeholder,
  type as typeOf,
} from '../../../../support/tensorflow/graph-def.ts'
import { graphModelFile, type HandWritten, saveGraphModel } from '../../../../support/tensorflow/save-model.ts'

const { DT_FLOAT: F, DT_INT64: L } = DataType
const onnx = await createOnnxEngine({ threads: 1 })
const cpu = await createTensorflowEngine({ backend: 'cpu' })

const linear: HandWritten = {
  nodes: [
    placeholder('x'),
    constant('w', floats([2, 2], [1, 2, 3, 4])),
    node('MatMul', 'product', ['x', 'w']),
    node('Relu', 'Identity', ['product']),
  ],
  inputs: { features: ['x', F, [-1, 2]] },
  outputs: { answer: 'Identity' },
}

async function answer(engine: Engine, source: GraphSource, rows = [1, 2, 3, 4]): Promise<number[]> {
  const graph = await engine.load(source)
  try {
    const { name } = graph.signature.inputs[0]!
    const [output] = source.outputs as [string]
    return [...(await graph.run({ rows: 2, inputs: { [name]: Float32Array.from(rows) } }, [output]))[output]!]
  } finally {
    await graph.close()
  }
}

t.test("computes erfc, of which Keras' gelu is made", async (t) => {
  const graph: HandWritten = {
    nodes: [placeholder('x'), node('Erfc', 'Identity', ['x'])],
    inputs: { features: ['x', F, [-1, 2]] },
    outputs: { answer: 'Identity' },
  }
  const answers = await answer(onnx, await saveGraphModel(await freshFolder(t), graph), [0, 0.5, -0.5, 2])
  for (const [i, expected] of [1, 0.479500122, 1.520499878, 0.004677735].entries())
    t.ok(Math.abs(answers[i]! - expected) < 1e-6, `${answers[i]} is ${expected}`)
})

/** The linear model, its model.json changed. */
async function changed(t: Test, change: (json: any) => void): Promise<GraphSource> {
  const source = await saveGraphModel(await freshFolder(t), linear)
  const { json } = graphModelFile(linear)
  change(json)
  await writeFile(join(source.folder, source.file), JSON.stringify(json))
  return source
}

t.test('takes names from the signature, or from the graph where there is none', async (t) => {
  const source = await saveGraphModel(await freshFolder(t), linear)
  for (const engine of [onnx, cpu]) t.same(await answer(engine, source), [7, 10, 15, 22])
  const without = await changed(t, (json) => {
    delete json.signature
    const [x] = json.modelTopology.node
    x.attr.shape = { shape: { dim: [{ size: '-1' }, { size: '2' }] } }
  })
  for (const engine of [onnx, cpu]) {
    const source = { ...without, outputs: ['Identity'] }
    t.same(await answer(engine, source), [7, 10, 15, 22])
    t.equal((await engine.load(source)).signature.inputs[0]?.name, 'x')
  }
  const early = await changed(t, (json) => {
    json.userDefinedMetadata = { signature: json.signature }
    delete json.signature
  })
  for (const engine of [onnx, cpu]) t.same(await answer(engine, early), [7, 10, 15, 22])
})

t.test('counts in int32 what the graph calls int64', async (t) => {
  const model: HandWritten = {
    nodes: [
      placeholder('ids', L),
      constant('table', floats([3, 2], [1, 2, 3, 4, 5, 6])),
      constant('axis', integers([0], [])),
      node('GatherV2', 'rows', ['table', 'ids', 'axis'], { Tindices: typeOf(L) }),
      constant('all', integers([1])),
      node('Sum', 'out', ['rows', 'all'], { keep_dims: false }),
    ],
    inputs: { ids: ['ids', L, [-1, 2]] },
    outputs: { answer: 'out' },
  }
  const source = await saveGraphModel(await freshFolder(t), model)
  const graph = await onnx.load(source)
  t.same(graph.signature.inputs, [{ name: 'ids', dtype: 'int32', width: 2 }])
  t.same([...(await graph.run({ rows: 1, inputs: { ids: Int32Array.of(2, 1) } }, ['answer'])).answer!], [8, 10])
})

t.test('decodes quantised weights as TensorFlow.js does', async (t) => {
  const sizes = { uint8: 1, uint16: 2, float16: 2 } as const
  const folder = await freshFolder(t)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<keyof typeof sizes>('uint8', 'uint16', 'float16'),
      fc.boolean(),
      fc.double({ min: 0.001, max: 2, noNaN: true }),
      fc.double({ min: -3, max: 3, noNaN: true }),
      fc.nat(),
      async (dtype, whole, scale, min, seed) => {
        const dice = new Dice(seed)
        const width = 4
        const ofIntegers = whole && dtype !== 'float16'
        const model: HandWritten = {
          nodes: [
            placeholder('x'),
            ofIntegers ? constant('w', integers([0, 0, 0, 0])) : constant('w', floats([width], [0, 0, 0, 0])),
            ...(ofIntegers
              ? [node('Cast', 'floats', ['w'], { SrcT: typeOf(DataType.DT_INT32), DstT: typeOf(F) })]
              : [node('Identity', 'floats', ['w'])]),
            node('AddV2', 'out', ['x', 'floats']),
          ],
          inputs: { x: ['x', F, [-1, width]] },
          outputs: { answer: 'out' },
        }
        const { json } = graphModelFile(model)
        const [weight] = json.weightsManifest[0]!.weights
        weight!.quantization = dtype === 'float16' ? { dtype } : { dtype, scale, min }
        // No infinities and what is no number: those are no weights.
        const bytes = Uint8Array.from({ length: width * sizes[dtype] }, () =>
          dice.below(dtype === 'float16' ? 120 : 256),
        )
        await writeFile(join(folder, 'model.json'), JSON.stringify(json))
        await writeFile(join(folder, 'group1-shard1of1.bin'), bytes)
        const source: GraphSource = { folder, format: 'graph_model', file: 'model.json', outputs: ['answer'] }
        const zeros = Array<number>(2 * width).fill(0)
        const [expected, actual] = [await answer(cpu, source, zeros), await answer(onnx, source, zeros)]
        if (expected.join() !== actual.join()) throw new Error(`${actual} is not ${expected}`)
      },
    ),
    { numRuns: randomCases(30) },
  )
})

t.test('refuses what is malformed, naming file and place', async (t) => {
  const cases: [string, (json: any) => void, RegExp, string?][] = [
    ['another format', (json) => (json.format = 'layers-model'), /^model.json: is not a graph model: \/format/],
    ['no graph', (json) => delete json.modelTopology, /^model.json: is not a graph model: \/modelTopology is required/],
    ['no nodes', (json) => (json.modelTopology.node = 'none'), /\/modelTopology\/node/],
    ['nodes that are none', (json) => (json.modelTopology.node = [3]), /\/modelTopology is not a graph/],
    [
      'an attribute that is none',
      (json) => (json.modelTopology.node[0].attr = { T: 'x' }),
      /\/modelTopology is not a graph/,
    ],
    [
      'an unknown type',
      (json) => (json.signature.inputs.features.dtype = 'DT_NONE'),
      /\/signature\/inputs\/features\/dtype is not a type: DT_NONE/,
    ],
    ['no outputs', (json) => (json.signature.outputs = {}), /\/signature\/outputs is empty/],
    [
      'strings',
      (json) => (json.signature.inputs.features.dtype = 'DT_STRING'),
      /the input features is string/,
      'UNSUPPORTED_GRAPH',
    ],
    ['a constant without a value', (json) => (json.weightsManifest = []), /node w \(Const\): /],
    [
      'a shard that is not there',
      (json) => (json.weightsManifest[0].paths = ['absent.bin']),
      /^absent.bin: is missing$/,
    ],
    [
      'a shard outside',
      (json) => (json.weightsManifest[0].paths = ['../../etc/passwd']),
      /^\.\.\/\.\.\/etc\/passwd: is not a path inside/,
    ],
    [
      'an absolute shard',
      (json) => (json.weightsManifest[0].paths = ['/etc/passwd']),
      /^\/etc\/passwd: is not a path inside/,
    ],
    [
      'a shard twice',
      (json) => json.weightsManifest[0].paths.push('group1-shard1of1.bin'),
      /^group1-shard1of1.bin: is listed twice$/,
    ],
    [
      'weights of 2^40 elements',
      (json) => (json.weightsManifest[0].weights[0].shape = [2 ** 20, 2 ** 20]),
      /^group1-shard1of1.bin: holds 16 bytes, its weights need 4398046511104$/,
    ],
    [
      'more than numbers hold',
      (json) => (json.weightsManifest[0].weights[0].shape = Array(40).fill(2 ** 30)),
      /its weights need /,
    ],
    [
      'a negative side',
      (json) => (json.weightsManifest[0].weights[0].shape = [-2, -2]),
      /is not a graph model: \/weightsManifest\/0\/weights\/0\/shape\/0/,
    ],
    [
      'two weights of one name',
      (json) => {
        json.weightsManifest[0].weights = [
          { name: 'w', shape: [2], dtype: 'float32' },
          { name: 'w', shape: [2], dtype: 'float32' },
        ]
      },
      /two weights are named w/,
    ],
    [
      'weights of strings',
      (json) => (json.weightsManifest[0].weights[0].dtype = 'string'),
      /the weight w is string, not/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'an unknown quantisation',
      (json) => (json.weightsManifest[0].weights[0].quantization = { dtype: 'int3' }),
      /the weight w is quantised to int3/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'a quantisation of every object',
      (json) => (json.weightsManifest[0].weights[0].quantization = { dtype: 'toString' }),
      /quantised to toString/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'no scale',
      (json) => Object.assign(json.weightsManifest[0].weights[0], { shape: [4, 4], quantization: { dtype: 'uint8' } }),
      /quantised to uint8 without scale and min/,
    ],
    [
      'weights of another shape',
      (json) => (json.weightsManifest[0].weights[0].shape = [4]),
      /MatMul|product/,
      'UNSUPPORTED_GRAPH',
    ],
    [
      'an initialiser',
      (json) => (json.modelInitializer = { node: [] }),
      /has tables with an initialiser graph/,
      'UNSUPPORTED_GRAPH',
    ],
  ]
  for (const [what, change, message, code = 'INVALID_BUNDLE'] of cases) {
    const source = await changed(t, change)
    await t.rejects(onnx.load(source), { code, message }, what)
    await t.rejects(cpu.load(source), { code: /INVALID_BUNDLE|UNSUPPORTED_GRAPH/ }, `${what}, by TensorFlow.js`)
  }
  const source = await changed(t, () => undefined)
  await t.rejects(onnx.load({ ...source, signature: 'other' }), {
    code: 'INVALID_BUNDLE',
    message: /there is no signature other/,
  })
  await t.rejects(onnx.load({ ...source, file: '../model.json' }), {
    code: 'INVALID_BUNDLE',
    message: /is not a path inside/,
  })
  await t.rejects(cpu.load({ ...source, outputs: ['other'] }), {
    code: 'INVALID_BUNDLE',
    message: 'model.json: there is no output other, but answer',
  })
  const path = join(source.folder, source.file)
  for (const text of ['', '{', 'null', '[]', '{"format":"graph-model"}']) {
    await writeFile(path, text)
    await t.rejects(onnx.load(source), { code: 'INVALID_BUNDLE', message: /^model.json: is not / }, text)
  }
  await rm(path)
  await t.rejects(onnx.load(source), { code: 'INVALID_BUNDLE', message: 'model.json: is missing' })
  await mkdir(path)
  await t.rejects(onnx.load(source), { code: 'INVALID_BUNDLE', message: /^model.json: can't be read: EISDIR/ })
})

t.test('a graph model is no layers model', async (t) => {
  const source = await changed(t, () => undefined)
  await t.rejects(onnx.load({ ...source, format: 'layers' }), { message: /is a TensorFlow.js graph model/ })
})
