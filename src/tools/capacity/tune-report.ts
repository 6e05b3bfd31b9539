import { formatTable, grouped } from '../../base/terminal.ts'
import { count } from '../../schemas/check.ts'
import { warnOfOthers } from './load-runs.ts'
import type { MeasuredTrial } from './measure-trial.ts'
import { type Confirmation, formatSettings, type TunedSettings } from './tuned-settings.ts'

export interface TuneReport {
  /** `ads-funnel/1` */
  target: string
  processorName: string
  candidates: number
  p99_ms: number
  /** Cores of the server; whether the load generator shares them. */
  cores: number
  shared: boolean
  current: TunedSettings
  trials: MeasuredTrial[]
  /** Undefined if no other settings had a higher goodput. */
  confirmation: Confirmation | undefined
  /** The settings to use; the current ones unless a gain is confirmed. */
  recommended: TunedSettings
}

/** The report as text. */
export function formatTune(report: TuneReport): string {
  const { target, processorName, candidates, p99_ms, cores, shared } = report
  return [
    `${target}: ${count(candidates, 'candidate')}, p99 within ${p99_ms} ms; ${processorName}, server on ${count(cores, 'core')}${shared ? ' that the load generator shares' : ''}`,
    '',
    ...warnOfOthers(report.trials),
    trialTable(report),
    '',
    'Goodput: highest rate at which 99 % of the requests are answered within the bound. Latency and processor time are at',
    'the same rate for all settings, half of what the current ones answer at most.',
    '',
    ...recommendation(report),
  ].join('\n')
}

/** Names the settings of a trial. */
export function labelOf({ settings }: Pick<MeasuredTrial, 'settings'>, current: TunedSettings): string {
  return formatSettings(settings, current) || 'current settings'
}

function trialTable({ trials, current }: TuneReport): string {
  const rows = trials.map((trial) => [
    labelOf(trial, current),
    `${trial.stopped ? '≤ ' : ''}${grouped(trial.goodput)}`,
    trial.p50.toFixed(2),
    trial.p99.toFixed(2),
    trial.processor.toFixed(1),
  ])
  return formatTable(['settings', 'goodput, requests/s', 'p50, ms', 'p99, ms', 'processor, µs/request'], rows)
}

function recommendation({ confirmation, recommended, current }: TuneReport): string[] {
  if (confirmation === undefined) return ['The current settings are fine: none that were tried are better.']
  const rounds = (goodputs: number[]) => goodputs.map(grouped).join(', ')
  const compared = `in turns, the current settings reach ${rounds(confirmation.before)} requests/s, the best others ${rounds(confirmation.after)}`
  if (!confirmation.confirmed)
    return [`The current settings are fine; the best others gain no more than noise: ${compared}.`]
  return [
    `Recommended, for ${Math.round(confirmation.gain * 100)} % more goodput (${compared}):`,
    '',
    formatSettings(recommended, current),
  ]
}
