import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import type { RunContext } from '../../base/command.ts'
import { readConfiguration } from '../../base/configuration.ts'
import { ModelError } from '../../base/errors.ts'
import { fileReason } from '../../base/files.ts'
import { createUniform } from '../../base/hash.ts'
import { grouped, showProgress } from '../../base/terminal.ts'
import { drawTableKeys } from '../load/table-keys.ts'
import { placeOnCores } from './cores.ts'
import { type Load, seed } from './load-runs.ts'
import { openModelToLoad } from './measure-cost.ts'
import { type MeasuredTrial, TrialRunner } from './measure-trial.ts'
import { loadPlot } from './tune-plot.ts'
import { formatTune, labelOf, type TuneReport } from './tune-report.ts'
import {
  type Confirmation,
  confirm,
  formatSettings,
  type Group,
  searchSettings,
  tunedSettings,
} from './tuned-settings.ts'

export interface TuneFlags extends Load {
  p99Ms: number
  groups: readonly Group[]
  /** File of the plot. */
  plot?: string
  json: boolean
}

/** Fewest cores of which the load generator gets one: on fewer, settings for the remaining ones would mean little. */
const fewestToDivide = 4
/** Rounds of the final comparison. */
const rounds = 3

/** `multigate tune` */
export async function runTune(flags: TuneFlags, { signal, out, err }: RunContext): Promise<void> {
  const { models, model, groups, p99Ms, plot } = flags
  const progress = showProgress(err)
  const { manifest } = await openModelToLoad(models, model)
  const keys = flags.byId ? await drawTableKeys(models, manifest.entities, createUniform(seed)) : undefined
  // Before minutes of measurements.
  const draw = plot === undefined ? undefined : await loadPlot()
  if (plot !== undefined) await writePlot(plot, '')
  const placement = placeOnCores(fewestToDivide)
  const current = tunedSettings(readConfiguration(process.env, {}).configuration)
  const runner = new TrialRunner({ ...flags, features: manifest.features, keys, placement, signal })
  const { trials, best } = await searchSettings<MeasuredTrial>(
    current,
    groups,
    placement.serverCores,
    async (settings, needed) => {
      const label = labelOf({ settings }, current)
      progress(`trying ${label}`)
      const trial = await runner.measure(settings, needed)
      progress('')
      err.write(`${label}: ${describeTrial(trial, p99Ms)}\n`)
      return trial
    },
  )
  let confirmation: Confirmation | undefined
  if (best !== trials[0]) {
    const name = formatSettings(best.settings, current)
    const goodputs = await runner.compare(current, best.settings, rounds, (round) =>
      progress(`comparing ${name} with the current settings, round ${round} of ${rounds}`),
    )
    progress('')
    confirmation = confirm(goodputs.before, goodputs.after)
  }
  const report: TuneReport = {
    target: `${model}/${manifest.version}`,
    processorName: cpus()[0]?.model.trim() ?? 'unknown processor',
    candidates: flags.candidates,
    p99_ms: p99Ms,
    cores: placement.serverCores,
    shared: placement.wrapper.length === 0,
    current,
    trials,
    confirmation,
    recommended: confirmation?.confirmed ? best.settings : current,
  }
  out.write(flags.json ? `${JSON.stringify(report, undefined, 2)}\n` : `${formatTune(report)}\n`)
  if (plot !== undefined) await writePlot(plot, await draw!(report))
}

function describeTrial({ goodput, stopped }: MeasuredTrial, p99Ms: number): string {
  return stopped
    ? `clearly slower, stopped after a short look`
    : `${grouped(goodput)} requests/s with p99 within ${p99Ms} ms`
}

async function writePlot(file: string, content: string): Promise<void> {
  await writeFile(file, content).catch((error) => {
    throw new ModelError('INVALID_REQUEST', `--plot: ${file} can't be written: ${fileReason(error)}`)
  })
}
