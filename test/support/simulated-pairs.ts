import { mostBuckets } from '../../src/model/quality/bootstrap.ts'
import { sigmoid } from '../../src/model/serving/calibration/calibrator.ts'
import { createRandom } from '../../src/tools/data/random.ts'
import type { PredictedTask } from '../../src/tools/evaluate/evaluate-task.ts'

/** Two versions of a model, by the noise in the logits of their predictions. */
export interface PairOptions {
  /** Noise that both share: more makes them more alike. */
  shared: number
  /** Noise of each. */
  a: number
  b: number
  /** Rows per group, which share half the variance of everything; 1: no groups. */
  perGroup: number
}

/** Deviation of the true logits, and their mean: a base rate of 5 %. */
const signal = 1.2
const base = -3.5

/** Draws rows with predictions of both versions, each about calibrated. */
export function drawPair(
  { shared, a, b, perGroup }: PairOptions,
  rows: number,
  seed: number,
  name = 'task',
): { a: PredictedTask; b: PredictedTask } {
  const random = createRandom(seed)
  const labels = new Uint8Array(rows)
  const [first, second] = [new Float64Array(rows), new Float64Array(rows)]
  const of = Uint32Array.from(labels, (_, row) => Math.floor(row / perGroup))
  const ofGroup = new Float64Array(4)
  const draw = (kind: number) => (perGroup > 1 ? Math.SQRT1_2 * (random.normal() + ofGroup[kind]!) : random.normal())
  const predict = (heard: number, noise: number) => {
    const share = signal ** 2 / (signal ** 2 + shared ** 2 + noise ** 2)
    return sigmoid(base + share * heard + ((1 - share) * signal ** 2) / 2)
  }
  for (let row = 0; row < rows; row++) {
    if (row % perGroup === 0) for (let kind = 0; kind < 4; kind++) ofGroup[kind] = random.normal()
    const known = signal * draw(0)
    labels[row] = Number(random.uniform() < sigmoid(base + known))
    const heard = known + shared * draw(1)
    first[row] = predict(heard + a * draw(2), a)
    second[row] = predict(heard + b * draw(3), b)
  }
  const task: Omit<PredictedTask, 'predictions'> = {
    name,
    labels,
    positions: Int32Array.from(labels, (_, row) => row),
    weights: undefined,
    groups: perGroup > 1 ? { of, count: Math.ceil(rows / perGroup) } : undefined,
    buckets: of.map((group) => group % mostBuckets),
    oracle: undefined,
    positives: labels.reduce((sum, label) => sum + label, 0),
    uncalibrated: undefined,
  }
  return { a: { ...task, predictions: first }, b: { ...task, predictions: second } }
}
