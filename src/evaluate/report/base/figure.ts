import { type Content, html, type Markup } from './html.ts'

/** A chart with its title, and how to read it. */
export function figure(title: Content, reading: Content, ...drawings: Content[]): Markup {
  return html`<figure><figcaption><strong>${title}</strong>${reading !== undefined && html` <span>${reading}</span>`}</figcaption>
${drawings}</figure>
`
}

/** A small chart beside its text, or below it where the screen is narrow. */
export const strip = (title: Content, reading: Content, drawing: Content) =>
  html`<figure class="side"><figcaption><strong>${title}</strong> <span>${reading}</span></figcaption>
${drawing}</figure>
`

/** Figures side by side, as many as the screen is wide. */
export const grid = (figures: readonly Content[]) =>
  figures.length > 0 &&
  html`<div class="grid">${figures}</div>
`
