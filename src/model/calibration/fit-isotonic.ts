import type { Calibration } from '../../schemas/manifest.ts'
import { rank } from '../quality/ranking.ts'
import { effectiveRows } from './effective-rows.ts'

type Isotonic = Extract<Calibration, { method: 'isotonic' }>

/** Most points of a calibration: more would not change it visibly. */
const mostPoints = 256
/** Rows of a step, at least; of few rows, a tenth of them. */
const leastRows = 50

/** Rows that share one calibrated probability. */
export interface Block {
  /** Σ weight, Σ weight · probability, Σ weight of positives. */
  weight: number
  probability: number
  positive: number
}

/**
 * Isotonic regression (pool adjacent violators; Zadrozny and Elkan 2002): the non-decreasing function of the probability that is
 * closest to the labels, drawn through the means of its steps. Its values stay half a row away from 0 and 1, so that no
 * log-loss is infinite. Undefined unless there are two steps: then nothing is ranked.
 */
export function fitIsotonic(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  weights?: ArrayLike<number>,
): Isotonic | undefined {
  const weightOf = (i: number) => (weights ? weights[i]! : 1)
  const rows = effectiveRows(labels.length, weightOf)
  const blocks = poolAdjacent(labels, probabilities, weights)
  const total = blocks.reduce((sum, block) => sum + block.weight, 0)
  const points = thin(blocks, total * Math.min(leastRows / rows, 0.1))
  const least = 0.5 / rows
  const x: number[] = []
  const y: number[] = []
  for (const block of points) {
    const at = block.probability / block.weight
    if (x.length > 0 && at <= x.at(-1)!) continue
    x.push(at)
    y.push(Math.min(1 - least, Math.max(least, rateOf(block))))
  }
  return x.length < 2 ? undefined : { method: 'isotonic', x, y }
}

/** The steps of the isotonic regression, lowest first. */
export function poolAdjacent(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  weights?: ArrayLike<number>,
): Block[] {
  const order = rank(probabilities)
  const blocks: Block[] = []
  for (let start = 0, end = 0; start < order.length; start = end) {
    const block = { weight: 0, probability: 0, positive: 0 }
    for (; end < order.length && probabilities[order[end]!] === probabilities[order[start]!]; end++) {
      const row = order[end]!
      const weight = weights ? weights[row]! : 1
      block.weight += weight
      block.probability += weight * probabilities[row]!
      if (labels[row]) block.positive += weight
    }
    if (block.weight === 0) continue
    blocks.push(block)
    // A step that is not higher than the one before is one with it.
    while (blocks.length > 1 && rateOf(blocks.at(-1)!) <= rateOf(blocks.at(-2)!)) {
      const last = blocks.pop()!
      const before = blocks.at(-1)!
      before.weight += last.weight
      before.probability += last.probability
      before.positive += last.positive
    }
  }
  return blocks
}

const rateOf = ({ positive, weight }: Block) => positive / weight

/**
 * At most `mostPoints` blocks, each of at least the weight `least`: neighbours are merged, which keeps them ascending. A step of a few
 * rows at an end would otherwise set what many predictions become.
 */
function thin(blocks: readonly Block[], least: number): readonly Block[] {
  const heavy: Block[] = []
  let open: Block | undefined
  for (const block of blocks) {
    open = open ? merge(open, block) : block
    if (open.weight < least) continue
    heavy.push(open)
    open = undefined
  }
  if (open) heavy.push(merge(heavy.pop() ?? noRows, open))
  if (heavy.length <= mostPoints) return heavy
  const step = heavy.length / mostPoints
  return Array.from({ length: mostPoints }, (_, i) =>
    heavy.slice(Math.floor(i * step), Math.floor((i + 1) * step)).reduce(merge),
  )
}

const noRows: Block = { weight: 0, probability: 0, positive: 0 }

function merge(a: Block, b: Block): Block {
  return {
    weight: a.weight + b.weight,
    probability: a.probability + b.probability,
    positive: a.positive + b.positive,
  }
}
