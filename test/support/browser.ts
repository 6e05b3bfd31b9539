import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core'
import type { Test } from 'tap'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

/** Why tests of pages are skipped; false where they run. */
export const skipBrowser = executablePath === undefined && 'chromium is not installed'

/** The sizes and colours that every page is looked at in. */
export const looks: readonly (BrowserContextOptions & { name: string })[] = [
  { name: 'desktop, light', viewport: { width: 1280, height: 900 }, colorScheme: 'light' },
  { name: 'desktop, dark', viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
  { name: 'phone, light', viewport: { width: 390, height: 844 }, colorScheme: 'light', hasTouch: true },
  { name: 'phone, dark', viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true },
  // The viewport of a window of 1280 pixels at 200 %.
  { name: '200 %', viewport: { width: 640, height: 450 }, colorScheme: 'light' },
]

/** A browser's longest wait, ms. It ends what hangs: on a busy machine, what goes on may take minutes. */
const patience = 300_000

export async function openBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: executablePath!,
    timeout: patience,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
  })
  t.teardown(() => browser.close())
  return browser
}

/**
 * A page of its own, and what went wrong in it: exceptions, dialogs, refused scripts and styles, requests to others
 * than `origin`. When the test ends it is closed with its connections, which would keep a server from closing: start
 * that before.
 */
export async function openPage(
  t: Pick<Test, 'teardown'>,
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
) {
  const context = await browser.newContext({ reducedMotion: 'reduce', locale: 'en-GB', ...options })
  context.setDefaultTimeout(patience)
  const page = await context.newPage()
  t.teardown(async () => {
    // A handler of routes may be busy with what the page asks now and then.
    if (!page.isClosed()) await page.unrouteAll({ behavior: 'ignoreErrors' })
    await context.close()
  })
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('dialog', (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`)
    dialog.dismiss().catch(() => undefined)
  })
  page.on('console', (message) => {
    // Answers with an error, and servers that are gone, are part of some tests.
    if (message.type() === 'error' && !/Failed to load resource|net::ERR/.test(message.text()))
      faults.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !/^(?:data|blob):/.test(request.url()))
      faults.push(`asks ${request.url()}`)
  })
  return { page, faults }
}

/** Changes the size and the colours of a page that is open, and waits until it is drawn so. */
export async function changeLook(
  page: Page,
  { viewport, colorScheme }: Pick<BrowserContextOptions, 'viewport' | 'colorScheme'>,
): Promise<void> {
  if (viewport) await page.setViewportSize(viewport)
  await page.emulateMedia({ colorScheme: colorScheme ?? null })
  await drawn(page)
}

/** Waits until the page is drawn as it is now, and has done what it does after that, such as moving the focus. */
export async function drawn(page: Page): Promise<void> {
  // Effects run in a task after the next frame, and what these ask of the frame after it comes before what is asked
  // here.
  await page.evaluate(
    'new Promise((drawn) => requestAnimationFrame(() => setTimeout(() => requestAnimationFrame(() => setTimeout(drawn)))))',
  )
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The findings of axe on a page, as `rule: selector`. */
export async function axeFindings(page: Page): Promise<string[]> {
  // Not as a script of the page, which its policy would refuse.
  if (!(await page.evaluate('"axe" in globalThis'))) await page.evaluate(axe)
  return page.evaluate(async () => {
    const { violations } = await (globalThis as any).axe.run()
    return violations.flatMap(({ id, nodes }: any) =>
      nodes.map(({ target, any }: any) => `${id}: ${target} ${any[0]?.message ?? ''}`),
    )
  })
}

/** Whether the page scrolls sideways, tables that can't scroll by themselves, and elements whose text is cut. */
export function cramped(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const { document } = globalThis as any
    const found: string[] = []
    const root = document.documentElement
    if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide, of ${root.clientWidth}`)
    for (const table of document.querySelectorAll('table:not(.scroll table)'))
      found.push(`does not scroll by itself: ${table.textContent.slice(0, 40)}`)
    for (const element of document.querySelectorAll('button, a, h1, h2:not(.hidden), h3, dt, dd, th, label, .pill'))
      if (
        element.scrollWidth > element.clientWidth + 1 &&
        (globalThis as any).getComputedStyle(element).display !== 'inline'
      )
        found.push(`cut: ${element.tagName} ${element.textContent.slice(0, 40)}`)
    return found
  })
}

/** The edges of a table that are shaded, since it goes on behind them. */
export async function shadedEdges(table: Locator): Promise<('left' | 'right')[]> {
  const picture = (await table.screenshot()).toString('base64')
  return table.evaluate(async (_, data) => {
    const { document, Image } = globalThis as any
    const image = new Image()
    image.src = `data:image/png;base64,${data}`
    await image.decode()
    const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height })
    const context = canvas.getContext('2d')
    context.drawImage(image, 0, 0)
    // Below the text of its last row: the page's own head may lie over that of the table.
    const colour = (x: number) => context.getImageData(x, image.height - 2, 1, 1).data.join()
    const middle = colour(Math.round(image.width / 2))
    return [colour(1) !== middle && ('left' as const), colour(image.width - 2) !== middle && ('right' as const)].filter(
      (edge) => edge !== false,
    )
  }, picture)
}
