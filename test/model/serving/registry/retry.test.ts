import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { WorkerLostError } from '../../../../src/model/engines/pool/worker-client.ts'
import { Registry } from '../../../../src/model/serving/registry/registry.ts'
import { createFolderSource } from '../../../../src/model/serving/registry/source.ts'
import { answering, setUp, states } from '../../../support/controlled.ts'
import { createFakeLoadedModel } from '../../../support/fakes/loaded-model.ts'

const ioError = (code: string) =>
  Object.assign(new Error(`${code}: it failed, open '/models/ads/1'`), { code, syscall: 'open' })

for (const error of [
  ioError('ENOENT'),
  ioError('EIO'),
  new ModelError('INVALID_BUNDLE', "ads/2/graph.onnx can't be read", { cause: ioError('EMFILE') }),
  new ModelError('INVALID_BUNDLE', "a worker can't read it", { transient: true }),
]) {
  t.test(`a version whose load met an I/O error is loaded again: ${error.message}`, async (t) => {
    const { registry, errors, clock, loads } = setUp({ models: { ads: ['1', '2'] } })
    errors.set('ads/2', error)
    await registry.reconcile()
    t.same(states(registry), ['ads/2 failed', 'ads/1 ready'])
    errors.clear()
    clock.now += 1000
    await registry.reconcile()
    t.equal(answering(registry, 'ads'), 'ads/2')
    t.same(loads, ['ads/2', 'ads/1', 'ads/2'])
  })
}

t.test('the delay between tries doubles up to one minute', async (t) => {
  const { registry, errors, clock, loads } = setUp()
  errors.set('ads/1', ioError('EACCES'))
  await registry.reconcile()
  for (const delay of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
    const before = loads.length
    clock.now += delay - 1
    await registry.reconcile()
    t.equal(loads.length, before, `waits ${delay} ms`)
    clock.now += 1
    await registry.reconcile()
    t.equal(loads.length, before + 1)
  }
})

t.test('a version whose load met a dead thread is loaded again, three times at most', async (t) => {
  const { registry, errors, clock, loads } = setUp()
  errors.set('ads/1', new WorkerLostError('exit code 9'))
  await registry.reconcile()
  for (const delay of [1000, 2000, 4000]) {
    clock.now += delay
    await registry.reconcile()
  }
  t.equal(loads.length, 4)
  clock.now += 600_000
  await registry.reconcile()
  t.equal(loads.length, 4, 'it would take a thread with each try')
})

t.test('a damaged version is not loaded again', async (t) => {
  const { registry, errors, clock, loads } = setUp()
  errors.set('ads/1', new ModelError('INVALID_BUNDLE', 'ads/1/graph.onnx is damaged'))
  await registry.reconcile()
  clock.now += 600_000
  await registry.reconcile()
  t.same(loads, ['ads/1'])
})

t.test('a changed version whose refresh met an I/O error is refreshed later', async (t) => {
  const { registry, disk, errors, clock, loads, manifestless } = setUp()
  manifestless.add('ads/1')
  await registry.reconcile()
  const former = registry.acquire('ads')
  former.release()
  disk.models[0]!.versions[0]!.stamp = 'new'
  errors.set('ads/1', ioError('EIO'))
  await registry.reconcile()
  t.equal(registry.acquire('ads').model, former.model, 'the former model goes on serving')
  errors.clear()
  await registry.reconcile()
  t.same(loads, ['ads/1', 'ads/1'], 'not before its time')
  clock.now += 1000
  await registry.reconcile()
  t.same(loads, ['ads/1', 'ads/1', 'ads/1'])
  t.not(registry.acquire('ads').model, former.model)
})

t.test('a folder that disappears for a moment while its models load costs nothing but time', async (t) => {
  const root = join(t.testdir(), 'models')
  for (const version of ['1', '2']) {
    await mkdir(join(root, 'ads', version), { recursive: true })
    await writeFile(join(root, 'ads', version, 'graph'), 'x')
  }
  let now = 0
  let outage = true
  const registry = new Registry({
    source: createFolderSource(root),
    async load(name, version) {
      if (outage) await rename(root, `${root}.away`).catch(() => undefined)
      await readFile(join(root, name, version, 'graph'))
      return createFakeLoadedModel(name, version)
    },
    mode: 'latest',
    defaultModel: undefined,
    requiredModels: [],
    now: () => now,
  })
  await registry.reconcile()
  t.same(states(registry), ['ads/2 failed', 'ads/1 failed'])
  outage = false
  await rename(`${root}.away`, root)
  now += 2000
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
})
