import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import type { RequestRecord } from '../../src/schemas/requests.ts'
import { createRequestRecorder, type RequestRecorder } from '../../src/server/request/request-recorder.ts'
import { createRequestTimeline } from '../../src/server/request/request-timeline.ts'
import {
  axeFindings,
  changeLook,
  cramped,
  looks,
  openBrowser,
  openPage,
  skipBrowser as skip,
} from '../support/browser.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { listCandidates, listContext, listFeatures } from '../support/list-features.ts'
import { logCounts, logStatus } from '../support/log-counts.ts'
import { startTestServer, type TestServerOptions } from '../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const body = { context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9é', price: 1.25 }] }
const hostile = '<img src=x onerror=alert(1)>'

let browser: Browser
t.before(async () => {
  if (!skip) browser = await openBrowser(t)
})

async function start(t: Test, options: Partial<TestServerOptions> = {}): Promise<{ origin: string; predict: Predict }> {
  const { recorder } = options
  const server = await startTestServer(t, {
    models,
    admin: true,
    ...(recorder && { timeline: createRequestTimeline({ sample: undefined, recorder, now: systemClock.now }) }),
    ...options,
  })
  await server.fastify.listen({ host: '127.0.0.1', port: 0 })
  return {
    origin: `http://127.0.0.1:${(server.fastify.server.address() as AddressInfo).port}`,
    predict: server.predict,
  }
}
type Predict = Awaited<ReturnType<typeof startTestServer>>['predict']

const createRecorder = (options = {}): RequestRecorder =>
  createRequestRecorder({ slow: 20, recent: 200, bodies: true, now: systemClock.now, ...options })

async function open(t: Test, url: string, { width = 1280 } = {}) {
  const { page, faults } = await openPage(t, browser, new URL(url).origin, { viewport: { width, height: 900 } })
  await page.goto(url)
  return { page, faults }
}

function record(more: Partial<RequestRecord>): RequestRecord {
  const stages = { read_ms: 1, queue_ms: 6, compute_ms: 2, write_ms: 1 }
  const { status = 200 } = more
  return {
    request_id: `id-${Math.random()}`,
    ended: new Date().toISOString(),
    method: 'POST',
    url: '/predict',
    status,
    model: 'ads',
    version: '1',
    rows: 100,
    ...stages,
    total_ms: 10,
    ...more,
  }
}

t.test('a slow request: where its time went, and into the playground', { skip }, async (t) => {
  const recorder = createRecorder()
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  await writeTestBundle(models, { name: 'lists', manifest: { features: listFeatures } })
  const { origin, predict } = await start(t, { recorder, models, registry: { defaultModel: 'ads' } })
  t.equal((await predict(body, { 'x-request-id': 'mine' })).status, 200)
  await predict({ ...body, candidates: [{ campaign: 'c9', price: 'much' }] }, { 'x-request-id': 'bad' })
  recorder.add(record({ request_id: 'waited', total_ms: 90_000, queue_ms: 89_996 }))
  const { page, faults } = await open(t, `${origin}/#/requests`)

  await page.locator('tbody button[data-id="waited"]').click()
  const detail = page.locator('.detail')
  await detail.getByText('it waited for a worker').waitFor()
  await detail.getByText('Too few other recent requests of this model').waitFor()
  t.match(await detail.locator('.stages').textContent(), /queue[\s\S]*90 s/)
  await page.waitForURL(/[?&]id=waited$/)
  t.pass('the address can be shared')

  await page.locator('tbody button[data-id="mine"]').click()
  const link = detail.getByRole('link', { name: 'Open in the playground' })
  const href = await link.getAttribute('href')
  t.match(href, /^#\/playground\/ads\?body=[A-Za-z0-9_-]+$/)
  t.same(JSON.parse(Buffer.from(href!.split('body=')[1]!, 'base64url').toString()), body)

  await page.getByRole('button', { name: 'Failed' }).click()
  await page.locator('tbody button[data-id="bad"]').click()
  await detail.getByText('/candidates/0/price').waitFor()
  t.match(await detail.textContent(), /INVALID_REQUEST/)

  await t.test('lists, vectors and weights, and what the model does not take of them', async (t) => {
    const history = [...listContext.history, ...Array.from({ length: 45 }, () => 'b')]
    const context = { ...listContext, history, ages: history.map((_, i) => i) }
    const candidates = [{ ...listCandidates[0], tags: { values: ['x', 'q', 'y'], weights: [2, 1, 0.5] } }]
    const sent = { model: 'lists', context, candidates: [...candidates, ...listCandidates.slice(1)] }
    t.equal((await predict(sent, { 'x-request-id': 'lists' })).status, 200)
    await page.goto(`${origin}/#/requests?list=recent&id=lists`)
    const listOf = (name: string) => detail.getByRole('list', { name: `Values of ${name}`, exact: true })
    await detail.getByText('50 values, of which at most 3 count').first().waitFor()
    t.same(await listOf('history').getByRole('listitem').allTextContents(), ['a', 'zzz', 'b', 'b', 'b', 'b', '+ 44'])
    t.same(await listOf('tags of #1').getByRole('listitem').allTextContents(), [
      'x, weight × 2',
      'q, weight × 1',
      'y, weight × 0.5',
    ])
    await detail.getByText('2 numbers: 0.5, -1').waitFor()

    await detail.getByRole('button', { name: 'Mark unknown and cut values' }).press('Enter')
    await detail.getByText('Marked as version 1 takes them now.').waitFor()
    t.match(
      await listOf('history').getByRole('listitem').nth(1).textContent(),
      /^zzz, not known to the model: left out/,
    )
    t.match(await listOf('ages').getByRole('listitem').nth(1).textContent(), /^1, not known/, 'in all of its sequence')
    t.match(await listOf('tags of #1').getByRole('listitem').nth(2).textContent(), /^y, .*cut/)
    await detail.getByText('50 of 3; 1 not known, left out; 46 cut: the last 3 count').first().waitFor()
    await listOf('history').getByRole('button', { name: 'Show 44 more values of history' }).press('Enter')
    await listOf('history').getByRole('button', { name: 'Show fewer values of history' }).press('Enter')
    await listOf('history').getByRole('button', { name: 'Show 44 more values of history' }).waitFor()
    for (const look of looks.slice(1, 3)) {
      await changeLook(page, look)
      t.same([...(await axeFindings(page)), ...(await cramped(page))], [], look.name)
    }
    await detail.getByRole('button', { name: 'Remove the marks' }).press('Enter')
    await detail.getByText('50 values, of which at most 3 count').first().waitFor()
    t.equal(await listOf('history').getByRole('listitem').nth(1).textContent(), 'zzz')
    await detail.getByRole('link', { name: 'Open in the playground' }).click()
    await page.getByRole('list', { name: 'Values of history', exact: true }).waitFor()
    t.pass('they are in the playground')
  })
  t.same(faults, [])
})

t.test('filters by list, model and status; the address keeps them', { skip }, async (t) => {
  const recorder = createRecorder()
  const { origin } = await start(t, { recorder })
  recorder.add(record({ model: 'a', request_id: 'a1' }))
  recorder.add(record({ model: 'b', request_id: 'b1' }))
  recorder.add(record({ model: 'b', request_id: 'b2', status: 429, code: 'QUEUE_FULL' }))
  const { page } = await open(t, `${origin}/#/requests?list=recent&model=b`)
  const rows = page.locator('tbody tr')
  await rows.nth(1).waitFor()
  t.equal(await rows.count(), 2)
  await page.getByLabel('Status').selectOption('QUEUE_FULL')
  await page.waitForURL(/list=recent&model=b&status=QUEUE_FULL/)
  t.pass('the address has the filters')
  await page.locator('[data-id="b1"]').waitFor({ state: 'detached' })
  await page.locator('[data-id="b2"]').waitFor()
  t.equal(await rows.count(), 1)
  await page.reload()
  await page.locator('[data-id="b2"]').waitFor()
  t.equal(await rows.count(), 1)

  // An empty list says which others have some.
  await page.goto(`${origin}/#/requests?list=failed&model=a`)
  await page.getByRole('button', { name: 'Slowest requests: 1' }).click()
  await page.locator('[data-id="a1"]').waitFor()
  await page.waitForURL(/list=slow&model=a/)
  t.pass('the address has the other list')
})

t.test('back closes a request, and so does another list', { skip }, async (t) => {
  const recorder = createRecorder()
  const { origin } = await start(t, { recorder })
  recorder.add(record({ request_id: 'one' }))
  recorder.add(record({ request_id: 'two', model: 'b' }))
  const { page } = await open(t, `${origin}/#/models`)
  await page.goto(`${origin}/#/requests`)
  const detail = page.locator('.detail')
  const closed = () => detail.waitFor({ state: 'detached' })
  const choose = (id: string) => page.locator(`[data-id="${id}"]`).click()
  await choose('one')
  await choose('two')
  await page.waitForURL(/#\/requests\?id=two$/)
  await page.goBack()
  await closed()
  await page.waitForURL(/#\/requests$/)
  t.pass('back leads to the list')
  await page.goForward()
  await detail.waitFor()

  // Closing keeps what was filtered meanwhile, and leaves no step behind.
  await page.getByLabel('Model').selectOption('b')
  await page.getByRole('button', { name: 'Close' }).click()
  await closed()
  await page.waitForURL(/#\/requests\?model=b$/)
  t.equal(await page.locator('tbody tr').count(), 1)

  await choose('two')
  await page.getByRole('button', { name: 'Recent' }).click()
  await closed()
  await page.waitForURL(/#\/requests\?list=recent&model=b$/)
  await page.goBack()
  await page.waitForURL(/#\/models$/)

  // The reader is faster than the browser's step back.
  await page.goto(`${origin}/#/requests`)
  await choose('one')
  await page.evaluate(`(async () => {
    document.querySelector('.detail header button').click()
    while (document.querySelector('.detail') !== null) await null
    document.querySelector('[data-id="two"]').click()
  })()`)
  await page.waitForURL(/[?&]id=two$/)
  await page.locator('.detail').waitFor()
  await page.goBack()
  await closed()

  // The page is opened by a link: there is nothing to go back to.
  await page.goto(`${origin}/#/requests?id=one`)
  await page.getByRole('button', { name: 'Close' }).click()
  await closed()
  await page.waitForURL(/#\/requests$/)
  t.pass('the address names no request')
})

t.test('it follows new requests, unless it is paused', { skip }, async (t) => {
  const recorder = createRecorder()
  const { origin } = await start(t, { recorder })
  recorder.add(record({ request_id: 'first' }))
  const { page } = await open(t, `${origin}/#/requests?list=recent`)
  await page.locator('[data-id="first"]').waitFor()
  recorder.add(record({ request_id: 'second' }))
  await page.locator('[data-id="second"]').waitFor()
  await page.getByRole('button', { name: 'Pause' }).click()
  recorder.add(record({ request_id: 'third' }))
  t.match(await page.evaluate("fetch('debug/requests').then((response) => response.text())"), /third/)
  t.equal(await page.locator('[data-id="third"]').count(), 0)
  await page.getByRole('button', { name: 'Resume' }).click()
  await page.locator('[data-id="third"]').waitFor()
})

t.test('by keys: choose a request, close it, and be back where you were', { skip }, async (t) => {
  const recorder = createRecorder()
  const { origin } = await start(t, { recorder })
  recorder.add(record({ request_id: 'one', total_ms: 20 }))
  recorder.add(record({ request_id: 'two' }))
  const { page } = await open(t, `${origin}/#/requests`)
  await page.locator('[data-id="two"]').waitFor()
  const focused = () =>
    page.evaluate('(({ id, dataset, textContent }) => dataset.id ?? (id || textContent))(document.activeElement)')
  for (let i = 0; i < 40 && (await focused()) !== 'two'; i++) await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  // Once it has the focus, it takes keys, too.
  const opened = page.locator('.detail #request-title:focus')
  await opened.waitFor()
  t.equal(await focused(), 'request-title')
  await page.keyboard.press('Tab')
  t.equal(await focused(), 'Close')
  await page.keyboard.press('Enter')
  await page.locator('.detail').waitFor({ state: 'detached' })
  await page.locator('[data-id="two"]:focus').waitFor()
  t.equal(await focused(), 'two')
  await page.keyboard.press('Enter')
  await opened.waitFor()
  await page.keyboard.press('Escape')
  await page.locator('.detail').waitFor({ state: 'detached' })
  await page.locator('[data-id="two"]:focus').waitFor()
  t.equal(await focused(), 'two')

  // By mouse, the whole row.
  await page
    .locator('tbody tr', { has: page.locator('[data-id="one"]') })
    .locator('td')
    .last()
    .click()
  await page.waitForURL(/[?&]id=one$/)
  await page.locator('.detail').waitFor()
})

t.test('it says why there is nothing to see, and what to do', { skip }, async (t) => {
  const off = await start(t)
  const { page } = await open(t, `${off.origin}/#/requests`)
  await page.getByText('MULTIGATE_SLOW_REQUESTS=20').waitFor()
  t.same(await axeFindings(page), [])

  const forbidden = await start(t, { admin: false })
  await page.goto(`${forbidden.origin}/#/requests`)
  await page.getByText('Administration is not enabled').waitFor()
  t.match(await page.locator('main').textContent(), /MULTIGATE_ADMIN=true/)
  t.same(await axeFindings(page), [])

  await page.route('**/debug/requests', (route) =>
    route.fulfill({
      status: 403,
      contentType: 'application/problem+json',
      body: JSON.stringify({ status: 403, code: 'FORBIDDEN', detail: 'The key reader lacks the scope admin' }),
    }),
  )
  await page.reload()
  await page.getByText('This needs a key with the scope “admin”').waitFor()

  const one = await start(t, { recorder: createRecorder({ slow: 0 }) })
  const { page: other } = await open(t, `${one.origin}/#/requests?list=slow`)
  await other.getByText('This list is not recorded').waitFor()
})

t.test('a server that goes away and comes back', { skip }, async (t) => {
  const recorder = createRecorder()
  const { origin } = await start(t, { recorder })
  recorder.add(record({ request_id: 'one' }))
  const { page } = await open(t, `${origin}/#/requests`)
  await page.locator('[data-id="one"]').waitFor()
  await page.route('**/debug/requests', (route) => route.abort())
  await page.getByText('no answer; trying again').waitFor()
  t.equal(await page.locator('[data-id="one"]').count(), 1, 'what was there stays')
  await page.unroute('**/debug/requests')
  await page.getByText('no answer; trying again').waitFor({ state: 'detached' })
})

t.test('many requests and hostile names, light and dark, wide and narrow', { skip }, async (t) => {
  const recorder = createRecorder({ slow: 1000, recent: 1000 })
  const { origin } = await start(t, { recorder })
  for (let i = 0; i < 1000; i++) recorder.add(record({ total_ms: 1000 - i, request_id: `r${i}` }))
  const names = { model: `${hostile}${'x'.repeat(200)}`, version: 'מודל', url: `/${hostile}`, tasks: [hostile, 'مهمة'] }
  recorder.add(
    record({
      ...names,
      total_ms: 5000,
      request_id: 'worst',
      trace_id: 'f'.repeat(32),
      status: 500,
      code: 'MODEL_FAILED',
      detail: hostile.repeat(20),
      errors: [{ path: `/candidates/0/${hostile}`, message: hostile }],
    }),
    () => () => ({ body: { context: { [hostile]: hostile } } }),
  )
  const { page, faults } = await open(t, `${origin}/#/requests?id=worst`, { width: 390 })
  await page.locator('.detail .stages').waitFor()
  await page.locator('.detail summary').click()
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [390, 1280]) {
      await changeLook(page, { viewport: { width, height: 900 }, colorScheme })
      t.same(await axeFindings(page), [], `${width} ${colorScheme}`)
      t.ok(
        await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
        `the page does not scroll sideways at ${width}`,
      )
      t.equal(await page.locator('table:not(.scroll table)').count(), 0, 'tables scroll by themselves')
      t.equal(await page.locator('main img').count(), 0)
      t.ok((await page.locator('tbody tr').count()) <= 50)
      t.same(faults, [])
    }
})

t.test('the prediction log: off, on, and while its disk fails', { skip }, async (t) => {
  let counts = logCounts({ records: 81_200, waiting: 400, disk: 250_000, dropped: { too_large: 2 } })
  const file = (place: number) => ({
    ...{ model: 'ads', version: '1', name: `2026120214211628${place}Z-${hostile}-17.jsonl`, bytes: 1_310_720 },
    ...{ written_at: '2026-12-02T14:22:41.120Z', open: place === 0 },
  })
  const files = async () => ({ newest: [0, 1, 2].map(file), missing: 'too_many' as const })
  const { origin } = await start(t, { logStatus: logStatus({ counts: () => counts, files }) })
  const { page, faults } = await open(t, `${origin}/#/live`)
  const answer = (status: number, body: object) =>
    page.route('**/debug/prediction-log', (route) => route.fulfill({ status, body: JSON.stringify(body) }))
  await answer(200, { log: null })
  await page.getByRole('link', { name: 'Prediction log' }).click()
  await page.getByText('Requests are not recorded').waitFor()
  await page.unroute('**/debug/prediction-log')
  await page.getByRole('heading', { name: 'Prediction log' }).waitFor()
  const figures = page.locator('.stats')
  await figures.getByText('81,200').waitFor()
  t.match(await figures.textContent(), /Missing2.*Waiting400\sB of 1(?:,000\sB|\skB).*On disk250\skB of 1\sMB/)
  t.match(await page.locator('.pairs').textContent(), /Share of requests1%.*Missing, by reasontoo large 2/)
  await page.getByText('others may be newer').waitFor()
  t.equal(await page.locator('tbody tr').count(), 3)
  t.equal(await page.getByText('being written').count(), 1)
  // One recorded each second at least, on the chart.
  await page.locator('figure', { hasText: 'Records per second' }).locator('canvas').waitFor()
  for (const look of looks) {
    await changeLook(page, look)
    t.same([...(await axeFindings(page)), ...(await cramped(page))], [], look.name)
    t.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), look.name)
  }
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/log.png`, fullPage: true })

  counts = logCounts({ records: 81_300, dropped: { disk: 12 }, problem: 'ENOSPC: no space left on device' })
  await page.getByRole('alert').getByText('no space left on device').waitFor()
  t.equal(await page.locator('main img').count(), 0)
  t.same(faults, [])
  await answer(403, { status: 403, code: 'FORBIDDEN', detail: 'MULTIGATE_ADMIN is not set' })
  await page.reload()
  await page.getByText('Administration is not enabled').waitFor()
})
