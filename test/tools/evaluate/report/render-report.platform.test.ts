import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import t from 'tap'
import { renderReport } from '../../../../src/tools/evaluate/report/render-report.ts'
import { openBrowser, openPage, skipBrowser as skip } from '../../../support/browser.ts'
import {
  evaluationReport,
  hostileReport,
  minimalReport,
  reportWithoutPositives,
} from '../../../support/evaluation-report.ts'

const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const reports = { evaluationReport, minimalReport, reportWithoutPositives, hostileReport }
const widths = { laptop: 1280, phone: 390 }
const themes = ['light', 'dark'] as const

/** Everything wrong with the layout, as the browser measures it; runs there. */
const layoutProblems = `(() => {
  const problems = []
  const shown = (text) => text.slice(0, 40)
  const root = document.documentElement
  if (root.scrollWidth > root.clientWidth) problems.push('the page scrolls sideways: ' + root.scrollWidth)
  for (const svg of document.querySelectorAll('svg')) {
    const name = shown(svg.getAttribute('aria-label'))
    const frame = svg.getBoundingClientRect()
    const { width, height } = svg.viewBox.baseVal
    if (frame.width === 0) { problems.push(name + ': not drawn'); continue }
    if (frame.width < width - 1 && width <= 340 && innerWidth >= 390) problems.push(name + ': shrunk to ' + frame.width)
    const inside = svg.getBBox()
    if (inside.x < -1 || inside.y < -1 || inside.x + inside.width > width + 1 || inside.y + inside.height > height + 1)
      problems.push(name + ': content beyond its frame: ' + [inside.x, inside.y, inside.width, inside.height, width, height])
    const texts = [...svg.querySelectorAll('text')].map((element) => ({ element, box: element.getBoundingClientRect() }))
    for (const { element, box } of texts) {
      const text = name + ': "' + element.textContent + '"'
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        problems.push(text + ' is cut')
      if (parseFloat(getComputedStyle(element).fontSize) < 11) problems.push(text + ' is too small')
    }
    texts.forEach((a, i) => {
      for (const b of texts.slice(i + 1)) {
        const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left)
        const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top)
        // Boxes of lines of text are higher than their letters.
        if (across > 0.5 && down > 3) problems.push(name + ': "' + a.element.textContent + '" overlaps "' + b.element.textContent + '"')
      }
    })
  }
  for (const scroll of document.querySelectorAll('.scroll'))
    if (scroll.getBoundingClientRect().right > root.clientWidth + 1) problems.push('a table leaves the page')
  return { problems, charts: document.querySelectorAll('svg').length }
})()`

/** Colours of text in charts and of the page, as computed in the theme. */
const colours = `(() => ({
  page: getComputedStyle(document.body).backgroundColor,
  text: getComputedStyle(document.body).color,
  label: getComputedStyle(document.querySelector('svg text')).fill,
  line: getComputedStyle(document.querySelector('figure svg path[stroke="var(--first)"]') ?? document.body).stroke,
}))()`

t.test('the report in a browser', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'multigate-report-'))
  const browser = await openBrowser(t)
  const faults: string[][] = []
  const requests: string[] = []

  async function open(file: string, width: number, colorScheme: 'light' | 'dark'): Promise<Page> {
    const opened = await openPage(t, browser, 'file:', { viewport: { width, height: 900 }, colorScheme, offline: true })
    const { page } = opened
    faults.push(opened.faults)
    // Not errors alone: a report writes nothing there.
    page.on('console', (message) => opened.faults.push(message.text()))
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(pathToFileURL(file).href)
    return page
  }

  for (const [name, make] of Object.entries(reports)) {
    const file = join(folder, `${name}.html`)
    await writeFile(file, await renderReport(make()))
    for (const [screen, width] of Object.entries(widths)) {
      const page = await open(file, width, 'light')
      const closed = await page.locator('details').count()
      for (let i = 0; i < closed; i++) await page.locator('summary').nth(i).click()
      t.equal(await page.locator('details[open]').count(), closed, 'what is hidden opens without scripts')
      for (const theme of themes) {
        await page.emulateMedia({ colorScheme: theme })
        if (name === 'evaluationReport') {
          const path = join(folder, `${screen}-${theme}.png`)
          await page.screenshot({ path, fullPage: true })
          t.comment(path)
        }
        const { problems, charts } = (await page.evaluate(layoutProblems)) as { problems: string[]; charts: number }
        t.same(problems, [], `${name}, ${screen}, ${theme}: layout`)
        t.ok(charts >= 2)
        // Other reports differ in content, not in colours.
        if (name !== 'evaluationReport' && `${screen} ${theme}` !== 'phone dark') continue
        await page.evaluate(await axe)
        const violations = (await page.evaluate(
          'axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => [id, html.slice(0, 200), failureSummary])))',
        )) as string[][]
        t.same(violations, [], `${name}, ${screen}, ${theme}: accessibility`)
      }
      await page.close()
    }
  }

  const file = join(folder, 'evaluationReport.html')
  const seen = []
  for (const theme of themes) {
    const page = await open(file, widths.laptop, theme)
    seen.push((await page.evaluate(colours)) as Record<string, string>)
    await page.close()
  }
  t.same(seen, [
    { page: 'rgb(255, 255, 255)', text: 'rgb(27, 31, 36)', label: 'rgb(87, 96, 106)', line: 'rgb(10, 94, 168)' },
    { page: 'rgb(20, 23, 27)', text: 'rgb(230, 233, 237)', label: 'rgb(163, 172, 184)', line: 'rgb(108, 180, 255)' },
  ])

  const page = await open(file, widths.laptop, 'dark')
  for (const link of await page.locator('nav a').all()) {
    const target = (await link.getAttribute('href'))!
    await link.click()
    t.ok(await page.locator(target).isVisible(), target)
  }
  await page.emulateMedia({ media: 'print' })
  t.match(await page.evaluate(colours), { page: 'rgb(255, 255, 255)' }, 'paper is light')
  t.equal(await page.locator('nav').isVisible(), false)
  await page.close()

  t.same(faults.flat(), [])
  t.same(
    requests.filter((url) => !url.startsWith(pathToFileURL(folder).href)),
    [],
    'nothing else is loaded',
  )
})
