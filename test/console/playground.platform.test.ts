import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Browser, Page, Request, Route } from 'playwright-core'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { decodeShared, encodeBody } from '../../src/console/pages/playground/state/state-codec.ts'
import type { Features } from '../../src/schemas/features.ts'
import {
  axeFindings,
  changeLook,
  drawn,
  openBrowser,
  openPage,
  shadedEdges,
  skipBrowser as skip,
} from '../support/browser.ts'
import { temporaryFolder, testFeatures, writeTestBundle } from '../support/bundle.ts'
import { perFeatureGraph } from '../support/per-feature.ts'
import { startTestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

const execute = promisify(execFile)

/** Names that a page must neither interpret nor be upset by. */
const hostile = ['<img src=x onerror=alert(1)>', 'שם השדה', 'o\'clock "$(rm)" `x`', 'constructor', 'a/b~c', 'rank']

const hostileFeatures: Features = [
  ...testFeatures,
  ...hostile.map((name, i) => ({
    name,
    side: i % 2 === 0 ? ('context' as const) : ('candidate' as const),
    kind: 'vocabulary' as const,
    values: ['<b>bold</b>', 'ערך', "it's"],
    out_of_vocabulary: 'bucket' as const,
    missing: { default: "it's" },
  })),
  {
    name: 'city',
    side: 'context',
    kind: 'vocabulary',
    values: Array.from({ length: 10_000 }, (_, i) => `city-${i}`),
    out_of_vocabulary: 'bucket',
    missing: { default: 'city-0' },
  },
  ...Array.from({ length: 480 }, (_, i) => ({
    name: `field-${i}`,
    side: i < 240 ? ('context' as const) : ('candidate' as const),
    kind: 'numeric' as const,
    scaling: { method: 'standard' as const, mean: 0, deviation: 1 },
    missing: { default: 0 },
  })),
]

const models = await temporaryFolder(t)
const calibration = { method: 'platt' as const, a: 1.1, b: 0.4 }
await writeTestBundle(models, {
  name: 'ads-funnel',
  version: '1',
  seed: 1,
  manifest: { derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'], calibration }] },
})
await writeTestBundle(models, { name: 'ads-funnel', version: '2', seed: 2 })
await writeTestBundle(models, { name: 'wide', manifest: { features: hostileFeatures } })
await mkdir(join(models, 'bare/1'), { recursive: true })
await writeFile(join(models, 'bare/1/model.onnx'), perFeatureGraph().toBytes())
const { fastify, predict } = await startTestServer(t, {
  models,
  registry: { mode: 'all' },
  limits: { maxRequestRows: 10_000, maxQueueRows: 50_000 },
  maxBodyBytes: 4 << 20,
  // The time of its deadlines stands still: none passes, however slow the machine.
  clock: { ...systemClock, now: () => 0 },
})
await fastify.listen({ host: '127.0.0.1', port: 0 })
const origin = `http://127.0.0.1:${(fastify.server.address() as AddressInfo).port}`
const browser: Browser | undefined = skip ? undefined : await openBrowser(t)

/** The errors that pages reported. */
const faults: string[][] = []

/** A page at an address below `#/playground`. */
async function open(t: Test, path = '', { width = 1280, theme = 'light' as 'light' | 'dark' } = {}) {
  const { page, faults: found } = await openPage(t, browser!, origin, {
    viewport: { width, height: 900 },
    colorScheme: theme,
  })
  faults.push(found)
  await page.goto(`${origin}/#/playground${path}`)
  return page
}

const answers = (page: Page) => page.getByRole('region', { name: 'Answers', exact: true }).getByRole('table')
const lookedInto = (page: Page, name: string) =>
  page.getByRole('region', { name: 'Gates', exact: true }).getByText(`of ${name}`, { exact: true })
const rankOf = (page: Page, name: string) => answers(page).getByRole('row', { name: new RegExp(`\\b${name}\\b`) })

/**
 * The page's main request has this option, unlike those for gates and for missing fields. Requests that it
 * compares with have a version, unlike the model of an address without one.
 */
const isMain = (request: Request) => {
  const { options, version } = (request.url() === `${origin}/predict` && request.postDataJSON()) || {}
  return options?.unknown === true && version === undefined
}

/** One that asks for missing fields. */
const isOfMissing = (request: Request) => {
  const { partial, unknown } = (request.url() === `${origin}/predict` && request.postDataJSON().options) || {}
  return partial === true && unknown === undefined
}

const isOfHour = (hour: number) => (request: Request) => isMain(request) && request.postDataJSON().context.hour === hour

const statusOf = (page: Page) => page.getByRole('region', { name: 'Answers', exact: true }).getByRole('status')

/** Waits until the answers are those of the values that are shown: the page asks nothing, nor is it about to. */
const settled = (page: Page) =>
  statusOf(page)
    .filter({ hasText: /^Version .+ took|^Not of these values/ })
    .waitFor()

/**
 * Makes one edit, and waits until its answer is shown: the body that it leads to, and the answer. A request that an
 * earlier edit leads to is waited for before.
 */
async function asked(page: Page, edit: () => Promise<unknown>): Promise<{ body: any; answer: any }> {
  await settled(page)
  const [request] = await Promise.all([page.waitForRequest(isMain), edit()])
  const answer = await (await request.response())!.json()
  await settled(page)
  return { body: request.postDataJSON(), answer }
}

/** Makes one edit, and waits until its answer is shown. */
const answered = async (page: Page, edit: () => Promise<unknown>) => (await asked(page, edit)).answer

t.test('an edit is answered, with ranks as the server has them and what changed', { skip }, async (t) => {
  const page = await open(t)
  await answers(page).waitFor()
  t.equal(await page.getByText('a calibration of its own').count(), 0)
  t.equal(await page.getByLabel('Model').inputValue(), 'ads-funnel')
  await page.getByLabel('Rank by').selectOption('ecpm')
  const names = ['ad-1', 'ad-2', 'ad-3', 'ad-4', 'ad-5']
  const before = await answers(page).getByRole('row').allInnerTexts()
  const ranked = before.flatMap((row) => names.find((name) => row.includes(name)) ?? [])
  const [best, last] = [ranked[0]!, ranked.at(-1)!]
  const body = await answered(page, () => page.getByLabel(`bid of ${last}`).fill('5000'))
  t.equal(body.version, '2')
  await rankOf(page, last).getByText('up 4').waitFor()
  const { body: sent } = await asked(page, () => page.getByLabel(`price of ${last}`).fill('40.5'))
  t.equal(sent.candidates[names.indexOf(last)].price, 40.5)
  await rankOf(page, last).getByText(' pp').first().waitFor()
  // The server's own ranking of the same request.
  const { body: theirs } = await predict({ ...sent, options: { rank: { by: 'ecpm' } } })
  const shown = await answers(page).getByRole('rowheader').allInnerTexts()
  t.same(
    shown.map((name) => name.trim()),
    theirs.predictions.map(({ id }: any) => id),
  )
  // The best one is looked into, until another is chosen or another order: an edit does not change that.
  t.not(shown[0]!.trim(), best)
  await lookedInto(page, best).waitFor()
  await answers(page).getByRole('button', { name: last }).click()
  await lookedInto(page, last).waitFor()
  await answered(page, () => page.getByLabel(`bid of ${last}`).fill('0'))
  await rankOf(page, last).getByText('down 4').waitFor()
  t.equal(await lookedInto(page, last).count(), 1)
})

t.test('the newest edit wins, and earlier requests are aborted', { skip }, async (t) => {
  const page = await open(t)
  await answers(page).waitFor()
  await settled(page)
  let held = 0
  const aborted = page.waitForEvent('requestfailed', isOfHour(3))
  await page.route(`${origin}/predict`, async (route) => {
    // The first never answers.
    if (isOfHour(3)(route.request())) held++
    else await route.continue()
  })
  const hour = page.getByLabel('hour', { exact: true })
  await Promise.all([page.waitForRequest(isOfHour(3)), hour.fill('3')])
  await Promise.all([page.waitForResponse((response) => isOfHour(4)(response.request())), hour.fill('4')])
  await aborted
  await settled(page)
  t.equal(held, 1)
})

t.test('until an edit is answered, the page says that it asks, and whose answers it shows', { skip }, async (t) => {
  const page = await open(t)
  await settled(page)
  await answers(page).getByRole('button', { name: 'ad-1' }).click()
  await lookedInto(page, 'ad-1').waitFor()
  // Between an edit and what is said then, there are no other tasks: the pause before the request is not over.
  const said = await page.evaluate(async () => {
    const { document, Event } = globalThis as any
    const input = document.querySelector('[aria-label="price of ad-1"]')
    input.value = '12'
    input.dispatchEvent(new Event('input', { bubbles: true }))
    for (let turn = 0; turn < 20; turn++) await undefined
    document.querySelector('[aria-labelledby="matters-title"] button.primary').click()
    return document.querySelector('[aria-labelledby="answers-title"] [role="status"]').textContent
  })
  t.equal(said, 'Asking …')
  await page.getByRole('region', { name: 'Effects of fields' }).waitFor()
  t.pass('a question asked at once is about the edit')

  for (let i = 2; i <= 5; i++) await answered(page, () => page.getByLabel(`price of ad-${i}`).fill(`${12 * 3 ** i}`))
  await page.getByLabel('Compare with').selectOption('ads-funnel, version 1')
  const compared = page.getByRole('region', { name: 'Answers side by side' }).getByRole('table')
  await compared.getByText(' pp').first().waitFor()
  const rows = compared.getByRole('row').filter({ has: page.getByRole('rowheader') })
  const there = async () => {
    const cells = (await rows.allInnerTexts()).map((row) => row.split('\t').map((cell) => cell.trim().split(/\s/)[0]))
    return new Map(cells.map(([name, , , , first, , second]) => [name, `${first} ${second}`]))
  }
  const before = await there()
  t.equal(new Set(before.values()).size, 5, 'each has probabilities of its own')
  const [best, chosen] = (await answers(page).getByRole('rowheader').allInnerTexts()).map((name) => name.trim())
  await answers(page).getByRole('button', { name: best! }).click()
  await lookedInto(page, best!).waitFor()
  // All but the page's main requests wait.
  const held: Route[] = []
  await page.route(`${origin}/predict`, async (route) => {
    const { options, version } = route.request().postDataJSON()
    if (options.gates || version === '1') held.push(route)
    else await route.continue()
  })
  await answers(page).getByRole('button', { name: chosen! }).click()
  t.equal(await lookedInto(page, best!).count(), 1, 'the gates are still those of another')
  await answered(page, () => page.getByRole('button', { name: `Remove ${best}`, exact: true }).click())
  before.delete(best)
  t.same(await there(), before, 'answers of the other version stand beside their candidates')
  await page.unroute(`${origin}/predict`)
  // Those that the page has given up can't go on.
  await Promise.all(held.map((route) => route.continue().catch(() => undefined)))
  await lookedInto(page, chosen!).waitFor()
})

t.test('problems are shown at their field and on top, and other candidates are answered', { skip }, async (t) => {
  const page = await open(t)
  await answers(page).waitFor()
  const cell = page.getByLabel('price of ad-2')
  await cell.fill('cheap')
  const problems = page.getByRole('region', { name: 'Problems' })
  await problems.getByText('must be a number').waitFor()
  t.equal(await cell.getAttribute('aria-invalid'), 'true')
  const remark = await cell.getAttribute('aria-describedby')
  t.match(await page.locator(`[id="${remark}"]`).textContent(), /must be a number/)
  await rankOf(page, 'ad-2').getByText('no answer').first().waitFor()
  t.notMatch(await rankOf(page, 'ad-1').textContent(), /no answer/)
  await problems.getByRole('button', { name: 'price of ad-2' }).click()
  await page.locator('[aria-label="price of ad-2"]:focus').waitFor()
  await answered(page, () => page.keyboard.type('7'))
  t.equal(await cell.inputValue(), '7', 'what is typed replaces the mistake')
  await problems.getByText('must be a number').waitFor({ state: 'detached' })
  // The reader was led to the field once: edits of others stay where they are.
  await page.getByLabel('hour', { exact: true }).focus()
  await answered(page, () => page.keyboard.type('1'))
  await drawn(page)
  t.equal(await page.locator('[aria-label="price of ad-2"]:focus').count(), 0)

  await cell.fill('')
  await page.locator('.candidates').getByText('price is empty. Enter a value').waitFor()
  await cell.fill('1')
  await page.getByLabel('hour', { exact: true }).fill('')
  await page.getByText('hour is empty. Enter a value: the model has no default for it.').waitFor()
  await answered(page, () => page.getByLabel('hour', { exact: true }).fill('99'))
  await problems.getByText('Nothing is answered').waitFor()
  const hour = page.getByLabel('hour', { exact: true })
  t.equal(await hour.getAttribute('aria-invalid'), 'true')
  const [, problem] = (await hour.getAttribute('aria-describedby'))!.split(' ')
  await page.locator(`[id="${problem}"]`).filter({ hasText: '23' }).waitFor()
})

t.test('by keyboard: a value of a vocabulary of 10,000, and what is not sent', { skip }, async (t) => {
  const page = await open(t, '/wide')
  await answers(page).waitFor()
  await page.getByText(hostile[0]!, { exact: true }).first().waitFor()
  await page.getByText(hostile[1]!, { exact: true }).first().waitFor()
  t.equal(await page.locator('img').count(), 0, 'names are text')
  await page.getByLabel('Find a field').fill('city')
  await answered(page, () => page.getByLabel('send city').check())
  const city = page.getByRole('combobox', { name: 'city', exact: true })
  await city.focus()
  await page.keyboard.press('Control+A')
  await page.keyboard.type('city-999')
  await page.getByRole('option', { name: 'city-9999' }).waitFor()
  t.ok((await page.getByRole('option').count()) <= 100)
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  const active = (await city.getAttribute('aria-activedescendant'))!
  const name = (await page.locator(`[id="${active}"]`).textContent())!
  // The text that was typed before may be sent meanwhile.
  const isOfCity = (wanted: string | undefined) => (one: Request) =>
    isMain(one) && one.postDataJSON().context.city === wanted
  await Promise.all([page.waitForRequest(isOfCity(name)), page.keyboard.press('Enter')])
  t.match(name, /^city-999/)
  t.equal(await city.inputValue(), name)
  // An answer may move the page, which closes the list.
  await settled(page)
  t.equal(await city.getAttribute('aria-expanded'), 'false')
  await page.keyboard.press('ArrowDown')
  t.equal(await city.getAttribute('aria-expanded'), 'true')
  await page.keyboard.press('Escape')
  t.equal(await city.getAttribute('aria-expanded'), 'false')
  await Promise.all([page.waitForRequest(isOfCity(undefined)), page.getByLabel('send city').uncheck()])
  await page.getByText('not sent: counts as city-0').waitFor()
})

t.test('a vocabulary is that of the chosen version', { skip }, async (t) => {
  const page = await open(t, '/ads-funnel/1')
  await answers(page).waitFor()
  const [listed] = await Promise.all([
    page.waitForResponse(`${origin}/models/ads-funnel/versions/1/fields/country/values?*`),
    page.getByRole('combobox', { name: 'country', exact: true }).click(),
  ])
  t.match(await listed.json(), { version: '1', total: 3 })
})

t.test('candidates are added, copied, removed, sorted and pasted', { skip }, async (t) => {
  const page = await open(t)
  await answers(page).waitFor()
  const table = page.getByRole('region', { name: 'Candidates' }).getByRole('table')
  const ids = () => table.locator('input[aria-label^="id of"]').evaluateAll((all) => all.map((one: any) => one.value))
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByRole('button', { name: 'Remove ad-1', exact: true }).click()
  await page.getByRole('button', { name: 'Duplicate ad-2', exact: true }).click()
  t.same(await ids(), ['ad-2', 'ad-7', 'ad-3', 'ad-4', 'ad-5', 'ad-6'])

  const paste = async (text: string) => {
    await page.getByRole('button', { name: 'Paste CSV or JSON' }).click()
    await page.getByLabel('Candidates', { exact: true }).last().fill(text)
    await page.getByRole('button', { name: 'Use them' }).click()
  }
  await answered(page, () => paste('id;price;campaign\n"x""1";1;c1\n"x""1";2'))
  await paste('id,price,campaign,colour\nb,3,c1,red\na,1,c2,blue\nc,2,c3,red')
  await page.getByText('no such field: colour').waitFor()
  t.same(await ids(), ['b', 'a', 'c'])
  const header = (name: string) => table.getByRole('columnheader', { name, exact: true }).getByRole('button')
  await header('price').click()
  t.same(await ids(), ['a', 'c', 'b'])
  await header('price').click()
  t.same(await ids(), ['b', 'c', 'a'])
  t.equal(await table.getByRole('columnheader', { name: 'price' }).getAttribute('aria-sort'), 'descending')
  await answered(page, () => page.getByLabel('price of a').fill('9'))
  await page.getByLabel('Rank by').selectOption('ecpm')
  for (const [i, id] of ['b', 'a', 'c'].entries())
    await answered(page, () => page.getByLabel(`bid of ${id}`).fill(`${[1, 100, 10_000][i]}`))
  await answers(page).getByText('no bid').waitFor({ state: 'detached' })
  await answered(page, () => page.getByLabel('Sort by answer').selectOption('ecpm'))
  const ranks = await table.getByRole('rowheader').allTextContents()
  t.same(ranks, ['1', '2', '3'])
  await page.getByLabel('Rank by').selectOption('ctr')
  await header('Rank').click()
  t.same(
    await ids(),
    (await answers(page).getByRole('rowheader').allInnerTexts()).map((text) => text.trim()),
  )

  await paste('{"price": 1')
  await page.getByText('This is not JSON').waitFor()
  await page.keyboard.press('Escape')
  const former = await ids()
  const columns = { id: [1, 2], campaign: ['c', 'd'], price: [1, 2] }
  const { body } = await asked(page, () => paste(JSON.stringify({ context: { hour: 7 }, candidates: columns })))
  t.same(body.context, { hour: 7 })
  t.same(body.candidates, [
    { id: 1, campaign: 'c', price: 1 },
    { id: 2, campaign: 'd', price: 2 },
  ])
  await page.getByText('2 candidates pasted.').waitFor()
  await page.getByRole('button', { name: 'Undo' }).click()
  await page.getByRole('button', { name: 'Undo' }).waitFor({ state: 'detached' })
  t.same(await ids(), former)
  await page.getByLabel('id of b', { exact: true }).fill('a')
  await page.getByText('Several candidates have the id a').waitFor()
})

t.test('gates, what matters, and another version side by side', { skip }, async (t) => {
  const page = await open(t)
  await answers(page).waitFor()
  await answers(page).getByRole('button', { name: 'ad-2' }).click()
  const gates = page.getByRole('region', { name: 'Gate weights' }).getByRole('table')
  await page.getByRole('region', { name: 'Gates', exact: true }).getByText('of ad-2').waitFor()
  await gates.waitFor()
  t.match(await gates.getByRole('columnheader').allInnerTexts(), ['Expert', 'ctr', 'cvr'])
  const weights = (await gates.getByRole('cell').allInnerTexts()).map((text) => Number.parseFloat(text))
  t.equal(weights.length, 6)
  t.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 200) < 1, 'each task adds up to 100 %')

  await answered(page, () => page.getByLabel('price of ad-2').fill('77'))
  await gates.getByText(' pp').first().waitFor()
  const changed = (await gates.getByRole('cell').allInnerTexts()).map((text) => Number.parseFloat(text))
  t.not(`${changed}`, `${weights}`, 'the changes stand below the new weights')

  let requests = 0
  page.on('request', (request) => {
    if (isOfMissing(request)) requests++
  })
  await answered(page, () => page.getByLabel('views of ad-2').fill('0'))
  await page.getByRole('button', { name: 'Find out' }).click()
  const effects = page.getByRole('region', { name: 'Effects of fields' }).getByRole('table')
  await effects.waitFor()
  t.equal(requests, 1)
  const rows = await effects.getByRole('row').allInnerTexts()
  t.ok(rows.some((row) => row.includes('country') && row.includes('its default')))
  t.match(rows.at(-1), /views.*none: already its default/s)
  await page.getByText('has no reference data for it').waitFor()
  const matters = page.getByRole('region', { name: 'What matters' })
  await matters.getByLabel('Task').selectOption('ecpm')
  await matters.getByText(/^ecpm is [\d.]+ with all fields/).waitFor()
  await matters.getByText('The bid is no field of the model').waitFor()

  await answered(page, () => page.getByLabel('bid of ad-1', { exact: true }).fill('7'))
  const other = await matters.getByRole('option', { name: /^those of ad-1, rank \d$/ }).getAttribute('value')
  await matters.getByLabel('Replace values by').selectOption(other)
  await matters.getByText('The values have changed since').waitFor()
  await page.getByRole('button', { name: 'Find out' }).click()
  await matters.getByText(/^ecpm is [\d.,]+ for ad-2 and [\d.,]+ for ad-1\. ad-2 is ahead by /).waitFor()
  const replaced = await effects.getByRole('row').allInnerTexts()
  t.ok(replaced.some((row) => /^bid/.test(row) && /\b7\s*$/.test(row)))
  t.notOk(
    replaced.some((row) => /^country/.test(row)),
    'both share the context',
  )
  await answered(page, () => page.getByLabel('bid of ad-2', { exact: true }).fill(''))
  await matters.getByRole('option', { name: 'ecpm' }).waitFor({ state: 'detached' })

  await page.getByLabel('Compare with').selectOption('ads-funnel, version 1')
  const compared = page.getByRole('region', { name: 'Answers side by side' }).getByRole('table')
  await compared.getByText(' pp').first().waitFor()
  t.equal(await compared.getByRole('rowheader').count(), 5)
  await page.getByLabel('Rank by').selectOption('ecpm')
  await compared.getByRole('columnheader', { name: 'ecpm' }).waitFor()

  const why = answers(page)
    .locator('..')
    .locator('..')
    .getByRole('button', { name: /^Why does ad-\d rank before ad-\d\?$/ })
  const [first, second] = (await why.textContent())!.match(/ad-\d/g)!
  await why.click()
  await page.getByRole('button', { name: 'Find out' }).and(page.locator(':focus')).waitFor()
  await matters.getByText(new RegExp(`^ecpm is [\\d.,]+ for ${first} and [\\d.,]+ for ${second}\\. `)).waitFor()
  await page.waitForURL(/[?&]s=/)
  const program = page.getByRole('region', { name: 'The request as a program' })
  t.match(await program.textContent(), /"rank": \{\s*"by": "ecpm"/)

  const importance = page.getByRole('region', { name: 'Importance of fields' })
  await importance.getByLabel('Task').selectOption('cvr')
  await importance.getByRole('button', { name: 'Rank the fields' }).click()
  const means = importance.getByRole('region', { name: 'Mean changes by field' }).getByRole('row')
  await means.first().waitFor()
  const [, ...shown] = await means.allInnerTexts()
  t.equal(shown.length, testFeatures.length)
  const sizes = shown.map((row) => Number(/([\d.]+)\spp/.exec(row)![1]))
  t.ok(sizes[0]! > 0)
  t.same(
    sizes,
    sizes.toSorted((a, b) => b - a),
  )
  const [most] = shown[0]!.split(/\s/)
  await importance.getByText(`${most} matters most for cvr: another value of it changes cvr`).waitFor()
})

t.test('a link has it all, and one that is broken leads to an example', { skip }, async (t) => {
  const page = await open(t)
  await answers(page).waitFor()
  await page.getByLabel('Rank by').selectOption('cvr')
  await answered(page, () => page.getByLabel('hour', { exact: true }).fill('5'))
  const name = "<i>ש</i> 'x'"
  await answered(page, () => page.getByLabel('id of ad-3', { exact: true }).fill(name))
  await answers(page).getByText(name).waitFor()
  const worst = (await answers(page).getByRole('rowheader').last().textContent())!.trim()
  await answers(page).getByRole('button', { name: worst }).click()
  const stateOf = (url: string) => new URLSearchParams(new URL(url).hash.split('?')[1]).get('s') ?? ''
  await until(async () => {
    const shared = await decodeShared(stateOf(page.url())).catch(() => undefined)
    return (
      shared?.form.candidates[2]?.values.id === name && shared.form.context.hour === 5 && shared.chosen !== undefined
    )
  })
  const address = new URL(page.url()).hash.slice('#/playground'.length)
  const other = await open(t, address)
  await answers(other).waitFor()
  t.equal(await other.getByLabel('Rank by').inputValue(), 'cvr')
  t.equal(await other.getByLabel('hour', { exact: true }).inputValue(), '5')
  t.equal(await other.locator('input[aria-label^="id of"]').nth(2).inputValue(), "<i>ש</i> 'x'")
  await lookedInto(other, worst).waitFor()
  // Two tabs: what one does is nothing to the other.
  await other.getByLabel('hour', { exact: true }).fill('6')
  t.equal(await page.getByLabel('hour', { exact: true }).inputValue(), '5')

  const broken = await open(t, '/ads-funnel?s=zAAAA')
  await broken.getByText('can’t be read').waitFor()
  await answers(broken).waitFor()
  const foreign = await open(t, `/ads-funnel?s=j${encodeBody({ c: { other: 1 }, n: [], r: [[]] })}`)
  await foreign.getByText('a model with other fields').waitFor()
  await answers(foreign).waitFor()
  const similar = encodeBody({ c: { hour: 9, other: 1 }, n: ['id', 'campaign'], r: [['x', 'c1']] })
  const fitted = await open(t, `/ads-funnel?s=j${similar}`)
  await fitted
    .getByText(/no such field: other\. Filled with examples, since this model needs them: (?:\w+, )*price\./)
    .waitFor()
  await answers(fitted).getByRole('button', { name: 'x', exact: true }).waitFor()
  t.equal(await fitted.getByRole('region', { name: 'Problems' }).textContent(), '')
  await answered(fitted, () => fitted.getByRole('button', { name: 'Surprise me' }).click())
  await answers(fitted).getByText('ad-5').first().waitFor()
  t.notMatch(await answers(fitted).textContent(), / pp|up \d|down \d/, 'other candidates have not changed')
  const recorded = await open(
    t,
    `/ads-funnel/1?body=${encodeBody({ model: 'ads-funnel', context: { hour: 9 }, candidates: [{ id: 'r', campaign: 'c', price: 2 }] })}`,
  )
  await rankOf(recorded, 'r').waitFor()
  await recorded.getByText('Version 1 took').waitFor()
  await recorded.getByText('ctcvr is the product of ctr and cvr as shown here, corrected by a calibration').waitFor()
  const unknown = await open(t, '/nothing-of-this-name')
  await unknown.getByRole('alert').getByText('nothing-of-this-name').waitFor()
})

t.test('the programs that are shown ask the same', { skip }, async (t) => {
  const page = await open(t, '/wide')
  await answers(page).waitFor()
  const nasty = `it's "$HOME" \`id\` \\ <b>\nJSON\n😀 ש`
  const body = {
    model: 'wide',
    context: { hour: 3, [hostile[2]!]: "it's", constructor: 'x' },
    candidates: [
      { id: nasty, campaign: nasty, price: 1.5 },
      { id: 7, campaign: 'c', price: 2, rank: '<b>bold</b>' },
    ],
  }
  await page.goto(`${origin}/#/playground/wide?body=${encodeBody(body)}`)
  await answers(page).getByText('JSON').waitFor()
  const code = page.getByRole('region', { name: 'The request as a program' }).locator('pre')
  const folder = await temporaryFolder(t)
  const { body: expected } = await predict(body)
  const programs: [string, string, (code: string) => Promise<unknown>][] = [
    ['curl', 'curl', async (code) => JSON.parse((await execute('sh', ['-c', code])).stdout).predictions],
    [
      'JavaScript',
      process.execPath,
      async (code) => {
        const file = join(folder, 'ask.mjs')
        await writeFile(
          file,
          code.replace('console.log(body.predictions)', 'console.log(JSON.stringify(body.predictions))'),
        )
        return JSON.parse((await execute(process.execPath, [file])).stdout)
      },
    ],
    [
      'Python requests',
      'python3',
      async (code) => {
        const file = join(folder, 'ask.py')
        await writeFile(file, `${code.replace(/^print\(/m, 'import json; print(json.dumps(').trimEnd()})\n`)
        return JSON.parse((await execute('python3', [file])).stdout)
      },
    ],
  ]
  for (const [language, command, run] of programs) {
    const check = language === 'Python requests' ? ['-c', 'import requests'] : ['--version']
    const missing = await execute(command, check).then(
      () => false as const,
      (error: Error) => `${language} is not installed: ${error.message.split('\n')[0]}`,
    )
    await t.test(language, { skip: missing }, async (t) => {
      await page.getByRole('button', { name: language, exact: true }).click()
      t.same(await run((await code.textContent())!), expected.predictions)
    })
  }
  t.notMatch(await page.content(), /Bearer/, 'without a key there is none to send')
})

t.test('a key is never written into a program', { skip }, async (t) => {
  const page = await open(t)
  await answers(page).waitFor()
  await page.getByRole('button', { name: 'Key', exact: true }).click()
  await page.getByLabel('Key', { exact: true }).last().fill('very-secret-key')
  await page.getByRole('button', { name: 'Use this key' }).click()
  for (const language of ['curl', 'JavaScript', 'Python requests', 'Python tritonclient']) {
    await page.getByRole('button', { name: language, exact: true }).click()
    const code = await page.getByRole('region', { name: 'The request as a program' }).textContent()
    t.match(code, /MULTIGATE_KEY/, language)
    t.notMatch(code, /very-secret-key/, language)
  }
})

t.test('an overloaded server, and one that is away, are asked again', { skip }, async (t) => {
  const page = await open(t)
  await answers(page).waitFor()
  const problem = {
    type: 'about:blank',
    title: 'Queue full',
    status: 503,
    code: 'QUEUE_FULL',
    detail: 'The wait is too long',
    request_id: 'x',
  }
  await page.route(`${origin}/predict`, (route) =>
    route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify(problem) }),
  )
  const hour = page.getByLabel('hour', { exact: true })
  const [refused] = await Promise.all([page.waitForRequest(isOfHour(1)), hour.fill('1')])
  t.equal((await refused.allHeaders()).priority, 'u=7')
  await page.getByText('admitted last').waitFor()
  await page.unroute(`${origin}/predict`)
  await page.getByText('admitted last').waitFor({ state: 'detached' })
  await page.route(`${origin}/**`, (route) => route.abort())
  await hour.fill('2')
  await page.getByText('There is no connection').first().waitFor()
  await page.unroute(`${origin}/**`)
  await page.getByText('There is no connection').first().waitFor({ state: 'detached' })
})

t.test('a table shows at its edges that it goes on; its buttons are never behind them', { skip }, async (t) => {
  for (const width of [1280, 390])
    for (const theme of ['light', 'dark'] as const) {
      const look = `${width} px, ${theme}`
      const page = await open(t, '/wide', { width, theme })
      const table = page.getByRole('region', { name: 'Table of candidates' })
      const remove = table.getByRole('button', { name: 'Remove ad-1' })
      await remove.waitFor()
      const [outer, inner] = [(await table.boundingBox())!, (await remove.boundingBox())!]
      t.ok(inner.x >= outer.x && inner.x + inner.width <= outer.x + outer.width, look)
      // A picture may be taken before the page has been painted again.
      const showsAt = (left: number, edges: string[]) =>
        until(async () => {
          await table.evaluate((element: any, left) => element.scrollTo({ left }), left)
          return String(await shadedEdges(table)) === String(width === 390 ? edges : [])
        })
      await t.resolves(showsAt(0, ['right']), look)
      await t.resolves(showsAt(100, ['left', 'right']), look)
      await t.resolves(showsAt(100_000, ['left']), look)
    }
})

t.test('2,000 candidates stay a page of them', { skip }, async (t) => {
  const page = await open(t)
  await answers(page).waitFor()
  const rows = Array.from({ length: 2000 }, (_, i) => `ad-${i},c${i % 50},${i / 100}`)
  // Pasted on the page, outside any input.
  await page.evaluate(
    (text) => {
      const { document, DataTransfer, ClipboardEvent } = globalThis as any
      const clipboardData = new DataTransfer()
      clipboardData.setData('text/plain', text)
      document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
    },
    ['id,campaign,price', ...rows].join('\n'),
  )
  const { predictions } = await answered(page, () => page.getByRole('button', { name: 'Use them' }).click())
  t.equal(predictions.length, 2000)
  await page.getByText('2,000 candidates', { exact: true }).waitFor()
  t.ok((await page.locator('input').count()) < 200)
  await page.getByRole('navigation', { name: 'Pages of candidates' }).last().getByLabel('Last candidates').click()
  const body = await answered(page, () => page.getByLabel('price of ad-1999').fill('abc'))
  t.match(body.errors, [{ path: '/candidates/1999/price' }])
  await page.getByRole('navigation', { name: 'Pages of candidates' }).last().getByLabel('First candidates').click()
  await page.getByRole('button', { name: 'price of ad-1999' }).click()
  await page.locator('[aria-label="price of ad-1999"]:focus').waitFor()
})

t.test('a model of 500 fields: what matters takes a few requests', { skip }, async (t) => {
  const page = await open(t, '/wide')
  await answers(page).waitFor()
  t.ok((await page.locator('input').count()) < 300)
  const context = { hour: 1, ...Object.fromEntries(Array.from({ length: 240 }, (_, i) => [`field-${i}`, 0.5])) }
  const candidate = Object.fromEntries(Array.from({ length: 240 }, (_, i) => [`field-${i + 240}`, 0.5]))
  const body = { model: 'wide', context, candidates: [{ campaign: 'c', price: 1, ...candidate }] }
  await page.goto(`${origin}/#/playground/wide?body=${encodeBody(body)}`)
  await page.getByText('1 candidate', { exact: true }).waitFor()
  await answers(page).waitFor()
  let requests = 0
  page.on('request', (request) => {
    if (isOfMissing(request)) requests++
  })
  await page.getByRole('button', { name: 'Find out' }).click()
  await page.getByText('fields 1–15 of 480').waitFor()
  t.ok(requests <= 4, `${requests}`)
})

t.test('a version that failed to load is named, with the reason', { skip }, async (t) => {
  const page = await open(t)
  const broken = { version: '9', state: 'failed', error: 'weights.bin is too short' }
  await page.route('**/models', async (route) => {
    const response = await route.fetch()
    const json = await response.json()
    json.models.find(({ name }: { name: string }) => name === 'ads-funnel').versions.push(broken)
    await route.fulfill({ response, json })
  })
  await page.route('**/models/ads-funnel', (route) =>
    route.fulfill({ json: { name: 'ads-funnel', default: true, versions: [broken] } }),
  )
  await page.goto(`${origin}/#/playground/ads-funnel/9`)
  await page.reload()
  const said = page.getByRole('alert')
  await said.getByText('Version 9 of ads-funnel failed to load').waitFor()
  t.match(await said.textContent(), broken.error)
  t.notMatch(await said.textContent(), 'no such version')

  await page.goto(`${origin}/#/playground/ads-funnel`)
  await page.getByText('Version 9 failed to load: weights.bin is too short').waitFor()
})

t.test('a model without a manifest takes tensors', { skip }, async (t) => {
  const page = await open(t, '/bare')
  await page.getByText('has no manifest').waitFor()
  const table = page.getByRole('region', { name: 'Answers per row' }).getByRole('table')
  await table.waitFor()
  t.match(await table.getByRole('columnheader').allInnerTexts(), ['Row', 'click', 'buy'])
  const inputs = page.getByLabel('Inputs as JSON')
  const text = JSON.parse(await inputs.inputValue())
  await inputs.fill('{')
  await page.getByText('not JSON yet').waitFor()
  await inputs.fill(JSON.stringify({ ...text, price: ['x', 1] }))
  await page.getByText('/inputs/price').first().waitFor()
})

for (const path of ['/ads-funnel', '/wide', '/bare'])
  t.test(`${path}, in every size and colour: axe finds nothing, and nothing is cut`, { skip }, async (t) => {
    const page = await open(t, path, { width: 390 })
    if (path === '/bare') await page.getByRole('region', { name: 'Answers per row' }).waitFor()
    else {
      await answers(page).waitFor()
      await page.getByLabel('price of ad-2').fill('x')
      await page.getByRole('region', { name: 'Problems' }).getByText('must be a number').waitFor()
      await page.getByRole('button', { name: 'Find out' }).click()
      await page.getByRole('region', { name: 'Effects of fields' }).waitFor()
      await page.getByLabel('Compare with').selectOption({ index: 1 })
      await page.getByRole('region', { name: 'Answers side by side' }).waitFor()
    }
    for (const width of [390, 1280])
      for (const colorScheme of ['light', 'dark'] as const) {
        await changeLook(page, { viewport: { width, height: 900 }, colorScheme })
        t.ok(
          await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth'),
          `the page does not scroll sideways: ${width} px, ${colorScheme}`,
        )
        t.equal(await page.locator('table:not(.scroll table)').count(), 0, 'tables scroll by themselves')
        t.same(await axeFindings(page), [], `${width} px, ${colorScheme}`)
      }
  })

t.test('no page reported an error', { skip }, async (t) => t.same(faults.flat(), []))
