import t from 'tap'
import { Registry } from '../../../../src/model/serving/registry/registry.ts'
import { answering, gate, model, settled, setUp, states } from '../../../support/controlled.ts'

t.test('the highest version answers', async (t) => {
  const { registry, loads, events } = setUp({ models: { ads: ['9', '10'] } })
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/10')
  t.same(loads, ['ads/10'])
  t.same(events, ['loaded ads/10 in 0.5 s'])
})

t.test('a graph that had no manifest gives way to what is on disk, without a gap', async (t) => {
  const { registry, disk, events, loaded, manifestless } = setUp()
  manifestless.add('ads/1')
  await registry.reconcile()
  const first = loaded.get('ads/1')!
  const lease = registry.acquire('ads')
  manifestless.delete('ads/1')
  disk.models[0]!.versions[0]!.stamp = 'new'
  await registry.reconcile()
  const second = loaded.get('ads/1')!
  t.not(second, first)
  const other = registry.acquire('ads')
  t.equal(other.model, second)
  t.equal(first.closes, 0, 'is still asked')
  lease.release()
  await settled()
  t.equal(first.closes, 1)
  other.release()
  t.same(events, ['loaded ads/1 in 0.5 s', 'loaded ads/1 in 0.5 s'])
  await registry.close()
  t.equal(second.closes, 1)
})

t.test('a version goes on where what is on disk now is bad, and says so', async (t) => {
  const { registry, disk, loads, events, loaded, broken } = setUp()
  await registry.reconcile()
  const first = loaded.get('ads/1')!
  disk.models[0]!.versions[0]!.stamp = 'new'
  broken.set('ads/1', 'half written')
  await registry.reconcile()
  await registry.reconcile()
  t.equal(registry.acquire('ads').model, first)
  t.same(loads, ['ads/1', 'ads/1'], 'once for each state of its files')
  t.same(events, ['loaded ads/1 in 0.5 s', 'failed ads/1'])
  const error = 'its files have changed, and the former ones are served: half written'
  t.match(registry.list(), [{ versions: [{ version: '1', state: 'ready', error }] }])
  t.match(registry.summary().failed, [{ name: 'ads', version: '1', message: error }])
  broken.clear()
  disk.models[0]!.versions[0]!.stamp = 'newer'
  await registry.reconcile()
  t.not(registry.acquire('ads').model, first)
  t.equal(registry.list()[0]!.versions[0]!.error, undefined)
  t.same(registry.summary().failed, [])
})

t.test('files that are written again with the same content change nothing', async (t) => {
  const { registry, disk, loads, events, loaded, same } = setUp()
  await registry.reconcile()
  const first = loaded.get('ads/1')!
  same.add('ads/1')
  disk.models[0]!.versions[0]!.stamp = 'new'
  await registry.reconcile()
  await registry.reconcile()
  t.equal(registry.acquire('ads').model, first)
  t.same(loads, ['ads/1', 'ads/1'], 'its files are read once more')
  t.same(events, ['loaded ads/1 in 0.5 s'])
})

t.test('a version beside which another file has changed is loaded again, though its own have not', async (t) => {
  const { registry, loads, loaded, same } = setUp()
  await registry.reconcile()
  const first = loaded.get('ads/1')!
  same.add('ads/1')
  first.isOutdated = async () => true
  await registry.reconcile()
  await registry.reconcile()
  t.not(registry.acquire('ads').model, first)
  t.same(loads, ['ads/1', 'ads/1'])
})

t.test('the default model is loaded first, then the others by name', async (t) => {
  const { registry, loads } = setUp({ models: { a: ['1'], b: ['1'], c: ['1'] }, defaultModel: 'b' })
  await registry.reconcile()
  t.same(loads, ['b/1', 'a/1', 'c/1'])
})

t.test('the preferred model is the default where none is set', async (t) => {
  const { registry, loads } = setUp({ models: { a: ['1'], b: ['1'] }, preferredModel: 'b' })
  await registry.reconcile()
  t.same(loads, ['b/1', 'a/1'])
  t.equal(answering(registry), 'b/1')
})

t.test('the only model is the default', async (t) => {
  const { registry } = setUp()
  await registry.reconcile()
  t.equal(answering(registry), 'ads/1')
})

t.test('of several models, none is the default', async (t) => {
  const { registry } = setUp({ models: { a: ['1'], b: ['1'] } })
  await registry.reconcile()
  t.throws(() => registry.acquire(), {
    code: 'MODEL_NOT_FOUND',
    message: 'The request names no model, and there is no default model',
  })
})

t.test('a default model that is not there is not found', async (t) => {
  const { registry, events } = setUp({ defaultModel: 'gone' })
  await registry.reconcile()
  await registry.reconcile()
  const missing = 'the configured default model "gone" does not exist; the folder has ads'
  t.throws(() => registry.acquire(), {
    code: 'MODEL_NOT_FOUND',
    message: `The request names no model, and ${missing}`,
  })
  t.same(events, [`problem: ${missing}`, 'loaded ads/1 in 0.5 s'], 'it is reported once')
})

t.test('where there is no model at all, none is ready', async (t) => {
  const { registry } = setUp({ models: {} })
  await registry.reconcile()
  t.throws(() => registry.acquire(), { code: 'NOT_READY', message: 'There is no model' })
})

t.test('until the folder has been read once, no model is said not to exist', async (t) => {
  for (const defaultModel of [undefined, 'ads']) {
    const { registry, disk } = setUp({ defaultModel })
    const unread = {
      code: 'NOT_READY',
      message: 'The models folder has not been read yet',
      retryAfterSeconds: 1,
    }
    const refusesAll = () => {
      for (const name of ['ads', 'other', undefined]) t.throws(() => registry.acquire(name), unread)
      t.throws(() => registry.requireScan(), unread)
    }
    refusesAll()
    disk.error = new Error('EIO')
    await registry.reconcile()
    refusesAll()
    disk.error = undefined
    await registry.reconcile()
    t.equal(answering(registry), 'ads/1')
    t.throws(() => registry.acquire('other'), { code: 'MODEL_NOT_FOUND' })
    disk.error = new Error('EIO')
    await registry.reconcile()
    t.throws(() => registry.acquire('other'), { code: 'MODEL_NOT_FOUND' })
  }
})

for (const name of ['other', '__proto__', 'constructor']) {
  t.test(`a model called ${name} is not found`, async (t) => {
    const { registry } = setUp()
    await registry.reconcile()
    t.throws(() => registry.acquire(name), { code: 'MODEL_NOT_FOUND', message: `There is no model called "${name}"` })
  })
}

t.test('a version that fails makes the next lower one answer', async (t) => {
  const { registry, broken, loads, events } = setUp({ models: { ads: ['1', '2', '3'] } })
  broken.set('ads/3', 'damaged').set('ads/2', 'misfit')
  await registry.reconcile()
  t.equal(answering(registry), 'ads/1')
  t.same(loads, ['ads/3', 'ads/2', 'ads/1'])
  t.same(events, ['failed ads/3', 'failed ads/2', 'loaded ads/1 in 0.5 s'])
  t.same(states(registry), ['ads/3 failed', 'ads/2 failed', 'ads/1 ready'])
})

t.test('a model whose versions all failed is not ready, and clients get every reason', async (t) => {
  const { registry, broken } = setUp({ models: { ads: ['1', '2'] } })
  broken.set('ads/1', 'damaged').set('ads/2', 'misfit')
  await registry.reconcile()
  t.throws(() => registry.acquire('ads'), {
    code: 'NOT_READY',
    message: "ads can't answer: version 2 failed: misfit; version 1 failed: damaged",
    retryAfterSeconds: undefined,
  })
  t.same(registry.unreadyReasons(), ['ads: version 2 failed: misfit; version 1 failed: damaged'])
})

t.test('what is thrown need not be an error', async (t) => {
  const { registry } = setUp()
  const odd = new Registry({
    source: async () => [model('ads', ['1'])],
    load: () => Promise.reject('just text'),
    mode: 'latest',
    defaultModel: undefined,
    requiredModels: [],
    now: () => 0,
  })
  await odd.reconcile()
  t.match(odd.list(), [{ versions: [{ state: 'failed', error: 'just text' }] }])
  await t.resolves(registry.close())
})

t.test('a failed version is not tried again as it is', async (t) => {
  const { registry, broken, loads } = setUp()
  broken.set('ads/1', 'damaged')
  await registry.reconcile()
  await registry.reconcile()
  t.same(loads, ['ads/1'])
})

t.test('a failed version is tried again when its manifest has changed', async (t) => {
  const { registry, broken, disk, loads } = setUp()
  broken.set('ads/1', 'damaged')
  await registry.reconcile()
  broken.clear()
  disk.models = [model('ads', [], { versions: [{ version: '1', stamp: 'new' }] })]
  await registry.reconcile()
  t.same(loads, ['ads/1', 'ads/1'])
  t.equal(answering(registry), 'ads/1')
  t.match(registry.list(), [{ versions: [{ version: '1', state: 'ready' }] }])
})

t.test('a failed version that is gone is forgotten', async (t) => {
  const { registry, broken, disk } = setUp({ models: { ads: ['1', '2'] } })
  broken.set('ads/2', 'damaged')
  await registry.reconcile()
  disk.models = [model('ads', ['1'])]
  await registry.reconcile()
  t.same(states(registry), ['ads/1 ready'])
})

t.test('the old version answers until the new one is ready, then the new one does', async (t) => {
  const { registry, disk, held, loaded } = setUp()
  await registry.reconcile()
  disk.models = [model('ads', ['1', '2'])]
  const loading = gate()
  held.set('ads/2', loading.promise)
  const done = registry.reconcile()
  await settled()
  t.same(states(registry), ['ads/2 loading', 'ads/1 ready'])
  t.equal(answering(registry), 'ads/1')
  loading.open()
  await done
  t.equal(answering(registry), 'ads/2')
  await settled()
  t.same(states(registry), ['ads/2 ready'])
  t.equal(loaded.get('ads/1')?.closes, 1)
})

t.test('a version that is being loaded is not ready', async (t) => {
  const { registry, held } = setUp()
  const loading = gate()
  held.set('ads/1', loading.promise)
  const done = registry.reconcile()
  await settled()
  const soon = { code: 'NOT_READY', retryAfterSeconds: 1 }
  t.throws(() => registry.acquire('ads'), { ...soon, message: "ads can't answer: it is being loaded" })
  t.throws(() => registry.acquire('ads', '1'), { ...soon, message: 'Version 1 of ads is loading' })
  loading.open()
  await done
})

t.test('a model that waits for others to be loaded is not ready', async (t) => {
  const { registry, held } = setUp({ models: { a: ['1'], b: ['1'] } })
  const loading = gate()
  held.set('a/1', loading.promise)
  const done = registry.reconcile()
  await settled()
  t.throws(() => registry.acquire('b'), {
    code: 'NOT_READY',
    message: "b can't answer: it is waiting to be loaded",
    retryAfterSeconds: 1,
  })
  loading.open()
  await done
  t.equal(answering(registry, 'b'), 'b/1')
})

t.test('the old version is closed when its last request is released', async (t) => {
  const { registry, disk, loaded, events } = setUp()
  await registry.reconcile()
  const [first, second] = [registry.acquire(), registry.acquire()]
  disk.models = [model('ads', ['1', '2'])]
  await registry.reconcile()
  t.same(states(registry), ['ads/2 ready', 'ads/1 draining'])
  first.release()
  await settled()
  t.equal(loaded.get('ads/1')?.closes, 0)
  t.equal(second.model, loaded.get('ads/1'))
  second.release()
  await settled()
  t.equal(loaded.get('ads/1')?.closes, 1)
  t.same(states(registry), ['ads/2 ready'])
  t.same(events.slice(-1), ['unloaded ads/1'])
})

t.test('a lease released twice is released once', async (t) => {
  const { registry, disk, loaded } = setUp()
  await registry.reconcile()
  const [first] = [registry.acquire(), registry.acquire()]
  first.release()
  first.release()
  disk.models = []
  await registry.reconcile()
  await settled()
  t.equal(loaded.get('ads/1')?.closes, 0)
})

t.test('a draining version takes no new requests, even by its number', async (t) => {
  const { registry, disk } = setUp()
  await registry.reconcile()
  const lease = registry.acquire()
  disk.models = [model('ads', ['1', '2'])]
  await registry.reconcile()
  t.throws(() => registry.acquire('ads', '1'), {
    code: 'VERSION_NOT_FOUND',
    message: 'Version 1 of ads is being unloaded',
  })
  lease.release()
})

t.test('a new version that is broken leaves the old one answering', async (t) => {
  const { registry, disk, broken, loaded } = setUp()
  await registry.reconcile()
  broken.set('ads/2', 'damaged')
  disk.models = [model('ads', ['1', '2'])]
  await registry.reconcile()
  await settled()
  t.equal(answering(registry), 'ads/1')
  t.equal(loaded.get('ads/1')?.closes, 0)
  t.match(registry.list(), [{ versions: [{ version: '2', state: 'failed', error: 'damaged' }, { version: '1' }] }])
  t.same(registry.unreadyReasons(), [])
})

t.test('a version that failed is not found, with the reason', async (t) => {
  const { registry, broken } = setUp({ models: { ads: ['1', '2'] } })
  broken.set('ads/2', 'damaged')
  await registry.reconcile()
  t.throws(() => registry.acquire('ads', '2'), {
    code: 'VERSION_NOT_FOUND',
    message: 'Version 2 of ads failed to load: damaged',
  })
})

t.test('a version that is not served is not found', async (t) => {
  const { registry } = setUp({ models: { ads: ['1', '2'] } })
  await registry.reconcile()
  t.throws(() => registry.acquire('ads', '1'), {
    code: 'VERSION_NOT_FOUND',
    message: 'ads does not serve version 1; it serves 2',
  })
})

t.test('all versions answer by their numbers where all are served', async (t) => {
  const { registry } = setUp({ models: { ads: ['1', '2'] }, mode: 'all' })
  await registry.reconcile()
  t.equal(answering(registry, 'ads', '1'), 'ads/1')
  t.equal(answering(registry, 'ads', '2'), 'ads/2')
  t.equal(answering(registry), 'ads/2')
})

t.test('a label names a version', async (t) => {
  const { registry, disk } = setUp()
  disk.models = [model('ads', ['1', '2', '3'], { labels: { stable: '1' } })]
  await registry.reconcile()
  t.equal(answering(registry, 'ads', undefined, 'stable'), 'ads/1')
  t.equal(answering(registry, 'ads'), 'ads/3')
  t.match(registry.list(), [{ labels: { stable: '1' } }])
})

for (const label of ['canary', 'constructor']) {
  t.test(`a label ${label} that is not set is not found`, async (t) => {
    const { registry, disk } = setUp()
    disk.models = [model('ads', ['1'], { labels: { stable: '1' } })]
    await registry.reconcile()
    t.throws(() => registry.acquire('ads', undefined, label), {
      code: 'VERSION_NOT_FOUND',
      message: `ads has no version labelled "${label}"`,
    })
  })
}

t.test('a label of a version that is not there is not found', async (t) => {
  const { registry, disk, events } = setUp()
  disk.models = [model('ads', ['1'], { labels: { stable: '7' } })]
  await registry.reconcile()
  t.throws(() => registry.acquire('ads', undefined, 'stable'), {
    code: 'VERSION_NOT_FOUND',
    message: 'The label "stable" of ads points to version 7, which is not served; it serves 1',
  })
  const problem = 'label "stable" points to version 7, which is not in the folder'
  t.match(registry.list(), [{ problem }])
  await registry.reconcile()
  t.same(events, ['loaded ads/1 in 0.5 s', `problem: ads: ${problem}`], 'it is reported once')
})

t.test('a label of a model of which nothing is left to say is not found', async (t) => {
  const { registry, disk } = setUp()
  await registry.reconcile()
  const lease = registry.acquire()
  disk.models = []
  await registry.reconcile()
  t.throws(() => registry.acquire('ads', undefined, 'stable'), { code: 'VERSION_NOT_FOUND' })
  lease.release()
})

t.test('a label that moves switches at the next look', async (t) => {
  const { registry, disk, loaded } = setUp()
  disk.models = [model('ads', ['1', '2', '3'], { labels: { stable: '1' } })]
  await registry.reconcile()
  disk.models = [model('ads', ['1', '2', '3'], { labels: { stable: '2' } })]
  await registry.reconcile()
  await settled()
  t.equal(answering(registry, 'ads', undefined, 'stable'), 'ads/2')
  t.equal(loaded.get('ads/1')?.closes, 1)
})

t.test('a model that is removed is unloaded, and not found', async (t) => {
  const { registry, disk, loaded } = setUp({ models: { ads: ['1'], other: ['1'] } })
  await registry.reconcile()
  disk.models = [model('other', ['1'])]
  await registry.reconcile()
  await settled()
  t.equal(loaded.get('ads/1')?.closes, 1)
  t.throws(() => registry.acquire('ads'), { code: 'MODEL_NOT_FOUND' })
  t.same(
    registry.list().map(({ name }) => name),
    ['other'],
  )
})

t.test('a removed model that still drains is listed, and not found', async (t) => {
  const { registry, disk } = setUp()
  await registry.reconcile()
  const lease = registry.acquire()
  disk.models = []
  await registry.reconcile()
  t.same(states(registry), ['ads/1 draining'])
  t.throws(() => registry.acquire('ads'), { code: 'MODEL_NOT_FOUND' })
  lease.release()
})

t.test('a model that comes back while it drains is loaded again when it has drained', async (t) => {
  const { registry, disk, loads } = setUp()
  await registry.reconcile()
  const lease = registry.acquire()
  disk.models = []
  await registry.reconcile()
  disk.models = [model('ads', ['1'])]
  await registry.reconcile()
  t.same(loads, ['ads/1'])
  lease.release()
  await settled()
  await registry.reconcile()
  t.same(loads, ['ads/1', 'ads/1'])
  t.equal(answering(registry), 'ads/1')
})

t.test('a folder that cannot be read changes nothing, and is reported once', async (t) => {
  const { registry, disk, events } = setUp()
  await registry.reconcile()
  disk.error = new Error('EIO')
  await registry.reconcile()
  await registry.reconcile()
  t.equal(answering(registry), 'ads/1')
  t.same(registry.unreadyReasons(), [])
  t.same(events.slice(1), ["problem: the models folder can't be read: EIO"])
  t.equal(registry.summary().unreadable, 'EIO')
  disk.error = undefined
  await registry.reconcile()
  t.equal(registry.summary().unreadable, undefined)
})

t.test('a model that cannot be read for a moment keeps what it serves', async (t) => {
  const { registry, disk, loaded, events } = setUp({ models: { ads: ['1', '2'] } })
  disk.models = [model('ads', ['1', '2'], { labels: { stable: '1' } })]
  await registry.reconcile()
  disk.models = [model('ads', [], { problem: 'ads can not be read', unknown: 'all' })]
  await registry.reconcile()
  t.equal(registry.acquire('ads').model, loaded.get('ads/2'))
  t.equal(registry.acquire('ads', undefined, 'stable').model, loaded.get('ads/1'))
  disk.models = [model('ads', ['1', '2', '3'], { problem: 'ads/labels.json is not JSON', unknown: 'labels' })]
  await registry.reconcile()
  t.equal(registry.acquire('ads').model, loaded.get('ads/3'))
  t.equal(registry.acquire('ads', undefined, 'stable').model, loaded.get('ads/1'))
  t.same(
    events.filter((event) => event.startsWith('problem')),
    ['problem: ads can not be read', 'problem: ads/labels.json is not JSON'],
  )
  disk.models = []
  await registry.reconcile()
  t.throws(() => registry.acquire('ads'), { code: 'MODEL_NOT_FOUND' })
})

t.test('a folder that can be read again is told again when it fails again', async (t) => {
  const { registry, disk, events } = setUp()
  for (const error of [new Error('EIO'), undefined, new Error('EIO')]) {
    disk.error = error
    await registry.reconcile()
  }
  t.equal(events.filter((event) => event.startsWith('problem')).length, 2)
})

t.test('what is wrong with models is told together', async (t) => {
  const { registry, disk, events } = setUp()
  disk.models = [model('a', [], { problem: 'a is odd' }), model('b', ['1']), model('c', [], { problem: 'c too' })]
  await registry.reconcile()
  t.same(events.slice(0, 1), ['problem: a is odd; c too'])
})

t.test('a list tells the default, states, engines and errors, versions highest first', async (t) => {
  const { registry, broken } = setUp({ models: { b: ['2', '10'], a: ['1'] }, defaultModel: 'a', mode: 'all' })
  broken.set('b/10', 'damaged')
  await registry.reconcile()
  t.same(registry.list(), [
    {
      name: 'a',
      default: true,
      default_version: '1',
      versions: [{ version: '1', state: 'ready', engine: 'fake', precision: 'float32' }],
    },
    {
      name: 'b',
      default: false,
      default_version: '2',
      versions: [
        { version: '10', state: 'failed', error: 'damaged' },
        { version: '2', state: 'ready', engine: 'fake', precision: 'float32' },
      ],
    },
  ])
})

t.test('a list names versions that are not loaded', async (t) => {
  const { registry } = setUp({ models: { ads: ['1', '2', '3'] } })
  await registry.reconcile()
  t.match(registry.list(), [
    {
      versions: [
        { version: '3', state: 'ready' },
        { version: '2', state: 'not_loaded' },
        { version: '1', state: 'not_loaded' },
      ],
    },
  ])
})

t.test('a list names models without a version', async (t) => {
  const { registry, disk } = setUp()
  disk.models = [model('ads', [], { problem: 'it is empty' })]
  await registry.reconcile()
  t.same(registry.list(), [{ name: 'ads', default: true, default_implied: true, problem: 'it is empty', versions: [] }])
})

t.test('live versions are those that answer, or still do', async (t) => {
  const { registry, disk, broken } = setUp({ models: { ads: ['1', '2'] } })
  broken.set('ads/2', 'damaged')
  await registry.reconcile()
  const lease = registry.acquire()
  disk.models = [model('ads', ['1', '2', '3'])]
  await registry.reconcile()
  t.same(
    registry.live().map(({ name, version }) => `${name}/${version}`),
    ['ads/1', 'ads/3'],
  )
  lease.release()
})

t.test('looks queue up behind each other', async (t) => {
  const { registry, held, loads } = setUp()
  const loading = gate()
  held.set('ads/1', loading.promise)
  const both = Promise.all([registry.reconcile(), registry.reconcile()])
  await settled()
  loading.open()
  await both
  t.same(loads, ['ads/1'])
})

t.test('a closed registry is unready, and takes no requests', async (t) => {
  const { registry } = setUp()
  await registry.reconcile()
  await registry.close()
  t.same(registry.unreadyReasons(), ['shutting down'])
  t.throws(() => registry.acquire(), { code: 'DRAINING' })
})

t.test('close waits for what is held, then closes every version', async (t) => {
  const { registry, loaded } = setUp({ models: { a: ['1'], b: ['1'] } })
  await registry.reconcile()
  const lease = registry.acquire('a')
  let closed = false
  const done = registry.close().then(() => {
    closed = true
  })
  await settled()
  t.equal(closed, false)
  t.equal(loaded.get('a/1')?.closes, 0)
  lease.release()
  await done
  t.same([loaded.get('a/1')?.closes, loaded.get('b/1')?.closes], [1, 1])
  t.same(registry.live(), [])
})

t.test('close waits for versions that drain already', async (t) => {
  const { registry, disk, loaded } = setUp()
  await registry.reconcile()
  const lease = registry.acquire()
  disk.models = [model('ads', ['1', '2'])]
  await registry.reconcile()
  let closed = false
  const done = registry.close().then(() => {
    closed = true
  })
  await settled()
  t.equal(closed, false)
  lease.release()
  await done
  t.same([loaded.get('ads/1')?.closes, loaded.get('ads/2')?.closes], [1, 1])
})

t.test('close twice closes once, and waits twice', async (t) => {
  const { registry, loaded, closing } = setUp()
  const slow = gate()
  closing.set('ads/1', slow.promise)
  await registry.reconcile()
  let closed = 0
  const both = [registry.close(), registry.close()].map((done) => done.then(() => closed++))
  await settled()
  t.equal(closed, 0)
  slow.open()
  await Promise.all(both)
  t.equal(loaded.get('ads/1')?.closes, 1)
})

t.test('close leaves failed versions alone', async (t) => {
  const { registry, broken } = setUp()
  broken.set('ads/1', 'damaged')
  await registry.reconcile()
  await t.resolves(registry.close())
})

t.test('close waits for a version that is being loaded, and loads no other', async (t) => {
  const { registry, held, loads, loaded } = setUp({ models: { a: ['1'], b: ['1'] } })
  const loading = gate()
  held.set('a/1', loading.promise)
  registry.reconcile()
  await settled()
  const done = registry.close()
  loading.open()
  await done
  t.same(loads, ['a/1'])
  t.equal(loaded.get('a/1')?.closes, 1)
})

t.test('destroy rejects what every version has accepted', async (t) => {
  const { registry, loaded } = setUp({ models: { a: ['1'], b: ['1'] } })
  await registry.reconcile()
  const error = new Error('enough')
  registry.destroy(error)
  t.same([loaded.get('a/1')?.destroyed, loaded.get('b/1')?.destroyed], [[error], [error]])
  t.same(registry.unreadyReasons(), ['shutting down'])
})

t.test('a destroyed registry loads nothing any more', async (t) => {
  const { registry, loads } = setUp()
  registry.destroy(new Error('enough'))
  await registry.reconcile()
  t.same(loads, [])
})
