import t from 'tap'
import { createOnnxEngine } from '../../../../../src/model/engines/onnx/onnx.ts'
import { createTensorflowEngine } from '../../../../../src/model/engines/tensorflow/tensorflow.ts'
import { prepareTensorFlow } from '../../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { DataType, type NodeDef } from '../../../../../src/model/graph/lower/tensorflow/tensorflow_pb.ts'
import { fc, randomCases } from '../../../../support/cases.ts'
import { Dice } from '../../../../support/compile/dice.ts'
import {
  type Attribute,
  booleans,
  constant,
  floats,
  integers,
  node,
  placeholder,
  type,
} from '../../../../support/tensorflow/graph-def.ts'
import { type HandWritten, saveGraphModel, saveSavedModel } from '../../../../support/tensorflow/save-model.ts'

/*
 * Every operator, on random rows, against TensorFlow.js itself: and native TensorFlow, where it is prepared.
 */

const { DT_FLOAT: F, DT_INT32: I, DT_BOOL: B } = DataType

/**
 * A small graph: x float [batch, 6], y float [batch, 6], ids int32 [batch, 3]; the answer is `out`, float, of any rank.
 */
type Write = (dice: Dice) => NodeDef[]

/** Positive and away from where functions leap or end. */
const above = (dice: Dice, count: number) => dice.floats(count).map((value) => 0.5 + Math.abs(value))

const unary =
  (op: string, attr: Record<string, Attribute> = {}, prepare?: NodeDef[]): Write =>
  () => [...(prepare ?? []), node(op, 'out', [prepare === undefined ? 'x' : prepare.at(-1)!.name], attr)]

/** |x| + 0.5 */
const positive = [
  node('Abs', 'abs', ['x']),
  constant('half', floats([], [0.5])),
  node('AddV2', 'positive', ['abs', 'half']),
]

const binary =
  (op: string, prepare: NodeDef[] = [], inputs = ['x', 'y']): Write =>
  () => [...prepare, node(op, 'out', inputs)]

const toFloat = (from: string, given: DataType = B) => node('Cast', 'out', [from], { SrcT: type(given), DstT: type(F) })

const compared =
  (op: string): Write =>
  () => [
    // Whole numbers, so that some are equal.
    node('Round', 'rx', ['x']),
    node('Round', 'ry', ['y']),
    node(op, 'compared', ['rx', 'ry']),
    toFloat('compared'),
  ]

const logical =
  (op: string): Write =>
  () => [
    node('Greater', 'a', ['x', 'y']),
    constant('zero', floats([], [0])),
    node('Less', 'b', ['x', 'zero']),
    node(op, 'both', op === 'LogicalNot' ? ['a'] : ['a', 'b']),
    toFloat('both'),
  ]

const reduced =
  (op: string, axes: number[], keep: boolean): Write =>
  () => [...cube, constant('axes', integers(axes)), node(op, 'out', ['cube', 'axes'], { keep_dims: keep })]

/** x as [batch, 2, 3] */
const cube = [constant('cube_shape', integers([-1, 2, 3])), node('Reshape', 'cube', ['x', 'cube_shape'])]

const sliced =
  (begin: number[], end: number[], steps: number[], masks: Record<string, number>): Write =>
  () => [
    ...cube,
    constant('begin', integers(begin)),
    constant('end', integers(end)),
    constant('steps', integers(steps)),
    node('StridedSlice', 'out', ['cube', 'begin', 'end', 'steps'], {
      begin_mask: 0,
      end_mask: 0,
      ellipsis_mask: 0,
      new_axis_mask: 0,
      shrink_axis_mask: 0,
      ...Object.fromEntries(Object.entries(masks).map(([name, bits]) => [`${name}_mask`, bits])),
    }),
  ]

/** The shape of a tensor, and its first side. */
const sizeOf = (name: string) => [
  node('Shape', 'shape', [name], { out_type: type(I) }),
  constant('0', integers([0])),
  constant('1', integers([1])),
  node('StridedSlice', 'rows', ['shape', '0', '1', '1'], {
    T: type(I),
    begin_mask: 0,
    end_mask: 0,
    ellipsis_mask: 0,
    new_axis_mask: 0,
    shrink_axis_mask: 1,
  }),
]

const graphs: Record<string, Write> = {
  ...Object.fromEntries(
    'Abs Ceil Cos Elu Erf Erfc Exp Expm1 Floor Neg Relu Relu6 Round Selu Sigmoid Sign Sin Softplus Square Tanh Identity Atan'
      .split(' ')
      .map((op) => [op, unary(op)]),
  ),
  ...Object.fromEntries('Log Log1p Sqrt Rsqrt Reciprocal'.split(' ').map((op) => [op, unary(op, {}, positive)])),
  ...Object.fromEntries('Softmax LogSoftmax'.split(' ').map((op) => [op, unary(op)])),
  LeakyRelu: unary('LeakyRelu', { alpha: { float: 0.3 } }),
  ...Object.fromEntries('Add AddV2 Sub Mul Maximum Minimum SquaredDifference'.split(' ').map((op) => [op, binary(op)])),
  ...Object.fromEntries(
    'RealDiv Div FloorDiv FloorMod'.split(' ').map((op) => [op, binary(op, positive, ['y', 'positive'])]),
  ),
  Pow: binary('Pow', positive, ['positive', 'y']),
  DivNoNan: () => [node('Relu', 'some', ['y']), node('DivNoNan', 'out', ['x', 'some'])],
  'FloorMod of integers': () => [
    node('Round', 'rx', ['x']),
    node('Cast', 'ix', ['rx'], { SrcT: type(F), DstT: type(I) }),
    constant('three', integers([3], [])),
    node('FloorMod', 'mod', ['ix', 'three'], { T: type(I) }),
    toFloat('mod', I),
  ],
  'FloorDiv of integers': () => [
    node('Round', 'rx', ['x']),
    node('Cast', 'ix', ['rx'], { SrcT: type(F), DstT: type(I) }),
    constant('two', integers([2], [])),
    node('FloorDiv', 'div', ['ix', 'two'], { T: type(I) }),
    toFloat('div', I),
  ],
  ...Object.fromEntries(
    'Equal NotEqual Greater GreaterEqual Less LessEqual'.split(' ').map((op) => [op, compared(op)]),
  ),
  ...Object.fromEntries('LogicalAnd LogicalOr LogicalNot'.split(' ').map((op) => [op, logical(op)])),
  AddN: () => [node('AddN', 'out', ['x', 'y', 'x'], { N: 3 })],
  BiasAdd: (dice) => [constant('bias', floats([6], dice.floats(6))), node('BiasAdd', 'out', ['x', 'bias'])],
  ClipByValue: () => [
    constant('low', floats([], [-0.3])),
    constant('high', floats([], [0.4])),
    node('ClipByValue', 'out', ['x', 'low', 'high']),
  ],
  SelectV2: () => [
    node('Greater', 'more', ['x', 'y']),
    constant('one', floats([1], [1])),
    node('SelectV2', 'out', ['more', 'x', 'one']),
  ],
  Select: () => [node('Greater', 'more', ['x', 'y']), node('Select', 'out', ['more', 'x', 'y'])],
  'Cast to integers and back': () => [
    node('Cast', 'whole', ['x'], { SrcT: type(F), DstT: type(I) }),
    toFloat('whole', I),
  ],
  MatMul: (dice) => [constant('w', floats([6, 4], dice.floats(24))), node('MatMul', 'out', ['x', 'w'])],
  'MatMul, turned': (dice) => [
    constant('w', floats([4, 6], dice.floats(24))),
    node('MatMul', 'out', ['x', 'w'], { transpose_a: false, transpose_b: true }),
  ],
  ...Object.fromEntries(
    [[], ['Relu'], ['Elu'], ['Relu6'], ['Sigmoid'], ['LeakyRelu']].map((activation) => [
      `_FusedMatMul BiasAdd ${activation}`,
      (dice: Dice) => [
        constant('w', floats([6, 4], dice.floats(24))),
        constant('b', floats([4], dice.floats(4))),
        node('_FusedMatMul', 'out', ['x', 'w', 'b'], {
          num_args: 1,
          fused_ops: ['BiasAdd', ...activation],
          transpose_a: false,
          transpose_b: false,
          epsilon: { float: 0 },
          leakyrelu_alpha: { float: 0.4 },
        }),
      ],
    ]),
  ),
  BatchMatMulV2: () => [...cube, node('BatchMatMulV2', 'out', ['cube', 'cube'], { adj_x: false, adj_y: true })],
  'BatchMatMulV2, turned first': () => [
    ...cube,
    node('BatchMatMulV2', 'out', ['cube', 'cube'], { adj_x: true, adj_y: false }),
  ],
  Einsum: (dice) => [
    ...cube,
    constant('gate', floats([6, 2], dice.floats(12))),
    node('MatMul', 'weights', ['y', 'gate']),
    node('Einsum', 'out', ['cube', 'weights'], { N: 2, equation: 'beh,be->bh' }),
  ],
  FusedBatchNormV3: (dice) => [
    constant('to', integers([-1, 1, 2, 3])),
    node('Reshape', 'image', ['x', 'to']),
    ...['scale', 'offset', 'mean'].map((name) => constant(name, floats([3], dice.floats(3)))),
    constant('variance', floats([3], above(dice, 3))),
    node('FusedBatchNormV3', 'out', ['image', 'scale', 'offset', 'mean', 'variance'], {
      epsilon: { float: 1e-3 },
      is_training: false,
      data_format: 'NHWC',
    }),
  ],
  Reshape: () => [...cube, constant('flat', integers([-1, 6])), node('Reshape', 'out', ['cube', 'flat'])],
  'Reshape to what is computed': () => [
    ...cube,
    ...sizeOf('cube'),
    constant('rest', integers([-1], [])),
    node('Pack', 'wanted', ['rows', 'rest'], { N: 2, axis: 0, T: type(I) }),
    node('Reshape', 'out', ['cube', 'wanted']),
  ],
  ExpandDims: () => [constant('axis', integers([-1], [])), node('ExpandDims', 'out', ['x', 'axis'])],
  Squeeze: () => [
    constant('axis', integers([1], [])),
    node('ExpandDims', 'wide', ['x', 'axis']),
    node('Squeeze', 'out', ['wide'], { squeeze_dims: [1] }),
  ],
  Transpose: () => [...cube, constant('perm', integers([0, 2, 1])), node('Transpose', 'out', ['cube', 'perm'])],
  ConcatV2: () => [constant('axis', integers([-1], [])), node('ConcatV2', 'out', ['x', 'y', 'x', 'axis'], { N: 3 })],
  'Pack in front of the last side': () => [node('Pack', 'out', ['x', 'y'], { N: 2, axis: 1 })],
  'Pack behind it': () => [node('Pack', 'out', ['x', 'y'], { N: 2, axis: -1 })],
  Unpack: () => [
    ...cube,
    node('Unpack', 'rows', ['cube'], { num: 2, axis: 1 }),
    node('Sub', 'out', ['rows:1', 'rows']),
  ],
  Tile: () => [constant('times', integers([1, 3])), node('Tile', 'out', ['x', 'times'])],
  BroadcastTo: () => [
    ...sizeOf('x'),
    constant('six', integers([6], [])),
    node('Pack', 'wanted', ['rows', 'six'], { N: 2, axis: 0, T: type(I) }),
    constant('one', floats([1, 1], [0.25])),
    node('BroadcastTo', 'ones', ['one', 'wanted']),
    node('Mul', 'out', ['x', 'ones']),
  ],
  Fill: () => [
    ...sizeOf('x'),
    constant('two', integers([2], [])),
    node('Pack', 'wanted', ['rows', 'two'], { N: 2, axis: 0, T: type(I) }),
    constant('value', floats([], [0.75])),
    node('Fill', 'out', ['wanted', 'value']),
  ],
  ZerosLike: () => [node('ZerosLike', 'zeros', ['x']), node('AddV2', 'out', ['zeros', 'y'])],
  OnesLike: () => [node('OnesLike', 'ones', ['x']), node('Sub', 'out', ['ones', 'y'])],
  Range: () => [
    constant('start', floats([], [0])),
    constant('limit', floats([], [6])),
    constant('delta', floats([], [1])),
    node('Range', 'places', ['start', 'limit', 'delta'], { Tidx: type(F) }),
    node('AddV2', 'out', ['x', 'places']),
  ],
  Slice: () => [
    ...cube,
    constant('begin', integers([0, 1, 0])),
    constant('size', integers([-1, 1, 2])),
    node('Slice', 'out', ['cube', 'begin', 'size']),
  ],
  'StridedSlice of one axis': sliced([0, 1], [0, 2], [1, 1], { begin: 1, end: 1 }),
  'StridedSlice of one element': sliced([0, -1], [0, 0], [1, 1], { begin: 1, end: 1, shrink_axis: 2 }),
  'StridedSlice backwards': sliced([0, 0, 0], [0, 0, 0], [1, 1, -1], { begin: 7, end: 7 }),
  'StridedSlice by two': sliced([0, 0, 0], [0, 2, 3], [1, 1, 2], { begin: 1, end: 1 }),
  'StridedSlice with an ellipsis': sliced([0, 0], [0, 1], [1, 1], { ellipsis: 1, shrink_axis: 2 }),
  'StridedSlice with a new axis': sliced([0, 0, 0], [0, 0, 2], [1, 1, 1], { begin: 1, end: 1, new_axis: 2 }),
  Split: () => [
    constant('axis', integers([1], [])),
    node('Split', 'parts', ['axis', 'x'], { num_split: 3 }),
    node('Sub', 'out', ['parts:2', 'parts']),
  ],
  SplitV: () => [
    constant('sizes', integers([2, -1])),
    constant('axis', integers([1], [])),
    node('SplitV', 'parts', ['x', 'sizes', 'axis'], { num_split: 2 }),
    node('Identity', 'out', ['parts:1']),
  ],
  GatherV2: (dice) => [
    constant('table', floats([7, 2], dice.floats(14))),
    constant('axis', integers([0], [])),
    node('GatherV2', 'out', ['table', 'ids', 'axis'], { batch_dims: 0 }),
  ],
  'GatherV2 of columns': () => [
    constant('columns', integers([5, 0, 5])),
    constant('axis', integers([1], [])),
    node('GatherV2', 'out', ['x', 'columns', 'axis'], { batch_dims: 0 }),
  ],
  GatherNd: (dice) => [
    constant('table', floats([7, 2], dice.floats(14))),
    constant('last', integers([-1], [])),
    node('ExpandDims', 'places', ['ids', 'last'], { T: type(I) }),
    node('GatherNd', 'out', ['table', 'places'], { Tparams: type(F), Tindices: type(I) }),
  ],
  OneHot: () => [
    constant('depth', integers([4], [])),
    constant('on', floats([], [2])),
    constant('off', floats([], [-1])),
    node('OneHot', 'out', ['ids', 'depth', 'on', 'off'], { axis: -1 }),
  ],
  ...Object.fromEntries(
    ['Sum', 'Mean', 'Max', 'Min', 'Prod'].flatMap((op) => [
      [`${op} over one axis`, reduced(op, [1], false)],
      [`${op} over two, kept`, reduced(op, [-1, 1], true)],
      [`${op} over none`, reduced(op, [], false)],
    ]),
  ),
  All: () => [
    node('Greater', 'more', ['x', 'y']),
    constant('axes', integers([1])),
    node('All', 'every', ['more', 'axes'], { keep_dims: true }),
    toFloat('every'),
  ],
  Any: () => [
    node('Greater', 'more', ['x', 'y']),
    constant('axes', integers([1])),
    constant('none', booleans([1, 6], [false, true, false, false, true, false])),
    node('LogicalAnd', 'some', ['more', 'none']),
    node('Any', 'any', ['some', 'axes'], { keep_dims: true }),
    toFloat('any'),
  ],
  ArgMax: () => [
    constant('axis', integers([1], [])),
    node('ArgMax', 'most', ['x', 'axis'], {
      Tidx: type(I),
      output_type: type(I),
    }),
    toFloat('most', I),
  ],
  ArgMin: () => [
    constant('axis', integers([1], [])),
    node('ArgMin', 'least', ['x', 'axis'], { Tidx: type(I), output_type: type(I) }),
    toFloat('least', I),
  ],
  Softsign: unary('Softsign'),
  IsNan: () => [node('Log', 'log', ['x']), node('IsNan', 'none', ['log']), toFloat('none')],
  IsInf: () => [
    constant('zeros', floats([6], [0, 1, 0, 1, 1, 0])),
    node('RealDiv', 'some', ['x', 'zeros']),
    node('IsInf', 'infinite', ['some']),
    toFloat('infinite'),
  ],
  'Rank and Size': () => [
    ...cube,
    constant('places', integers([1, 2, 3])),
    node('Rank', 'rank', ['cube']),
    node('Size', 'size', ['places'], { T: type(I), out_type: type(I) }),
    node('Mul', 'both', ['rank', 'size'], { T: type(I) }),
    node('Cast', 'number', ['both'], { SrcT: type(I), DstT: type(F) }),
    node('AddV2', 'out', ['x', 'number']),
  ],
  'a product of sides, as Tensordot makes it': (dice) => [
    ...cube,
    node('Shape', 'shape', ['cube'], { out_type: type(I) }),
    constant('free', integers([0, 1])),
    constant('0', integers([0], [])),
    node('GatherV2', 'sides', ['shape', 'free', '0'], { batch_dims: 0, Tparams: type(I) }),
    constant('all', integers([0])),
    node('Prod', 'rows', ['sides', 'all'], { keep_dims: false, T: type(I) }),
    constant('three', integers([3], [])),
    node('Pack', 'matrix_shape', ['rows', 'three'], { N: 2, axis: 0, T: type(I) }),
    node('Reshape', 'matrix', ['cube', 'matrix_shape']),
    constant('w', floats([3, 4], dice.floats(12))),
    node('MatMul', 'product', ['matrix', 'w']),
    constant('four', integers([4])),
    node('ConcatV2', 'answer_shape', ['sides', 'four', '0'], { N: 2, T: type(I) }),
    node('Reshape', 'out', ['product', 'answer_shape']),
  ],
  'a normalisation as Keras writes it': (dice) => [
    ...['mean', 'gamma', 'beta'].map((name) => constant(name, floats([6], dice.floats(6)))),
    constant('variance', floats([6], above(dice, 6))),
    constant('epsilon', floats([], [1e-3])),
    node('AddV2', 'wide', ['variance', 'epsilon']),
    node('Rsqrt', 'root', ['wide']),
    node('Mul', 'scale', ['root', 'gamma']),
    node('Mul', 'scaled', ['x', 'scale']),
    node('Mul', 'lost', ['mean', 'scale']),
    node('Sub', 'shift', ['beta', 'lost']),
    node('AddV2', 'out', ['scaled', 'shift']),
  ],
}

/** Graphs read some of the inputs; signatures have them all. */
function whole(nodes: NodeDef[]): HandWritten {
  return {
    nodes: [placeholder('x'), placeholder('y'), placeholder('ids', I), ...nodes],
    inputs: { x: ['x', F, [-1, 6]], y: ['y', F, [-1, 6]], ids: ['ids', I, [-1, 3]] },
    outputs: { answer: 'out' },
  }
}

const native = await prepareTensorFlow('native').then(
  () => createTensorflowEngine({ backend: 'native' }),
  () => undefined,
)
const cpu = await createTensorflowEngine({ backend: 'cpu' })
const onnx = await createOnnxEngine({ threads: 1 })

/** TensorFlow.js makes integers of the first, unlike TensorFlow, and has none of the others. */
const notOnCpu = new Set(['FloorDiv', 'Softsign', 'Erfc'])

for (const [name, write] of Object.entries(graphs))
  t.test(name, async (t) => {
    const folder = t.testdir()
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 5 }), async (seed, rows) => {
        const dice = new Dice(seed)
        const graph = whole(write(dice))
        const inputs = {
          x: dice.floats(rows * 6),
          y: dice.floats(rows * 6),
          ids: Int32Array.from({ length: rows * 3 }, () => dice.below(7)),
        }
        const answer = async (engine: typeof onnx, saved: ReturnType<typeof saveGraphModel>) => {
          const loaded = await engine.load(await saved)
          try {
            return (await loaded.run({ rows, inputs }, ['answer'])).answer!
          } finally {
            await loaded.close()
          }
        }
        const actual = await answer(onnx, saveGraphModel(folder, graph))
        const check = (expected: Float32Array, by: string) => {
          if (actual.length !== expected.length) throw new Error(`${actual.length} values, ${expected.length} by ${by}`)
          for (const [i, value] of expected.entries())
            if (!(Math.abs(value - actual[i]!) <= 1e-5 * Math.max(1, Math.abs(value))))
              throw new Error(`value ${i} is ${actual[i]}, ${value} by ${by}`)
        }
        if (!notOnCpu.has(name)) check(await answer(cpu, saveGraphModel(folder, graph)), 'cpu')
        if (native !== undefined) {
          const savedModel = saveSavedModel(folder, graph)
          const expected = await answer(native, savedModel).catch((error) => {
            // Some fusions exist only where oneDNN has kernels for the processor.
            if (/Fusion is not implemented/.test(String(error))) return undefined
            throw error
          })
          if (expected !== undefined) check(expected, 'native TensorFlow')
          check(await answer(onnx, savedModel), 'the SavedModel')
        }
      }),
      { numRuns: randomCases(4), includeErrorInReport: true },
    )
  })
