import t from 'tap'
import { fastest, type MeasuredTrial } from '../../../src/tools/capacity/measure-trial.ts'
import { loadPlot } from '../../../src/tools/capacity/tune-plot.ts'
import { formatTune, type TuneReport } from '../../../src/tools/capacity/tune-report.ts'

const current = {
  MULTIGATE_PROCESSES: 1,
  MULTIGATE_WORKERS: 0,
  MULTIGATE_MAX_BATCH_ROWS: 256,
  MULTIGATE_MAX_DELAY_MS: 0,
}
const step = (rate: number, p99: number, good = 1) => ({
  rate,
  scheduled: 1000,
  good: 1000 * good,
  p50: p99 / 2,
  p99,
  p999: p99,
  max: p99,
})
const trial = (change: Partial<MeasuredTrial>): MeasuredTrial => ({
  settings: current,
  goodput: 2000,
  stopped: false,
  p50: 1,
  p99: 2,
  processor: 300,
  otherCores: 0,
  steps: [step(1000, 3), step(2000, 8, 0.99), step(3000, 60, 0.5)],
  ...change,
})
const faster = { ...current, MULTIGATE_WORKERS: 1 }
const report: TuneReport = {
  target: 'a<b/1',
  processorName: 'a processor',
  candidates: 100,
  p99_ms: 20,
  cores: 2,
  shared: true,
  current,
  trials: [
    trial({}),
    trial({ settings: faster, goodput: 3000, steps: [step(1000, 3), step(2000, 6), step(3000, 12)] }),
    trial({ settings: { ...current, MULTIGATE_MAX_DELAY_MS: 2 }, goodput: 1000, stopped: true }),
  ],
  confirmation: { before: [2000, 2000, 2000], after: [3000, 3000, 3000], gain: 0.5, confirmed: true },
  recommended: faster,
}

t.test('the fastest step is the last at which 99 % are in time', async (t) => {
  t.equal(fastest(report.trials[0]!.steps), 2000)
  t.equal(fastest([step(1000, 60, 0.9)]), 0)
  t.equal(fastest([{ ...step(1000, 1), scheduled: 0, good: 0 }]), 0)
})

t.test('the plot has a line per complete trial, the bound and escaped names', async (t) => {
  const svg = await (await loadPlot())(report)
  const drawn = [...svg.matchAll(/<path aria-label="[^"]*settings: ([^"]*)"/g)].map(([, name]) => name)
  t.same(new Set(drawn), new Set(['current settings', 'WORKERS=1']), 'the stopped one has none')
  t.match(svg, /a&lt;b\/1: p99 by rate, 100 candidates/)
  t.match(svg, /bound: 20 ms/)
  t.match(svg, />WORKERS=1</)
  t.notMatch(svg, /NaN|undefined/)
})

t.test('the report recommends what is confirmed, and says why not otherwise', async (t) => {
  t.match(formatTune(report), /Recommended, for 50 % more goodput[^\n]*:\n\nMULTIGATE_WORKERS=1$/)
  t.match(formatTune(report), /\ncurrent settings +2,000 +1\.00 +2\.00 +300\.0\n/)
  t.match(formatTune(report), /\nMULTIGATE_MAX_DELAY_MS=2 +≤ 1,000 /)
  const confirmation = { ...report.confirmation!, confirmed: false }
  t.match(
    formatTune({ ...report, confirmation, recommended: current }),
    /\nThe current settings are fine; the best others gain no more than noise: in turns, the current settings reach 2,000,/,
  )
  t.match(
    formatTune({ ...report, confirmation: undefined, recommended: current }),
    /\nThe current settings are fine: none that were tried are better\.$/,
  )
})
