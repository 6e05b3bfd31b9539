import t from 'tap'
import { logit } from '../../../../src/model/quality/metrics.ts'
import { themes } from '../../../../src/tools/evaluate/report/base/styles.ts'
import { fit, linearTicks, textWidth } from '../../../../src/tools/evaluate/report/charts/draw.ts'
import { forestChart, ratioEnd, ratioStrip, shows } from '../../../../src/tools/evaluate/report/charts/forest.ts'
import {
  limits,
  logarithmicTicks,
  logitTicks,
  needsLogarithm,
} from '../../../../src/tools/evaluate/report/charts/reliability.ts'
import { evaluationReport, hostileTexts } from '../../../support/evaluation-report.ts'

/** Contrast of two colours, by the Web Content Accessibility Guidelines. */
function contrast(a: string, b: string): number {
  const luminance = (colour: string) =>
    [1, 3, 5]
      .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i]!, 0)
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number]
  return (high + 0.05) / (low + 0.05)
}

for (const [theme, colours] of Object.entries(themes))
  t.test(`${theme}: text and marks are distinct from the background`, async (t) => {
    for (const name of ['ink', 'muted', 'first', 'second', 'good', 'bad', 'caution'] as const) {
      t.ok(contrast(colours[name], colours.paper) >= 4.5, `${name} on paper`)
      t.ok(contrast(colours[name], colours.panel) >= 4.5, `${name} on panel`)
    }
    t.ok(contrast(colours['pale-line'], colours.paper) >= 3, 'outlines of pale bars')
  })

t.test('small probabilities have a logarithmic axis', async (t) => {
  t.ok(needsLogarithm([0.001, 0.002, 0.08]))
  t.notOk(needsLogarithm([0.02, 0.08, 0.1]), 'less than a decade')
  t.notOk(needsLogarithm([0.01, 0.7]), 'not all are small')
  t.notOk(needsLogarithm([0, 0]))
  t.notOk(needsLogarithm([]))
  const [low, high] = limits([0, 0.001, 0.08], true)
  t.ok(low > 0 && low < 0.001 && high > 0.08)
  t.same(limits([0.5, 0.99], false), [0, 1])
})

t.test('labels of axes are far enough apart', async (t) => {
  for (const range of [
    [0.0001, 0.2],
    [0.01, 0.4],
    [1e-9, 1],
    [0.02, 0.21],
  ] as const) {
    const ticks = logarithmicTicks(range, 260, 40)
    const places = ticks.map((tick) => (Math.log(tick / range[0]) / Math.log(range[1] / range[0])) * 260)
    t.ok(ticks.length >= 2, `${range}: ${ticks}`)
    t.ok(places.every((place, i) => i === 0 || place - places[i - 1]! >= 39.9))
  }
  t.same(logitTicks([logit(0.001), logit(0.9)], 260, 50), [0.001, 0.01, 0.1, 0.5, 0.9])
  t.same(linearTicks(0.33, 4), [0, 0.1, 0.2, 0.3])
  t.same(linearTicks(1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1])
})

t.test('text is cut to a width', async (t) => {
  t.equal(fit('country', 200), 'country')
  for (const text of hostileTexts) {
    const cut = fit(text, 120)
    t.ok(textWidth(cut) <= 120)
    for (const character of ['\n', '\u0000', '\ud800']) t.notOk(cut.includes(character))
  }
})

t.test('a forest shows each task, and what its interval shows', async (t) => {
  const comparison = evaluationReport().comparison!
  const chart = forestChart(comparison, 'logloss')!
  t.match(chart.words, /^Difference of Log-loss: ctr −\.00121 \(−\.00179 … −\.00063\); cvr .*; ctcvr /)
  const at = (low: number | null, high: number | null) => ({ a: 1, b: 1, difference: { value: 0, low, high } })
  t.equal(shows(at(0.1, 0.2), 'auc'), 'better')
  t.equal(shows(at(0.1, 0.2), 'logloss'), 'worse')
  t.equal(shows(at(-0.2, -0.1), 'calibration_ratio'), 'better')
  t.equal(shows(at(-0.2, -0.1), 'gauc'), 'worse')
  t.equal(shows(at(-0.1, 0.1), 'auc'), 'neither')
  t.equal(shows(at(null, null), 'auc'), 'neither')
  const tasks = comparison.tasks.map(({ gauc: _, ...task }) => task)
  t.equal(forestChart({ ...comparison, tasks }, 'gauc'), undefined, 'nothing to draw')
})

t.test('a strip marks ratios beyond its ends, and those that differ from 1', async (t) => {
  const end = ratioEnd([{ value: 1.2, low: 1.1, high: 1.3 }])
  t.equal(end, 1.25)
  t.equal(ratioEnd([]), 1.1)
  t.match(
    ratioStrip({ value: 1.2, low: 1.1, high: 1.3 }, end)!.text,
    /aria-label="1\.200 \(1\.100 … 1\.300\)".*circle class="off"/,
  )
  t.match(ratioStrip({ value: 1.1, low: 0.9, high: 1.3 }, end)!.text, /circle class="on"/)
  t.match(ratioStrip({ value: 7, low: 3, high: 9 }, end)!.text, /path class="off"/)
  t.match(ratioStrip({ value: 0, low: 0, high: 0.4 }, end)!.text, /path class="off"/)
  t.equal(ratioStrip({ value: null, low: null, high: null }, end), undefined)
})
