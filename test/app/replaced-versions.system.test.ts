import t from 'tap'
import { serve } from '../../src/app/listen.ts'
import { checkConfiguration } from '../../src/base/configuration.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { collectGarbage } from '../support/collect-garbage.ts'
import { until } from '../support/until.ts'

t.test('of a version that another has replaced, the process keeps nothing', async (t) => {
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
    return ((await response.json()) as { version: string }).version
  }
  // A function of its own: this one's variables would hold them. The warm-up has a model of its own, with the same
  // encoder.
  const serving = () => server.registry.live().map(({ model }) => new WeakRef(model.encoder))
  const replaced: WeakRef<object>[] = []
  for (const version of ['2', '3', '4']) {
    replaced.push(...serving())
    t.equal(await ask(), String(Number(version) - 1))
    await writeTestBundle(models, { version, seed: Number(version) })
    await server.registry.reconcile()
    await until(() => server.registry.live().every((one) => one.version === version))
  }
  t.equal(await ask(), '4')
  await until(() => {
    collectGarbage()
    return replaced.every((model) => model.deref() === undefined)
  })
  t.equal(replaced.length, 3)
})
