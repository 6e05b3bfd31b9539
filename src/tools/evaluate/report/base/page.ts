import { counted } from '../../../../base/terminal.ts'
import { type Content, html, Markup, name } from './html.ts'
import { styles } from './styles.ts'

export interface Section {
  /** The id of its heading; the table of contents refers to it. */
  id: string
  title: string
  body: Content
}

export interface Page {
  /** The browser's title. */
  title: string
  heading: Content
  /** A line under the heading: the subject, and when it was made. */
  by: Content
  /** In short. */
  box: Content
  warnings: readonly string[]
  sections: readonly Section[]
  /** Version of multigate. */
  multigate: string
}

/** A report as one HTML file, which needs neither the network nor scripts. */
export function page({ title, heading, by, box, warnings, sections, multigate }: Page): string {
  return html`${new Markup('<!DOCTYPE html>')}
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Markup(styles)}</style>
</head>
<body>
<header>
<h1>${heading}</h1>
<p class="by">${by}</p>
${box}${warningBox(warnings)}<nav aria-label="Contents"><ol>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>\n`)}</ol></nav>
</header>
<main>
${sections.map(sectionElement)}</main>
<footer>multigate ${multigate}</footer>
</body>
</html>
`.text
}

const warningBox = (warnings: readonly string[]) =>
  warnings.length > 0 &&
  html`<section class="warnings" aria-labelledby="warnings"><h2 id="warnings">! ${counted(warnings.length, 'warning')}</h2>
<ul>${warnings.map((warning): Content => html`<li>${name(warning)}</li>\n`)}</ul>
</section>
`

const sectionElement = ({ id, title, body }: Section) => html`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${body}</section>
`
