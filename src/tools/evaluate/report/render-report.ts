import { counted } from '../../../base/terminal.ts'
import type { EvaluationReport } from '../../../schemas/evaluation.ts'
import { html, name } from './base/html.ts'
import { time } from './base/numbers.ts'
import { page, type Section } from './base/page.ts'
import { loadDraw } from './charts/draw.ts'
import { cardSection } from './sections/card.ts'
import { comparisonSection } from './sections/comparison.ts'
import { driftSection, fieldsSection } from './sections/drift.ts'
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
  const { model, data, created, warnings, tasks, multigate } = report
  return page({
    title: `${model.name}/${model.version}: evaluation`,
    heading: name(`${model.name}/${model.version}`),
    by: html`Evaluation on ${counted(data.judged, 'row')} (${name(data.part)} of ${name(data.source)}), ${counted(tasks.length, 'task')}, ${name(time(created))}`,
    box: verdictBox(report),
    ...{ warnings, sections, multigate },
  })
}
