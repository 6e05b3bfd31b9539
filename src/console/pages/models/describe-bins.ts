import type { ReliabilityBin } from '../../../schemas/evaluation.ts'
import { percent } from '../../parts/format.ts'

type PlotBin = Pick<ReliabilityBin, 'predicted' | 'low' | 'high'>

/** Where predictions are too low or too high, for people: `Too low from 0.2 % to 0.9 %; …`. */
export function describeBins(bins: readonly PlotBin[]): string {
  const faults = bins.map(faultOf)
  const right = faults.filter((fault) => fault === undefined).length
  const share = `${right} of ${bins.length} bins are as predicted, within their intervals`
  const runs: { fault: string; from: number; to: number }[] = []
  for (const [i, { predicted }] of bins.entries()) {
    const fault = faults[i]
    if (fault === undefined) continue
    if (fault === faults[i - 1]) runs.at(-1)!.to = predicted
    else runs.push({ fault, from: predicted, to: predicted })
  }
  const places = runs.map(({ fault, from, to }) =>
    from === to ? `${fault} at ${percent(from, 2)}` : `${fault} from ${percent(from, 2)} to ${percent(to, 2)}`,
  )
  return [...places, share].join(', ')
}

function faultOf({ predicted, low, high }: PlotBin): string | undefined {
  if (predicted < low) return 'too low'
  return predicted > high ? 'too high' : undefined
}
