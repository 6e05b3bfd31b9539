import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { serve } from '../../src/app/listen.ts'
import { checkConfiguration } from '../../src/base/configuration.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { collectGarbage } from '../support/collect-garbage.ts'
import { until } from '../support/until.ts'

async function start(t: Test) {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const server = await serve(
    checkConfiguration({
      MULTIGATE_MODELS: models,
      MULTIGATE_PORT: '0',
      MULTIGATE_POLL_SECONDS: '0',
      MULTIGATE_WARM_UP_MS: '200',
      MULTIGATE_WORKERS: '1',
      MULTIGATE_CACHE: await temporaryFolder(t),
      MULTIGATE_LOG_LEVEL: 'silent',
    }),
    { introduces: false },
  )
  t.teardown(() => server.close())
  await server.loaded

  const ask = async () => {
    const body = {
      context: { country: 'DE', hour: 21 },
      candidates: Array.from({ length: 40 }, () => ({ campaign: 'c1', price: 1 })),
    }
    const response = await fetch(new URL('/predict', server.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    t.equal(response.status, 200)
    return (await response.json()) as { version: string; predictions: object[] }
  }
  return { models, server, ask }
}

t.test('of a version that another has replaced, the process keeps nothing', async (t) => {
  const { models, server, ask } = await start(t)
  // A function of its own: this one's variables would hold them. The warm-up has a model of its own, with the same
  // encoder.
  const serving = () => server.registry.live().map(({ model }) => new WeakRef(model.encoder))
  const replaced: WeakRef<object>[] = []
  for (const version of ['2', '3', '4']) {
    replaced.push(...serving())
    t.equal((await ask()).version, String(Number(version) - 1))
    await writeTestBundle(models, { version, seed: Number(version) })
    await server.registry.reconcile()
    await until(() => server.registry.live().every((one) => one.version === version))
  }
  t.equal((await ask()).version, '4')
  await until(() => {
    collectGarbage()
    return replaced.every((model) => model.deref() === undefined)
  })
  t.equal(replaced.length, 3)
})

t.test('other files under the number of a version take over, unless they are damaged', async (t) => {
  const { models, server, ask } = await start(t)
  const { predictions } = await ask()
  await writeTestBundle(models, { seed: 7 })
  await server.registry.reconcile()
  const other = (await ask()).predictions
  t.strictNotSame(other, predictions)
  const manifest = join(models, 'ads/1/manifest.json')
  const good = await readFile(manifest)
  await writeFile(manifest, good.subarray(0, good.length / 2))
  await server.registry.reconcile()
  t.strictSame((await ask()).predictions, other)
  const response = await fetch(new URL('/models/ads', server.url))
  const error = /^its files have changed, and the former ones are served: ads\/1\/manifest\.json/
  t.match(await response.json(), { versions: [{ state: 'ready', error }] })
  const metrics = await (await fetch(new URL('/metrics', server.url))).text()
  t.match(metrics, /multigate_version_failed\{[^}]*model="ads",version="1"[^}]*\} 1/)
})
