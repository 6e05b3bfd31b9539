import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tensor } from '@tensorflow/tfjs-core'
import type { SymbolicTensor } from '@tensorflow/tfjs-layers'
import type { Tensor as RuntimeTensor } from 'onnxruntime-node'
import t from 'tap'
import { onnxruntime as ort } from '../../../../../src/base/onnxruntime.ts'
import { prepareTensorFlow } from '../../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { readLayersModel } from '../../../../../src/model/graph/lower/layers/layers-model.ts'
import { lowerLayersModel, lowerToGraph } from '../../../../../src/model/graph/lower/layers/lower-layers.ts'
import { saveLayersModel, setWeights } from '../../../../support/layers-model.ts'

const tensorflow = await prepareTensorFlow('cpu')
const { tf, layers } = tensorflow
const tfl = layers.layers

type Inputs = { x: SymbolicTensor; y: SymbolicTensor; ids: SymbolicTensor }
const apply = (layer: { apply(input: SymbolicTensor | SymbolicTensor[]): unknown }, ...inputs: SymbolicTensor[]) =>
  layer.apply(inputs.length === 1 ? inputs[0]! : inputs) as SymbolicTensor
/** [B, 6] → [B, 2, 3] */
const matrix = (x: SymbolicTensor) => apply(tfl.reshape({ targetShape: [2, 3] }), x)

/** [B, 6] as an image of that shape, cropped, and flat again. */
const cropped = (x: SymbolicTensor, targetShape: number[], cropping: [[number, number], [number, number]]) =>
  apply(tfl.flatten(), apply(tfl.cropping2D({ cropping }), apply(tfl.reshape({ targetShape }), x)))

/** Each ends in the model's output; x and y are float32 [B, 6], ids int32 [B, 4]. */
const graphs: Record<string, (inputs: Inputs) => SymbolicTensor> = {
  'Dense without bias': ({ x }) => apply(tfl.dense({ units: 3, useBias: false }), x),
  'Dense on rank 3': ({ x }) => apply(tfl.dense({ units: 4, activation: 'tanh' }), matrix(x)),
  'Dense on rank 3 without bias, with activation': ({ x }) =>
    apply(tfl.dense({ units: 4, useBias: false, activation: 'softmax' }), matrix(x)),
  'a Dense for two inputs': ({ x, y }) => {
    const shared = tfl.dense({ units: 3, activation: 'relu' })
    return apply(tfl.concatenate(), apply(shared, x), apply(shared, y))
  },
  'a Dense one after the other': ({ x }) => {
    const shared = tfl.dense({ units: 6, activation: 'tanh' })
    return apply(shared, apply(shared, x))
  },
  Embedding: ({ ids }) => apply(tfl.flatten(), apply(tfl.embedding({ inputDim: 10, outputDim: 3 }), ids)),
  'Embedding of floats': ({ x }) =>
    apply(tfl.embedding({ inputDim: 10, outputDim: 3 }), apply(tfl.reLU({ maxValue: 9 }), x)),
  'BatchNormalization without scale and center': ({ x }) =>
    apply(tfl.batchNormalization({ scale: false, center: false, epsilon: 0.1 }), x),
  BatchNormalization: ({ x }) => apply(tfl.batchNormalization({}), x),
  'Reshape with a side left open': ({ x }) => apply(tfl.reshape({ targetShape: [3, -1] }), x),
  'Reshape to one value a row, and back': ({ x }) => {
    const scalars = apply(tfl.reshape({ targetShape: [] }), apply(tfl.dense({ units: 1 }), x))
    return apply(tfl.reshape({ targetShape: [1, 1] }), scalars)
  },
  Dropout: ({ x }) => apply(tfl.dropout({ rate: 0.5 }), x),
  'Softmax layer': ({ x }) => apply(tfl.softmax({ axis: -1 }), matrix(x)),
  'ReLU with a bound': ({ x }) => apply(tfl.reLU({ maxValue: 0.7 }), x),
  'Cropping2D of whole rows': ({ x }) =>
    cropped(
      x,
      [3, 2, 1],
      [
        [1, 0],
        [0, 0],
      ],
    ),
  'Cropping2D within one row': ({ x }) =>
    cropped(
      x,
      [1, 6, 1],
      [
        [0, 0],
        [2, 1],
      ],
    ),
  'Cropping2D of rows and columns': ({ x }) =>
    cropped(
      x,
      [3, 2, 1],
      [
        [1, 0],
        [1, 0],
      ],
    ),
  'Concatenate along the middle': ({ x, y }) => apply(tfl.concatenate({ axis: 1 }), matrix(x), matrix(y)),
  'Add of three': ({ x, y }) => apply(tfl.add(), x, y, x),
  'Add of rows to one': ({ x, y }) => apply(tfl.add(), x, apply(tfl.dense({ units: 1 }), y)),
  Multiply: ({ x, y }) => apply(tfl.multiply(), x, y),
  Average: ({ x, y }) => apply(tfl.average(), x, y, y),
  Maximum: ({ x, y }) => apply(tfl.maximum(), x, y),
  GlobalAveragePooling1D: ({ x }) => apply(tfl.globalAveragePooling1d({}), matrix(x)),
  'Dot of vectors': ({ x, y }) => apply(tfl.dot({ axes: 1 }), x, y),
  'Dot of vectors, from the end': ({ x, y }) => apply(tfl.dot({ axes: -1 }), x, y),
  'Dot of vector and matrix': ({ x, y }) =>
    apply(tfl.dot({ axes: [1, 2] }), apply(tfl.dense({ units: 3 }), x), matrix(y)),
  'Dot of vector and matrix, over the rows': ({ x, y }) =>
    apply(tfl.dot({ axes: [1, 1] }), apply(tfl.dense({ units: 2 }), x), matrix(y)),
  'Dot of matrix and vector': ({ x, y }) =>
    apply(tfl.dot({ axes: [2, 1] }), matrix(x), apply(tfl.dense({ units: 3 }), y)),
  'Dot of matrices, rows by rows': ({ x, y }) => apply(tfl.dot({ axes: [2, 2] }), matrix(x), matrix(y)),
  'Dot of matrices, columns by columns': ({ x, y }) => apply(tfl.dot({ axes: [1, 1] }), matrix(x), matrix(y)),
  ...Object.fromEntries(
    (['linear', 'relu', 'sigmoid', 'tanh', 'softmax'] as const).map((activation) => [
      `Activation ${activation}`,
      ({ x }: Inputs) => apply(tfl.activation({ activation }), x),
    ]),
  ),
}

for (const [name, graph] of Object.entries(graphs)) {
  t.test(`computes ${name} as TensorFlow.js does`, async (t) => {
    const { model, folder } = await saved(t, graph)
    const output = model.outputNames[0]!
    const read = await readLayersModel(folder, 'model.json')
    const bytes = lowerLayersModel(read, [output])
    const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 })
    t.same(
      session.inputNames,
      read.inputs.map(({ layer }) => layer),
    )
    t.same(session.outputNames, [output])

    for (const rows of [1, 5]) {
      const [x, y, ids] = example(rows)
      const expected = model.predict([x!, y!, ids!]) as Tensor
      const all: Record<string, RuntimeTensor> = {
        x: new ort.Tensor('float32', x!.dataSync<'float32'>(), x!.shape),
        y: new ort.Tensor('float32', y!.dataSync<'float32'>(), y!.shape),
        ids: new ort.Tensor('int32', ids!.dataSync<'int32'>(), ids!.shape),
      }
      // TensorFlow.js leaves inputs that nothing reads out of a saved model.
      const feeds = Object.fromEntries(session.inputNames.map((input) => [input, all[input]!]))
      const actual = (await session.run(feeds))[output]!
      t.same(actual.dims, expected.shape)
      const values = actual.data as Float32Array
      t.ok(expected.dataSync().every((value, i) => Math.abs(value - values[i]!) <= 1e-5 * Math.max(1, Math.abs(value))))
    }
    await session.release()
  })
}

t.test('answers with every layer wanted, once, under its name', async (t) => {
  const { folder } = await saved(t, ({ x }) => {
    const inner = apply(tfl.dense({ name: 'inner/one', units: 3 }), x)
    return apply(tfl.activation({ name: 'last', activation: 'sigmoid' }), inner)
  })
  const graph = lowerToGraph(await readLayersModel(folder, 'model.json'), ['last', 'inner/one', 'last'])
  t.same(
    graph.outputs.map(({ name }) => name),
    ['last', 'inner/one'],
  )
  t.same(
    graph.nodes.map(({ opType, output }) => `${opType} ${output}`),
    ['MatMul inner/one:MatMul', 'Add inner/one', 'Sigmoid last'],
  )
})

t.test('keeps a shared weight once and copies none', async (t) => {
  const { folder } = await saved(t, graphs['a Dense for two inputs']!)
  const model = await readLayersModel(folder, 'model.json')
  const { constants } = lowerToGraph(model, [model.outputs[0]!.layer])
  t.equal(constants.size, 2)
  for (const { rawData } of constants.values()) t.equal(rawData.buffer, model.weightData)
})

t.test('keeps names apart', async (t) => {
  // A layer that has the very name of another's inner tensor.
  const { folder } = await saved(t, ({ x }) => {
    const first = apply(tfl.dense({ name: 'a', units: 3 }), x)
    return apply(tfl.reLU({ name: 'last' }), first)
  })
  const path = join(folder, 'model.json')
  await writeFile(path, (await readFile(path, 'utf8')).replaceAll('"last"', '"a:MatMul"'))
  const { nodes: node } = lowerToGraph(await readLayersModel(folder, 'model.json'), ['a:MatMul'])
  const outputs = node.flatMap(({ output }) => output)
  t.equal(new Set(outputs).size, outputs.length)
  t.equal(outputs.at(-1), 'a:MatMul')
})

t.test('answers with the application of a layer that the model itself answers with', async (t) => {
  const { folder } = await saved(t, ({ x }) => {
    const shared = tfl.dense({ name: 'shared', units: 6 })
    return apply(tfl.reLU({ name: 'last' }), apply(shared, apply(shared, x)))
  })
  const read = await readLayersModel(folder, 'model.json')
  t.throws(() => lowerLayersModel(read, ['shared']), {
    code: 'UNSUPPORTED_GRAPH',
    message: /^layer shared \(Dense\): is applied 2 times, which leaves open which answer is wanted$/,
  })
  t.doesNotThrow(() => lowerLayersModel({ ...read, outputs: [{ layer: 'shared', node: 1, tensor: 0 }] }, ['shared']))
})

const refusals: [string, (inputs: Inputs) => SymbolicTensor, RegExp][] = [
  [
    'a class of layers it does not know',
    ({ x }) => apply(tfl.gaussianNoise({ name: 'noise', stddev: 1 }), x),
    /^layer noise \(GaussianNoise\): this class of layers is not supported$/,
  ],
  [
    'an activation it does not know',
    ({ x }) => apply(tfl.dense({ name: 'last', units: 2, activation: 'selu' }), x),
    /^layer last \(Dense\): the activation "selu" is not supported$/,
  ],
  [
    'masks',
    ({ ids }) => apply(tfl.embedding({ name: 'table', inputDim: 10, outputDim: 2, maskZero: true }), ids),
    /^layer table \(Embedding\): mask_zero is not supported$/,
  ],
  [
    'BatchNormalization on rank 3',
    ({ x }) => apply(tfl.batchNormalization({ name: 'norm' }), matrix(x)),
    /^layer norm \(BatchNormalization\): is supported on inputs of rank 2, not 3$/,
  ],
  [
    'cosine similarity',
    ({ x, y }) => apply(tfl.dot({ name: 'dot', axes: 1, normalize: true }), x, y),
    /^layer dot \(Dot\): normalize is not supported$/,
  ],
  [
    'merging different ranks',
    ({ x, y }) => apply(tfl.add({ name: 'sum' }), apply(tfl.dense({ units: 3 }), x), matrix(y)),
    /^layer sum \(Add\): can't merge \[3\], \[2,3\]$/,
  ],
]

for (const [what, graph, message] of refusals) {
  t.test(`refuses ${what}`, async (t) => {
    const { model, folder } = await saved(t, graph)
    const read = await readLayersModel(folder, 'model.json')
    t.throws(() => lowerLayersModel(read, model.outputNames), { code: 'UNSUPPORTED_GRAPH', message })
  })
}

t.test('refuses what contradicts itself', async (t) => {
  const { folder } = await saved(t, ({ x }) => apply(tfl.dense({ name: 'last', units: 2 }), x))
  const path = join(folder, 'model.json')
  const text = await readFile(path, 'utf8')
  const lower = async (outputs: string[]) => lowerLayersModel(await readLayersModel(folder, 'model.json'), outputs)

  const invalid = (message: RegExp) => ({ code: 'INVALID_BUNDLE', message })
  await t.rejects(lower(['nowhere']), invalid(/^model\.json: there is no layer nowhere to answer with$/))
  await t.rejects(lower(['x']), invalid(/^model\.json: there is no layer x to answer with$/))

  await writeFile(path, text.replace('last/kernel', 'last/colonel'))
  await t.rejects(lower(['last']), invalid(/^model\.json: there is no weight last\/kernel$/))

  await writeFile(path, text.replace('"units":2', '"units":4'))
  await t.rejects(
    lower(['last']),
    invalid(/the weight last\/kernel is float32 \[6,2\], its layer needs float32 \[6,4\]$/),
  )

  await writeFile(path, text.replace('[[["x",0,0,{}]]]', '[[["last",0,0,{}]]]'))
  await t.rejects(lower(['last']), invalid(/^model\.json: the layer last depends on itself$/))
})

t.test('in training, normalisation takes the batch and dropout a mask', async (t) => {
  const { folder } = await saved(t, ({ x }) => {
    const drop = tfl.dropout({ name: 'drop', rate: 0.5 })
    const normal = apply(
      tfl.batchNormalization({ name: 'normal', momentum: 0.9 }),
      apply(drop, apply(tfl.dense({ name: 'dense', units: 6 }), x)),
    )
    return apply(tfl.dense({ name: 'last', units: 1 }), normal)
  })
  const model = await readLayersModel(folder, 'model.json')
  const { nodes: plain, inputs: given } = lowerToGraph(model, ['last'])
  const names = given.map(({ name }) => name)
  t.notOk(plain.some(({ attribute }) => attribute.some(({ name }) => name === 'training_mode')))
  t.same(lowerToGraph(model, ['last'], { training: false }).nodes, plain)

  const { nodes: node, inputs: input } = lowerToGraph(model, ['last'], { training: true })
  t.same(
    input.map(({ name }) => name),
    [...names, 'drop:mask'],
  )
  const type = input.at(-1)!.type!.value
  t.match(type, { case: 'tensorType', value: { elemType: 1 } })
  const dims = type.case === 'tensorType' ? type.value.shape!.dim.map(({ value }) => value.value) : []
  t.same(dims, ['batch', 6n])
  const normal = node.find(({ opType }) => opType === 'BatchNormalization')!
  t.same(normal.output, ['normal'])
  t.equal(normal.input.length, 5)
  const attributes = new Map(normal.attribute.map((attribute) => [attribute.name, attribute]))
  t.equal(attributes.get('training_mode')!.i, 1n)
  t.ok(Math.abs(attributes.get('momentum')!.f - 0.9) < 1e-6)
  t.match(
    node.find(({ name }) => name === 'drop'),
    { opType: 'Mul', input: ['dense', 'drop:mask'] },
  )
})

async function saved(t: { testdir(): string }, graph: (inputs: Inputs) => SymbolicTensor) {
  const x = layers.input({ name: 'x', shape: [6] })
  const y = layers.input({ name: 'y', shape: [6] })
  const ids = layers.input({ name: 'ids', shape: [4], dtype: 'int32' })
  const model = layers.model({ inputs: [x, y, ids], outputs: graph({ x, y, ids }) })
  setWeights(tensorflow, model, (name, shape) => {
    const size = shape.reduce((product, side) => product * side, 1)
    return Float32Array.from(
      { length: size },
      (_, i) => Math.sin(i + name.length) + (name.endsWith('variance') ? 1.5 : 0),
    )
  })
  const folder = t.testdir()
  await saveLayersModel(tensorflow, model, folder)
  return { model, folder }
}

function example(rows: number): Tensor[] {
  const wave = (step: number) => Float32Array.from({ length: rows * 6 }, (_, i) => 2 * Math.sin(i * step))
  const ids = Int32Array.from({ length: rows * 4 }, (_, i) => (i * 7) % 10)
  return [tf.tensor2d(wave(1), [rows, 6]), tf.tensor2d(wave(1.7), [rows, 6]), tf.tensor2d(ids, [rows, 4], 'int32')]
}
