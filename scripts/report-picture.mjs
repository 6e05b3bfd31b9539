// Takes docs/images/report.png, the first page of an evaluation's report.
//   multigate compare a b --data rows.yaml --report out, then: node scripts/report-picture.mjs out/report.html
// Needs Chromium; CHROMIUM gives its path, by default /usr/bin/chromium.
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  chromiumSandbox: false,
})
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  await page.goto(pathToFileURL(resolve(process.argv[2] ?? 'out/report.html')).href)
  await page.screenshot({ path: join(import.meta.dirname, '../docs/images/report.png') })
} finally {
  await browser.close()
}
