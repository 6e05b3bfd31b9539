import type { TopLevelSpec } from 'vega-lite'
import { clean, html, Markup } from '../base/html.ts'

/** A chart and its content in words, for people who do not see it. */
export interface Chart {
  spec: TopLevelSpec
  words: string
}

/** A chart as an SVG element. */
export type Draw = (chart: Chart) => Promise<Markup>

/** Loads what draws charts; fails where the optional packages are not installed. */
export async function loadDraw(): Promise<Draw> {
  const render = await loadVega()
  return async ({ spec, words }) => inline(await render(spec), words)
}

/** Loads what draws SVG; fails where the optional packages are not installed. */
export async function loadVega(): Promise<(spec: TopLevelSpec) => Promise<string>> {
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')])
  // Warnings are about uses of a screen, such as pointers.
  const logger = vega.logger(vega.Error)
  return async (spec) => {
    const view = new vega.View(vega.parse(compile(spec, { logger }).spec), { renderer: 'none', logger })
    const svg = await view.toSVG()
    view.finalize()
    return svg
  }
}

/**
 * Vega's SVG as an element of HTML: one image for assistive technology, as wide as the page allows, without attributes
 * that change nothing. Text contains no `<`, so that whatever matches a tag is one.
 */
function inline(svg: string, words: string): Markup {
  const [, width, height] = /^<svg[^>]*? width="([\d.]+)" height="([\d.]+)"/.exec(svg)!
  const inside = svg.slice(svg.indexOf('>') + 1, svg.lastIndexOf('</svg>'))
  const small = inside
    .replaceAll(/<path[^>]* d="(?:M0,0h0v0h0Z)?"[^>]*\/>/g, '')
    .replaceAll(/<path class="background"[^>]*\/>/g, '')
    .replaceAll(/<[a-z][^>]*>/g, (tag) =>
      tag
        .replaceAll(/ (?:class|role|aria-[a-z]+|pointer-events|font-family)="[^"]*"/g, '')
        .replaceAll(/ (?:opacity="1"|stroke-width="1"|transform="translate\(0,0\)")/g, '')
        .replaceAll(/\d+\.\d{2,}/g, (number) => String(Number(Number(number).toFixed(1)))),
    )
  return html`<svg role="img" aria-label="${words}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">${new Markup(small)}</svg>
`
}

/** All charts are as wide as a phone's page, so that nothing shrinks; pixels. */
export const chartWidth = 340

export const font = 12

/** Colours of the style sheet: they follow the reader's theme. */
export const colours = {
  ink: 'var(--ink)',
  muted: 'var(--muted)',
  line: 'var(--line)',
  first: 'var(--first)',
  second: 'var(--second)',
  pale: 'var(--pale)',
  paleLine: 'var(--pale-line)',
  paper: 'var(--paper)',
} as const

/** A layer of vega-lite. */
export type Layer = Record<string, unknown>

export interface Frame {
  /** The height of the plot within the axes, pixels. */
  height: number
  left: number
  right?: number
  top?: number
  bottom?: number
  layer: Layer[]
}

/** A chart of fixed size: its axes and labels must fit into the margins, for the server cannot measure text. */
export function frame({ height, left, right = 16, top = 10, bottom = 42, layer }: Frame): TopLevelSpec {
  return {
    width: plotWidth(left, right),
    height,
    padding: { left, right, top, bottom },
    autosize: 'none',
    background: 'transparent',
    config,
    data: { values: [{}] },
    layer,
  } as unknown as TopLevelSpec
}

export const plotWidth = (left: number, right = 16) => chartWidth - left - right

const config = {
  aria: false,
  view: { stroke: null },
  axis: {
    labelColor: colours.muted,
    labelFontSize: font,
    labelLimit: 0,
    labelPadding: 4,
    titleColor: colours.ink,
    titleFontSize: font,
    titleFontWeight: 'normal',
    titleLimit: 0,
    gridColor: colours.line,
    gridOpacity: 0.6,
    domainColor: colours.line,
    tickColor: colours.line,
    tickSize: 4,
  },
  axisX: { minExtent: 20, maxExtent: 20, titlePadding: 4 },
  text: { fontSize: font, fill: colours.ink },
} as const

/** The place of numbers on an axis between fixed ends; without an axis where there is none. */
export const quantity = (domain: readonly number[], axis: object | null, type = 'linear') => ({
  type: 'quantitative',
  scale: { type, domain, nice: false, zero: false },
  axis,
})

/** A line that only guides the eye. */
export const guide = { type: 'line', color: colours.muted, strokeDash: [4, 4], strokeWidth: 1 }

export const dot = (size: number) => ({ ...round, filled: true, color: colours.first, size })
const round = { type: 'point', shape: 'circle', opacity: 1 }

/** A point of the legend that stands for a rectangle. */
export const square = (mark: object, size = 120) => ({
  ...mark,
  ...{ type: 'point', shape: 'square', filled: true, opacity: 1, size },
})

/** The y axis's title stands above it, where it can be read without turning the head. */
export const titleAbove = (left: number) =>
  ({
    titleAngle: 0,
    titleAlign: 'left',
    titleBaseline: 'bottom',
    titleAnchor: 'end',
    titleX: 4 - left,
    titleY: -8,
  }) as const

/** Axis labels such as `.02`, with the sign of a difference if wanted. */
export const decimalLabels = (sign = '') =>
  `datum.value == 0 ? '0' : replace(format(datum.value, '${sign}~r'), regexp('\\\\b0\\\\.'), '.')`

/** Axis labels of values: as many decimals as their steps need. */
export const valueLabels = "replace(datum.label, regexp('\\\\b0\\\\.'), '.')"

/** Axis labels such as `2 %`, of shares. */
export const percentLabels = "format(datum.value * 100, '.3~r') + '\u00a0%'"

/** Steps of a linear axis from 0: 1, 2 or 5 times a power of ten, at most `most` of them. */
export function linearTicks(high: number, most: number): number[] {
  const power = 10 ** Math.floor(Math.log10(high / most))
  const step = [1, 2, 5, 10].map((times) => times * power).find((step) => high / step <= most) ?? high
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(6)))
}

/** Width of text at most, pixels: as wide as in any usual font. */
export function textWidth(text: string, size = font): number {
  let width = 0
  for (const character of text) width += characterWidth(character) * size
  return width
}

function characterWidth(character: string): number {
  if (/[ilj.,:;'| ]/.test(character)) return 0.36
  if (/[a-z0-9]/.test(character)) return 0.64
  // Letters of Latin and its like; everything beyond may be as wide as high.
  return character.codePointAt(0)! < 0x700 && !/[MW@%…]/.test(character) ? 0.78 : 1.05
}

/** Text on one line, cut with … to a width in pixels. */
export function fit(text: string, width: number): string {
  const line = clean(text).replaceAll(/\s+/g, ' ').trim()
  if (textWidth(line) <= width) return line
  let cut = ''
  for (const character of line) {
    if (textWidth(`${cut}${character}…`) > width) break
    cut += character
  }
  return `${cut}…`
}

/** Left margin for labels that are at most `widest` pixels wide. */
export function labelMargin(labels: readonly string[], widest: number): number {
  return 14 + Math.ceil(Math.max(24, ...labels.map((label) => Math.min(widest, textWidth(fit(label, widest))))))
}

export interface Key {
  text: string
  mark: object
}

/** A legend in one line above the plot, from its left edge. */
export function legend(keys: readonly Key[], y = -14, from = 0): Layer[] {
  let x = from
  return keys.flatMap(({ text, mark }) => {
    const at = x
    x += 18 + textWidth(text) + 10
    return [
      { mark, encoding: { x: { value: at + 6 }, y: { value: y } } },
      {
        mark: { type: 'text', align: 'left', baseline: 'middle', text },
        encoding: { x: { value: at + 18 }, y: { value: y } },
      },
    ]
  })
}
