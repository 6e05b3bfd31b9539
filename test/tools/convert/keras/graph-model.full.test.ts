import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { importModel } from '../../../../src/tools/convert/import-model.ts'
import { snakeCase } from '../../../../src/tools/convert/keras/layer-weights.ts'
import { openKeras } from '../../../../src/tools/convert/keras/open-keras.ts'
import { hdf5 } from '../../../support/hdf5.ts'
import { importOptions } from '../../../support/import-options.ts'
import { counted, functional, input, layer, saveKeras } from '../../../support/keras/saved-model.ts'

/** Each ends in `out`; x and y are numbers, [4] and [6], u and v ids, [1] and [2]. */
const graphs: Record<string, { layers: object[]; tensors: Record<string, ReturnType<typeof counted>> }> = {
  'every merge': {
    layers: [
      input('x', 4),
      input('y', 6),
      layer('Dense', 'a', { units: 4, use_bias: false, activation: 'tanh' }, ['y']),
      layer('Add', 'add', {}, ['x', 'a', 'x']),
      layer('Multiply', 'multiply', {}, ['x', 'a']),
      layer('Average', 'average', {}, ['x', 'a', 'a']),
      layer('Maximum', 'maximum', {}, ['add', 'multiply', 'average']),
      layer('Dot', 'dot', { axes: -1 }, ['x', 'a']),
      layer('Concatenate', 'all', {}, ['add', 'multiply', 'average', 'maximum', 'dot']),
      layer('Dense', 'out', { units: 2, activation: 'softmax' }, ['all']),
    ],
    tensors: {
      'layers/dense/vars/0': counted(6, 4),
      'layers/dense_1/vars/0': counted(17, 2),
      'layers/dense_1/vars/1': counted(2),
    },
  },
  'matrices of rows': {
    layers: [
      input('x', 4),
      input('y', 2, 3),
      layer('Reshape', 'm', { target_shape: [2, -1] }, ['x']),
      layer('Dense', 'n', { units: 2, activation: 'relu' }, ['y']),
      layer('Dot', 'rows', { axes: [2, 2] }, ['m', 'n']),
      layer('Dot', 'columns', { axes: [1, 2] }, ['m', 'y'], ['n', 'm']),
      layer('Softmax', 'shares', { axis: -1 }, ['rows']),
      layer('Concatenate', 'side', { axis: 1 }, ['shares', 'm']),
      layer('GlobalAveragePooling1D', 'mean', {}, ['side']),
      layer('Flatten', 'flat', {}, ['rows']),
      layer('Concatenate', 'all', { axis: -1 }, ['mean', 'flat']),
      layer('Dense', 'out', { units: 1, activation: { class_name: 'function', config: 'sigmoid' } }, ['all']),
    ],
    tensors: {
      'layers/dense/vars/0': counted(3, 2),
      'layers/dense/vars/1': counted(2),
      'layers/dense_1/vars/0': counted(6, 1),
      'layers/dense_1/vars/1': counted(1),
    },
  },
  'ids of several tables, some looked up twice': {
    layers: [
      input('v', 2),
      input('u', 1),
      input('x', 4),
      layer('Embedding', 'wide', { input_dim: 7, output_dim: 1 }, ['v']),
      layer('Embedding', 'deep', { input_dim: 7, output_dim: 3 }, ['v'], ['u']),
      layer('Flatten', 'flat', {}, ['wide'], [['deep', 0]], [['deep', 1]]),
      layer('BatchNormalization', 'norm', { axis: -1, epsilon: 0.02, center: false }, ['x']),
      layer('ReLU', 'relu', { max_value: 0.4 }, ['norm']),
      layer('Dropout', 'drop', { rate: 0.5 }, ['relu']),
      layer('Concatenate', 'all', {}, [['flat', 0], ['flat', 1], ['flat', 2], 'drop']),
      layer('Dense', 'out', { units: 3, activation: 'sigmoid' }, ['all']),
    ],
    tensors: {
      'layers/embedding/vars/0': counted(7, 1),
      'layers/embedding_1/vars/0': counted(7, 3),
      'layers/batch_normalization/vars/0': counted(4),
      'layers/batch_normalization/vars/1': counted(4),
      'layers/batch_normalization/vars/2': { shape: [4], values: Float32Array.of(0.5, 1, 2, 3) },
      'layers/dense/vars/0': counted(15, 3),
      'layers/dense/vars/1': counted(3),
    },
  },
  'more than ten of a kind': {
    layers: [
      input('x', 4),
      ...Array.from({ length: 12 }, (_, i) =>
        layer(
          'Dense',
          i === 11 ? 'out' : `d${i}`,
          { units: i === 11 ? 1 : 4, activation: i === 11 ? 'sigmoid' : 'tanh' },
          [i === 0 ? 'x' : `d${i - 1}`],
        ),
      ),
      layer('Dense', 'unused', { units: 5 }, ['x']),
    ],
    tensors: Object.fromEntries(
      Array.from({ length: 13 }, (_, i) => {
        const width = i === 11 ? 1 : i === 12 ? 5 : 4
        const turned = { shape: [4, width], values: counted(4, width).values.map((value) => value * (1 + i / 7)) }
        return [
          [`layers/dense${i ? `_${i}` : ''}/vars/0`, turned],
          [`layers/dense${i ? `_${i}` : ''}/vars/1`, counted(width)],
        ]
      }).flat(),
    ),
  },
}

for (const [name, { layers, tensors }] of Object.entries(graphs))
  t.test(name, async (t) => {
    const folder = t.testdir()
    const path = await saveKeras(folder, functional(layers, ['out']), tensors)
    // Golden rows are computed layer by layer in float64, and answered by the compiled graph.
    const { manifest, plan } = await importModel(importOptions(path, folder))
    t.equal(manifest.golden?.rows.length, 32)
    t.ok(plan.compiled)
    t.ok(new Set(manifest.golden?.probabilities.map(String)).size > 10, 'rows differ')
  })

t.test('columns that share out a table are looked up in one for all', async (t) => {
  const { layers, tensors } = graphs['ids of several tables, some looked up twice']!
  const folder = t.testdir()
  const path = await saveKeras(folder, functional(layers, ['out']), tensors)
  const own = await importModel(importOptions(path, folder, { name: 'own' }))
  t.equal(own.manifest.graph.inputs.ids, 'per_field')
  const { manifest, plan } = await importModel(importOptions(path, folder, { sizes: [3, 4, 7] }))
  t.equal(manifest.graph.inputs.ids, undefined)
  t.match(manifest.features, [
    { name: 'v_0', size: 3 },
    { name: 'v_1', size: 4 },
    { name: 'u', size: 7 },
  ])
  t.ok(plan.compiled)
})

t.test('fields are called as the inputs, tasks as the outputs', async (t) => {
  const folder = t.testdir()
  const head = (name: string) => layer('Dense', name, { units: 1, activation: 'sigmoid' }, ['all'])
  const layers = [
    input('id', 1),
    input('campaign', 1),
    input('input_7', 2),
    layer('Embedding', 'e', { input_dim: 5, output_dim: 2 }, ['id']),
    layer('Embedding', 'f', { input_dim: 6, output_dim: 3 }, ['campaign']),
    layer('Flatten', 'g', {}, ['e'], ['f']),
    layer('Concatenate', 'all', {}, [['g', 0], ['g', 1], 'input_7']),
    head('ctr'),
    head('cvr'),
  ]
  const tensors = {
    'layers/embedding/vars/0': counted(5, 2),
    'layers/embedding_1/vars/0': counted(6, 3),
    'layers/dense/vars/0': counted(7, 1),
    'layers/dense/vars/1': counted(1),
    'layers/dense_1/vars/0': { shape: [7, 1], values: counted(7, 1).values.map((value) => -value) },
    'layers/dense_1/vars/1': counted(1),
  }
  const path = await saveKeras(folder, functional(layers, ['ctr', 'cvr']), tensors)
  const { manifest } = await importModel(importOptions(path, folder, { context: ['campaign'] }))
  t.match(manifest.features, [
    { name: 'id_1', kind: 'integer', size: 5, side: 'candidate' },
    { name: 'campaign', kind: 'integer', size: 6, side: 'context' },
    { name: 'dense_0', kind: 'numeric' },
    { name: 'dense_1' },
  ])
  t.same(manifest.tasks, [{ name: 'ctr' }, { name: 'cvr' }])
})

t.test('weights that do not fit are named, with their shapes', async (t) => {
  const { layers, tensors } = graphs['every merge']!
  const refused = async (changed: Record<string, unknown>, message: RegExp) => {
    const path = await saveKeras(t.testdir(), functional(layers, ['out']), { ...tensors, ...changed } as typeof tensors)
    await t.rejects(openKeras(path, undefined), { code: 'INVALID_BUNDLE', message })
  }
  await refused(
    { 'layers/dense/vars/0': counted(6, 5) },
    /model\.keras: model\.weights\.h5: \/layers\/dense\/vars\/0 has the shape \[6,5\], not kernel \[6,4\] of layer a \(Dense\)/,
  )
  await refused({ 'layers/dense_2/vars/0': counted(1) }, /\/layers\/dense_2\/vars\/0 \[1\] is unexpected/)
  const { 'layers/dense_1/vars/1': _, ...fewer } = tensors
  const path = await saveKeras(t.testdir(), functional(layers, ['out']), fewer)
  await t.rejects(openKeras(path, undefined), { message: /lacks \/layers\/dense_1\/vars\/1, bias \[2\] of layer out/ })
})

t.test('uses of inputs that can not be kept are refused', async (t) => {
  const refused = async (layers: object[], message: RegExp) => {
    const tensors = { 'layers/embedding/vars/0': counted(4, 2) }
    const path = await saveKeras(t.testdir(), functional([input('x', 2), ...layers], ['out']), tensors)
    await t.rejects(openKeras(path, undefined), { code: 'UNSUPPORTED_GRAPH', message })
  }
  const embedding = (from: string) => layer('Embedding', 'e', { input_dim: 4, output_dim: 2 }, [from])
  await refused(
    [embedding('x'), layer('Flatten', 'f', {}, ['e']), layer('Concatenate', 'out', {}, ['f', 'x'])],
    /layer out \(Concatenate\): reads x as numbers, but embeddings read it as ids/,
  )
  await refused(
    [layer('ReLU', 'r', {}, ['x']), embedding('r'), layer('Flatten', 'out', {}, ['e'])],
    /looks up computed ids/,
  )
  await refused([embedding('x'), layer('ReLU', 'out', {}, ['e'])], /its output out has the shape \[2,2\]/)
})

t.test('a whole model in one legacy file', async (t) => {
  const { layers } = graphs['every merge']!
  const config = JSON.stringify(functional(layers, ['out']))
  const file = (attributes: object) =>
    hdf5({
      tensors: {
        'model_weights/a/a/kernel:0': counted(6, 4),
        'model_weights/out/out/bias:0': counted(2),
        'model_weights/out/out/kernel:0': counted(17, 2),
        'optimizer_weights/m': counted(6, 4),
      },
      attributes: {
        '': { model_config: config },
        model_weights: { layer_names: ['a', 'out'] },
        'model_weights/a': { weight_names: ['a/kernel:0'] },
        'model_weights/out': { weight_names: ['out/kernel:0', 'out/bias:0'] },
        ...attributes,
      },
    })
  const folder = t.testdir()
  const path = join(folder, 'model.h5')
  await writeFile(path, await file({}))
  const { manifest } = await importModel(importOptions(path, folder))
  t.same(manifest.tasks, [{ name: 'task_0' }, { name: 'task_1' }])
  await writeFile(path, await file({ '': { model_config: '{' } }))
  await t.rejects(openKeras(path, undefined), { message: /model\.h5: \/model_config is not JSON/ })
})

t.test("classes are counted by Keras' own names", async (t) => {
  for (const [className, name] of [
    ['Dense', 'dense'],
    ['ReLU', 're_lu'],
    ['BatchNormalization', 'batch_normalization'],
    ['GlobalAveragePooling1D', 'global_average_pooling1d'],
    ['InputLayer', 'input_layer'],
  ] as const)
    t.equal(snakeCase(className), name)
})
