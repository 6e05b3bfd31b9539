import { type Content, html, type Markup } from './html.ts'

export interface Column {
  title: Content
  /** Numbers stand at the end, so that their digits align; default: start. */
  end?: boolean
}

export interface Row {
  /** The first is the row's header. */
  cells: readonly Content[]
  /** Class of the row. */
  kind?: string
}

export interface Table {
  /** Says the subject; unique in the document. */
  caption: string
  columns: readonly Column[]
  /** Groups of rows that belong together. */
  groups: readonly (readonly Row[])[]
  kind?: string
}

/** A table that scrolls by itself where the screen is narrow. */
export function table({ caption, columns, groups, kind = '' }: Table): Markup {
  const align = (i: number) => (columns[i]?.end ? 'end' : 'start')
  const row = ({ cells, kind }: Row) => html`<tr${kind !== undefined && html` class="${kind}"`}>${cells.map(
    (cell, i) =>
      i === 0 ? html`<th scope="row" class="${align(i)}">${cell}</th>` : html`<td class="${align(i)}">${cell}</td>`,
  )}</tr>
`
  return html`<div class="scroll" role="group" tabindex="0" aria-label="${caption}">
<table class="${kind || 'plain'}"><caption>${caption}</caption>
<thead><tr>${columns.map(({ title }, i) => html`<th scope="col" class="${align(i)}">${title}</th>`)}</tr></thead>
${groups.map((rows) => html`<tbody>${rows.map(row)}</tbody>\n`)}</table>
</div>
`
}

/** The first `shown` rows, and the others behind a line to open; `others` is their caption. */
export function longTable(
  whole: Omit<Table, 'groups'> & { rows: readonly Row[] },
  shown: number,
  others: string,
): Markup {
  const { rows, caption, ...rest } = whole
  // Nobody opens a line for one row or two.
  const first = rows.length <= shown + 2 ? rows.length : shown
  const hidden = rows.length - first
  return html`${table({ ...rest, caption, groups: [rows.slice(0, first)] })}${
    hidden > 0 &&
    html`<details><summary>${hidden} more</summary>
${table({ ...rest, caption: others, groups: [rows.slice(first)] })}</details>
`
  }`
}
