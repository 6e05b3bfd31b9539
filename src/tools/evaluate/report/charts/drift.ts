import type { DriftRow } from '../../../../schemas/evaluation.ts'
import { fixed, percent } from '../base/numbers.ts'
import {
  type Chart,
  colours,
  fit,
  frame,
  labelMargin,
  legend,
  linearTicks,
  percentLabels,
  quantity,
  square,
} from './draw.ts'

const binHeight = 20

/** The most space for names of bins, pixels. */
const widest = 120

/** More bins than this are not drawn. */
export const mostBins = 12

/** Shares per bin, when the version was made and now; undefined without bins. */
export function driftChart({ name, bins, reference, rows, psi }: DriftRow): Chart | undefined {
  if (bins.length === 0) return undefined
  const all = bins.map((bin, i) => ({ bin, was: reference[i] ?? 0, now: rows[i] ?? 0, i }))
  const change = ({ was, now }: { was: number; now: number }) => Math.abs(now - was)
  const drawn = all
    .toSorted((a, b) => change(b) - change(a))
    .slice(0, mostBins)
    .sort((a, b) => a.i - b.i)
  const left = labelMargin(
    drawn.map(({ bin }) => bin),
    widest,
  )
  const values = drawn.map(({ bin, was, now }, row) => ({
    label: fit(bin, widest),
    was,
    now,
    zero: 0,
    top: row * binHeight + 3,
    bottom: (row + 1) * binHeight - 3,
    innerTop: row * binHeight + 7,
    innerBottom: (row + 1) * binHeight - 7,
    middle: (row + 0.5) * binHeight,
  }))
  const height = drawn.length * binHeight
  const most = Math.max(...drawn.flatMap(({ was, now }) => [was, now])) * 1.05 || 1
  const axis = { title: 'Share of the rows', values: linearTicks(most, 4), labelExpr: percentLabels }
  const [x, y] = [quantity([0, most], axis), quantity([height, 0], null)]
  const bar = (field: string, from: string, to: string, mark: object) => ({
    mark: { type: 'rect', ...mark },
    encoding: { x: { ...x, field }, x2: { field: 'zero' }, y: { ...y, field: from }, y2: { field: to } },
  })
  const spec = frame({
    height,
    left,
    top: 28,
    layer: [
      {
        data: { values },
        layer: [
          bar('was', 'top', 'bottom', wasMark),
          bar('now', 'innerTop', 'innerBottom', nowMark),
          {
            mark: { type: 'text', align: 'right', baseline: 'middle' },
            encoding: { x: { value: -6 }, y: { ...y, field: 'middle' }, text: { field: 'label' } },
          },
        ],
      },
      ...legend([
        { text: 'then', mark: square(wasMark, 130) },
        { text: 'now', mark: square(nowMark, 50) },
      ]),
    ],
  })
  const words = drawn.map(({ bin, was, now }) => `${bin} ${percent(was)} then, ${percent(now)} now`)
  return { spec, words: `Distribution of ${name}, index ${fixed(psi, 3)}: ${words.join('; ')}` }
}

const wasMark = { fill: colours.pale, stroke: colours.paleLine, strokeWidth: 1 }
const nowMark = { fill: colours.first }
