import t from 'tap'
import type { KerasObject } from '../../../../src/schemas/import.ts'
import { readGraph } from '../../../../src/tools/convert/keras/graph.ts'
import { functional, input, layer } from '../../../support/keras/saved-model.ts'

const read = (layers: object[], outputs = ['out'], inputs?: string[]) =>
  readGraph(functional(layers, outputs, inputs) as unknown as KerasObject, 'config.json')
const dense = (name: string, from: string, config: object = {}) =>
  layer('Dense', name, { units: 2, activation: 'sigmoid', ...config }, [from])

t.test('layers are in the order of what they read; what no output needs is left alone', async (t) => {
  const model = read([dense('out', 'x'), input('x', 3), dense('unused', 'x')])
  t.same(
    model.steps.map(({ layer, dims }) => [layer.name, dims]),
    [
      ['x', [3]],
      ['out', [2]],
    ],
  )
  t.same(
    model.layers.map(({ name }) => name),
    ['out', 'x', 'unused'],
    'all count for where weights are',
  )
})

t.test('inputs come in the order that the model has them in', async (t) => {
  const layers = [input('b', 1), input('a', 2), layer('Concatenate', 'both', {}, ['b', 'a']), dense('out', 'both')]
  const names = (inputs?: string[]) => read(layers, ['out'], inputs).inputs.map(({ name }) => name)
  t.same(names(), ['b', 'a'])
  t.same(names(['a', 'b']), ['a', 'b'])
})

t.test('Keras 2 and sequential models read alike', async (t) => {
  const old = {
    class_name: 'Functional',
    config: {
      layers: [
        {
          class_name: 'InputLayer',
          name: 'x',
          config: { batch_input_shape: [null, 3], dtype: 'int64' },
          inbound_nodes: [],
        },
        {
          class_name: 'Dense',
          name: 'out',
          config: { units: 2, activation: null },
          inbound_nodes: [[['x', 0, 0, { training: false }]]],
        },
      ],
      input_layers: { x: ['x', 0, 0] },
      output_layers: ['out', 0, 0],
    },
  }
  t.match(readGraph(old, 'f').steps, [{ layer: { name: 'x' } }, { layer: { name: 'out', config: { use_bias: true } } }])
  const first = { class_name: 'Dense', config: { name: 'first', units: 4, batch_input_shape: [null, 3] } }
  const chain = {
    class_name: 'Sequential',
    config: { layers: [first, { class_name: 'ReLU', config: { name: 'last' } }] },
  }
  t.same(
    readGraph(chain, 'f').steps.map(({ layer, dims }) => [layer.name, dims]),
    [
      ['input', [3]],
      ['first', [4]],
      ['last', [4]],
    ],
  )
})

t.test('what is not known is named, and never run', async (t) => {
  const refused = (layers: object[], message: RegExp) =>
    t.throws(() => read([input('x', 4), ...layers]), { code: 'UNSUPPORTED_GRAPH', message })
  const on = (className: string, config: object) => layer(className, 'out', config as Record<string, unknown>, ['x'])
  refused(
    [on('Lambda', { function: ['process.exit()'] })],
    /config\.json: layer out \(Lambda\): contains code, which is never run/,
  )
  refused([on('TFOpLambda', {})], /contains code/)
  refused([on('Sequential', {})], /nested model/)
  refused([on('MultiHeadAttention', {})], /layer out \(MultiHeadAttention\): this class of layer is not supported/)
  refused([on('constructor', {})], /this class of layer is not supported/)
  refused([on('Dense', { units: 2, activation: 'gelu' })], /the activation "gelu" is not supported/)
  refused([on('Dense', { units: 2, activation: { class_name: 'function', config: 'mine' } })], /activation "mine"/)
  refused([on('Dense', { units: 2.5 })], /units must be a positive integer, not 2\.5/)
  refused(
    [on('Dense', { units: 2, dtype: { class_name: 'DTypePolicy', config: { name: 'mixed_float16' } } })],
    /only float32/,
  )
  refused([on('Dense', { units: 2, lora_rank: 4 })], /lora_rank/)
  refused([on('Dense', { units: 2, quantization_config: {} })], /quantised/)
  refused([on('Embedding', { input_dim: 3, output_dim: 2, mask_zero: true })], /mask_zero/)
  refused([on('BatchNormalization', { axis: -1, renorm: true })], /renorm/)
  refused([on('BatchNormalization', { axis: -1, epsilon: 'small' })], /epsilon is not a number/)
  refused([on('BatchNormalization', { axis: 3 })], /has no axis 3/)
  refused([on('ReLU', { negative_slope: 0.1 })], /negative slope/)
  refused([on('ReLU', { max_value: 'a' })], /max_value/)
  refused([on('Reshape', { target_shape: [3] })], /\[4\] can't take the shape \[3\]/)
  refused([on('Reshape', { target_shape: 'all' })], /the target shape "all" is not supported/)
  refused([on('Reshape', { target_shape: [-1, -1] })], /can't take the shape/)
  refused([on('Flatten', { data_format: 'channels_first' })], /channels_first/)
  refused([on('GlobalAveragePooling1D', {})], /needs an input of rank 3, not \[4\]/)
  refused([on('GlobalAveragePooling1D', { keepdims: true })], /keepdims/)
  refused([on('Dot', { axes: 1 })], /two inputs/)
  refused([on('Dot', { axes: 1, normalize: true })], /normalize/)
  refused([on('Add', {})], /needs at least two inputs/)
  refused([on('Softmax', { axis: 5 })], /no axis 5/)
  refused([layer('Add', 'out', {}, ['x', 'y']), input('y', 3)], /can't broadcast \[4\], \[3\]/)
  refused([layer('Concatenate', 'out', { axis: 1 }, ['x', 'y']), input('y', 3, 2)], /can't concatenate/)
  refused([layer('Dense', 'out', { units: 2 }, ['x', 'x'])], /has 2 inputs, not one/)
  refused(
    [layer('Reshape', 'wide', { target_shape: [4, 1] }, ['x']), layer('Dense', 'out', { units: 2 ** 30 }, ['wide'])],
    /compute more than 16777216 numbers per row/,
  )
  t.throws(() => read([layer('InputLayer', 'out', { batch_shape: [null, null] })]), {
    message: /all dimensions except the batch must be fixed/,
  })
  t.throws(() => read([layer('InputLayer', 'out', { batch_shape: [null, 2], ragged: true })]), { message: /ragged/ })
  t.throws(() => read([layer('InputLayer', 'out', { batch_shape: [null, 2], dtype: 'string' })]), {
    message: /dtype string/,
  })
})

t.test('calls with arguments are refused', async (t) => {
  const call = (node: object) => [input('x', 4), { ...dense('out', 'x'), inbound_nodes: [node] }]
  const x = { class_name: '__keras_tensor__', config: { keras_history: ['x', 0, 0] } }
  t.throws(() => read(call({ args: [x], kwargs: { training: true } })), { message: /is called with training/ })
  t.throws(() => read(call({ args: [x, x], kwargs: {} })), { message: /called with additional arguments/ })
  t.throws(() => read(call({ args: [1], kwargs: {} })), { message: /reads 1, which is not the output of a layer/ })
  t.throws(() => read(call([['x', 0, 0, { y: 1 }]])), { message: /is called with y/ })
  t.throws(() => read(call([['x', 'a', 0]])), { message: /not the output of a layer/ })
  t.throws(() => read(call({ args: [], kwargs: {} })), { message: /reads nothing, which is not the output/ })
  t.ok(read(call({ args: [x], kwargs: { training: null, mask: null } })))
})

t.test('circles, gaps, doubles and giants are refused, with their place', async (t) => {
  const refused = (layers: object[], message: RegExp, outputs?: string[]) =>
    t.throws(() => read(layers, outputs), { code: 'INVALID_BUNDLE', message })
  refused([dense('out', 'other'), dense('other', 'out')], /config\.json: the layer \w+ depends on itself/)
  refused([dense('out', 'out')], /the layer out depends on itself/)
  refused([dense('out', 'nothing')], /reads "nothing", which does not exist/)
  refused([input('x', 2), dense('out', 'x'), dense('out', 'x')], /two layers are named out/)
  refused(
    [input('x', 2), layer('Dense', 'out', { units: 1 }, [['x', 3]])],
    /reads application 3 of x, which does not exist/,
  )
  refused([input('x', 2)], /reads "out", which does not exist/)
  refused([], /\/config.*\/layers|\/layers/)
  t.throws(() => readGraph({ class_name: 'Functional', config: { layers: [input('x', 2)] } }, 'c'), {
    message: /c: \/config\/output_layers must be references to layers/,
  })
  const long = (length: number) => [
    input('l0', 2),
    ...Array.from({ length }, (_, i) => layer('ReLU', i === length - 1 ? 'out' : `l${i + 1}`, {}, [`l${i}`])),
  ]
  t.ok(read(long(900)))
  t.throws(() => read(long(2000)), { code: 'UNSUPPORTED_GRAPH', message: /a chain of more than 1000 layers/ })
  refused(long(10_001), /layers must have at most 10000 items/)
})
