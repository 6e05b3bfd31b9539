import type { TopLevelSpec } from 'vega-lite'
import { loadVega } from '../evaluate/report/charts/draw.ts'
import { fastest } from './measure-trial.ts'
import { labelOf, type TuneReport } from './tune-report.ts'

/** Distinguishable with all common kinds of colour blindness (Okabe and Ito). */
const colours = ['#000000', '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#999999']

/** Latency at the top, as a multiple of the bound; steps above it leave the picture. */
const top = 2

/** Draws a report as SVG. */
export type PlotTune = (report: TuneReport) => Promise<string>

/** Loads the optional packages that draw; fails where they are not installed. */
export async function loadPlot(): Promise<PlotTune> {
  const render = await loadVega()
  return async (report) => `${await render(plotOf(report))}\n`
}

/** p99 by rate of all settings that were measured completely, with the bound. */
function plotOf(report: TuneReport): TopLevelSpec {
  const { target, candidates, p99_ms: bound, current } = report
  const trials = report.trials.filter(({ stopped }) => !stopped)
  const points = trials.flatMap((trial) => {
    const settings = labelOf(trial, current).replaceAll('MULTIGATE_', '')
    const best = fastest(trial.steps)
    return trial.steps
      .filter(({ p99 }) => !Number.isNaN(p99))
      .map(({ rate, p99 }) => ({ settings, rate, p99, best: rate === best }))
  })
  const x = { field: 'rate', type: 'quantitative', title: 'requests per second', scale: { zero: false, nice: false } }
  const y = { field: 'p99', type: 'quantitative', title: 'p99, ms', scale: { domain: [0, top * bound], nice: false } }
  const colour = {
    field: 'settings',
    scale: { domain: trials.map((trial) => labelOf(trial, current).replaceAll('MULTIGATE_', '')), range: colours },
    legend: { labelLimit: 0, titleLimit: 0, title: '● fastest step that keeps the bound' },
  }
  return {
    title: `${target}: p99 by rate, ${candidates} ${candidates === 1 ? 'candidate' : 'candidates'}`,
    width: 600,
    height: 400,
    background: '#ffffff',
    padding: 16,
    config: { font: 'system-ui, sans-serif' },
    data: { values: points },
    layer: [
      { mark: { type: 'line', clip: true }, encoding: { x, y, color: colour } },
      {
        transform: [{ filter: 'datum.best' }],
        mark: { type: 'point', filled: true, size: 80, opacity: 1 },
        encoding: { x, y, color: colour },
      },
      {
        data: { values: [{ bound, text: `bound: ${bound} ms` }] },
        encoding: { y: { datum: bound } },
        layer: [
          { mark: { type: 'rule', color: '#b00020', strokeDash: [6, 4] } },
          {
            mark: { type: 'text', color: '#b00020', align: 'left', baseline: 'bottom', dx: 6 },
            encoding: { x: { value: 0 }, text: { field: 'text' } },
          },
        ],
      },
    ],
  } as unknown as TopLevelSpec
}
