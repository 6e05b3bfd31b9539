import type { Graph } from '../../../model/graph/ir/graph.ts'
import { declare, floatShape } from '../../../model/graph/ir/tensor-shape.ts'
import { Appender } from '../../../model/graph/operators/appender.ts'
import { stepInputs } from './training-step.ts'

/** A term of the loss: the cross-entropy of a product of tasks' probabilities. */
export interface LossTerm {
  /** Columns of the logits; a single one: a task alone. */
  factors: number[]
}

export interface LossOptions {
  terms: LossTerm[]
  /** Weight of Σ_t mean(max(p_{t+1} − p_t, 0)) over consecutive tasks; 0: none. */
  orderPenalty: number
  /**
   * Name of the parameter [terms] that holds each term's log variance; undefined: terms weigh what coefficients say.
   */
  logVariance: string | undefined
}

/**
 * Appends the loss of logits [B, T] to a graph, with its inputs: labels [B, K] and coefficients [B, K] of K terms and,
 * where it is needed, `share`, the share of the step's rows in this batch. Returns the scalar.
 *
 * Each term is Σ_b coefficient · binary cross-entropy, computed from logits, which neither overflows nor loses digits.
 * With uncertainty weights (A. Kendall et al., Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR 2018) a term
 * L with log variance s is e⁻ˢ·L + s ÷ 2. The order penalty is the calibrator of AITM (D. Xi et al., KDD 2021).
 */
export function appendLoss(graph: Graph, logits: string, options: LossOptions): string {
  const { terms, orderPenalty, logVariance } = options
  const append = new Appender(graph)
  const shape = floatShape(-1, terms.length)
  for (const name of [stepInputs.labels, stepInputs.coefficients]) {
    graph.inputs.push(declare(name, shape))
    graph.shapes.set(name, shape)
  }
  const share = () => {
    if (!graph.shapes.has(stepInputs.share)) {
      graph.inputs.push(declare(stepInputs.share, floatShape()))
      graph.shapes.set(stepInputs.share, floatShape())
    }
    return stepInputs.share
  }

  const weighted = append.multiply(stepInputs.coefficients, crossEntropies(append, logits, terms)) // [B, K]
  let loss: string
  if (logVariance === undefined) loss = append.reduce('ReduceSum', weighted, [0, 1], false)
  else {
    const sums = append.reduce('ReduceSum', weighted, [0], false) // [K]
    const certain = append.multiply(sums, append.unary('Exp', append.unary('Neg', logVariance)))
    const price = append.multiply(append.multiply(logVariance, append.scalar(0.5)), share())
    loss = append.reduce('ReduceSum', append.add(certain, price), [0], false)
  }
  if (orderPenalty === 0) return loss
  const penalty = append.multiply(append.multiply(excess(append, logits), share()), append.scalar(orderPenalty))
  return append.add(loss, penalty)
}

/** [B, T] → [B, K] */
function crossEntropies(append: Appender, logits: string, terms: readonly LossTerm[]): string {
  const tasks = append.dims(logits)[1]!
  const plain = terms.length === tasks && terms.every(({ factors }, k) => factors.length === 1 && factors[0] === k)
  const labels = stepInputs.labels
  // softplus(z) − z·y
  if (plain) return append.subtract(append.unary('Softplus', logits), append.multiply(logits, labels))
  const columns = split(append, logits, tasks)
  const targets = split(append, labels, terms.length)
  const each = terms.map(({ factors }, k) => {
    const { yes, no } = logProbabilities(
      append,
      factors.map((task) => columns[task]!),
    )
    // −y·log p − (1 − y)·log(1 − p)
    const chosen = append.add(append.multiply(targets[k]!, append.subtract(yes, no)), no)
    return append.unary('Neg', chosen)
  })
  return each.length === 1 ? each[0]! : append.op('Concat', each, [-1, terms.length], { axis: 1 })
}

/** Logarithms of p and of 1 − p, where p is the product of the sigmoids of logits [B, 1]. */
function logProbabilities(append: Appender, logits: string[]): { yes: string; no: string } {
  const logSigmoid = (z: string) => append.unary('Neg', append.unary('Softplus', append.unary('Neg', z)))
  const of = (z: string) => ({ yes: logSigmoid(z), no: logSigmoid(append.unary('Neg', z)) })
  return logits.slice(1).reduce(({ yes, no }, z) => {
    const next = of(z)
    // 1 − p·q = (1 − p) + p·(1 − q), added as logarithms.
    const rest = append.add(yes, next.no)
    const sum = append.add(no, append.unary('Softplus', append.subtract(rest, no)))
    return { yes: append.add(yes, next.yes), no: sum }
  }, of(logits[0]!))
}

/** Σ_t mean(max(p_{t+1} − p_t, 0)) */
function excess(append: Appender, logits: string): string {
  const tasks = append.dims(logits)[1]!
  const columns = split(append, append.unary('Sigmoid', logits), tasks)
  const steps = columns.slice(1).map((next, t) => append.unary('Relu', append.subtract(next, columns[t]!)))
  return append.reduce(
    'ReduceMean',
    steps.reduce((a, b) => append.add(a, b)),
    [0, 1],
    false,
  )
}

/** Columns [B, 1] of [B, count]. */
function split(append: Appender, x: string, count: number): string[] {
  if (count === 1) return [x]
  const sizes = append.graph.integers(Array.from({ length: count }, () => 1))
  return append.graph.nodeOf('Split', [x, sizes], count, {
    attributes: { axis: 1 },
    shapes: Array.from({ length: count }, () => floatShape(-1, 1)),
  })
}
