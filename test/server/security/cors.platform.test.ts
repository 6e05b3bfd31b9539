import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openBrowser, openPage, skipBrowser as skip } from '../../support/browser.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { startProcess } from '../../support/process.ts'

/** An origin with an empty page. */
async function startOrigin(t: Test): Promise<string> {
  const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html>'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('in a browser, a page of a listed origin asks with its key; another reads nothing', { skip }, async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const keys = join(await temporaryFolder(t), 'keys.json')
  const sha256 = createHash('sha256').update('page').digest('hex')
  writeFileSync(keys, JSON.stringify({ keys: [{ id: 'page', sha256, scopes: ['predict'] }] }), { mode: 0o600 })
  const [listed, other] = [await startOrigin(t), await startOrigin(t)]
  const { port } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_KEYS: keys,
    MULTIGATE_CORS_ORIGINS: listed,
  })
  const { page } = await openPage(t, await openBrowser(t), listed)
  const ask = async (origin: string, key: string) => {
    await page.goto(origin)
    return page.evaluate(
      async ([url, key]) => {
        const body = { context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] }
        const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
        try {
          const answer = await fetch(url!, { method: 'POST', headers, body: JSON.stringify(body) })
          return { status: answer.status, id: answer.headers.get('x-request-id'), body: await answer.json() }
        } catch (error) {
          return { error: String(error) }
        }
      },
      [`http://127.0.0.1:${port}/predict`, key],
    )
  }
  t.match(await ask(listed, 'page'), { status: 200, id: /./, body: { model: 'ads', predictions: [{}] } })
  t.match(await ask(listed, 'wrong'), { status: 401, body: { code: 'UNAUTHORIZED' } }, 'refusals can be read, too')
  t.match(await ask(other, 'page'), { error: /Failed to fetch/ })
})
