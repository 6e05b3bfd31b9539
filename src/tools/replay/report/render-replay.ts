import { counted } from '../../../base/terminal.ts'
import { type Content, html, name } from '../../evaluate/report/base/html.ts'
import { count, percent, time } from '../../evaluate/report/base/numbers.ts'
import { page, type Section } from '../../evaluate/report/base/page.ts'
import { loadDraw } from '../../evaluate/report/charts/draw.ts'
import type { ReplayReport } from '../describe.ts'
import { causesSection } from './causes.ts'
import { differencesSection, slicesSection } from './differences.ts'
import { costSection, unknownSection } from './facts.ts'
import { winnersSection } from './winners.ts'
import { beforeOf, signed } from './words.ts'

/**
 * A replay's report as one HTML file. Fails where the optional packages that draw its charts, vega and vega-lite, are
 * not installed.
 */
export async function renderReplay(report: ReplayReport): Promise<string> {
  const draw = await loadDraw()
  const sections: (Section | undefined)[] = [
    await differencesSection(report, draw),
    await causesSection(report, draw),
    winnersSection(report),
    slicesSection(report),
    unknownSection(report),
    costSection(report),
  ]
  const { after, requests, rows, created, warnings, multigate, model } = report
  return page({
    title: `${after}: replay`,
    heading: name(after),
    by: html`Replay of ${counted(requests, 'request')} to ${name(model)} with ${counted(rows, 'candidate')}, against ${name(beforeOf(report))}, ${name(time(created))}`,
    box: box(report),
    sections: sections.filter((section) => section !== undefined),
    ...{ warnings, multigate },
  })
}

function box({ conditions, tasks }: ReplayReport): Content {
  const failed = conditions?.filter(({ passed }) => !passed) ?? []
  const tone = conditions === undefined ? 'plain' : failed.length > 0 ? 'bad' : 'good'
  const title = { plain: 'In short', bad: '✗ Conditions failed', good: '✓ All conditions are met' }[tone]
  return html`<section class="verdict ${tone}" aria-labelledby="verdict"><h2 id="verdict">${title}</h2>
${
  failed.length > 0 &&
  html`<ul>${failed.map(({ condition, found }) => html`<li>${name(condition)}: found ${found}</li>\n`)}</ul>
`
}<ul>${tasks.map((task) => html`<li>${sentence(task)}</li>\n`)}</ul>
</section>
`
}

function sentence({ name: task, same, logit, overlap, winners, requests }: ReplayReport['tasks'][number]): Content {
  if (same === 1) return html`<b>${task}</b>: every candidate has the same probability, within 1e-6.`
  const ranking =
    overlap === null
      ? ''
      : ` Of the best ten, ${percent(overlap)} stay, and ${count(winners)} of ${counted(requests, 'request')} have another winner.`
  return html`<b>${task}</b>: 98 % of the logits differ by ${signed(logit['0.01'])} to ${signed(logit['0.99'])}, ${percent(same)} of the probabilities not at all.${ranking}`
}
