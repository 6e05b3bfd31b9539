import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  createFolderSource,
  type SourceModel,
  type SourceVersion,
} from '../../../../src/model/serving/registry/source.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { answering, gate, model, type Setup, settled, setUp, states } from '../../../support/controlled.ts'
import { createFakeClock } from '../../../support/fakes/clock.ts'

/*
 * Versions that take effect at a given time.
 */

const noon = Date.parse('2026-12-01T12:00:00Z')

/** Versions on disk, by number. */
const ads = (versions: Record<string, Partial<SourceVersion>>, rest: Partial<SourceModel> = {}) =>
  model('ads', [], {
    ...rest,
    versions: Object.entries(versions).map(([version, more]) => ({ version, stamp: 'old', ...more })),
  })

/** A registry over these versions, whose wall clock stands at 1000. */
async function started(versions: Record<string, Partial<SourceVersion>>, options: Setup = {}) {
  const wallClock = createFakeClock()
  const setup = setUp({ wallClock, ...options })
  setup.disk.models = [ads(versions)]
  await setup.registry.reconcile()
  return { ...setup, wallClock }
}

t.test('a version is loaded before its time, and answers from then on, without a scan', async (t) => {
  const { registry, loads, turns, wallClock, loaded } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  t.same(loads, ['ads/1', 'ads/2'])
  t.equal(answering(registry, 'ads'), 'ads/1')
  t.same(states(registry), ['ads/2 scheduled', 'ads/1 ready'])
  t.match(registry.list(), [{ default_version: '1', versions: [{ activate_at: '1970-01-01T00:01:01.000Z' }, {}] }])
  t.match(registry.summary().scheduled, [{ name: 'ads', version: '2', activateAt: 61_000 }])
  await wallClock.advance(59_999)
  t.equal(answering(registry, 'ads'), 'ads/1')
  await wallClock.advance(1)
  t.equal(answering(registry, 'ads'), 'ads/2')
  t.same(turns, ['ready', 'ads 1 → 2'])
  await settled()
  t.equal(loaded.get('ads/1')!.closes, 1)
  t.same(states(registry), ['ads/2 ready'])
  t.match(registry.list(), [{ versions: [{ activate_at: '1970-01-01T00:01:01.000Z' }] }])
  t.same(registry.summary().scheduled, [])
  t.equal(wallClock.timers, 0)
})

t.test('who names the version, or a label of it, gets it before its time', async (t) => {
  const { registry, disk } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  t.equal(answering(registry, 'ads', '2'), 'ads/2')
  disk.models = [ads({ 1: {}, 2: { activateAt: 61_000 } }, { labels: { next: '2' } })]
  await registry.reconcile()
  t.equal(answering(registry, 'ads', undefined, 'next'), 'ads/2')
  t.equal(answering(registry, 'ads'), 'ads/1')
  await registry.close()
})

t.test('a clock that is set is noticed within a second', async (t) => {
  const { registry, wallClock, turns } = await started({ 1: {}, 2: { activateAt: 3_600_000 } })
  wallClock.pass(3_600_000)
  await wallClock.advance(1000)
  t.same(turns, ['ready', 'ads 1 → 2'])
  wallClock.pass(-3_600_000)
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/2', 'it goes on when the clock is set back')
  await registry.close()
  t.equal(wallClock.timers, 0)
})

t.test('a request after the time gets the version, though no timer has fired yet', async (t) => {
  const { registry, wallClock } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  wallClock.pass(59_999)
  t.equal(answering(registry, 'ads'), 'ads/1')
  wallClock.pass(1)
  t.equal(answering(registry, 'ads'), 'ads/2')
  await registry.close()
  t.equal(wallClock.timers, 0)
})

t.test('what is being loaded when the time comes does not hold it up', async (t) => {
  const { registry, disk, held, wallClock, turns } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  const loading = gate()
  held.set('shop/1', loading.promise)
  disk.models = [...disk.models, model('shop', ['1'])]
  const done = registry.reconcile()
  await settled()
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/2')
  loading.open()
  await done
  t.same(turns, ['ready', 'ads 1 → 2'])
})

t.test('nor does another version of the same model, which does not answer in between', async (t) => {
  const { registry, disk, held, wallClock, turns } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  const loading = gate()
  held.set('ads/3', loading.promise)
  disk.models = [ads({ 1: {}, 2: { activateAt: 61_000 }, 3: { activateAt: 1_000_000 } }, { labels: { far: '3' } })]
  const done = registry.reconcile()
  await settled()
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/2')
  loading.open()
  await done
  t.same(turns, ['ready', 'ads 1 → 2'])
  t.same(states(registry).slice(0, 2), ['ads/3 scheduled', 'ads/2 ready'])
  await registry.close()
})

t.test('a version that is still being loaded at its time answers when it is loaded', async (t) => {
  const { registry, disk, held, wallClock } = await started({ 1: {} })
  const loading = gate()
  held.set('ads/2', loading.promise)
  disk.models = [ads({ 1: {}, 2: { activateAt: 61_000 } })]
  const done = registry.reconcile()
  await settled()
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/1')
  loading.open()
  await done
  t.equal(answering(registry, 'ads'), 'ads/2')
})

t.test('a changed time counts from the next scan on; without a file the version answers immediately', async (t) => {
  const { registry, disk, loads, wallClock } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  disk.models = [ads({ 1: {}, 2: { activateAt: 121_000 } })]
  await registry.reconcile()
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/1')
  disk.models = [ads({ 1: {}, 2: { activateAt: 71_000 } })]
  await registry.reconcile()
  await wallClock.advance(10_000)
  t.equal(answering(registry, 'ads'), 'ads/2')
  disk.models = [ads({ 2: {}, 3: { activateAt: 1_000_000 } })]
  await registry.reconcile()
  disk.models = [ads({ 2: {}, 3: {} })]
  await registry.reconcile()
  t.equal(answering(registry, 'ads'), 'ads/3')
  t.same(loads, ['ads/1', 'ads/2', 'ads/3'], 'each is loaded once')
  t.equal(wallClock.timers, 0)
})

t.test('times of several versions come one after the other', async (t) => {
  const { loads, turns, wallClock } = await started({
    1: {},
    2: { activateAt: 61_000 },
    3: { activateAt: 121_000 },
  })
  t.same(loads, ['ads/1', 'ads/2'])
  await wallClock.advance(60_000)
  t.same(loads, ['ads/1', 'ads/2', 'ads/3'])
  await wallClock.advance(60_000)
  t.same(turns, ['ready', 'ads 1 → 2', 'ads 2 → 3'])
})

t.test('of a version that is gone before its time, nothing is left', async (t) => {
  const { registry, disk, loaded, wallClock } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  disk.models = [ads({ 1: {} })]
  await registry.reconcile()
  await settled()
  t.equal(loaded.get('ads/2')!.closes, 1)
  t.same(states(registry), ['ads/1 ready'])
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/1')
})

t.test('nor does it answer while what takes its place is loaded', async (t) => {
  const { registry, disk, held } = await started({ 2: { activateAt: 61_000 } })
  const loading = gate()
  held.set('ads/1', loading.promise)
  disk.models = [ads({ 1: {} })]
  const done = registry.reconcile()
  await settled()
  t.throws(() => registry.acquire('ads'), { code: 'NOT_READY' })
  loading.open()
  await done
  t.equal(answering(registry, 'ads'), 'ads/1')
})

t.test('a version that fails before its time is shown as failed, and the former one goes on', async (t) => {
  const { registry, disk, broken, wallClock } = await started({ 1: {} })
  broken.set('ads/2', 'damaged')
  disk.models = [ads({ 1: {}, 2: { activateAt: 61_000 } })]
  await registry.reconcile()
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/1')
  t.same(states(registry), ['ads/2 failed', 'ads/1 ready'])
})

t.test('a higher version without a time answers when it is loaded, and stays', async (t) => {
  const { registry, disk, wallClock } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  disk.models = [ads({ 1: {}, 2: { activateAt: 61_000 }, 3: {} })]
  await registry.reconcile()
  await settled()
  t.same(states(registry), ['ads/3 ready'])
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/3')
})

t.test('a pin decides, before the time and after it', async (t) => {
  const { registry, disk, wallClock } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  const versions = { 1: {}, 2: { activateAt: 61_000 } }
  disk.models = [ads(versions, { pin: '1' })]
  await registry.reconcile()
  t.match(registry.list(), [{ versions: [{ version: '2', activate_at: '1970-01-01T00:01:01.000Z' }, {}] }])
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/1')
  const early = await started(versions)
  early.disk.models = [ads(versions, { pin: '2' })]
  await early.registry.reconcile()
  t.equal(answering(early.registry, 'ads'), 'ads/2')
  await early.registry.close()
})

t.test('of all versions, the scheduled one is loaded, and does not answer until its time', async (t) => {
  const { registry, wallClock } = await started({ 1: {}, 2: { activateAt: 61_000 } }, { mode: 'all' })
  t.same(states(registry), ['ads/2 scheduled', 'ads/1 ready'])
  t.equal(answering(registry, 'ads'), 'ads/1')
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/2')
  t.equal(answering(registry, 'ads', '1'), 'ads/1')
})

t.test('a model with nothing but a scheduled version is not ready, and says until when', async (t) => {
  const { registry, wallClock, turns } = await started({ 1: { activateAt: 61_000 } })
  const reason = 'version 1 takes effect at 1970-01-01T00:01:01.000Z'
  t.throws(() => registry.acquire('ads'), { code: 'NOT_READY', message: `ads can't answer: ${reason}` })
  t.same(registry.unreadyReasons(), [`ads: ${reason}`])
  await wallClock.advance(60_000)
  t.equal(answering(registry, 'ads'), 'ads/1')
  t.same(turns, ['ready'])
})

t.test('an unloaded model stays out of service when the time comes', async (t) => {
  const { registry, wallClock } = await started({ 1: {}, 2: { activateAt: 61_000 } })
  await registry.unload('ads')
  await wallClock.advance(60_000)
  t.throws(() => registry.acquire('ads'), { code: 'NOT_READY' })
  await registry.load('ads')
  t.equal(answering(registry, 'ads'), 'ads/2')
})

t.test('a version whose schedule is broken fails, and is tried again when it is whole', async (t) => {
  const problem = 'ads/2.json is not JSON: …'
  const { registry, disk, loads, events } = await started({ 1: {}, 2: { problem, stamp: `old\n${problem}` } })
  t.match(registry.list(), [{ versions: [{ version: '2', state: 'failed', error: problem }, { state: 'ready' }] }])
  t.match(registry.summary().failed, [{ name: 'ads', version: '2', reason: 'invalid_bundle' }])
  await registry.reconcile()
  t.same(events, ['loaded ads/1 in 0.5 s', 'failed ads/2'])
  disk.models = [ads({ 1: {}, 2: { activateAt: 61_000 } })]
  await registry.reconcile()
  t.same(loads, ['ads/1', 'ads/2'])
  t.same(states(registry), ['ads/2 scheduled', 'ads/1 ready'])
  disk.models = [ads({ 1: {}, 2: { problem } })]
  await registry.reconcile()
  t.match(registry.list(), [{ problem, default_version: '1', versions: [{ state: 'scheduled' }, {}] }])
  await registry.close()
})

/** Version 1 with a schedule of this text, as it is read at noon. */
async function read(t: Test, text: string): Promise<SourceVersion> {
  const root = await temporaryFolder(t)
  await mkdir(join(root, 'ads/1'), { recursive: true })
  await writeFile(join(root, 'ads/1.json'), text)
  return (await createFolderSource(root, () => noon)())[0]!.versions[0]!
}

for (const [time, expected] of [
  ['2026-12-01T13:00:00Z', noon + 3_600_000],
  ['2026-12-01T13:00:00.250+01:00', noon + 250],
  ['2026-12-31T12:00:00Z', noon + 30 * 86_400_000],
  ['2020-02-29T00:00:00-05:00', Date.parse('2020-02-29T05:00:00Z')],
] as const) {
  t.test(`${time} is a time`, async (t) => {
    t.same(await read(t, JSON.stringify({ activate_at: time })), { version: '1', stamp: '', activateAt: expected })
  })
}

const noTime = /^ads\/1\.json has the activate_at ".*", which is no RFC 3339 time with an offset: \{ "activate_at"/
const noSchedule = /^ads\/1\.json must be an object such as \{ "activate_at"/
for (const [text, problem] of [
  ['{', /^ads\/1\.json is not JSON: /],
  ['', /^ads\/1\.json is not JSON: /],
  ['{}', noSchedule],
  ['null', noSchedule],
  ['"2026-12-01T13:00:00Z"', noSchedule],
  ['{ "activateAt": "2026-12-01T13:00:00Z" }', noSchedule],
  ['{ "activate_at": 1764594000 }', noSchedule],
  ['{ "activate_at": "2026-12-01T13:00:00Z", "version": "1" }', noSchedule],
  ['{ "activate_at": "" }', noTime],
  ['{ "activate_at": "tomorrow" }', noTime],
  ['{ "activate_at": "2026-12-01" }', noTime],
  ['{ "activate_at": "2026-12-01T13:00:00" }', noTime],
  ['{ "activate_at": "2026-12-01 13:00:00Z" }', noTime],
  ['{ "activate_at": "2026-11-31T13:00:00Z" }', noTime],
  ['{ "activate_at": "2026-12-01T23:59:60Z" }', noTime],
  [
    '{ "activate_at": "2026-12-31T12:00:00.001Z" }',
    'ads/1.json has the activate_at "2026-12-31T12:00:00.001Z", more than 30 days ahead of this clock',
  ],
  [' '.repeat(65_537), 'ads/1.json is larger than 65536 bytes'],
] as const) {
  t.test(`${text.slice(0, 70)} is a problem that names the file`, async (t) => {
    const { activateAt, problem: found, stamp } = await read(t, text)
    t.match(found, problem)
    t.equal(activateAt, undefined)
    t.equal(stamp, `\n${found}`, 'the version is tried again when it is corrected')
  })
}

t.test('a schedule that is no file is a problem; without one there is no time', async (t) => {
  const root = await temporaryFolder(t)
  await mkdir(join(root, 'ads/1'), { recursive: true })
  await mkdir(join(root, 'ads/1.json'))
  const source = createFolderSource(root)
  t.match((await source())[0]!.versions, [{ problem: /^ads\/1\.json can't be read: EISDIR/ }])
  await rm(join(root, 'ads/1.json'), { recursive: true })
  t.same((await source())[0]!.versions, [{ version: '1', stamp: '' }])
})
