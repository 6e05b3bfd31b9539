import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { BrowserContextOptions, Locator, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { freePort } from '../../loadtest/free-port.ts'
import type { LiveUpdate } from '../../src/schemas/live-figures.ts'
import {
  axeFindings,
  changeLook,
  cramped,
  drawn,
  looks,
  openBrowser,
  openPage,
  skipBrowser,
} from '../support/browser.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { watchLive } from '../support/events.ts'
import { liveSample } from '../support/live-sample.ts'
import { send, startProcess } from '../support/process.ts'
import { until } from '../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const payload = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] })

const browser = skipBrowser ? undefined : await openBrowser(t)

const open = (t: Test, origin: string, look: BrowserContextOptions = {}) => openPage(t, browser!, origin, look)

/**
 * Points at a place of a plot until `shown` appears: the page may draw the plot again meanwhile, and loses the pointer
 * then.
 */
async function pointAt(page: Page, plot: Locator, x: number, shown: Locator): Promise<void> {
  await until(async () => {
    await page.getByRole('heading', { level: 1 }).hover()
    await plot.hover({ position: { x, y: 9 } })
    await drawn(page)
    return (await shown.count()) === 1
  })
}

/** Waits until the page gets figures, and does not say that it gets none. */
const live = (page: Page) =>
  page
    .locator('.page', { has: page.getByText('live', { exact: true }) })
    .filter({ hasNotText: /The server sends no figures now|may be overloaded or restarting/ })
    .waitFor()

t.test('live figures', { skip: skipBrowser }, async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models })
  const origin = `http://127.0.0.1:${port}`

  await t.test('in every size and colour, without a finding, and as they come', async (t) => {
    let shown: (Awaited<ReturnType<typeof open>> & { width: number }) | undefined
    for (const { name, ...look } of looks) {
      const { width } = look.viewport!
      if (shown?.width === width) await changeLook(shown.page, look)
      else {
        await shown?.page.close()
        shown = { ...(await open(t, origin, look)), width }
        await shown.page.goto(`${origin}/`)
      }
      const { page, faults } = shown
      await page.getByRole('heading', { level: 1, name: 'Live' }).waitFor()
      // Requests before the first reading are not part of a second.
      const used = page.getByRole('cell', { name: 'ads 1' })
      await until(async () => {
        await send(port, '/predict', { payload })
        return (await used.count()) === 1
      })
      const plot = page.locator('.chart .u-over').first()
      const { width: across } = (await plot.boundingBox())!
      const pointed = page.getByRole('heading', { level: 3, name: /^Requests per second at \d/ })
      await pointAt(page, plot, across - 2, pointed)
      await page.getByRole('heading', { level: 1 }).hover()
      await page.getByRole('heading', { level: 3, name: /^Requests per second$/ }).waitFor()
      t.same(await axeFindings(page), [], name)
      t.same(await cramped(page), [], name)
      t.same(faults, [], name)
    }
  })

  await t.test('by keyboard: skip to the page, range, colours', async (t) => {
    const { page, faults } = await open(t, origin)
    await page.goto(`${origin}/`)
    await page.getByRole('heading', { level: 1, name: 'Live' }).waitFor()
    const focused = () => page.evaluate(() => (globalThis as any).document.activeElement.textContent.trim())
    await page.keyboard.press('Tab')
    t.equal(await focused(), 'Skip to the page')
    await page.keyboard.press('Enter')
    await page.locator('#main:focus').waitFor()
    t.pass('it skips to the page')
    await page.keyboard.press('Tab')
    t.equal(await focused(), '5 minutes')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    t.equal(await page.getByRole('button', { name: '1 hour' }).getAttribute('aria-pressed'), 'true')
    const theme = page.getByRole('button', { name: /^Colours/ })
    await theme.focus()
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    t.match(await page.evaluate(() => (globalThis as any).document.documentElement.dataset.theme), 'dark')
    await page.reload()
    await theme.waitFor()
    t.equal(await theme.getAttribute('aria-label'), 'Colours: dark', 'it is remembered')
    t.same(faults, [])
  })
})

t.test(
  'a process that does not answer, failures and events: in tables, notices and charts',
  { skip: skipBrowser },
  async (t) => {
    const { port } = await startProcess(t, { MULTIGATE_MODELS: models })
    const origin = `http://127.0.0.1:${port}`
    const { page, faults } = await open(t, origin)
    const text = 'Process 4242 does not answer: it is stopped, or very busy'
    const seconds = Array.from({ length: 20 }, (_, i) => ({
      ...liveSample,
      at: 1000 * i,
      failed: { rate_limited: 30, invalid_request: 2 },
      shed: {},
    }))
    const history = {
      at: 20_000,
      clock: Date.now(),
      events: [{ id: 1, at: 9500, until: 9500, kind: 'process_silent', severity: 'error', text }],
      fine: seconds.slice(0, -1),
      coarse: [],
    }
    const update: LiveUpdate = {
      clock: Date.now(),
      events: [],
      fine: seconds.slice(-1),
      coarse: [],
      models: [],
      clients: [{ client: 'batch', requests: 40, candidates: 0, failed: 30 }],
      processes: [],
      silent: [4242],
      unstored: [],
      failed: [],
      unready: [],
    }
    const event = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
    const body = event('history', history) + event('sample', update)
    // Once, and nothing after it: what comes again is older by then, and lengthens the time that is shown.
    await page.route('**/console/live', () => undefined)
    await page.route('**/console/live', (route) => route.fulfill({ contentType: 'text/event-stream', body }), {
      times: 1,
    })
    await page.goto(`${origin}/`)
    await page.getByRole('row', { name: '4242 does not answer' }).waitFor()
    await page
      .getByText('The most frequent error: limit of its key used up (30/s). Also: invalid request (2/s)')
      .waitFor()
    await page.getByText('Clients: batch (30/s).').waitFor()
    t.equal(await page.getByRole('link', { name: 'batch' }).getAttribute('href'), '#/requests?client=batch&list=failed')
    t.equal(
      await page.getByRole('link', { name: 'Single ones are in Requests.' }).getAttribute('href'),
      '#/requests?list=failed',
    )
    // A minute is shown: the event is at its 50th second.
    const plot = page.locator('.chart .u-over').first()
    const { width } = (await plot.boundingBox())!
    await pointAt(page, plot, (width * 50.5) / 60, page.locator('figure').first().getByText(text))
    t.same(await axeFindings(page), [])
    t.same(faults, [])
  },
)

t.test('two tabs recover from a restart; meanwhile they say so', { skip: skipBrowser }, async (t) => {
  const port = await freePort()
  const start = () => startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_PORT: String(port) })
  const first = await start()
  const origin = `http://127.0.0.1:${port}`
  const tabs = [await open(t, origin), await open(t, origin)]
  for (const { page } of tabs) {
    await page.goto(`${origin}/`)
    await page.getByText('live', { exact: true }).waitFor()
  }
  first.child.kill('SIGTERM')
  await first.ended
  for (const { page } of tabs) {
    await page.getByText('The server sends no figures now.').waitFor()
    await page.getByText('the server may be overloaded or restarting').waitFor()
  }
  const second = await start()
  await send(port, '/predict', { payload })
  for (const { page, faults } of tabs) {
    await page.getByRole('cell', { name: String(second.child.pid) }).waitFor()
    await live(page)
    t.pass('it no longer says that there are no figures')
    t.same(faults, [])
  }
})

t.test(
  'connections that an overloaded server closes: the page says so, and goes on',
  { skip: skipBrowser },
  async (t) => {
    let isOverloaded = false
    const connections = new Set<Socket>()
    const { port } = await startProcess(t, { MULTIGATE_MODELS: models })
    const between = createServer((client) => {
      connections.add(client)
      if (isOverloaded) client.destroy()
      else
        client
          .on('error', () => undefined)
          .pipe(connect(port, '127.0.0.1'))
          .on('error', () => undefined)
          .pipe(client)
    })
    between.listen(0, '127.0.0.1')
    t.teardown(() => between.close())
    await once(between, 'listening')
    const origin = `http://127.0.0.1:${(between.address() as AddressInfo).port}`
    const { page, faults } = await openPage(t, await openBrowser(t), origin)
    await page.route('**/console/live', (route) => route.abort('connectionreset'))
    await page.goto(`${origin}/`)
    const may = page.getByText('the server may be overloaded or restarting')
    await may.waitFor()
    await page.unroute('**/console/live')
    await live(page)
    t.pass('it no longer says that the server may be overloaded')
    await page.evaluate('globalThis.isSamePage = true')
    isOverloaded = true
    for (const connection of connections) connection.destroy()
    await may.waitFor()
    isOverloaded = false
    await live(page)
    t.equal(await page.evaluate('globalThis.isSamePage'), true)
    t.same(faults, [])
  },
)

t.test('a page whose place another client takes says so, and goes on later', { skip: skipBrowser }, async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models })
  const origin = `http://127.0.0.1:${port}`
  const others = await Promise.all(Array.from({ length: 31 }, () => watchLive(t, port)))
  const { page } = await open(t, origin)
  await page.goto(`${origin}/`)
  await page.getByText('live', { exact: true }).waitFor()
  const elsewhere = get({ host: '127.0.0.1', localAddress: '127.0.0.2', port, path: '/console/live' })
  t.teardown(() => elsewhere.destroy())
  await once(elsewhere, 'response')
  await page.getByText('The server sends no figures now.').waitFor()
  await page.getByText('32 live streams are open, as many as this process serves. These are from before').waitFor()
  const second = await open(t, origin)
  await second.page.goto(`${origin}/`)
  await second.page.getByText('32 live streams are open').first().waitFor()
  await Promise.all(others.map(({ leave }) => leave()))
  for (const tab of [page, second.page]) await tab.getByText('live', { exact: true }).waitFor()
})

t.test(
  'a key is asked for, kept for the tab, and asked for again when it expires',
  { skip: skipBrowser },
  async (t) => {
    const file = join(await temporaryFolder(t), 'keys.json')
    const write = (...ids: string[]) =>
      writeFile(
        file,
        JSON.stringify({
          keys: ids.map((id) => ({
            id,
            sha256: createHash('sha256').update(`key-${id}`).digest('hex'),
            scopes: id === 'watcher' ? ['metrics'] : ['metrics', 'predict'],
          })),
        }),
        { mode: 0o600 },
      )
    await write('first')
    const { port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_KEYS: file })
    const origin = `http://127.0.0.1:${port}`
    const { page, faults } = await open(t, origin)
    await page.goto(`${origin}/`)
    const dialog = page.getByRole('dialog', { name: 'Key' })
    await dialog.waitFor()
    t.same(await axeFindings(page), [])
    await page.keyboard.type('key-first')
    await page.keyboard.press('Enter')
    await page.getByText('live', { exact: true }).waitFor()
    await page.reload()
    await page.getByText('live', { exact: true }).waitFor()
    const other = await open(t, origin)
    await other.page.goto(`${origin}/`)
    await other.page.getByRole('dialog', { name: 'Key' }).waitFor()
    t.pass('another tab has no key')

    await write('second', 'watcher')
    await until(async () => {
      const { status } = await fetch(`${origin}/models`, { headers: { authorization: 'Bearer key-first' } })
      return status === 401
    })
    await page.reload()
    await dialog.getByText('no longer takes this key').waitFor()
    await page.keyboard.type('key-second')
    await page.keyboard.press('Enter')
    await page.getByText('live', { exact: true }).waitFor()
    t.notMatch(page.url(), /key-/)

    await page.getByRole('button', { name: 'Forget key' }).click()
    await page.goto(`${origin}/#/models`)
    await dialog.waitFor()
    await page.keyboard.type('key-watcher')
    await page.keyboard.press('Enter')
    for (const name of ['Playground', 'Models']) {
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click()
      await page.getByRole('heading', { level: 1, name }).waitFor()
      await page.getByText('This needs a key with the scope “predict”').waitFor()
    }
    t.same(await axeFindings(page), [])
    await page.getByRole('button', { name: 'Enter another key' }).click()
    await dialog.getByText('It needs the scope “predict”.').waitFor()
    await page.keyboard.type('key-second')
    await page.keyboard.press('Enter')
    await page.getByRole('link', { name: 'ads' }).waitFor()
    t.same(faults, [])
  },
)

t.test('names that are markup, or run from right to left, are text', { skip: skipBrowser }, async (t) => {
  const folder = await temporaryFolder(t)
  await writeTestBundle(folder)
  // A folder is a model's name; this one can't be: it is a problem that pages show.
  await mkdir(join(folder, '<img src=x onerror=alert(1)>', '1'), { recursive: true }).catch(() => undefined)
  const { port } = await startProcess(t, { MULTIGATE_MODELS: folder })
  const origin = `http://127.0.0.1:${port}`
  const { page, faults } = await open(t, origin)
  await page.goto(`${origin}/#/<img src=x onerror=alert(1)>`)
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor()
  await page.goto(`${origin}/#/live`)
  await page.getByText('live', { exact: true }).waitFor()
  t.equal(await page.locator('main img').count(), 0)
  t.same(faults, [])
})
