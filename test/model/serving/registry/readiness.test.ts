import t from 'tap'
import { answering, gate, model, settled, setUp } from '../../../support/controlled.ts'

t.test('before the first look, the folder is being read, or required models are waited for', async (t) => {
  t.same(setUp().registry.unreadyReasons(), ['the models folder is being read'])
  t.same(setUp({ requiredModels: ['a', 'b'] }).registry.unreadyReasons(), [
    'a: it is waiting to be loaded',
    'b: it is waiting to be loaded',
  ])
})

t.test('every model found at the start is waited for, and named', async (t) => {
  const { registry, held, turns } = setUp({ models: { a: ['1'], b: ['1'], c: ['1'] }, defaultModel: 'b' })
  const gates = { a: gate(), b: gate(), c: gate() }
  for (const [name, { promise }] of Object.entries(gates)) held.set(`${name}/1`, promise)
  const done = registry.reconcile()
  await settled()
  t.same(registry.unreadyReasons(), [
    'a: it is waiting to be loaded',
    'b: it is being loaded',
    'c: it is waiting to be loaded',
  ])
  gates.b.open()
  await settled()
  t.equal(answering(registry), 'b/1')
  t.same(registry.unreadyReasons(), ['a: it is being loaded', 'c: it is waiting to be loaded'])
  gates.a.open()
  gates.c.open()
  await done
  t.same(registry.unreadyReasons(), [])
  t.same(turns, ['ready'])
})

t.test('one that failed is not waited for, whichever it is', async (t) => {
  for (const name of ['a', 'b']) {
    const { registry, broken } = setUp({ models: { a: ['1'], b: ['1'] }, defaultModel: 'b' })
    broken.set(`${name}/1`, 'damaged')
    await registry.reconcile()
    t.same(registry.unreadyReasons(), [], name)
  }
})

t.test('a model whose highest version failed is waited for until a lower one has loaded', async (t) => {
  const { registry, broken, held } = setUp({ models: { a: ['1'], b: ['1', '2'] } })
  broken.set('b/2', 'damaged')
  const loading = gate()
  held.set('b/1', loading.promise)
  const done = registry.reconcile()
  await settled()
  t.same(registry.unreadyReasons(), ['b: it is being loaded'])
  loading.open()
  await done
  t.same(registry.unreadyReasons(), [])
})

t.test('labelled versions are waited for too', async (t) => {
  const { registry, held, disk } = setUp()
  disk.models = [model('ads', ['1', '2'], { labels: { stable: '1' } })]
  const loading = gate()
  held.set('ads/1', loading.promise)
  const done = registry.reconcile()
  await settled()
  t.equal(answering(registry), 'ads/2')
  t.same(registry.unreadyReasons(), ['ads: it is being loaded'])
  loading.open()
  await done
  t.same(registry.unreadyReasons(), [])
})

t.test('where every model failed, nothing can answer: each reason is given', async (t) => {
  const { registry, broken, turns } = setUp({ models: { a: ['1'], b: ['1'] } })
  broken.set('a/1', 'damaged').set('b/1', 'gone')
  await registry.reconcile()
  t.same(registry.unreadyReasons(), ['a: version 1 failed: damaged', 'b: version 1 failed: gone'])
  t.same(turns, [])
})

t.test('required models are waited for instead of all', async (t) => {
  const { registry, held, turns } = setUp({
    models: { a: ['1'], b: ['1'], c: ['1'] },
    defaultModel: 'c',
    requiredModels: ['a'],
    maxLoads: 3,
  })
  const gates = { a: gate(), b: gate(), c: gate() }
  for (const [name, { promise }] of Object.entries(gates)) held.set(`${name}/1`, promise)
  const done = registry.reconcile()
  await settled()
  t.same(registry.unreadyReasons(), ['a: it is being loaded'])
  gates.a.open()
  await settled()
  t.same(registry.unreadyReasons(), [])
  t.same(turns, ['ready'])
  gates.b.open()
  gates.c.open()
  await done
  t.same(registry.unreadyReasons(), [])
  t.same(turns, ['ready'], 'once')
})

t.test('a required model that is not there, failed or was unloaded makes unready', async (t) => {
  const { registry, broken } = setUp({ models: { a: ['1'], b: ['1'], c: ['1'] }, requiredModels: ['x', 'a', 'b', 'c'] })
  broken.set('a/1', 'damaged')
  await registry.reconcile()
  await registry.unload('b')
  await settled()
  t.same(registry.unreadyReasons(), ['x: there is no such model', 'a: version 1 failed: damaged', 'b: it was unloaded'])
})

t.test('once ready, neither a later version nor a later model makes unready', async (t) => {
  for (const requiredModels of [[], ['ads']]) {
    const { registry, disk, held, broken } = setUp({ requiredModels })
    await registry.reconcile()
    const loading = gate()
    held.set('ads/2', loading.promise).set('more/1', loading.promise)
    disk.models = [model('ads', ['1', '2']), model('more', ['1'])]
    const done = registry.reconcile()
    await settled()
    t.same(registry.unreadyReasons(), [])
    broken.set('ads/2', 'damaged').set('more/1', 'damaged')
    loading.open()
    await done
    t.same(registry.unreadyReasons(), [])
  }
})

t.test('an empty folder makes unready, until it holds models and these have loaded', async (t) => {
  const { registry, disk, held, turns } = setUp({ models: {}, maxLoads: 2 })
  await registry.reconcile()
  t.same(registry.unreadyReasons(), ['there is no model in the folder'])
  disk.models = [model('a', ['1']), model('b', ['1'])]
  const loading = gate()
  held.set('b/1', loading.promise)
  const done = registry.reconcile()
  await settled()
  t.same(registry.unreadyReasons(), ['b: it is being loaded'])
  loading.open()
  await done
  t.same(registry.unreadyReasons(), [])
  t.same(turns, ['ready'])
})

t.test('a model without a version makes unready where there is no other, with the reason', async (t) => {
  const { registry, disk } = setUp()
  disk.models = [model('ads', [], { problem: 'ads has no version' })]
  await registry.reconcile()
  t.same(registry.unreadyReasons(), ['ads has no version', 'ads: ads has no version'])
})

t.test('a folder that cannot be read makes unready where nothing answers yet, and tells no path', async (t) => {
  const missing = Object.assign(new Error("ENOENT: no such file or directory, scandir '/srv/secret'"), {
    code: 'ENOENT',
    syscall: 'scandir',
  })
  const { registry, disk } = setUp()
  disk.error = missing
  await registry.reconcile()
  t.same(registry.unreadyReasons(), [
    "the models folder can't be read: it is missing",
    'there is no model in the folder',
  ])
  const required = setUp({ requiredModels: ['ads'] })
  required.disk.error = missing
  await required.registry.reconcile()
  t.same(required.registry.unreadyReasons(), [
    "the models folder can't be read: it is missing",
    'ads: there is no such model',
  ])
})

t.test('models load side by side, so many at once, the default one first', async (t) => {
  const { registry, held, loads } = setUp({
    models: { a: ['1'], b: ['1'], c: ['1'], d: ['1'] },
    defaultModel: 'd',
    maxLoads: 2,
  })
  const gates = new Map(['a', 'b', 'c', 'd'].map((name) => [name, gate()]))
  for (const [name, { promise }] of gates) held.set(`${name}/1`, promise)
  const done = registry.reconcile()
  await settled()
  t.same(loads, ['d/1', 'a/1'])
  gates.get('a')!.open()
  await settled()
  t.same(loads, ['d/1', 'a/1', 'b/1'])
  t.equal(answering(registry, 'a'), 'a/1', 'though others are loaded')
  for (const { open } of gates.values()) open()
  await done
  t.same(loads, ['d/1', 'a/1', 'b/1', 'c/1'])
})

t.test('one that fails holds up no other', async (t) => {
  const { registry, broken, loads } = setUp({ models: { a: ['1', '2'], b: ['1'], c: ['1'] }, maxLoads: 2 })
  broken.set('a/2', 'damaged').set('b/1', 'damaged')
  await registry.reconcile()
  t.same(loads.sort(), ['a/1', 'a/2', 'b/1', 'c/1'])
  t.same(
    registry.live().map(({ name, version }) => `${name}/${version}`),
    ['a/1', 'c/1'],
  )
})

t.test('what needs little more lets others be loaded beside it', async (t) => {
  const later = gate()
  const { registry, loads } = setUp({
    models: { a: ['1'], b: ['1'] },
    beforeLoaded: async (name, free) => {
      if (name !== 'a') return
      free()
      free()
      await later.promise
    },
  })
  const done = registry.reconcile()
  await settled()
  t.same(loads, ['a/1', 'b/1'])
  t.same(registry.unreadyReasons(), ['a: it is being loaded'])
  later.open()
  await done
  t.same(registry.unreadyReasons(), [])
})

t.test('once ready, versions are loaded one at a time: clients come first', async (t) => {
  const { registry, disk, held, loads } = setUp({ maxLoads: 3 })
  await registry.reconcile()
  const loading = gate()
  for (const name of ['a', 'b']) held.set(`${name}/1`, loading.promise)
  disk.models = [model('a', ['1']), model('ads', ['1']), model('b', ['1'])]
  const done = registry.reconcile()
  await settled()
  t.same(loads, ['ads/1', 'a/1'])
  loading.open()
  await done
  t.same(loads, ['ads/1', 'a/1', 'b/1'])
})

t.test('a registry that closes loads none of those that wait', async (t) => {
  const { registry, held, loads, loaded } = setUp({ models: { a: ['1'], b: ['1'], c: ['1'] }, maxLoads: 2 })
  const loading = gate()
  held.set('a/1', loading.promise).set('b/1', loading.promise)
  registry.reconcile()
  await settled()
  const closed = registry.close()
  loading.open()
  await closed
  t.same(loads, ['a/1', 'b/1'])
  t.same([loaded.get('a/1')?.closes, loaded.get('b/1')?.closes], [1, 1])
})
