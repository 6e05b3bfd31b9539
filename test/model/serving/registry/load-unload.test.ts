import t from 'tap'
import { answering, gate, model, settled, setUp, states } from '../../../support/controlled.ts'

const notReady = (message: RegExp) => ({ code: 'NOT_READY', message })

t.test('an unloaded model answers nothing, whatever the folder holds, until it is loaded', async (t) => {
  const { registry, disk, events } = setUp({ models: { a: ['1'], b: ['1'] }, defaultModel: 'b' })
  await registry.reconcile()
  await registry.unload('a')
  await settled()
  t.same(states(registry), ['b/1 ready'])
  t.throws(() => registry.acquire('a'), notReady(/^a can't answer: it was unloaded$/))
  t.throws(() => registry.acquire('a', '1'), notReady(/it was unloaded/))
  disk.models = [model('a', ['1', '2']), model('b', ['1'])]
  await registry.reconcile()
  t.throws(() => registry.acquire('a'), notReady(/it was unloaded/))
  t.match(registry.list(), [{ name: 'a', unloaded: true, versions: [] }, { name: 'b' }])
  t.notOk('unloaded' in registry.list()[1]!)
  await registry.load('a')
  t.equal(answering(registry, 'a'), 'a/2')
  t.notOk('unloaded' in registry.list()[0]!)
  await registry.reconcile()
  t.same(states(registry), ['a/2 ready', 'b/1 ready'])
  t.match(events.join('\n'), /unloaded a\/1\nloaded a\/2/)
})

t.test('what an unloaded model has accepted is answered', async (t) => {
  const { registry, loaded } = setUp()
  await registry.reconcile()
  const lease = registry.acquire('ads')
  await registry.unload('ads')
  t.throws(() => registry.acquire('ads'), notReady(/it was unloaded/))
  t.same(states(registry), ['ads/1 draining'])
  t.equal(loaded.get('ads/1')?.closes, 0)
  lease.release()
  await settled()
  t.equal(loaded.get('ads/1')?.closes, 1)
})

t.test('it answers nothing from the moment on, though another model is still being loaded', async (t) => {
  const { registry, held, disk } = setUp({ models: { a: ['1'] } })
  await registry.reconcile()
  const slow = gate()
  held.set('b/1', slow.promise)
  disk.models = [model('a', ['1']), model('b', ['1'])]
  const polled = registry.reconcile()
  await settled()
  const unloaded = registry.unload('a')
  t.throws(() => registry.acquire('a'), notReady(/it was unloaded/))
  slow.open()
  await Promise.all([polled, unloaded])
  t.same(states(registry), ['b/1 ready'])
})

t.test('a model is loaded again while its old version still answers what it had accepted', async (t) => {
  const { registry, loads } = setUp()
  await registry.reconcile()
  const lease = registry.acquire('ads')
  await registry.unload('ads')
  const load = registry.load('ads')
  await settled()
  t.same(loads, ['ads/1'])
  lease.release()
  await load
  t.same(loads, ['ads/1', 'ads/1'])
  t.equal(answering(registry, 'ads'), 'ads/1')
})

t.test('the last to ask has its way', async (t) => {
  const { registry } = setUp()
  await registry.reconcile()
  await Promise.allSettled([registry.load('ads'), registry.unload('ads')])
  t.throws(() => registry.acquire('ads'), notReady(/it was unloaded/))
  await Promise.all([registry.unload('ads'), registry.load('ads')])
  t.equal(answering(registry, 'ads'), 'ads/1')
})

t.test('a version that failed is tried again, though none of its files has changed', async (t) => {
  const { registry, broken, loads } = setUp()
  broken.set('ads/1', 'no memory')
  await registry.reconcile()
  await registry.reconcile()
  t.same(loads, ['ads/1'])
  broken.clear()
  await registry.load('ads')
  t.equal(answering(registry, 'ads'), 'ads/1')
  t.same(loads, ['ads/1', 'ads/1'])
})

t.test('a model that does not load says why', async (t) => {
  const { registry, broken, disk } = setUp({ models: { ads: ['1', '2'], other: ['1'] }, defaultModel: 'ads' })
  broken.set('ads/2', 'damaged')
  await t.rejects(registry.load('ads'), notReady(/^ads is still served by another version: version 2 failed: damaged$/))
  t.equal(answering(registry), 'ads/1')
  broken.set('other/1', 'misfit')
  await t.rejects(registry.load('other'), notReady(/^other can't answer: version 1 failed: misfit$/))
  disk.models = [...disk.models, model('empty', [], { problem: 'empty has no version' })]
  await t.rejects(registry.load('empty'), notReady(/empty has no version/))
  disk.error = new Error('EIO')
  await t.rejects(registry.load('ads'), notReady(/^ads can't be loaded: the models folder can't be read: EIO/))
  t.equal(answering(registry), 'ads/1')
})

t.test('what is not there can be neither loaded nor unloaded', async (t) => {
  const { registry } = setUp()
  await registry.reconcile()
  const missing = { code: 'MODEL_NOT_FOUND', message: 'There is no model called "nothing"' }
  for (const name of ['nothing', '__proto__']) {
    await t.rejects(registry.load(name), { code: 'MODEL_NOT_FOUND' })
    await t.rejects(registry.unload(name), { code: 'MODEL_NOT_FOUND' })
  }
  await t.rejects(registry.unload('nothing'), missing)
  t.throws(() => registry.acquire('nothing'), missing)
})

t.test('a model is unloaded before the folder has been read, or right after it has come', async (t) => {
  const { registry, disk } = setUp()
  const unloaded = registry.unload('ads')
  const first = registry.reconcile()
  await Promise.all([unloaded, first])
  t.throws(() => registry.acquire('ads'), notReady(/it was unloaded/))
  disk.models = [model('ads', ['1']), model('late', ['1'])]
  await registry.unload('late')
  await registry.reconcile()
  t.throws(() => registry.acquire('late'), notReady(/it was unloaded/))
})

t.test('where the folder can not be read at first, nothing is unloaded', async (t) => {
  const { registry, disk } = setUp()
  disk.error = new Error('EIO')
  await t.rejects(registry.unload('ads'), notReady(/^The models folder has not been read yet$/))
  disk.error = undefined
  await registry.reconcile()
  t.equal(answering(registry), 'ads/1')
})

t.test('a closed registry loads and unloads nothing', async (t) => {
  const { registry } = setUp()
  await registry.reconcile()
  await registry.close()
  await t.rejects(registry.load('ads'), { code: 'DRAINING' })
  await t.rejects(registry.unload('ads'), { code: 'DRAINING' })
})

t.test('models that were unloaded elsewhere are not loaded at the start', async (t) => {
  const { registry, loads } = setUp({ models: { a: ['1'], b: ['1'] }, defaultModel: 'a', unloaded: ['b'] })
  await registry.reconcile()
  t.same(loads, ['a/1'])
  await registry.load('b')
  t.equal(answering(registry, 'b'), 'b/1')
})

t.test('a default model that was unloaded makes the service unready, and says so', async (t) => {
  const { registry } = setUp()
  await registry.reconcile()
  await registry.unload('ads')
  t.same(registry.unreadyReasons(), ['ads: it was unloaded'])
  t.throws(() => registry.acquire(), notReady(/it was unloaded/))
})

t.test('the contents are all versions of the folder, with what became of each', async (t) => {
  const { registry, broken, disk } = setUp({ models: { ads: ['1', '2', '10'], off: ['1'] }, defaultModel: 'ads' })
  broken.set('ads/10', 'damaged')
  disk.models = [...disk.models, model('empty', [], { problem: 'empty has no version' })]
  await registry.reconcile()
  await registry.unload('off')
  const lease = registry.acquire('ads', '2')
  disk.models = disk.models.map((known) => (known.name === 'ads' ? model('ads', ['1', '10']) : known))
  await registry.reconcile()
  t.same(registry.contents(), [
    { name: 'ads', version: '10', state: 'failed', reason: 'damaged' },
    { name: 'ads', version: '2', state: 'draining', reason: '' },
    { name: 'ads', version: '1', state: 'ready', reason: '' },
    { name: 'empty', version: undefined, state: 'absent', reason: 'empty has no version' },
    { name: 'off', version: '1', state: 'absent', reason: 'it was unloaded' },
  ])
  lease.release()
})
