import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { answering, model, settled, setUp, states } from '../../../support/controlled.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'

/** Lacks the task `ctcvr` that other versions answer. */
const narrower = { derived: [] }
/** Has one more. */
const wider = { tasks: [...exampleManifest().tasks, { name: 'like' }] }

const lacks = 'the task ctcvr is no longer answered'
const broken = (former: string, what = lacks) => `incompatible with version ${former}: ${what}`

function publish({ disk }: ReturnType<typeof setUp>, version: string): void {
  const [ads] = disk.models
  ads!.versions = [...ads!.versions, { version, stamp: 'old' }]
}

const errorsOf = ({ registry }: ReturnType<typeof setUp>) =>
  registry.list().flatMap(({ versions }) => versions.flatMap(({ error }) => error ?? []))

/** Version 1 answers, and version 2, which answers less, has been refused. */
async function setUpRefused() {
  const setup = setUp({ incompatible: 'refuse' })
  await setup.registry.reconcile()
  setup.manifests.set('ads/2', narrower)
  publish(setup, '2')
  await setup.registry.reconcile()
  return setup
}

t.test('a version that breaks a contract takes over, and is reported until the former one is gone', async (t) => {
  const setup = setUp()
  const { registry, manifests, events, disk } = setup
  await registry.reconcile()
  manifests.set('ads/2', narrower)
  publish(setup, '2')
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
  t.same(events, ['loaded ads/1 in 0.5 s', 'loaded ads/2 in 0.5 s', `ads/2 ${broken('1')}`, 'unloaded ads/1'])
  t.same(registry.list()[0]?.versions[0]?.incompatible, { with: '1', problems: [lacks] })
  t.same(registry.summary().incompatible, [{ name: 'ads', version: '2', message: broken('1') }])
  t.same(registry.summary().failed, [])
  disk.models[0]!.versions.shift()
  await registry.reconcile()
  t.same(registry.summary().incompatible, [])
})

t.test('one that is refused fails with the reason, and what answers goes on', async (t) => {
  const setup = await setUpRefused()
  const { registry, events, loads, loaded } = setup
  await registry.reconcile()
  await settled()
  t.equal(answering(registry, 'ads'), 'ads/1')
  t.same(states(registry), ['ads/2 failed', 'ads/1 ready'])
  t.same(errorsOf(setup), [broken('1')])
  t.same(registry.summary().failed, [{ name: 'ads', version: '2', reason: 'incompatible', message: broken('1') }])
  t.same(loads, ['ads/1', 'ads/2'], 'it is not tried again as it is')
  t.same(events, ['loaded ads/1 in 0.5 s', 'loaded ads/2 in 0.5 s', 'failed ads/2', 'unloaded ads/2'])
  t.equal(loaded.get('ads/2')!.closes, 1)
  t.throws(() => registry.acquire('ads', '2'), { code: 'VERSION_NOT_FOUND' })
})

t.test('it is tried again when its files have changed', async (t) => {
  const { registry, manifests, disk } = await setUpRefused()
  manifests.set('ads/2', wider)
  disk.models[0]!.versions[1]!.stamp = 'new'
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
})

t.test('a compatible version above one that was refused takes over', async (t) => {
  const setup = await setUpRefused()
  const { registry } = setup
  publish(setup, '3')
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/3')
})

t.test('a pin serves a version that was refused; without it, it stays while it answers', async (t) => {
  const { registry, events, disk } = await setUpRefused()
  disk.models[0]!.pin = '2'
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
  t.ok(events.includes(`ads/2 ${broken('1')}`), 'clients notice all the same')
  delete disk.models[0]!.pin
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
})

t.test('a label loads a version that was refused: it answers by name alone', async (t) => {
  const { registry, disk } = await setUpRefused()
  disk.models[0]!.labels = { next: '2' }
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/1')
  t.equal(registry.acquire('ads', undefined, 'next').model.manifest.version, '2')
  t.same(states(registry), ['ads/2 ready', 'ads/1 ready'])
  t.match(registry.list()[0]?.versions[0], { incompatible: { with: '1' }, error: undefined })
  t.match(registry.summary().failed, [{ version: '2', reason: 'incompatible' }])
  disk.models[0]!.labels = {}
  await registry.reconcile()
  t.same(states(registry), ['ads/2 failed', 'ads/1 ready'])
})

t.test('of all versions, one that is refused answers by its number', async (t) => {
  const setup = setUp({ incompatible: 'refuse', mode: 'all', models: { ads: ['1', '2'] } })
  const { registry, manifests, disk } = setup
  manifests.set('ads/2', narrower)
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/1')
  t.equal(registry.acquire('ads', '2').model.manifest.version, '2')
  disk.models[0]!.versions.splice(0, 1)
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/1', 'as where its successor fails')
})

t.test('a roll-back is never refused', async (t) => {
  const setup = setUp({ incompatible: 'refuse' })
  const { registry, manifests, events, disk } = setup
  await registry.reconcile()
  manifests.set('ads/2', wider)
  publish(setup, '2')
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
  disk.models[0]!.pin = '1'
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/1')
  t.ok(events.includes(`ads/1 ${broken('2', 'the task like is no longer answered')}`))
  t.same(registry.summary().incompatible, [], 'it breaks only what it never promised')
  delete disk.models[0]!.pin
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
  disk.models[0]!.versions.pop()
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/1', 'nor one by removing the version')
})

t.test('a version that waits for its time is refused before', async (t) => {
  const time = { now: () => 5, after: () => () => undefined }
  const setup = setUp({ incompatible: 'refuse', wallClock: time as never })
  const { registry, manifests, disk } = setup
  await registry.reconcile()
  manifests.set('ads/2', narrower)
  disk.models[0]!.versions.push({ version: '2', stamp: 'old', activateAt: 9 })
  await registry.reconcile()
  t.same(errorsOf(setup), [broken('1')])
})

t.test('at the start, versions are compared as if they had appeared one after the other', async (t) => {
  const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2', '3'] } })
  const { registry, manifests, reads } = setup
  // 3 is compatible with 2, but not with what answers where 2 was refused.
  manifests.set('ads/2', narrower).set('ads/3', narrower)
  await registry.reconcile()
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/1')
  t.same(errorsOf(setup).sort(), [broken('1'), broken('1')])
  t.same(reads, ['ads/1', 'ads/2'], 'each once')
})

t.test('at the start, only the next lower version counts where all take over', async (t) => {
  const setup = setUp({ models: { ads: ['1', '2', '3'] } })
  const { registry, manifests, reads, events } = setup
  manifests.set('ads/1', wider).set('ads/3', narrower)
  await registry.reconcile()
  t.same(reads, ['ads/2'])
  t.same(events, ['loaded ads/3 in 0.5 s', `ads/3 ${broken('2')}`])
})

t.test('the only version is compared with nothing', async (t) => {
  const setup = setUp({ incompatible: 'refuse' })
  await setup.registry.reconcile()
  t.same(setup.reads, [])
  t.equal(answering(setup.registry, 'ads'), 'ads/1')
})

t.test('at the start, a pinned version answers, whatever that breaks', async (t) => {
  const setup = setUp({ incompatible: 'refuse' })
  const { registry, disk, manifests, reads } = setup
  disk.models = [model('ads', ['1', '2'], { pin: '2' })]
  manifests.set('ads/2', narrower)
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
  t.same(reads, [])
})

t.test('a version that does not load keeps none from answering', async (t) => {
  const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2'] } })
  const { registry, manifests, broken } = setup
  manifests.set('ads/2', narrower)
  broken.set('ads/1', 'damaged')
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
})

const passing = () => Object.assign(new Error('EMFILE'), { syscall: 'open', code: 'EMFILE' })
const missing = () => Object.assign(new Error('ENOENT'), { syscall: 'open', code: 'ENOENT' })

for (const isReadable of [true, false])
  t.test(
    `an I/O error at the start does not let a refused version take over: contract read ${isReadable}`,
    async (t) => {
      const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2'] } })
      const { registry, manifests, errors, unreadable, clock } = setup
      manifests.set('ads/2', narrower)
      errors.set('ads/1', passing())
      if (!isReadable) unreadable.set('ads/1', passing())
      await registry.reconcile()
      await registry.reconcile()
      t.throws(() => answering(registry, 'ads'), { code: 'NOT_READY' })
      errors.clear()
      unreadable.clear()
      clock.now += 1000
      await registry.reconcile()
      t.equal(answering(registry, 'ads'), 'ads/1')
      t.same(errorsOf(setup), [broken('1')])
    },
  )

t.test('a contract that an I/O error hid is read again', async (t) => {
  const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2'] } })
  const { registry, unreadable, errors, clock } = setup
  errors.set('ads/1', passing())
  unreadable.set('ads/1', passing())
  await registry.reconcile()
  t.throws(() => answering(registry, 'ads'), { code: 'NOT_READY' })
  unreadable.clear()
  clock.now += 1000
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2', 'it is compatible with the one that does not load yet')
})

t.test('a version of which nothing is there keeps none from answering', async (t) => {
  const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2'] } })
  const { registry, manifests, unreadable, errors } = setup
  manifests.set('ads/2', narrower)
  errors.set('ads/1', missing())
  unreadable.set('ads/1', new ModelError('INVALID_BUNDLE', 'there is no manifest', { cause: missing() }))
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2')
})

const noManifest = new ModelError('INVALID_BUNDLE', 'the manifest is no JSON')
const gap = 'compared with version 1, since version 2 could not be served'

/** At the start, version 2 of three can't be served: its manifest, weights or schedule is damaged. */
const damages: Record<string, (setup: ReturnType<typeof setUp>) => void> = {
  manifest: ({ unreadable, broken }) => {
    unreadable.set('ads/2', noManifest)
    broken.set('ads/2', 'the manifest is no JSON')
  },
  weights: ({ broken, manifests }) => {
    // Version 3 is compared with it first, and refused.
    manifests.set('ads/2', wider)
    broken.set('ads/2', 'the weights are damaged')
  },
  schedule: ({ disk }) => {
    disk.models[0]!.versions[1]!.problem = 'ads/2: activate.json is no JSON'
  },
}

for (const [what, damage] of Object.entries(damages)) {
  t.test(`a version that takes over past one that can't be served is reported: its ${what}`, async (t) => {
    const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2', '3'] } })
    const { registry, events, disk } = setup
    damage(setup)
    await registry.reconcile()
    await registry.reconcile()
    t.equal(answering(registry, 'ads'), 'ads/3')
    const reports = events.filter((event) => event.includes('compared'))
    t.match(reports, [`version 3 was ${gap}`])
    t.equal(reports.length, 1, 'once')
    t.match(registry.list()[0]?.problem, `version 3 was ${gap}`)
    disk.models[0]!.versions.splice(1, 1)
    await registry.reconcile()
    t.equal(registry.list()[0]?.problem, undefined, 'until its folder is gone')
  })

  t.test(`one that is refused past it says so: its ${what}`, async (t) => {
    const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2', '3'] } })
    const { registry, manifests } = setup
    damage(setup)
    manifests.set('ads/3', narrower)
    await registry.reconcile()
    await registry.reconcile()
    t.equal(answering(registry, 'ads'), 'ads/1')
    t.ok(errorsOf(setup).includes(`${broken('1')}; ${gap}`), errorsOf(setup).join('\n'))
    t.match(registry.list()[0]?.versions[0], { version: '3', incompatible: { with: '1', skipped: ['2'] } })
  })
}

t.test('a version above one that was compared past a damaged one is compared with that alone', async (t) => {
  const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2', '3', '4'] } })
  setup.unreadable.set('ads/2', noManifest)
  await setup.registry.reconcile()
  t.same(setup.events, ['loaded ads/4 in 0.5 s'])
  t.equal(setup.registry.list()[0]?.problem, undefined)
})

t.test('a version above damaged ones alone is compared with nothing, and reported', async (t) => {
  const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2', '3'] } })
  for (const key of ['ads/1', 'ads/2']) setup.unreadable.set(key, noManifest)
  await setup.registry.reconcile()
  t.equal(
    setup.registry.list()[0]?.problem,
    'version 3 was compared with no version, since versions 1, 2 could not be served',
  )
})

t.test('where all take over, a version that can not be served is passed over in silence', async (t) => {
  const setup = setUp({ models: { ads: ['1', '2', '3'] } })
  setup.disk.models[0]!.versions[1]!.problem = 'ads/2: activate.json is no JSON'
  setup.manifests.set('ads/3', narrower)
  await setup.registry.reconcile()
  t.same(setup.registry.list()[0]?.versions[0]?.incompatible, { with: '1', problems: [lacks] })
})

t.test('a model that is loaded again on demand decides as at the start', async (t) => {
  const setup = setUp({ incompatible: 'refuse', models: { ads: ['1', '2'] } })
  const { registry, manifests } = setup
  manifests.set('ads/2', narrower)
  await registry.reconcile()
  await registry.unload('ads')
  await t.rejects(registry.load('ads'), {
    code: 'NOT_READY',
    message: /still served by another version: .*incompatible/,
  })
  t.equal(answering(registry, 'ads'), 'ads/1')
})

for (const [incompatible, closes] of [
  ['allow', 'first'],
  ['refuse', 'second'],
] as const)
  t.test(
    `files that are replaced below a graph without a manifest are compared with it: ${incompatible}`,
    async (t) => {
      const setup = setUp({ incompatible })
      const { registry, manifestless, manifests, disk, loaded, events } = setup
      manifestless.add('ads/1')
      await registry.reconcile()
      const first = loaded.get('ads/1')!
      manifests.set('ads/1', narrower)
      disk.models[0]!.versions[0]!.stamp = 'new'
      await registry.reconcile()
      await settled()
      const second = loaded.get('ads/1')!
      t.equal(registry.acquire('ads').model, closes === 'first' ? second : first)
      t.equal((closes === 'first' ? first : second).closes, 1)
      t.match(events.at(-1), closes === 'first' ? `ads/1 ${broken('1')}` : 'failed ads/1')
    },
  )

t.test('what replaced files break is reported until they are mended', async (t) => {
  const { registry, manifestless, manifests, disk } = setUp()
  manifestless.add('ads/1')
  await registry.reconcile()
  const replace = async (stamp: string) => {
    disk.models[0]!.versions[0]!.stamp = stamp
    await registry.reconcile()
    return [registry.list()[0]?.versions[0]?.incompatible, registry.summary().incompatible]
  }
  const problems = [lacks, 'the output ctcvr is no longer answered']
  const message = broken('1', problems.join('; '))
  const reported = [{ with: '1', problems }, [{ name: 'ads', version: '1', message }]]
  manifests.set('ads/1', narrower)
  t.same(await replace('broken'), reported)
  t.same(await replace('still broken'), reported)
  manifests.delete('ads/1')
  t.same(await replace('mended'), [undefined, []])
})
