import { positive } from '../../../base/arrays.ts'
import { floatAttribute, intAttribute, intsAttribute } from '../ir/attributes.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import { dequantizeLinear, softmax as softmaxOfRows } from '../rows/arithmetic.ts'
import type { Appender } from './appender.ts'
import {
  type Application,
  absent,
  composed,
  notMet,
  type Operator,
  ofOneInput,
  otherArguments,
  type Rule,
  wholeLists,
} from './operator.ts'
import { normalisedPlaces, reducedPlaces, samePlaces, softmaxOfPlaces } from './places.ts'

/*
 * Normalisations. In training they are written out in elementary operators, which ONNX Runtime's inference builds have;
 * their gradients are the closed forms, which take half the passes over memory that the chain rule over the parts
 * would.
 */

/** x − mean and 1 ÷ √(variance + ε) over `axes`, with sides of 1 there. */
export interface Moments {
  centred: string
  inverse: string
  mean: string
  variance: string
}

/** Nodes of the forward pass for the moments of `x`. */
function momentsOf(append: Appender, x: string, axes: number[], epsilon: number): Moments {
  const mean = append.reduce('ReduceMean', x, axes, true)
  const centred = append.subtract(x, mean)
  const variance = append.reduce('ReduceMean', append.multiply(centred, centred), axes, true)
  const deviation = append.unary('Sqrt', append.add(variance, append.scalar(epsilon)))
  return { centred, inverse: append.unary('Reciprocal', deviation), mean, variance }
}

/**
 * g − mean(g) − x̂·mean(g·x̂), where g is the gradient of x̂ up to a factor: times 1/σ and that factor, the gradient of
 * x. `mean` and `along` are the means of g and of g · centred over the axes.
 */
function throughMoments(
  append: Appender,
  { centred, inverse }: Moments,
  gradient: string,
  mean: string,
  along: string,
): string {
  const slope = append.multiply(append.multiply(along, inverse), inverse)
  return append.subtract(append.subtract(gradient, mean), append.multiply(centred, slope))
}

/** Every axis but the channels'. */
const batchAxes = (rank: number): number[] =>
  Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1)

/** A vector of channels [C], to be multiplied with tensors of `rank`. */
function channels(append: Appender, name: string, rank: number): string {
  const [side] = append.dims(name) as [number]
  if (rank === 2) return name
  const dims = [side, ...Array.from({ length: rank - 2 }, () => 1)]
  return append.op('Reshape', [name, append.graph.integers(dims)], dims)
}

/**
 * A BatchNormalization node that uses the batch's own mean and variance, [B, C, …] over all but C, written out in
 * place; the variance is the biased one. Returns its moments, [1, C, …].
 */
export function writeOutNormalisation(append: Appender, node: NodeProto): Moments {
  const [x, gamma, beta] = node.input as [string, string, string]
  const rank = append.dims(x).length
  const moments = momentsOf(append, x, batchAxes(rank), floatAttribute(node, 'epsilon', 1e-5))
  const scale = append.multiply(moments.inverse, channels(append, gamma, rank))
  const scaled = append.multiply(moments.centred, scale)
  const shape = { dtype: DataType.FLOAT, dims: [...append.dims(x)] }
  const { graph } = append
  graph.nodes.splice(graph.nodes.indexOf(node), 1)
  graph.node('Add', [scaled, channels(append, beta, rank)], { outputs: [node.output[0]!], shape })
  return moments
}

/** The rule of a node that `writeOutNormalisation` wrote out. */
export function trainedNormalisation(application: Application, moments: Moments): (string | undefined)[] {
  const { append, gradient, node, wanted } = application
  const [x, gamma] = node.input as [string, string]
  const rank = append.dims(x).length
  const axes = batchAxes(rank)
  const { centred, inverse } = moments
  const [sum, along] = [gradient, append.multiply(gradient, centred)].map((values) =>
    append.reduce('ReduceMean', values, axes, true),
  ) as [string, string]
  const overRows = (mean: string, like: string) => {
    // Means times their number are sums, and cost no pass of their own.
    const count = append.divide(append.sizeOf(x), append.sizeOf(gamma))
    return append.reshapeLike(append.multiply(mean, count), like)
  }
  const dX = () => {
    const rest = throughMoments(append, moments, gradient, sum, along)
    return append.multiply(rest, append.multiply(inverse, channels(append, gamma, rank)))
  }
  return [
    wanted(0) ? dX() : undefined,
    wanted(1) ? overRows(append.multiply(along, inverse), gamma) : undefined,
    wanted(2) ? overRows(sum, node.input[2]!) : undefined,
  ]
}

/** γ·(x − mean) ÷ √(variance + ε) + β with a mean and variance that are constants. */
const batchNormalization: Rule = ({ append, gradient, node, wanted }) => {
  const [x, gamma, , mean, variance] = node.input as [string, string, string, string, string]
  if (wanted(3) || wanted(4)) throw new Error('moving statistics are not trained by gradients')
  const rank = append.dims(x).length
  const axes = batchAxes(rank)
  const epsilon = append.scalar(floatAttribute(node, 'epsilon', 1e-5))
  const inverse = append.unary('Reciprocal', append.unary('Sqrt', append.add(variance, epsilon))) // [C]
  const overRows = (values: string) => append.reduce('ReduceSum', values, axes, false)
  const normalised = () =>
    append.multiply(append.subtract(x, channels(append, mean, rank)), channels(append, inverse, rank))
  return [
    wanted(0) ? append.multiply(gradient, channels(append, append.multiply(inverse, gamma), rank)) : undefined,
    wanted(1) ? overRows(append.multiply(gradient, normalised())) : undefined,
    wanted(2) ? overRows(gradient) : undefined,
  ]
}

/** Over the last axes, from `axis` on. */
const layerNormalization: Rule = ({ append, gradient, node, wanted }) => {
  const [x, gamma, beta] = node.input as [string, string, string | undefined]
  const rank = append.dims(x).length
  const first = positive(intAttribute(node, 'axis', -1), rank)
  const axes = Array.from({ length: rank - first }, (_, i) => first + i)
  const moments = momentsOf(append, x, axes, floatAttribute(node, 'epsilon', 1e-5))
  const normalised = append.multiply(moments.centred, moments.inverse)
  const dX = () => {
    const towards = append.multiply(gradient, gamma)
    const mean = append.reduce('ReduceMean', towards, axes, true)
    const along = append.reduce('ReduceMean', append.multiply(towards, moments.centred), axes, true)
    return append.multiply(throughMoments(append, moments, towards, mean, along), moments.inverse)
  }
  return [
    wanted(0) ? dX() : undefined,
    wanted(1) ? append.sumTo(append.multiply(gradient, normalised), gamma) : undefined,
    beta !== undefined && wanted(2) ? append.sumTo(gradient, beta) : undefined,
  ]
}

const axisOf = ({ append, node }: Application, x: string): number =>
  positive(intAttribute(node, 'axis', -1), append.dims(x).length)

/** y·(g − Σ g·y) */
const softmax = ofOneInput((application, x, y) => {
  const { append, gradient } = application
  const weighted = append.multiply(gradient, y)
  const total = append.reduce('ReduceSum', weighted, [axisOf(application, x)], true)
  return append.subtract(weighted, append.multiply(y, total))
})

/** g − eʸ·Σ g */
const logSoftmax = ofOneInput((application, x, y) => {
  const { append, gradient } = application
  const total = append.reduce('ReduceSum', gradient, [axisOf(application, x)], true)
  return append.subtract(gradient, append.multiply(append.unary('Exp', y), total))
})

/** The axes that a reduction sums over, counted from 0; all where it names none. */
function axesOf({ append, node }: Application): number[] {
  const rank = append.dims(node.input[0]!).length
  const listed = node.input[1] ? append.graph.integersOf(node.input[1]) : intsAttribute(node, 'axes')
  if (node.input[1] && listed === undefined) throw new Error('its axes are computed')
  if ((listed === undefined || listed.length === 0) && intAttribute(node, 'noop_with_empty_axes', 0)) return []
  return listed?.length ? listed.map((axis) => positive(axis, rank)) : Array.from({ length: rank }, (_, axis) => axis)
}

/** g, repeated over what was summed. */
function repeated(application: Application, gradient: string): string {
  const { append, node } = application
  const x = node.input[0]!
  const axes = axesOf(application)
  const dims = append.dims(x)
  const kept = dims.map((side, axis) => (axes.includes(axis) ? 1 : side))
  const unsqueezed =
    append.dims(gradient).length === dims.length || axes.length === 0
      ? gradient
      : append.op('Unsqueeze', [gradient, append.graph.integers(axes)], kept)
  const shape = append.node('Shape', [x], { dtype: DataType.INT64, dims: [dims.length] })
  return append.op('Expand', [unsqueezed, shape], dims)
}

const sum = ofOneInput((application) => repeated(application, application.gradient))

/** g divided by the number of elements, which may grow with the batch. */
const mean = ofOneInput((application, x, y) => {
  const { append, gradient } = application
  return repeated(application, append.multiply(gradient, append.divide(append.sizeOf(y), append.sizeOf(x))))
})

/** g where the maximum is, in equal parts where it is several times. */
const maximum = ofOneInput((application, x, y) => {
  const { append, gradient } = application
  const most = append.indicator('Equal', x, repeated(application, y))
  const count = append.reduce('ReduceSum', most, axesOf(application), true)
  return append.multiply(append.divide(most, count), repeated(application, gradient))
})

const mixed = absent('each of its columns depends on several of the input')

export const normalisation: Record<string, Operator> = {
  BatchNormalization: {
    columns: absent('canonicalise makes a Mul and an Add of it'),
    places: absent('canonicalise makes a Mul and an Add of it'),
    gradient: batchNormalization,
    rows: absent('canonicalise makes a Mul and an Add of it'),
    tensorflow: otherArguments,
  },
  DequantizeLinear: {
    columns: absent('tables of int8 are followed as tables'),
    places: samePlaces,
    gradient: absent('int8 is not trained'),
    rows: dequantizeLinear,
    tensorflow: composed,
  },
  LayerNormalization: {
    columns: mixed,
    places: normalisedPlaces,
    gradient: layerNormalization,
    rows: notMet,
    tensorflow: composed,
  },
  LogSoftmax: { columns: mixed, places: wholeLists, gradient: logSoftmax, rows: notMet, tensorflow: otherArguments },
  ReduceMax: {
    columns: mixed,
    places: reducedPlaces('max'),
    gradient: maximum,
    rows: notMet,
    tensorflow: otherArguments,
  },
  ReduceMean: {
    columns: mixed,
    places: reducedPlaces('mean'),
    gradient: mean,
    rows: notMet,
    tensorflow: otherArguments,
  },
  ReduceSum: { columns: mixed, places: reducedPlaces('sum'), gradient: sum, rows: notMet, tensorflow: otherArguments },
  Softmax: {
    columns: mixed,
    places: softmaxOfPlaces,
    gradient: softmax,
    rows: softmaxOfRows,
    tensorflow: otherArguments,
  },
}
