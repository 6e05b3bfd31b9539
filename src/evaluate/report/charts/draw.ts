import type { TopLevelSpec } from 'vega-lite'
import { missingPackage } from '../../../model/base/optional-packages.ts'
import { html, Markup } from '../base/html.ts'

/** A chart and its content in words, for people who do not see it. */
export interface Chart {
  spec: TopLevelSpec
  words: string
}

/** A chart as an SVG element. */
export type Draw = (chart: Chart) => Promise<Markup>

/** Loads the optional packages that draw; fails where they are not installed. */
export async function loadDraw(): Promise<Draw> {
  const { vega, compile } = await loadVega()
  // Warnings are about uses of a screen, such as pointers.
  const logger = vega.logger(vega.Error)
  return async ({ spec, words }) => {
    const view = new vega.View(vega.parse(compile(spec, { logger }).spec), { renderer: 'none', logger })
    const svg = await view.toSVG()
    view.finalize()
    return inline(svg, words)
  }
}

async function loadVega() {
  try {
    const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')])
    return { vega, compile }
  } catch (error) {
    const missing = missingPackage(error)
    throw missing === undefined ? error : new Error(missing, { cause: error })
  }
}

/**
 * Vega's SVG as an element of HTML: one image for assistive technology, as wide as the page allows, without attributes that
 * change nothing. Text contains no `<`, so that whatever matches a tag is one.
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
