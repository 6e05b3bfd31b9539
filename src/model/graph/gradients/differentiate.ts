import { equal } from '../../../base/arrays.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { floatAttribute, intAttribute } from '../ir/attributes.ts'
import type { Graph } from '../ir/graph.ts'
import { NodeIndex } from '../ir/node-index.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { Appender } from '../operators/appender.ts'
import { type Moments, trainedNormalisation, writeOutNormalisation } from '../operators/normalisation.ts'
import type { Application } from '../operators/operator.ts'
import { operatorOf, ruleOf } from '../operators/table.ts'

/** A normalisation by the batch's own statistics. */
export interface TrainedNormalisation {
  /** Names of the constants or inputs that hold the moving statistics [C]. */
  movingMean: string
  movingVariance: string
  /** Tensors with the batch's mean and (biased) variance [C]. */
  mean: string
  variance: string
  /** Share of the moving statistics that a step keeps. */
  momentum: number
}

export interface Differentiated {
  /** The gradients of the loss: by tensor, the tensor that holds its gradient, of the same shape. */
  gradients: Map<string, string>
  normalisations: TrainedNormalisation[]
}

/** Earlier operator sets take axes as attributes. */
const firstOpset = 13

/**
 * Appends the backward pass to a graph whose shapes are known (`traceShapes`): nodes that compute the gradient of the
 * scalar `loss` with respect to `tensors`, by reverse-mode differentiation. A tensor that the loss does not depend on
 * has no gradient.
 *
 * BatchNormalization nodes in training mode are written out in elementary operators, forward too. Throws
 * UNSUPPORTED_GRAPH naming the node if an operator between a tensor and the loss has no rule.
 */
export function differentiate(graph: Graph, loss: string, tensors: readonly string[]): Differentiated {
  if (graph.opset < firstOpset)
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `its operator set is ${graph.opset}: ${firstOpset} and later are differentiated`,
    )
  const append = new Appender(graph)
  const order = new NodeIndex(graph.nodes).inOrder([loss])
  const dependent = dependents(order, tensors)
  const written = new Map<NodeProto, Moments>()
  for (const node of order) if (isTrained(node)) written.set(node, writeOutNormalisation(append, node))

  const sums = new Map<string, string>([[loss, append.scalar(1)]])
  /** Gradients that stand for some tensor: what they are must not change. */
  const known = new Set(sums.values())
  for (const node of order.toReversed()) {
    const gradients = node.output.map((name) => sums.get(name))
    if (!node.output.some((name) => dependent.has(name)) || gradients.every((name) => name === undefined)) continue
    const application: Application = {
      node,
      append,
      gradient: gradients[0]!,
      gradients,
      wanted: (input) => dependent.has(node.input[input] ?? ''),
    }
    backward(application, written.get(node)).forEach((gradient, input) => {
      const name = node.input[input]!
      if (gradient === undefined || !dependent.has(name)) return
      const other = sums.get(name)
      const own = !known.has(gradient)
      const sum = other === undefined ? gradient : own ? addTo(append, other, gradient) : append.add(other, gradient)
      sums.set(name, sum)
      known.add(sum)
    })
  }
  const gradients = new Map(tensors.flatMap((name) => (sums.has(name) ? [[name, sums.get(name)!]] : [])))
  return {
    gradients,
    normalisations: [...written].map(([node, moments]) => describeNormalisation(append, node, moments)),
  }
}

/**
 * The sum of two gradients, of which the second stands for nothing else: a product of matrices adds the first as it
 * goes.
 */
function addTo(append: Appender, other: string, gradient: string): string {
  const product = append.graph.producer(gradient)
  const plain = product?.opType === 'Gemm' && product.input.length === 2
  if (!plain || append.graph.users(gradient).length > 0 || !equal(append.dims(other), append.dims(gradient)))
    return append.add(other, gradient)
  product.input.push(other)
  append.graph.touch()
  return gradient
}

/** Operators that exporters write out in others for earlier operator sets. */
function hintFor({ opType }: NodeProto): string {
  return opType === 'Gelu' ? '; export with operator set 18 (opset_version=18), which writes it out' : ''
}

function backward(application: Application, moments: Moments | undefined): (string | undefined)[] {
  const { node } = application
  try {
    if (moments) return trainedNormalisation(application, moments)
    const rule = ruleOf(node)
    if (rule === undefined) throw new Error(`there is no rule for the gradient of this operator${hintFor(node)}`)
    return rule(application)
  } catch (cause) {
    const place = `${node.opType} ${node.name || node.output[0]}`
    throw new ModelError('UNSUPPORTED_GRAPH', `${place}: ${reasonOf(cause)}`, { cause })
  }
}

/** The tensors that depend on others, these included. */
function dependents(order: readonly NodeProto[], tensors: readonly string[]): Set<string> {
  const dependent = new Set(tensors)
  for (const node of order)
    if (operatorOf(node)?.gradient !== 'constant' && node.input.some((name) => dependent.has(name)))
      for (const name of node.output) dependent.add(name)
  return dependent
}

const isTrained = (node: NodeProto): boolean =>
  node.opType === 'BatchNormalization' && intAttribute(node, 'training_mode', 0) === 1

function describeNormalisation(append: Appender, node: NodeProto, { mean, variance }: Moments): TrainedNormalisation {
  const [movingMean, movingVariance] = node.input.slice(3) as [string, string]
  return {
    movingMean,
    movingVariance,
    mean: append.reshapeLike(mean, movingMean),
    variance: append.reshapeLike(variance, movingVariance),
    momentum: floatAttribute(node, 'momentum', 0.9),
  }
}
