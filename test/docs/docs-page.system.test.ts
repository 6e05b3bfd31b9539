import type { AddressInfo } from 'node:net'
import t from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { openBrowser, openPage, skipBrowser as skip } from '../support/browser.ts'
import { temporaryFolder, testFeatures, writeTestBundle } from '../support/bundle.ts'
import { startTestServer } from '../support/server.ts'

t.test('on /docs a visitor can ask for a prediction, and gets it', { skip }, async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models, {
    name: 'ads-funnel',
    manifest: {
      features: [
        ...testFeatures,
        { name: 'segment', side: 'context', kind: 'hash', buckets: 8, seed: 0, missing: { default: '' } },
      ],
    },
  })
  // The time of its deadlines stands still: none passes, however slow the machine.
  const { fastify } = await startTestServer(t, { models, clock: { ...systemClock, now: () => 0 } })
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  const { page, faults } = await openPage(t, await openBrowser(t), origin, { viewport: { width: 1280, height: 1000 } })
  const elsewhere: string[] = []
  // Here no answer is an error, nor is a resource missing.
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) elsewhere.push(request.url())
  })

  await page.goto(`${origin}/docs`)
  const summaries = page.locator('.opblock-summary-path')
  await summaries.first().waitFor()
  const paths = (await summaries.allTextContents()).map((text) => text.replaceAll('\u200b', '')).sort()
  const documented = Object.keys(((await fastify.inject('/docs/json')).json() as { paths: object }).paths)
  t.same(paths, documented.sort())
  for (const path of ['/predict', '/models', '/v2/models/{model}/infer', '/metrics']) t.ok(paths.includes(path), path)

  const predict = page.locator('#operations-prediction-predict')
  await predict.locator('.opblock-summary').click()
  const body = predict.locator('.body-param__text')
  await body.waitFor()
  t.match(JSON.parse(await body.inputValue()), { model: 'ads-funnel', candidates: [{ id: 'ad-1' }, { id: 'ad-2' }] })

  const live = predict.locator('.live-responses-table .response')
  for (const [example, keys] of [
    ['rows', ['id', 'ctr', 'cvr', 'ctcvr']],
    ['ranked', ['id', 'ctr', 'cvr', 'ctcvr', 'score', 'index']],
    ['columns', ['id', 'ctr', 'cvr', 'ctcvr']],
  ] as const) {
    // The answer before is not taken for this one's.
    if ((await live.count()) > 0) await predict.locator('button.btn-clear').click()
    await live.first().waitFor({ state: 'detached' })
    await predict.locator('.examples-select select').first().selectOption(example)
    const [answer] = await Promise.all([
      page.waitForResponse(`${origin}/predict`),
      predict.locator('button.execute').click(),
    ])
    t.equal(answer.status(), 200, example)
    await live.first().waitFor()
    t.match(await live.first().locator('.response-col_status').textContent(), /200/)
    const { predictions } = (await answer.json()) as any
    t.same(Object.keys(Array.isArray(predictions) ? predictions[0] : predictions), keys, example)
    await live.locator('.highlight-code').first().waitFor()
    t.match(await live.first().textContent(), /ctcvr/)
  }
  const screenshot = process.env.MULTIGATE_TEST_SCREENSHOT
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true })
  t.same(faults, [])
  t.same(elsewhere, [], 'everything comes from the server itself')
})
