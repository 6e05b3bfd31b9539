import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { repaint } from '../base/theme.ts'
import { colour, seriesColours } from './colours.ts'
import { time } from './format.ts'

export interface Series {
  label: string
  /** One per moment; null where nothing was measured. */
  values: (number | null)[]
}

export interface ChartProps {
  title: string
  /** What is shown, in a sentence, for those who have not met it. */
  about?: string
  /** ms since 1970, ascending. */
  at: number[]
  series: Series[]
  /** Writes a value with its unit. */
  format(value: number): string
  /** The upper end of the axis at least. */
  atLeast?: number
  height?: number
}

/** Lines over time, with the newest values beside their names. */
export function Chart({ title, about, at, series, format, atLeast = 0, height = 150 }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const labels = series.map(({ label }) => label).join('\n')
  const painted = repaint.value
  const data: uPlot.AlignedData = [at.map((ms) => ms / 1000), ...series.map(({ values }) => values)]

  // Other data are set below, without a new plot.
  useEffect(() => {
    const { current: element } = place
    if (element === null) return
    const created = new uPlot(optionsOf({ series, format, atLeast, height }, element), data, element)
    plot.current = created
    const sizes = new ResizeObserver(() => created.setSize({ width: element.clientWidth, height }))
    sizes.observe(element)
    return () => {
      sizes.disconnect()
      created.destroy()
    }
  }, [labels, height, painted])

  useEffect(() => {
    plot.current?.setData(data)
  })

  return (
    <figure class="card chart" style={{ margin: 0 }}>
      <header>
        <h3>{title}</h3>
        <ul class="legend">
          {series.map(({ label, values }, i) => (
            <li key={label}>
              <span class="swatch" style={{ background: `var(--series-${(i % seriesColours) + 1})` }} />
              {label} <b>{newest(values, format)}</b>
            </li>
          ))}
        </ul>
      </header>
      <div class="canvas" ref={place} aria-hidden="true" />
      {about && <figcaption class="small muted">{about}</figcaption>}
    </figure>
  )
}

function newest(values: (number | null)[], format: (value: number) => string): string {
  const value = values.findLast((value) => value !== null)
  return value === undefined || value === null ? '–' : format(value)
}

function optionsOf(
  { series, format, atLeast, height }: Pick<ChartProps, 'series' | 'format'> & { atLeast: number; height: number },
  element: HTMLElement,
): uPlot.Options {
  const line = colour('--line')
  const muted = colour('--muted')
  const axis = { stroke: muted, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } }
  const font = `12px ${getComputedStyle(element).fontFamily}`
  return {
    width: element.clientWidth,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { setScale: false, x: false, y: false } },
    scales: {
      // A minute at least, however new the server is.
      x: {
        range: (_, min, max) =>
          max === null ? [Date.now() / 1000 - 60, Date.now() / 1000] : [Math.min(min, max - 60), max],
      },
      y: { range: (_, _min, max) => [0, Math.max(atLeast, max ?? 0) * 1.08 || 1] },
    },
    axes: [
      { ...axis, font, values: (_, ticks) => ticks.map((seconds) => time(1000 * seconds)), space: 90, size: 30 },
      { ...axis, font, values: (_, ticks) => ticks.map(format), size: 64, space: 36 },
    ],
    series: [
      {},
      ...series.map(({ label }, i) => ({
        label,
        stroke: colour(`--series-${(i % seriesColours) + 1}`),
        width: 1.75,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    hooks: { setCursor: [(plot) => showValues(plot, series, format, element)] },
  }
}

/** The values under the pointer, as the chart's title. */
function showValues(plot: uPlot, series: Series[], format: (value: number) => string, element: HTMLElement): void {
  const { idx } = plot.cursor
  if (idx === null || idx === undefined) {
    element.title = ''
    return
  }
  const moment = plot.data[0][idx]
  if (moment === undefined) return
  const lines = series.map(({ label }, i) => {
    const value = plot.data[i + 1]?.[idx]
    return `${label}: ${value === null || value === undefined ? '–' : format(value)}`
  })
  element.title = [time(1000 * moment), ...lines].join('\n')
}
