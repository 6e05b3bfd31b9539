// Takes the pictures of the console in docs/images/: of a server with the bundled models and some traffic.
//   npm run screenshots [folder]    default: docs/images
// Needs Chromium; CHROMIUM gives its path, by default /usr/bin/chromium.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { chromium } from 'playwright-core'
import { startServer } from './server.mjs'

const root = join(import.meta.dirname, '..')
const to = resolve(process.argv[2] ?? join(root, 'docs/images'))
mkdirSync(to, { recursive: true })

/** Name, address, and a heading that is to be there. */
const pictures = [
  ['live', '#/live', 'Requests per second'],
  ['models', '#/models/ads-funnel/2', 'Architecture'],
  ['playground', '#/playground/ads-funnel', 'Gates'],
  ['requests', '#/requests', 'Slowest requests'],
]

/** Time for the figures to become a curve, ms. */
const settling = 75_000

const folder = mkdtempSync(join(tmpdir(), 'multigate-screenshots-'))
cpSync(join(root, 'models'), join(folder, 'models'), { recursive: true })
const settings = ['--poll-seconds', '1', '--slow-requests', '20', '--admin', 'true']
const { url, stop } = await startServer(['--models', join(folder, 'models'), ...settings], { isReady: true, cwd: root })
const traffic = await startTraffic(url)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  chromiumSandbox: false,
})
try {
  const page = await browser.newPage({
    viewport: { width: 1280, height: 980 },
    locale: 'en-GB',
    reducedMotion: 'reduce',
  })
  await page.goto(`${url}/`)
  console.error(`waiting ${settling / 1000} s for figures …`)
  await page.waitForTimeout(settling)
  for (const [name, fragment, heading] of pictures) {
    await page.goto(`${url}/${fragment}`)
    await page.getByRole('heading', { name: heading, exact: true }).waitFor()
    await page.waitForTimeout(2500)
    await page.screenshot({ path: join(to, `console-${name}.png`) })
    console.error(`console-${name}.png`)
  }
} finally {
  clearInterval(traffic)
  await browser.close()
  await stop()
  rmSync(folder, { recursive: true, force: true })
}

/** Pages of 20 to 120 candidates for every model, some of them wrong, and a version that comes meanwhile. */
async function startTraffic(url) {
  const { models } = await (await fetch(`${url}/models`)).json()
  const examples = await Promise.all(
    models.map(async ({ name }) => (await (await fetch(`${url}/models/${name}`)).json()).example),
  )
  const known = examples.filter((example) => example !== undefined)
  let sent = 0
  setTimeout(() => publish('ads-funnel'), settling / 2)
  return setInterval(() => {
    const example = known[Math.floor(Math.random() ** 2 * known.length)]
    const candidates = Array.from({ length: 20 + Math.floor(100 * Math.random()) }, () => example.candidates[0])
    const body = JSON.stringify(
      sent++ % 200 === 0 ? { model: example.model, context: { hour: 'late' } } : { ...example, candidates },
    )
    fetch(`${url}/predict`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      .then((answer) => answer.arrayBuffer())
      .catch(() => undefined)
  }, 12)
}

/** The same model as its next version. */
function publish(name) {
  const [from, to] = ['1', '2'].map((version) => join(folder, 'models', name, version))
  cpSync(from, `${to}.new`, { recursive: true })
  const file = join(`${to}.new`, 'manifest.json')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), version: '2' }))
  cpSync(`${to}.new`, to, { recursive: true })
  rmSync(`${to}.new`, { recursive: true })
}
