import type { Calibration } from '../../schemas/manifest.ts'
import { sigmoid } from './calibrator.ts'
import { effectiveRows } from './effective-rows.ts'

/** More steps than Newton's method needs for a convex function of two numbers. */
const maxSteps = 50
/** Ridge on the second derivatives, of rows of weight 1, so that a step exists if the logits are separable or constant. */
const ridge = 1e-6

/**
 * Platt scaling: fits a and b of σ(a · logit + b) to held-out rows by Newton's method, minimising logloss with smoothed targets
 * (Platt 1999), which keep a and b finite on separable rows. With a single class: a = 1, b = 0. Undefined unless a > 0: a
 * weak task may otherwise get a calibration that reverses or flattens its ranking. `weights`: ≥ 0, default 1 per row; their unit
 * does not matter.
 */
export function fitPlatt(
  labels: ArrayLike<number>,
  logits: ArrayLike<number>,
  weights?: ArrayLike<number>,
): Extract<Calibration, { method: 'platt' }> | undefined {
  const weightOf = (i: number) => (weights ? weights[i]! : 1)
  const positives = effectiveRows(labels.length, (i) => (labels[i] ? weightOf(i) : 0))
  const negatives = effectiveRows(labels.length, (i) => (labels[i] ? 0 : weightOf(i)))
  if (positives === 0 || negatives === 0) return { method: 'platt', a: 1, b: 0 }
  const high = (positives + 1) / (positives + 2)
  const low = 1 / (negatives + 2)

  let total = 0
  for (let i = 0; i < labels.length; i++) total += weightOf(i)
  const damping = (ridge * total) / labels.length

  let a = 1
  let b = 0
  let loss = lossOf(a, b)
  for (let step = 0; step < maxSteps; step++) {
    let [ga, gb, haa, hab, hbb] = [0, 0, damping, 0, damping]
    for (let i = 0; i < labels.length; i++) {
      const z = logits[i]!
      const p = sigmoid(a * z + b)
      const error = weightOf(i) * (p - (labels[i] ? high : low))
      const curvature = weightOf(i) * p * (1 - p)
      ga += error * z
      gb += error
      haa += curvature * z * z
      hab += curvature * z
      hbb += curvature
    }
    const determinant = haa * hbb - hab * hab
    const da = (hbb * ga - hab * gb) / determinant
    const db = (haa * gb - hab * ga) / determinant
    // Halve the step until the loss falls.
    let size = 1
    let next = lossOf(a - da, b - db)
    while (!(next <= loss) && size > 1e-10) {
      size /= 2
      next = lossOf(a - size * da, b - size * db)
    }
    if (!(next <= loss)) break
    a -= size * da
    b -= size * db
    const gain = loss - next
    loss = next
    if (gain <= 1e-12 * Math.abs(loss)) break
  }
  return a > 0 ? { method: 'platt', a, b } : undefined

  function lossOf(a: number, b: number): number {
    let sum = 0
    for (let i = 0; i < labels.length; i++) {
      const z = a * logits[i]! + b
      sum += weightOf(i) * (Math.max(z, 0) - z * (labels[i] ? high : low) + Math.log1p(Math.exp(-Math.abs(z))))
    }
    return sum
  }
}
