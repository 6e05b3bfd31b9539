// Takes docs/images/docs.png, the README's picture of /docs, with a request ready to be sent.
//   npm start, then: node scripts/docs-picture.mjs [http://127.0.0.1:3000]
// Needs Chromium; CHROMIUM gives its path, by default /usr/bin/chromium.
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const shown = 'http://127.0.0.1:3000'
const server = process.argv[2] ?? shown
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  chromiumSandbox: false,
})
try {
  const page = await browser.newPage({ viewport: { width: 1000, height: 2000 } })
  // The picture shows the default port, whatever the server's port.
  await page.route(`${shown}/**`, async (route) => {
    const url = route.request().url().replace(shown, server)
    await route.fulfill({ response: await route.fetch({ url }) })
  })
  await page.goto(`${shown}/docs`, { waitUntil: 'networkidle' })
  const predict = page.locator('#operations-prediction-predict')
  await predict.locator('.opblock-summary').click()
  const execute = predict.locator('button.execute')
  await execute.waitFor()
  // The panel slides open.
  await predict.locator('.opblock-body textarea').waitFor()
  await page.waitForTimeout(1000)
  await page.evaluate(() => document.activeElement.blur())
  await page.mouse.move(0, 0)
  const { y, height } = await execute.boundingBox()
  await page.screenshot({
    path: join(import.meta.dirname, '../docs/images/docs.png'),
    clip: { x: 0, y: 30, width: 1000, height: y + height - 10 },
  })
} finally {
  await browser.close()
}
