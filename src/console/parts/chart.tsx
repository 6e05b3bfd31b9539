import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { repaint } from '../base/theme.ts'
import { orDash, time } from './format.ts'

export interface Series {
  label: string
  /** One per moment; null where nothing was measured. */
  values: (number | null)[]
  /** The number of its colour, from 0; default: its place among the series. */
  colour?: number
}

/** A moment at which something happened. */
export interface Mark {
  /** ms since 1970. */
  at: number
  text: string
  tone: 'warning' | 'bad'
}

export interface ChartProps {
  title: string
  /** A sentence about what is shown, for those who have not met it. */
  about?: string
  /** ms since 1970, ascending. */
  at: number[]
  series: Series[]
  /** Drawn as lines across; their texts are shown below the values of their moment. */
  marks?: Mark[]
  /** Writes a value with its unit. */
  format(value: number): string
  /** The upper end of the axis at least. */
  atLeast?: number
}

/** Height of the plot, px. */
const height = 150

/** Lines over time, with their values beside their names: the newest, or those under the pointer. */
export function Chart({ title, about, at, series, marks = [], format, atLeast = 0 }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const [pointed, setPointed] = useState<number>()
  const marked = useRef(marks)
  marked.current = marks
  const labels = series.map(({ label }) => label).join('\n')
  const happened = pointed === undefined ? [] : textsOf(marks, at, pointed)
  const painted = repaint.value
  const data: uPlot.AlignedData = [at.map((ms) => ms / 1000), ...series.map(({ values }) => values)]

  // Other data are set below, without a new plot.
  useEffect(() => {
    const { current: element } = place
    if (element === null) return
    const options = optionsOf({ series, marked, format, atLeast, onPoint: setPointed }, element)
    const created = new uPlot(options, data, element)
    plot.current = created
    const sizes = new ResizeObserver(() => created.setSize({ width: element.clientWidth, height }))
    sizes.observe(element)
    return () => {
      sizes.disconnect()
      created.destroy()
    }
  }, [labels, painted])

  useEffect(() => {
    plot.current?.setData(data)
  })

  return (
    <figure class="card chart" style={{ margin: 0 }}>
      <header>
        <h3>
          {title}
          {pointed !== undefined && at[pointed] !== undefined && (
            <span class="small muted"> at {time(at[pointed])}</span>
          )}
        </h3>
      </header>
      <div class="canvas" ref={place} aria-hidden="true" />
      {/* Below: longer values may take another line, and the plot must not move away from the pointer. */}
      <ul class="legend">
        {series.map(({ label, values }, i) => (
          <li key={label}>
            <span class="swatch" style={{ background: `var(--series-${colourOf(series, i)})` }} />
            {label} <b>{valueAt(values, pointed, format)}</b>
          </li>
        ))}
      </ul>
      {happened.length > 0 && (
        <p class="small">
          <bdi>{happened.join('; ')}</bdi>
        </p>
      )}
      {about && <figcaption class="small muted">{about}</figcaption>}
    </figure>
  )
}

const colourOf = (series: readonly Series[], i: number) => ((series[i]?.colour ?? i) % seriesColours) + 1

/** Places of values between moments without any. */
function alone(values: readonly (number | null)[]): number[] {
  const isThere = (i: number) => (values[i] ?? null) !== null
  return values.flatMap((_, i) => (isThere(i) && !isThere(i - 1) && !isThere(i + 1) ? [i] : []))
}

/** At a place, or else the newest. */
function valueAt(values: (number | null)[], place: number | undefined, format: (value: number) => string): string {
  return orDash(place === undefined ? values.at(-1) : values[place], format)
}

/** The texts of marks between a moment and those beside it. */
function textsOf(marks: readonly Mark[], at: readonly number[], place: number): string[] {
  const [from, to] = [at[place - 1] ?? at[place]!, at[place + 1] ?? Number.POSITIVE_INFINITY]
  return marks.filter(({ at }) => at > from && at < to).map(({ text }) => text)
}

/** Lines across the plot, in device pixels as all that uPlot draws. `colours`: as a canvas takes them. */
function drawMarks(plot: uPlot, marks: readonly Mark[], colours: Record<Mark['tone'], string>): void {
  const { ctx, bbox } = plot
  ctx.save()
  ctx.lineWidth = devicePixelRatio
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
  const byPlace = new Map<number, Mark['tone']>()
  for (const { at, tone } of marks) {
    const x = Math.round(plot.valToPos(at / 1000, 'x', true))
    // The worst of several is drawn.
    if (x >= bbox.left && x <= bbox.left + bbox.width && byPlace.get(x) !== 'bad') byPlace.set(x, tone)
  }
  for (const [x, tone] of byPlace) {
    ctx.strokeStyle = colours[tone]
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
  }
  ctx.restore()
}

interface PlotProps extends Pick<ChartProps, 'series' | 'format'> {
  atLeast: number
  /** The marks at the moment of drawing. */
  marked: { current: Mark[] }
  onPoint(place: number | undefined): void
}

function optionsOf({ series, marked, format, atLeast, onPoint }: PlotProps, element: HTMLElement): uPlot.Options {
  const line = colour('--line')
  const muted = colour('--muted')
  const tones = { warning: colour('--warning'), bad: colour('--bad') }
  const axis = { stroke: muted, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } }
  const font = `12px ${getComputedStyle(element).fontFamily}`
  return {
    width: element.clientWidth,
    height,
    padding: [8, 28, 0, 0],
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
      { ...axis, font, values: (_, ticks) => ticks.map((tick) => format(tick)), size: 64, space: 36 },
    ],
    series: [
      {},
      ...series.map(({ label }, i) => ({
        label,
        stroke: colour(`--series-${colourOf(series, i)}`),
        width: 1.75,
        // A line through one moment alone would not be seen.
        points: { show: true, size: 4, filter: (_: uPlot, place: number) => alone(series[place - 1]!.values) },
        spanGaps: false,
      })),
    ],
    hooks: {
      setCursor: [({ cursor: { idx } }) => onPoint(idx ?? undefined)],
      // Below the lines of values.
      drawAxes: [(plot) => drawMarks(plot, marked.current, tones)],
    },
  }
}

/** Colours of charts: `--series-1` … `--series-6`. */
export const seriesColours = 6

/** A colour of tokens.css as a canvas takes it. */
export function colour(name: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
