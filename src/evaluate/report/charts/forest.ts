import type { Comparison, Difference, MetricName } from '../../../schemas/comparison.ts'
import { digits, signedInterval, titles } from '../base/numbers.ts'
import type { Chart } from './draw.ts'
import { colours, decimalLabels, fit, frame, type Layer, labelMargin } from './theme.ts'

const rowHeight = 28

/** Of names of tasks, pixels. */
const widest = 120

/** Differences of one metric, one row per task. Undefined where no task has one. */
export function forestChart({ tasks }: Comparison, metric: MetricName | 'gauc'): Chart | undefined {
  const rows = tasks.flatMap((task) => {
    const difference = metric === 'gauc' ? task.gauc : task.metrics[metric]
    const { value = null } = difference?.difference ?? {}
    return difference && value !== null ? [{ name: task.name, difference, value }] : []
  })
  if (rows.length === 0) return undefined
  const left = labelMargin(
    rows.map(({ name }) => name),
    widest,
  )
  const values = rows.map(({ name, difference, value }, row) => ({
    label: fit(name, widest),
    value,
    low: difference.difference.low ?? value,
    high: difference.difference.high ?? value,
    y: (row + 0.5) * rowHeight,
    shown: shows(difference, metric),
  }))
  const most = Math.max(...values.flatMap(({ low, high, value }) => [low, high, value].map(Math.abs))) * 1.1 || 1
  const x = {
    type: 'quantitative',
    scale: { domain: [-most, most], nice: false },
    axis: { title: axisTitle(metric), tickCount: 4, labelExpr: decimalLabels('+') },
  }
  const y = {
    field: 'y',
    type: 'quantitative',
    axis: null,
    scale: { domain: [rows.length * rowHeight, 0], nice: false },
  }
  const layer: Layer[] = [
    {
      data: { values: [{ zero: 0 }] },
      mark: { type: 'rule', color: colours.ink, strokeWidth: 1 },
      encoding: { x: { ...x, field: 'zero' } },
    },
    {
      data: { values },
      mark: { type: 'text', align: 'right', baseline: 'middle' },
      encoding: { x: { value: -8 }, y, text: { field: 'label' } },
    },
    ...(Object.keys(looks) as Shown[]).flatMap((shown) => {
      const data = { values: values.filter((row) => row.shown === shown) }
      if (data.values.length === 0) return []
      const { rule, point } = looks[shown]
      return [
        { data, mark: rule, encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y } },
        { data, mark: point, encoding: { x: { ...x, field: 'value' }, y } },
      ]
    }),
  ]
  const spec = frame({ height: rows.length * rowHeight, left, top: 6, layer })
  const words = rows.map(({ name, difference }) => `${name} ${signedInterval(difference.difference, digits[metric])}`)
  return { spec, words: `Difference of ${titles[metric]}: ${words.join('; ')}` }
}

export type Shown = 'better' | 'worse' | 'neither'

/** What the interval of a difference shows. */
export function shows({ difference: { low, high } }: Difference, metric: MetricName | 'gauc'): Shown {
  if (low === null || high === null || (low <= 0 && high >= 0)) return 'neither'
  return low > 0 === higherIsBetter(metric) ? 'better' : 'worse'
}

export const higherIsBetter = (metric: MetricName | 'gauc') => metric === 'auc' || metric === 'gauc'

function axisTitle(metric: MetricName | 'gauc'): string {
  return higherIsBetter(metric) ? 'worse ←    → better' : 'better ←    → worse'
}

const looks: Record<Shown, { rule: object; point: object }> = {
  better: look(colours.first, { shape: 'circle', filled: true, color: colours.first }),
  worse: look(colours.second, { shape: 'square', filled: true, color: colours.second }),
  neither: look(colours.muted, { shape: 'circle', stroke: colours.muted, fill: colours.paper, strokeWidth: 1.5 }),
}

function look(color: string, point: object) {
  return {
    rule: { type: 'rule', color, strokeWidth: 2 },
    point: { type: 'point', opacity: 1, size: 70, ...point },
  }
}
