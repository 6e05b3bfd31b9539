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
