import type { ReliabilityBin } from '../../../schemas/evaluation.ts'
import { percent } from '../../parts/format.ts'

type Bin = Pick<ReliabilityBin, 'predicted' | 'low' | 'high'>

/** Where predictions are too low or too high, for people: `Too low from 0.2 % to 0.9 %; …`. */
export function describeBins(bins: readonly Bin[]): string {
  const right = bins.filter((bin) => faultOf(bin) === undefined).length
  const share = `${right} of ${bins.length} bins are as predicted, within their intervals`
  const runs: { fault: string; from: number; to: number }[] = []
  for (const [i, bin] of bins.entries()) {
    const fault = faultOf(bin)
    const before = i > 0 && faultOf(bins[i - 1]!) === fault ? runs.at(-1) : undefined
    if (fault === undefined) continue
    if (before === undefined) runs.push({ fault, from: bin.predicted, to: bin.predicted })
    else before.to = bin.predicted
  }
  const places = runs.map(({ fault, from, to }) =>
    from === to ? `${fault} at ${percent(from, 2)}` : `${fault} from ${percent(from, 2)} to ${percent(to, 2)}`,
  )
  return [...places, share].join(', ')
}

function faultOf({ predicted, low, high }: Bin): string | undefined {
  if (predicted < low) return 'too low'
  return predicted > high ? 'too high' : undefined
}
