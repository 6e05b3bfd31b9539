import { type Estimate, type MetricName, type Metrics, metricNames } from '../../../../schemas/comparison.ts'
import { digits, plainValue, range, signedRange, signedValue, titles } from './numbers.ts'

/** HTML that is safe to insert: made by `html`, whose values are escaped. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type Content = Markup | string | number | undefined | false | readonly Content[]

/** A template of HTML. Strings and numbers among its values are escaped, in text and in quoted attributes alike. */
export function html(strings: TemplateStringsArray, ...values: Content[]): Markup {
  return new Markup(strings.reduce((text, part, i) => text + render(values[i - 1]) + part))
}

function render(content: Content): string {
  if (content instanceof Markup) return content.text
  if (typeof content === 'string') return escaped(content)
  if (typeof content === 'number') return String(content)
  return content === undefined || content === false ? '' : content.map(render).join('')
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text for HTML; what HTML cannot contain becomes U+FFFD. */
export function escaped(text: string): string {
  return clean(text).replaceAll(/[&<>"']/g, (character) => entities[character]!)
}

/** Without control characters (C0 but tab and line feed, C1) and halves of surrogate pairs. */
export function clean(text: string): string {
  return text.replaceAll(/(?![\t\n])\p{Cc}|\p{Cs}|[\ufdd0-\ufdef\ufffe\uffff]/gu, '\ufffd')
}

/** A name or value from the data: the direction of its script does not touch the text around it, long ones are
 * cut after some lines, and lines can break between the words of an identifier. */
export function name(text: string): Markup {
  const breakable = join(
    text.split(/(?<=[A-Za-z0-9][_/:-])(?=[A-Za-z])|(?<=[A-Za-z]\.)(?=[A-Za-z])/),
    new Markup('<wbr>'),
  )
  return text.length > 80 ? html`<bdi class="long">${breakable}</bdi>` : html`<bdi>${breakable}</bdi>`
}

/** Contents with `separator` between them. */
export function join(contents: readonly Content[], separator: Content): Content[] {
  return contents.flatMap((content, i) => (i === 0 ? [content] : [separator, content]))
}

/** A title; `end`: that of numbers, which stand at the end, so that their digits align. */
export type Column = Content | { end: Content }

export const numeric = (...titles: string[]): Column[] => titles.map((end) => ({ end }))

/** Cells, of which the first is the row's header; `kind`: class of the row. */
export type Row = readonly Content[] | { cells: readonly Content[]; kind: string }

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
  const heads = columns.map((column) =>
    typeof column === 'object' && 'end' in column
      ? { title: column.end, align: 'end' }
      : { title: column, align: 'start' },
  )
  const cellOf = (cell: Content, i: number) =>
    i === 0
      ? html`<th scope="row" class="${heads[i]!.align}">${cell}</th>`
      : html`<td class="${heads[i]!.align}">${cell}</td>`
  const row = (row: Row) =>
    'cells' in row ? html`<tr class="${row.kind}">${row.cells.map(cellOf)}</tr>\n` : html`<tr>${row.map(cellOf)}</tr>\n`
  return html`<div class="scroll" role="group" tabindex="0" aria-label="${caption}">
<table class="${kind || 'plain'}"><caption>${caption}</caption>
<thead><tr>${heads.map(({ title, align }) => html`<th scope="col" class="${align}">${title}</th>`)}</tr></thead>
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

/** A value with its interval beneath. */
export function estimateCell(estimate: Estimate, decimals: number): Markup {
  return stacked(plainValue(estimate, decimals), range(estimate, decimals))
}

/** A difference with its interval beneath. */
export function differenceCell(estimate: Estimate, decimals: number): Markup {
  return stacked(signedValue(estimate, decimals), signedRange(estimate, decimals))
}

function stacked(value: Content, below: string | undefined): Markup {
  return html`${value}${below !== undefined && html` <span class="ci">${below}</span>`}`
}

export const metricColumns = numeric(...metricNames.map((metric) => titles[metric]))

/** All metrics in the order of `metricColumns`. */
export const metricCells = (metrics: Metrics): Markup[] =>
  metricNames.map((metric: MetricName) => estimateCell(metrics[metric], digits[metric]))

/** A chart with its title, and how to read it; `kind`: class of the figure. */
export const figure = (title: Content, reading: Content, drawing: Content, kind?: string) =>
  html`<figure${kind !== undefined && html` class="${kind}"`}><figcaption><strong>${title}</strong> <span>${reading}</span></figcaption>
${drawing}</figure>
`

/** Figures side by side, as many as the screen is wide. */
export const grid = (figures: readonly Content[]) =>
  figures.length > 0 &&
  html`<div class="grid">${figures}</div>
`
