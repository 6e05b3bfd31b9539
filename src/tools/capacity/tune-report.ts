import { formatTable, grouped } from '../../base/terminal.ts'
import { count } from '../../schemas/check.ts'
import { warnOfOthers } from './load-runs.ts'
import { fastest, type MeasuredTrial } from './measure-trial.ts'
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

/** Size of the picture and of the area of the lines, pixels. */
const width = 960
const height = 540
const area = { left: 70, right: 560, top: 60, bottom: 480 }
/** Distinguishable with all common kinds of colour blindness (Okabe and Ito). */
const colours = ['#000000', '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#999999']
/** Latency at the top, as a multiple of the bound; steps above it leave the picture. */
const top = 2
/** Pixels of a legend's entry. */
const legendHeight = 35

/** p99 by rate of all settings that were measured completely, with the bound, as SVG. */
export function plotTune(report: TuneReport): string {
  const trials = report.trials.filter(({ stopped }) => !stopped)
  const most = Math.max(...trials.flatMap(({ steps }) => steps.map(({ rate }) => rate)))
  const least = Math.min(...trials.flatMap(({ steps }) => steps.map(({ rate }) => rate)))
  const x = linear(least, most, area.left, area.right)
  const y = linear(0, top * report.p99_ms, area.bottom, area.top)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="13">`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    text(
      area.left,
      30,
      `${report.target}: p99 by rate, ${report.candidates} candidates`,
      'font-size="17" font-weight="600"',
    ),
    ...axes(x, y, [least, most], top * report.p99_ms),
    `<clipPath id="area"><rect x="${area.left}" y="${area.top}" width="${area.right - area.left}" height="${area.bottom - area.top}"/></clipPath>`,
    bound(y(report.p99_ms), report.p99_ms),
    ...trials.map((trial, i) => line(trial, i, x, y)),
    ...legend(trials, report),
    '</svg>\n',
  ].join('\n')
}

type Scale = (value: number) => number

function linear(from: number, to: number, start: number, end: number): Scale {
  const factor = to > from ? (end - start) / (to - from) : 0
  return (value) => Number((start + (value - from) * factor).toFixed(1))
}

function axes(x: Scale, y: Scale, [least, most]: [number, number], highest: number): string[] {
  const grid = '#e2e2e2'
  return [
    ...ticks(0, highest).flatMap((ms) => [
      `<path d="M${area.left} ${y(ms)}H${area.right}" stroke="${grid}"/>`,
      text(area.left - 8, y(ms) + 4, String(ms), 'text-anchor="end"'),
    ]),
    ...ticks(least, most).flatMap((rate) => [
      `<path d="M${x(rate)} ${area.top}V${area.bottom}" stroke="${grid}"/>`,
      text(x(rate), area.bottom + 20, rate.toLocaleString('en'), 'text-anchor="middle"'),
    ]),
    `<path d="M${area.left} ${area.top}V${area.bottom}H${area.right}" fill="none" stroke="#444444"/>`,
    text((area.left + area.right) / 2, area.bottom + 44, 'requests per second', 'text-anchor="middle"'),
    text(area.left, area.top - 10, 'p99, ms'),
  ]
}

/** About five round values. */
export function ticks(least: number, most: number): number[] {
  const rough = (most - least) / 5
  if (!(rough > 0)) return [least]
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough)!
  const values: number[] = []
  for (let i = Math.ceil(least / step); i * step <= most * (1 + 1e-9); i++)
    values.push(Number((i * step).toPrecision(12)))
  return values
}

function bound(at: number, ms: number): string {
  return `<path d="M${area.left} ${at}H${area.right}" stroke="#b00020" stroke-dasharray="6 4"/>\n${text(area.left + 8, at - 6, `bound: ${ms} ms`, 'fill="#b00020"')}`
}

/** The steps with answers; the fastest that kept the bound is marked. */
function line({ steps }: MeasuredTrial, index: number, x: Scale, y: Scale): string {
  const points = steps.filter(({ p99 }) => !Number.isNaN(p99))
  const path = points.map(({ rate, p99 }) => `${x(rate)} ${y(p99)}`).join('L')
  const mark = points.find(({ rate }) => rate === fastest(steps))
  const circle =
    mark === undefined
      ? ''
      : `<circle cx="${x(mark.rate)}" cy="${y(mark.p99)}" r="5" fill="${colours[index % colours.length]}"/>`
  return `<g clip-path="url(#area)"><path d="M${path}" fill="none" ${strokeOf(index)} stroke-width="2" stroke-linejoin="round"/>${circle}</g>`
}

function legend(trials: readonly MeasuredTrial[], report: TuneReport): string[] {
  const left = area.right + 30
  return [
    ...trials.flatMap((trial, i) => {
      const at = area.top + 10 + i * legendHeight
      return [
        `<path d="M${left} ${at}h24" stroke-width="3" ${strokeOf(i)}/>`,
        ...linesOf(labelOf(trial, report.current)).map((part, line) => text(left + 34, at + 4 + line * 15, part)),
      ]
    }),
    text(left, area.bottom + 20, '● fastest step that keeps the bound', 'fill="#444444"'),
  ]
}

/** Two settings per line, without their common beginning. */
function linesOf(label: string): string[] {
  const parts = label.replaceAll('MULTIGATE_', '').split(' ')
  return parts.flatMap((_, i) => (i % 2 === 0 ? [parts.slice(i, i + 2).join(' ')] : []))
}

/** A colour, dashed from the ninth line on. */
function strokeOf(index: number): string {
  const dashes = index < colours.length ? '' : ' stroke-dasharray="7 3"'
  return `stroke="${colours[index % colours.length]}"${dashes}`
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x}" y="${y}" ${attributes}>${escaped}</text>`
}
