import { counted } from '../../../base/terminal.ts'
import type { EvaluationReport } from '../../../schemas/evaluation.ts'
import { type Content, html, Markup, name } from './base/html.ts'
import { time } from './base/numbers.ts'
import { styles } from './base/styles.ts'
import { loadDraw } from './charts/draw.ts'
import { cardSection } from './sections/card.ts'
import { comparisonSection } from './sections/comparison.ts'
import { driftSection, fieldsSection } from './sections/drift.ts'
import type { Section } from './sections/section.ts'
import { sequencesSection } from './sections/sequences.ts'
import { slicesSection } from './sections/slices.ts'
import { summarySection } from './sections/summary.ts'
import { gatesSection, tasksSection } from './sections/tasks.ts'
import { historySection, precisionsSection } from './sections/training.ts'
import { publishSection, verdictBox } from './sections/verdict.ts'

/** In the order of the page. */
const sectionsOf = [
  summarySection,
  comparisonSection,
  publishSection,
  tasksSection,
  slicesSection,
  gatesSection,
  sequencesSection,
  precisionsSection,
  driftSection,
  historySection,
  fieldsSection,
  cardSection,
]

/**
 * An evaluation as one HTML file, which needs neither the network nor scripts. Parts that the report does not have
 * leave nothing behind. Fails where the optional packages that draw its charts, vega and vega-lite, are not installed.
 */
export async function renderReport(report: EvaluationReport): Promise<string> {
  const draw = await loadDraw()
  const sections: Section[] = []
  for (const sectionOf of sectionsOf) {
    const section = await sectionOf(report, draw)
    if (section) sections.push(section)
  }
  return page(report, sections).text
}

function page(report: EvaluationReport, sections: readonly Section[]): Markup {
  const title = `${report.model.name}/${report.model.version}: evaluation`
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
${header(report, sections)}<main>
${sections.map(sectionElement)}</main>
<footer>multigate ${report.multigate}</footer>
</body>
</html>
`
}

function header(report: EvaluationReport, sections: readonly Section[]): Markup {
  const { model, data, created, warnings, tasks } = report
  return html`<header>
<h1>${name(`${model.name}/${model.version}`)}</h1>
<p class="by">Evaluation on ${counted(data.judged, 'row')} (${name(data.part)} of ${name(data.source)}), ${counted(tasks.length, 'task')}, ${name(time(created))}</p>
${verdictBox(report)}${
  warnings.length > 0 &&
  html`<section class="warnings" aria-labelledby="warnings"><h2 id="warnings">! ${counted(warnings.length, 'warning')}</h2>
<ul>${warnings.map((warning): Content => html`<li>${name(warning)}</li>\n`)}</ul>
</section>
`
}<nav aria-label="Contents"><ol>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>\n`)}</ol></nav>
</header>
`
}

const sectionElement = ({ id, title, body }: Section) => html`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${body}</section>
`
