import t from 'tap'
import { openBrowser, openPage, skipBrowser } from '../support/browser.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { startPrefixProxy } from '../support/prefix-proxy.ts'
import { startProcess } from '../support/process.ts'

/*
 * The console and the documentation behind a reverse proxy that strips a prefix.
 */

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { version: '2', seed: 2 })

t.test('every page, link and request', { skip: skipBrowser }, async (t) => {
  const { port } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_ADMIN: 'true',
    MULTIGATE_RECENT_REQUESTS: '9',
  })
  const origin = await startPrefixProxy(t, { port, prefix: '/ads' })
  const browser = await openBrowser(t)
  const { page, faults } = await openPage(t, browser, `${origin}/ads`)
  await page.goto(`${origin}/ads/`)
  await page.getByText('live', { exact: true }).waitFor()
  await page.getByRole('link', { name: 'Playground' }).click()
  await page.getByRole('columnheader', { name: 'ctcvr' }).waitFor()
  await page.getByText(`${origin}/ads/predict`).first().waitFor()
  await page.getByRole('link', { name: 'Requests' }).click()
  await page
    .getByRole('cell', { name: /^ads 2/ })
    .first()
    .waitFor()
  await page.getByRole('link', { name: 'Models' }).click()
  await page.getByRole('link', { name: 'ads', exact: true }).click()
  await page.getByRole('heading', { name: 'Serving and rollback' }).waitFor()
  await page.getByRole('link', { name: 'API' }).click()
  await page.getByText('/predict', { exact: true }).first().waitFor()
  t.equal(page.url(), `${origin}/ads/docs`)
  for (const address of ['docs', 'docs/']) {
    await page.goto(`${origin}/ads/${address}`)
    await page.getByRole('link', { name: '← Console', exact: true }).click()
    await page.getByText('live', { exact: true }).waitFor()
    t.equal(page.url(), `${origin}/ads/`)
  }
  t.same(faults, [])
})

t.test('without the console, the address leads to the documentation', async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_CONSOLE: 'false' })
  const origin = await startPrefixProxy(t, { port, prefix: '/ads' })
  const docs = await fetch(`${origin}/ads/`)
  t.same([docs.status, docs.url], [200, `${origin}/ads/docs`])
  t.notMatch(await docs.text(), /console/i, 'nor is there a link to it')
  const { servers } = (await (await fetch(`${origin}/ads/docs/json`)).json()) as { servers: { url: string }[] }
  t.equal(new URL(servers[0]!.url, `${origin}/ads/docs/json`).href, `${origin}/ads/`)
})
