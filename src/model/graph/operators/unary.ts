import { floatAttribute, intAttribute } from '../ir/attributes.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import type { Loop } from '../rows/arithmetic.ts'
import * as rows from '../rows/arithmetic.ts'
import { each, type Followed } from './columns.ts'
import { castPlaces, unchangedPlaces } from './moved-places.ts'
import {
  type Application,
  composed,
  dropped,
  type FromTensorFlow,
  notMet,
  type Operator,
  ofOneInput,
  otherArguments,
  type Rule,
  unfollowed,
  untrained,
} from './operator.ts'
import { eachPlace } from './places.ts'

/*
 * Functions of one number: an entry of `unary`, at the end, is all that there is to an operator. In gradients x is the
 * name of the input, y that of the output and, in comments, g the gradient of y; in loops `x` and `out` are places.
 */

/** g times what `factor` gives. */
const scaled = (factor: (application: Application, x: string, y: string) => string): Rule =>
  ofOneInput((application, x, y) => application.append.multiply(application.gradient, factor(application, x, y)))

const identity: Rule = ({ gradient }) => [gradient]

/** Within its bounds y is x. */
const clip: Rule = (application) => {
  const { append, gradient, node } = application
  if (application.wanted(1) || application.wanted(2)) throw new Error('bounds that are trained are not supported')
  return [append.multiply(gradient, append.indicator('Equal', node.input[0]!, node.output[0]!))]
}

/** α(eˣ − 1) below 0, where the slope is y + α. */
const elu = scaled(({ append, node }, x, y) => {
  const positive = append.indicator('Greater', x, append.scalar(0))
  const below = append.add(y, append.scalar(floatAttribute(node, 'alpha', 1)))
  return append.add(positive, append.multiply(append.subtract(append.scalar(1), positive), below))
})

const eluLoop =
  (alpha: number): Loop =>
  (floats, x, out, count) => {
    for (let i = 0; i < count; i++) {
      const value = floats[x + i]!
      floats[out + i] = value > 0 ? value : alpha * Math.expm1(value)
    }
  }

const leakyReluLoop =
  (slope: number): Loop =>
  (floats, x, out, count) => {
    for (let i = 0; i < count; i++) {
      const value = floats[x + i]!
      floats[out + i] = value < 0 ? slope * value : value
    }
  }

const leakyRelu = scaled(({ append, node }, x) => {
  const slope = floatAttribute(node, 'alpha', 0.01)
  return append.add(
    append.multiply(append.indicator('Greater', x, append.scalar(0)), append.scalar(1 - slope)),
    append.scalar(slope),
  )
})

/** 2 ÷ √π · e^(−x²) */
const erf = scaled(({ append }, x) =>
  append.multiply(
    append.unary('Exp', append.unary('Neg', append.multiply(x, x))),
    append.scalar(2 / Math.sqrt(Math.PI)),
  ),
)

/** Between types of floats alone. */
const cast: Rule = ({ append, gradient, node }) => {
  const from = append.graph.shapes.get(node.input[0]!)?.dtype
  if (from !== DataType.FLOAT) throw new Error('only casts between floats are supported')
  return [append.op('Cast', [gradient], append.dims(gradient), { to: from })]
}

const addedByCast = ({ node, sourceOf }: Followed): number[] | undefined =>
  intAttribute(node, 'to', 0) === DataType.BOOL ? undefined : sourceOf(node.input[0]!)?.added

/** TensorFlow's operators with one input. */
const from = (...names: string[]): FromTensorFlow => ({ names, inputs: 1 })

const isTrue = (name: string): FromTensorFlow => ({ names: [name], inputs: 1, result: 'bool' })

interface FunctionFacets extends Pick<Operator, 'gradient' | 'tensorflow' | 'keras'> {
  /** Computes a run of numbers. */
  loop: Loop
  /** Steps over rows in place of those with `loop`. */
  rows?: Operator['rows']
}

function ofOne(loop: Loop, value: number): number {
  const floats = Float32Array.of(value, 0)
  loop(floats, 0, 1, 1)
  return floats[1]!
}

/** A function that is met in rankers. */
const functionOf = ({ loop, ...facets }: FunctionFacets): Operator => ({
  columns: each(),
  places: eachPlace,
  number: (value) => ofOne(loop, value!),
  rows: rows.unary(loop),
  ...facets,
})

/** A function that only ONNX Runtime computes, unless its entry adds `rows`. */
const rare = (tensorflowName: string, gradient: Operator['gradient'] = untrained): Operator => ({
  columns: each(),
  places: eachPlace,
  gradient,
  rows: notMet,
  tensorflow: from(tensorflowName),
})

const reluLoop: Loop = (floats, x, out, count) => {
  for (let i = 0; i < count; i++) floats[out + i] = Math.max(floats[x + i]!, 0)
}

export const unary: Record<string, Operator> = {
  Abs: functionOf({
    loop: (floats, x, out, count) => {
      for (let i = 0; i < count; i++) floats[out + i] = Math.abs(floats[x + i]!)
    },
    gradient: scaled(({ append }, x) => append.unary('Sign', x)),
    tensorflow: from('Abs'),
  }),
  Atan: { ...rare('Atan'), columns: unfollowed },
  Cast: {
    columns: each(addedByCast),
    places: castPlaces,
    gradient: cast,
    rows: rows.cast,
    tensorflow: otherArguments,
  },
  Ceil: rare('Ceil'),
  Clip: { columns: each(), places: eachPlace, gradient: clip, rows: notMet, tensorflow: composed },
  Cos: { ...rare('Cos'), columns: unfollowed },
  // At inference; in training a mask is multiplied.
  Dropout: { columns: dropped, places: dropped, gradient: identity, rows: dropped, tensorflow: composed },
  Elu: {
    ...rare('Elu', elu),
    keras: 'elu',
    rows: (t, node) => rows.unary(eluLoop(floatAttribute(node, 'alpha', 1)))(t, node),
  },
  Erf: rare('Erf', erf),
  Exp: functionOf({
    loop: (floats, x, out, count) => {
      for (let i = 0; i < count; i++) floats[out + i] = Math.exp(floats[x + i]!)
    },
    gradient: scaled((_, __, y) => y),
    tensorflow: from('Exp'),
    keras: 'exponential',
  }),
  Floor: rare('Floor'),
  HardSigmoid: { columns: each(), places: eachPlace, gradient: untrained, rows: notMet, tensorflow: composed },
  Identity: {
    columns: dropped,
    places: unchangedPlaces,
    gradient: identity,
    rows: (t, node) => t.set(node.output[0]!, t.tensor(node.input[0]!)),
    tensorflow: otherArguments,
    keras: 'linear',
  },
  IsInf: { columns: unfollowed, places: eachPlace, gradient: 'constant', rows: notMet, tensorflow: isTrue('IsInf') },
  IsNaN: {
    columns: each(),
    places: eachPlace,
    number: (value) => Number(Number.isNaN(value)),
    gradient: 'constant',
    rows: notMet,
    tensorflow: isTrue('IsNan'),
  },
  LeakyRelu: {
    columns: each(),
    places: eachPlace,
    gradient: leakyRelu,
    rows: (t, node) => rows.unary(leakyReluLoop(floatAttribute(node, 'alpha', 0.01)))(t, node),
    tensorflow: otherArguments,
  },
  Log: functionOf({
    loop: (floats, x, out, count) => {
      for (let i = 0; i < count; i++) floats[out + i] = Math.log(floats[x + i]!)
    },
    gradient: ofOneInput(({ append, gradient }, x) => append.divide(gradient, x)),
    tensorflow: from('Log'),
  }),
  Neg: functionOf({
    loop: (floats, x, out, count) => {
      for (let i = 0; i < count; i++) floats[out + i] = -floats[x + i]!
    },
    gradient: ofOneInput(({ append, gradient }) => append.unary('Neg', gradient)),
    tensorflow: from('Neg'),
  }),
  Not: { ...rare('LogicalNot', 'constant'), number: (value) => Number(value === 0) },
  Reciprocal: {
    ...rare(
      'Reciprocal',
      scaled(({ append }, _, y) => append.unary('Neg', append.multiply(y, y))),
    ),
    tensorflow: from('Reciprocal', 'Inv'),
  },
  Relu: functionOf({
    loop: reluLoop,
    gradient: scaled(({ append }, _, y) => append.indicator('Greater', y, append.scalar(0))),
    tensorflow: from('Relu'),
    keras: 'relu',
    rows(t, node) {
      // The step before it may have clipped what it reads.
      if (t.relus.isTaken(node)) t.set(node.output[0]!, t.tensor(node.input[0]!))
      else rows.unary(reluLoop)(t, node)
    },
  }),
  Round: rare('Round'),
  Selu: { ...rare('Selu'), columns: unfollowed },
  Sigmoid: functionOf({
    loop: rows.sigmoidLoop,
    gradient: scaled(({ append }, _, y) => append.multiply(y, append.subtract(append.scalar(1), y))),
    tensorflow: from('Sigmoid'),
    keras: 'sigmoid',
    rows: rows.sigmoid,
  }),
  Sign: rare('Sign', 'constant'),
  Sin: { ...rare('Sin'), columns: unfollowed },
  Softplus: functionOf({
    // ln(1 + eˣ), without an eˣ that is too large.
    loop: (floats, x, out, count) => {
      for (let i = 0; i < count; i++)
        floats[out + i] = Math.max(floats[x + i]!, 0) + Math.log1p(Math.exp(-Math.abs(floats[x + i]!)))
    },
    gradient: scaled(({ append }, x) => append.unary('Sigmoid', x)),
    tensorflow: from('Softplus'),
    keras: 'softplus',
  }),
  Softsign: { ...rare('Softsign'), columns: unfollowed },
  Sqrt: functionOf({
    loop: (floats, x, out, count) => {
      for (let i = 0; i < count; i++) floats[out + i] = Math.sqrt(floats[x + i]!)
    },
    gradient: ofOneInput(({ append, gradient }, _, y) => append.divide(gradient, append.multiply(y, append.scalar(2)))),
    tensorflow: from('Sqrt'),
  }),
  Tanh: functionOf({
    loop: (floats, x, out, count) => {
      for (let i = 0; i < count; i++) floats[out + i] = Math.tanh(floats[x + i]!)
    },
    gradient: scaled(({ append }, _, y) => append.subtract(append.scalar(1), append.multiply(y, y))),
    tensorflow: from('Tanh'),
    keras: 'tanh',
  }),
}
