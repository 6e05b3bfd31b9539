import { cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { portOf, run, send } from '../support/process.ts'
import { askAnew, startTwo } from '../support/processes.ts'
import { until } from '../support/until.ts'
import { listed, polled, predict, quiet, series } from '../support/watched-server.ts'

/** Models a to d; d is broken, and more is broken than can be served: graphs of several kinds, a link to nothing. */
async function severalModels(t: Parameters<typeof temporaryFolder>[0]): Promise<string> {
  const models = await temporaryFolder(t)
  for (const name of ['a', 'b', 'c']) await writeTestBundle(models, { name })
  await cp(join(models, 'a'), join(models, 'd'), { recursive: true })
  for (const name of ['onnx', 'saved']) await mkdir(join(models, name, '1'), { recursive: true })
  await writeFile(join(models, 'onnx/1/model.onnx'), 'no graph')
  await writeFile(join(models, 'saved/1/saved_model.pb'), 'no graph')
  await symlink('nowhere', join(models, 'linked'))
  return models
}

for (const processes of ['1', '2']) {
  t.test(`whoever waits for ready finds every model, served by ${processes}, and no path of the machine`, async (t) => {
    const models = await severalModels(t)
    const server = run(t, { ...quiet, MULTIGATE_MODELS: models, MULTIGATE_PROCESSES: processes })
    const port = await portOf(server)
    const texts = new Set<string>()
    await until(async () => {
      const { status, text } = await askAnew(port, '/readyz')
      texts.add(text)
      return status === 200
    })
    for (const name of ['a', 'b', 'c']) t.equal((await predict(port, name)).status, 200, name)
    t.equal((await askAnew(port, '/v2/health/ready')).status, 200)
    for (const name of ['d', 'onnx', 'saved', 'linked']) {
      const { status, text } = await predict(port, name)
      t.equal(status, 503, name)
      texts.add(text)
    }
    for (const path of ['/models', '/models/onnx', '/models/a', '/metrics', '/v2/models/d/ready', '/v1/models/d'])
      texts.add((await askAnew(port, path)).text)
    for (const text of texts) t.notOk(text.includes(models) || text.includes(process.cwd()), text)
    const failed = await series(port, 'multigate_version_failed{')
    t.same(failed.sort(), [
      'multigate_version_failed{model="d",version="1",reason="invalid_bundle"} 1',
      'multigate_version_failed{model="onnx",version="1",reason="invalid_bundle"} 1',
      'multigate_version_failed{model="saved",version="1",reason="invalid_bundle"} 1',
    ])
    t.same((await series(port, 'multigate_models{')).sort(), [
      'multigate_models{state="empty"} 1',
      'multigate_models{state="failed"} 3',
      'multigate_models{state="loading"} 0',
      'multigate_models{state="ready"} 3',
      'multigate_models{state="unloaded"} 0',
    ])
  })
}

t.test('a version that failed leaves the metrics when it leaves the folder', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  await mkdir(join(models, 'ads/2'))
  await writeFile(join(models, 'ads/2/manifest.json'), '[]')
  const { port } = await startTwo(t, { MULTIGATE_MODELS: models, ...polled })
  t.same(await series(port, 'multigate_version_failed{'), [
    'multigate_version_failed{model="ads",version="2",reason="invalid_bundle"} 1',
  ])
  await rm(join(models, 'ads/2'), { recursive: true })
  await until(async () => (await series(port, 'multigate_version_failed{')).length === 0)
})

t.test('a required model is waited for instead of all, and named', async (t) => {
  const models = await temporaryFolder(t)
  for (const name of ['a', 'b']) await writeTestBundle(models, { name })
  const server = run(t, { ...quiet, ...polled, MULTIGATE_MODELS: models, MULTIGATE_REQUIRED_MODELS: 'late' })
  const port = await portOf(server)
  await until(async () => (await predict(port, 'b')).status === 200)
  const { status, text } = await send(port, '/readyz')
  t.match([status, JSON.parse(text)], [503, { reasons: ['late: there is no such model'] }])
  t.match(JSON.parse((await send(port, '/v2/health/ready')).text), { error: 'late: there is no such model' })
  await writeTestBundle(models, { name: 'late' })
  await until(async () => (await send(port, '/readyz')).status === 200)
  // A later version makes nothing unready.
  await mkdir(join(models, 'late/2'))
  await writeFile(join(models, 'late/2/manifest.json'), '[]')
  await until(async () => (await listed(port, 'late')).versions.length === 2)
  t.equal((await send(port, '/readyz')).status, 200)
})
