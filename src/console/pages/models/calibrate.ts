import type { Task } from './words.ts'

export type Calibration = NonNullable<Task['calibration']>

/** The calibrated probability of a raw one, as the server computes it. */
export function calibrate(calibration: Calibration, raw: number): number {
  switch (calibration.method) {
    case 'platt': {
      const logit = Math.log(raw / (1 - raw))
      return 1 / (1 + Math.exp(-(calibration.a * logit + calibration.b)))
    }
    case 'negative_sampling':
      return raw / (raw + (1 - raw) / calibration.kept)
    case 'isotonic':
      return interpolate(calibration.x, calibration.y, raw)
  }
}

function interpolate(x: readonly number[], y: readonly number[], at: number): number {
  const next = x.findIndex((value) => value >= at)
  if (next < 0) return y.at(-1)!
  if (next === 0) return y[0]!
  const [x1, x2, y1, y2] = [x[next - 1]!, x[next]!, y[next - 1]!, y[next]!]
  return x2 === x1 ? y2 : y1 + ((y2 - y1) * (at - x1)) / (x2 - x1)
}

/** What the method does, in a sentence. */
export function describeCalibration({ calibration, product }: Pick<Task, 'calibration' | 'product'>): string {
  switch (calibration?.method) {
    case undefined:
      return product === undefined
        ? 'none: the network’s probability is served'
        : `none: the product of ${product.join(' and ')} is served`
    case 'platt':
      return 'Platt scaling: the logit is stretched and moved'
    case 'isotonic':
      return 'isotonic: rising steps fitted to held-out rows'
    case 'negative_sampling':
      return 'undoes training on a share of the negatives'
  }
}
