import { mkdir, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { portOf, run, send, startProcess } from '../support/process.ts'
import { askAnew } from '../support/processes.ts'
import { until } from '../support/until.ts'
import { listed, polled, predict, quiet, series } from '../support/watched-server.ts'

t.test('a volume that drops unloads nothing, and is reported; what is back is not loaded anew', async (t) => {
  const folder = await temporaryFolder(t)
  const [models, volume] = [join(folder, 'models'), join(folder, 'volume')]
  /** All models go and come in one step, as with a volume. */
  const mount = async (target: string) => {
    await symlink(target, join(folder, 'next'))
    await rename(join(folder, 'next'), models)
  }
  await mkdir(join(folder, 'empty'))
  for (const name of ['a', 'b', 'c']) await writeTestBundle(volume, { name })
  await mount('volume')
  const { port, lines } = await startProcess(t, { MULTIGATE_MODELS: models, ...polled })
  const missing = async () => Number((await series(port, 'multigate_models_missing '))[0]!.split(' ')[1])
  t.equal(await missing(), 0)
  await mount('empty')
  await until(async () => (await missing()) === 3)
  for (const name of ['a', 'b', 'c']) t.equal((await predict(port, name)).status, 200, name)
  t.match(await listed(port, 'b'), { problem: /it vanished from the folder together with most others/ })
  t.equal((await send(port, '/readyz')).status, 200)
  await mount('volume')
  await until(async () => (await missing()) === 0)
  t.notOk('problem' in (await listed(port, 'b')))
  const unreadable = async () => (await series(port, 'multigate_models_folder_unreadable '))[0]!.split(' ')[1]
  t.equal(await unreadable(), '0')
  await rm(models)
  await until(async () => (await unreadable()) === '1')
  t.equal((await predict(port, 'a')).status, 200)
  await mount('volume')
  await until(async () => (await unreadable()) === '0')
  // One alone is meant to go.
  await rm(join(models, 'a'), { recursive: true })
  await until(async () => (await predict(port, 'a')).status === 404)
  t.equal(lines().filter(({ msg }) => msg === 'model loaded').length, 3)
  t.ok(lines().some(({ msg }) => /^most models vanished from the folder together/.test(msg)))
})

t.test('models that stay away are unloaded when their time is over', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const { port } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_UNLOAD_AFTER_SECONDS: '0.2',
    ...polled,
  })
  await rm(join(models, 'ads'), { recursive: true })
  await until(async () => (await predict(port, 'ads')).status === 404)
})

// Two processes do all that one does.
for (const processes of process.env.FULL ? ['1', '2'] : ['2']) {
  t.test(`without a models folder, ${processes} end with 1 and say what to do, or wait`, async (t) => {
    const folder = join(await temporaryFolder(t), 'later')
    const variables = { ...quiet, ...polled, MULTIGATE_MODELS: folder, MULTIGATE_PROCESSES: processes }
    const ended = run(t, variables)
    t.equal(await ended.ended, 1)
    t.equal(
      ended.stderr(),
      `multigate can't start: the models folder ${folder} doesn't exist; --models (MULTIGATE_MODELS) names another (--models models serves the models of this package), --wait-for-models (MULTIGATE_WAIT_FOR_MODELS) waits for it\n`,
    )
    const waiting = run(t, variables, ['--wait-for-models'])
    const port = await portOf(waiting)
    await until(async () =>
      (await askAnew(port, '/readyz')).text.includes("the models folder can't be read: it is missing"),
    )
    await writeTestBundle(folder)
    await until(async () => (await askAnew(port, '/readyz')).status === 200)
    t.equal((await predict(port, 'ads')).status, 200)
  })
}

t.test('an empty folder ends nothing: its models may be on their way', async (t) => {
  const models = await temporaryFolder(t)
  const server = run(t, { ...quiet, ...polled, MULTIGATE_MODELS: models })
  const port = await portOf(server)
  await until(async () => (await send(port, '/readyz')).text.includes('there is no model in the folder'))
  await writeTestBundle(models)
  await until(async () => (await send(port, '/readyz')).status === 200)
})
