import { type FromTensorFlow, present } from '../../../operators/operator.ts'
import { operators } from '../../../operators/table.ts'
import { type Application, input, type Operator, ranked } from '../application.ts'
import { onnxTypeOf } from '../tensor-data.ts'
import { broadcast, type Content, elementOf, floatOf, textOf, times, type Value } from '../value.ts'

/** Two operands with broadcasting. */
function pair(application: Application): [Value, Value] {
  const [x, y] = [input(application, 0), input(application, 1)]
  if (x.type !== y.type) throw application.fail(`its inputs are ${x.type} and ${y.type}`)
  return [x, y]
}

function apply(application: Application, opType: string, x: Value, y: Value, type = x.type): Value {
  return application.emit(opType, [x, y], { type, dims: broadcast(x.dims, y.dims) })
}

/** An operator of TensorFlow that one of ONNX computes; `known`: its value for what is known when the graph is read. */
function same(opType: string, { inputs, result, fold: known }: FromTensorFlow): Operator {
  if (inputs === 1)
    return (application) => {
      const x = input(application, 0)
      return application.emit(opType, [x], { type: result ?? x.type, dims: x.dims })
    }
  // A number of batches times a number is one, too.
  const folds = opType === 'Mul' ? times : known && ofNumbers(known)
  return (application) => {
    const [x, y] = pair(application)
    const contents = folds && fold(x, y, folds)
    if (contents !== undefined) return { type: x.type, dims: broadcast(x.dims, y.dims), contents }
    return apply(application, opType, x, y, result)
  }
}

/** Results over dimensions are computed when the graph is read. */
function fold(x: Value, y: Value, known: (a: Content, b: Content) => Content | undefined): Content[] | undefined {
  const [a, b] = [x.contents, y.contents]
  if (a === undefined || b === undefined || (a.length !== b.length && a.length !== 1 && b.length !== 1))
    return undefined
  if ((x.dims?.length ?? 2) > 1 || (y.dims?.length ?? 2) > 1 || a.length === 0 || b.length === 0) return undefined
  const results = Array.from({ length: Math.max(a.length, b.length) }, (_, i) =>
    known(a[a.length === 1 ? 0 : i]!, b[b.length === 1 ? 0 : i]!),
  )
  return results.every((result) => result !== undefined) ? results : undefined
}

function ofNumbers(known: (a: number, b: number) => number) {
  return (a: Content, b: Content) => {
    const result = typeof a === 'number' && typeof b === 'number' ? known(a, b) : Number.NaN
    return Number.isSafeInteger(result) ? result : undefined
  }
}

const isInteger = ({ type }: Value) => type !== 'float32' && type !== 'float64'

/** x − floor(x / y)·y, which has y's sign. */
const floorMod: Operator = (application) => {
  const [x, y] = pair(application)
  if (isInteger(x)) return apply(application, 'Mod', x, y)
  return apply(application, 'Sub', x, apply(application, 'Mul', floorOfQuotient(application, x, y), y))
}

const floorDiv: Operator = (application) => {
  const [x, y] = pair(application)
  const contents = fold(
    x,
    y,
    ofNumbers((a, b) => Math.floor(a / b)),
  )
  if (contents !== undefined) return { type: x.type, dims: broadcast(x.dims, y.dims), contents }
  if (!isInteger(x)) return floorOfQuotient(application, x, y)
  // ONNX truncates; x minus its remainder divides exactly.
  return apply(application, 'Div', apply(application, 'Sub', x, apply(application, 'Mod', x, y)), y)
}

function floorOfQuotient(application: Application, x: Value, y: Value): Value {
  const quotient = apply(application, 'Div', x, y)
  return application.emit('Floor', [quotient], quotient)
}

const divNoNan: Operator = (application) => {
  const [x, y] = pair(application)
  const zero = application.scalar(x.type, 0)
  const isZero = apply(application, 'Equal', y, zero, 'bool')
  const quotient = apply(application, 'Div', x, y)
  return application.emit('Where', [isZero, zero, quotient], quotient)
}

const squaredDifference: Operator = (application) => {
  const [x, y] = pair(application)
  const difference = apply(application, 'Sub', x, y)
  return apply(application, 'Mul', difference, difference)
}

/** An operator of one input. */
const ofOne =
  (write: (application: Application, x: Value) => Value): Operator =>
  (application) =>
    write(application, input(application, 0))

const square = ofOne((application, x) => apply(application, 'Mul', x, x))

const rsqrt = ofOne(({ emit }, x) => emit('Reciprocal', [emit('Sqrt', [x], x)], x))

const log1p = ofOne((application, x) =>
  application.emit('Log', [apply(application, 'Add', x, application.scalar(x.type, 1))], x),
)

const expm1 = ofOne((application, x) =>
  apply(application, 'Sub', application.emit('Exp', [x], x), application.scalar(x.type, 1)),
)

/** 1 − erf(x) */
const erfc = ofOne((application, x) =>
  apply(application, 'Sub', application.scalar(x.type, 1), application.emit('Erf', [x], x)),
)

function between(application: Application, x: Value, low: Value, high: Value): Value {
  return apply(application, 'Max', apply(application, 'Min', x, high), low)
}

const clip: Operator = (application) =>
  between(application, input(application, 0), input(application, 1), input(application, 2))

/** An activation by its TensorFlow name; undefined for an unknown name. */
export function activate(application: Application, name: string, x: Value): Value {
  if (name === 'Relu6') return between(application, x, application.scalar(x.type, 0), application.scalar(x.type, 6))
  if (name === 'LeakyRelu') {
    const { attr, op } = application.node
    const alpha = floatOf(attr, op === 'LeakyRelu' ? 'alpha' : 'leakyrelu_alpha', 0.2)
    return application.emit('LeakyRelu', [x], x, { alpha: { float: alpha } })
  }
  if (!['Relu', 'Elu', 'Sigmoid', 'Tanh'].includes(name))
    throw application.fail(`its activation ${name} is not supported`)
  return application.emit(name, [x], x)
}

const notEqual: Operator = (application) => {
  const [x, y] = pair(application)
  const equal = apply(application, 'Equal', x, y, 'bool')
  return application.emit('Not', [equal], equal)
}

const addN: Operator = (application) => {
  const [first, ...rest] = application.inputs
  if (first === undefined) throw application.fail('has no inputs')
  return rest.reduce((sum, value) => apply(application, 'Add', sum, value), first)
}

/** The vector is along the last dimension. */
export const biasAdd: Operator = (application) => {
  const [x, bias] = pair(application)
  if (textOf(application.node.attr, 'data_format', 'NHWC') !== 'NHWC' && ranked(application, 0).length > 2)
    throw application.fail('channels first are not supported')
  return apply(application, 'Add', x, bias)
}

const selectV2: Operator = (application) => {
  const [condition, x, y] = [0, 1, 2].map((i) => input(application, i)) as [Value, Value, Value]
  const dims = broadcast(condition.dims, broadcast(x.dims, y.dims))
  return application.emit('Where', [condition, x, y], { type: x.type, dims })
}

/** The first version of Select: a vector condition selects entire rows. */
const select: Operator = (application) => {
  const condition = input(application, 0)
  const x = input(application, 1)
  const [rank, own] = [ranked(application, 1).length, ranked(application, 0).length]
  if (own !== 1 || rank <= 1) return selectV2(application)
  const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1)
  const rows = application.emit('Unsqueeze', [condition, application.vector(axes)], {
    type: 'bool',
    dims: [...(condition.dims ?? []), ...axes.map(() => 1)],
  })
  return application.emit('Where', [rows, x, input(application, 2)], x)
}

const cast: Operator = (application) => {
  const x = input(application, 0)
  const wanted = elementOf(application.node.attr, 'DstT', x.type)
  if (wanted === undefined) throw application.fail('casts to a type that is not supported')
  return castTo(application, x, wanted)
}

/** The same values in another type. */
export function castTo(application: Application, x: Value, wanted: Value['type']): Value {
  const type = wanted === 'int64' ? application.program.int64 : wanted
  if (type === x.type) return x
  if (x.contents !== undefined && (type === 'int32' || type === 'int64'))
    return { type, dims: x.dims, contents: x.contents }
  return application.emit('Cast', [x], { type, dims: x.dims }, { to: onnxTypeOf(type) })
}

/** Operators that are made of several of ONNX. */
const composed: Record<string, Operator> = {
  Erfc: erfc,
  Expm1: expm1,
  LeakyRelu: ofOne((application, x) => activate(application, 'LeakyRelu', x)),
  Log1p: log1p,
  Relu6: ofOne((application, x) => activate(application, 'Relu6', x)),
  Rsqrt: rsqrt,
  Square: square,
  DivNoNan: divNoNan,
  FloorDiv: floorDiv,
  FloorMod: floorMod,
  SquaredDifference: squaredDifference,
  AddN: addN,
  BiasAdd: biasAdd,
  BiasAddV1: biasAdd,
  ClipByValue: clip,
  NotEqual: notEqual,
  Select: select,
  SelectV2: selectV2,
  Cast: cast,
}

/** Element-wise operators. */
export const elementwise: Record<string, Operator> = { ...composed }
for (const [opType, operator] of operators) {
  const from = present(operator.tensorflow)
  for (const name of from?.names ?? []) elementwise[name] = same(opType, from!)
}
