import type { RunContext } from '../../base/command.ts'
import { showProgress } from '../../base/terminal.ts'
import { type CapacityReport, formatCapacity } from './capacity-report.ts'
import { placeOnCores } from './cores.ts'
import { type Demand, planCapacity } from './estimate.ts'
import type { Load } from './load-runs.ts'
import { measureCost } from './measure-cost.ts'

export interface CapacityFlags extends Demand, Load {
  json: boolean
}

/** `multigate capacity` */
export async function runCapacity(flags: CapacityFlags, { signal, out, err }: RunContext): Promise<void> {
  const { models, model, seconds, json, ...demand } = flags
  const progress = showProgress(err)
  const measured = await measureCost({ ...flags, placement: placeOnCores(2), signal, progress })
  progress('')
  const report: CapacityReport = { demand, measured, plan: planCapacity(demand, measured.cost, measured.entryBytes) }
  out.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : `${formatCapacity(report)}\n`)
}
