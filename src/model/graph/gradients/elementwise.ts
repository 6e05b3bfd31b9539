import { floatAttribute } from '../ir/attributes.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import { type Application, type Rule, unary } from './rule.ts'

/* Operators that work element by element. In comments x is the input, y the output and g the gradient of y. */

/** g times what `factor` gives. */
const scaled = (factor: (application: Application, x: string, y: string) => string): Rule =>
  unary((application, x, y) => application.append.multiply(application.gradient, factor(application, x, y)))

/** The gradient of each input that is wanted, summed over what was repeated. */
const each =
  (gradient: (application: Application, input: number) => string): Rule =>
  (application) =>
    application.node.input.map((name, input) =>
      application.wanted(input) ? application.append.sumTo(gradient(application, input), name) : undefined,
    )

const identity: Rule = ({ gradient }) => [gradient]

const sum = each(({ gradient }) => gradient)

const mean = each(({ append, gradient, node }) => append.multiply(gradient, append.scalar(1 / node.input.length)))

const subtract = each(({ append, gradient }, input) => (input === 0 ? gradient : append.unary('Neg', gradient)))

const multiply = each(({ append, gradient, node }, input) => append.multiply(gradient, node.input[1 - input]!))

/** a ÷ b: g ÷ b, and −g·y ÷ b. */
const divide = each(({ append, gradient, node }, input) => {
  const over = append.divide(gradient, node.input[1]!)
  return input === 0 ? over : append.unary('Neg', append.multiply(over, node.output[0]!))
})

/** xᵉ: e·xᵉ⁻¹·g, and y·ln(x)·g. */
const power = each(({ append, gradient, node }, input) => {
  const [x, exponent] = node.input as [string, string]
  if (input === 1) return append.multiply(gradient, append.multiply(node.output[0]!, append.unary('Log', x)))
  const slope = append.binary('Pow', x, append.subtract(exponent, append.scalar(1)))
  return append.multiply(gradient, append.multiply(exponent, slope))
})

/** The largest or smallest of several: g goes to the inputs that equal it, in equal parts. */
const extreme: Rule = (application) => {
  const { append, gradient, node } = application
  const y = node.output[0]!
  const chosen = node.input.map((x) => append.indicator('Equal', x, y))
  const count = chosen.reduce((a, b) => append.add(a, b))
  const part = append.divide(gradient, count)
  return node.input.map((x, input) =>
    application.wanted(input) ? append.sumTo(append.multiply(part, chosen[input]!), x) : undefined,
  )
}

const where: Rule = (application) => {
  const { append, gradient, node } = application
  const [condition, a, b] = node.input as [string, string, string]
  const dims = append.dims(gradient)
  const zero = append.scalar(0)
  const pick = (branches: string[], like: string) =>
    append.sumTo(append.op('Where', [condition, ...branches], dims), like)
  return [
    undefined,
    application.wanted(1) ? pick([gradient, zero], a) : undefined,
    application.wanted(2) ? pick([zero, gradient], b) : undefined,
  ]
}

/** Within its bounds y is x. */
const clip: Rule = (application) => {
  const { append, gradient, node } = application
  if (application.wanted(1) || application.wanted(2)) throw new Error('bounds that are trained are not supported')
  return [append.multiply(gradient, append.indicator('Equal', node.input[0]!, node.output[0]!))]
}

const relu = scaled(({ append }, _, y) => append.indicator('Greater', y, append.scalar(0)))

const leakyRelu = scaled(({ append, node }, x) => {
  const slope = floatAttribute(node, 'alpha', 0.01)
  return append.add(
    append.multiply(append.indicator('Greater', x, append.scalar(0)), append.scalar(1 - slope)),
    append.scalar(slope),
  )
})

/** α(eˣ − 1) below 0, where the slope is y + α. */
const elu = scaled(({ append, node }, x, y) => {
  const positive = append.indicator('Greater', x, append.scalar(0))
  const below = append.add(y, append.scalar(floatAttribute(node, 'alpha', 1)))
  return append.add(positive, append.multiply(append.subtract(append.scalar(1), positive), below))
})

const sigmoid = scaled(({ append }, _, y) => append.multiply(y, append.subtract(append.scalar(1), y)))

const tanh = scaled(({ append }, _, y) => append.subtract(append.scalar(1), append.multiply(y, y)))

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

export const elementwiseRules: Record<string, Rule> = {
  Abs: scaled(({ append }, x) => append.unary('Sign', x)),
  Add: sum,
  Cast: cast,
  Clip: clip,
  Div: divide,
  // At inference; in training a mask is multiplied.
  Dropout: identity,
  Elu: elu,
  Erf: erf,
  Exp: scaled((_, __, y) => y),
  Identity: identity,
  LeakyRelu: leakyRelu,
  Log: unary(({ append, gradient }, x) => append.divide(gradient, x)),
  Max: extreme,
  Mean: mean,
  Min: extreme,
  Mul: multiply,
  Neg: unary(({ append, gradient }) => append.unary('Neg', gradient)),
  Pow: power,
  Reciprocal: scaled(({ append }, _, y) => append.unary('Neg', append.multiply(y, y))),
  Relu: relu,
  Sigmoid: sigmoid,
  Softplus: scaled(({ append }, x) => append.unary('Sigmoid', x)),
  Sqrt: unary(({ append, gradient }, _, y) => append.divide(gradient, append.multiply(y, append.scalar(2)))),
  Sub: subtract,
  Sum: sum,
  Tanh: tanh,
  Where: where,
}
