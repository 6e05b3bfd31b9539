import { showProgress, type Terminal } from '../../base/terminal.ts'
import { type CapacityReport, formatCapacity } from './capacity-report.ts'
import { placeOnCores } from './cores.ts'
import { type Demand, planCapacity } from './estimate.ts'
import { measureCost } from './measure-cost.ts'

export interface CapacityOptions extends Demand {
  models: string
  model: string
  seconds: number
  json: boolean
  seed: number
  signal: AbortSignal
  out: Terminal
  err: Terminal
}

/** `multigate capacity` */
export async function runCapacity(options: CapacityOptions): Promise<void> {
  const { models, model, seconds, json, seed, signal, out, err, ...demand } = options
  const progress = showProgress(err)
  const { candidates, cached } = demand
  const placement = placeOnCores(2)
  const measured = await measureCost({ models, model, candidates, cached, seconds, placement, seed, signal, progress })
  progress('')
  const report: CapacityReport = { demand, measured, plan: planCapacity(demand, measured.cost, measured.entryBytes) }
  out.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : `${formatCapacity(report)}\n`)
}
