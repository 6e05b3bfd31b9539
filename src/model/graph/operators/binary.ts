import * as rows from '../rows/arithmetic.ts'
import { each, type Followed } from './columns.ts'
import {
  type Application,
  composed,
  type Facet,
  notMet,
  type Operator,
  otherArguments,
  present,
  type Rule,
  unfollowed,
  untrained,
} from './operator.ts'
import { eachPlace } from './places.ts'

/*
 * Functions of several numbers, element by element: an entry of `binary`, at the end, is all that there is to an
 * operator. In comments y is the output and g its gradient.
 */

/** The gradient of each input that is wanted, summed over what was repeated. */
const eachInput =
  (gradient: (application: Application, input: number) => string): Rule =>
  (application) =>
    application.node.input.map((name, input) =>
      application.wanted(input) ? application.append.sumTo(gradient(application, input), name) : undefined,
    )

const sum = eachInput(({ gradient }) => gradient)

/** a ÷ b: g ÷ b, and −g·y ÷ b. */
const divide = eachInput(({ append, gradient, node }, input) => {
  const over = append.divide(gradient, node.input[1]!)
  return input === 0 ? over : append.unary('Neg', append.multiply(over, node.output[0]!))
})

/** xᵉ: e·xᵉ⁻¹·g, and y·ln(x)·g. */
const power = eachInput(({ append, gradient, node }, input) => {
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

/** The numbers that a sum with a constant adds. */
function addedByConstant({ graph, node, sourceOf }: Followed): number[] | undefined {
  const [first, second] = node.input as [string, string]
  const [value, constant] = graph.constants.has(first) ? [second, first] : [first, second]
  const offsets = graph.integersOf(constant)
  if (offsets?.every((offset) => offset >= 0) !== true) return undefined
  return sourceOf(value)?.added?.map((sum, i) => sum + offsets[offsets.length === 1 ? 0 : i]!)
}

/** x < 0 ? x + rows : x, as Keras counts negative ids from a table's end. */
function addedByChoice({ graph, node, sourceOf }: Followed): number[] | undefined {
  const [condition, otherwise, x] = node.input as [string, string, string]
  const [less, sum] = [graph.producer(condition), graph.producer(otherwise)]
  const counts =
    less?.opType === 'Less' &&
    sum?.opType === 'Add' &&
    less.input[0] === x &&
    graph.integersOf(less.input[1]!)?.every((bound) => bound === 0) === true &&
    sum.input.includes(x)
  return counts ? sourceOf(x)?.added : undefined
}

interface Arithmetic {
  /** Computes one number. */
  of: Facet<(a: number, b: number) => number>
  gradient: Operator['gradient']
  /** Names of TensorFlow's operators; `folds`: dimensions that are known are computed, by `of`. */
  tensorflow: readonly string[]
  folds?: boolean
  columns?: Operator['columns']
  rows?: Operator['rows']
}

function arithmetic({ of, gradient, tensorflow: names, folds, columns = each(), rows: own }: Arithmetic): Operator {
  const compute = present(of)
  return {
    columns,
    places: eachPlace,
    ...(compute && { number: compute }),
    gradient,
    rows: own ?? (compute ? rows.elementwise(compute) : notMet),
    tensorflow: { names, inputs: 2, ...(folds && compute && { fold: compute }) },
  }
}

/** A truth value of two inputs. */
const comparison = (name: string, holds: (a: number, b: number) => boolean): Operator => ({
  columns: each(),
  places: eachPlace,
  number: (a, b) => Number(holds(a!, b!)),
  gradient: 'constant',
  rows: notMet,
  tensorflow: { names: [name], inputs: 2, result: 'bool' },
})

export const binary: Record<string, Operator> = {
  Add: arithmetic({
    of: (a, b) => a + b,
    gradient: sum,
    tensorflow: ['Add', 'AddV2'],
    folds: true,
    columns: each(addedByConstant),
    rows: rows.add,
  }),
  And: comparison('LogicalAnd', (a, b) => a !== 0 && b !== 0),
  Div: arithmetic({ of: (a, b) => a / b, gradient: divide, tensorflow: ['RealDiv', 'Div', 'TruncateDiv'] }),
  Equal: comparison('Equal', (a, b) => a === b),
  Greater: comparison('Greater', (a, b) => a > b),
  GreaterOrEqual: comparison('GreaterEqual', (a, b) => a >= b),
  Less: comparison('Less', (a, b) => a < b),
  LessOrEqual: comparison('LessEqual', (a, b) => a <= b),
  Max: arithmetic({ of: Math.max, gradient: extreme, tensorflow: ['Maximum'], folds: true }),
  Mean: {
    columns: unfollowed,
    places: eachPlace,
    gradient: eachInput(({ append, gradient, node }) =>
      append.multiply(gradient, append.scalar(1 / node.input.length)),
    ),
    rows: notMet,
    tensorflow: composed,
  },
  Min: arithmetic({ of: Math.min, gradient: extreme, tensorflow: ['Minimum'], folds: true }),
  Mul: arithmetic({
    of: (a, b) => a * b,
    gradient: eachInput(({ append, gradient, node }, input) => append.multiply(gradient, node.input[1 - input]!)),
    tensorflow: ['Mul'],
  }),
  Or: comparison('LogicalOr', (a, b) => a !== 0 || b !== 0),
  Pow: arithmetic({ of: notMet, gradient: power, tensorflow: ['Pow'] }),
  PRelu: {
    ...arithmetic({ of: rows.slope, gradient: untrained, tensorflow: [], rows: rows.prelu }),
    tensorflow: composed,
  },
  Sub: arithmetic({
    of: (a, b) => a - b,
    gradient: eachInput(({ append, gradient }, input) => (input === 0 ? gradient : append.unary('Neg', gradient))),
    tensorflow: ['Sub'],
    folds: true,
  }),
  Sum: { columns: unfollowed, places: eachPlace, gradient: sum, rows: notMet, tensorflow: composed },
  Where: {
    columns: each(addedByChoice),
    places: eachPlace,
    gradient: where,
    rows: notMet,
    tensorflow: otherArguments,
  },
}
