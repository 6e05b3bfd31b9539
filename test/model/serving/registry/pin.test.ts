import { lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pinVersion, unpinVersion } from '../../../../src/model/serving/registry/pin.ts'
import { createFolderSource } from '../../../../src/model/serving/registry/source.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { answering, gate, model, settled, setUp, states } from '../../../support/controlled.ts'

async function folder(t: Test, labels?: string): Promise<string> {
  const root = await temporaryFolder(t)
  for (const version of ['1', '2', '10']) await mkdir(join(root, 'ads', version), { recursive: true })
  if (labels !== undefined) await writeFile(join(root, 'ads/labels.json'), labels)
  return root
}
const labelsOf = (root: string) => readFile(join(root, 'ads/labels.json'), 'utf8')

t.test('a pin stands beside the labels, under a key that is no label', async (t) => {
  const root = await folder(t, '{"stable": "1"}')
  t.equal(await pinVersion(root, 'ads', '2'), undefined)
  t.same(JSON.parse(await labelsOf(root)), { stable: '1', $pin: '2' })
  t.match(await createFolderSource(root)(), [{ labels: { stable: '1' }, pin: '2' }])
  t.notOk('$pin' in (await createFolderSource(root)())[0]!.labels)
  t.equal(await pinVersion(root, 'ads', '10'), '2')
  t.equal(await unpinVersion(root, 'ads'), '10')
  t.same(JSON.parse(await labelsOf(root)), { stable: '1' })
  t.equal(await unpinVersion(root, 'ads'), undefined)
  t.same((await readdir(join(root, 'ads'))).sort(), ['1', '10', '2', 'labels.json', 'pinned-by.json'])
})

t.test('without labels, the file is made; a link to it stays one', async (t) => {
  const root = await folder(t)
  await pinVersion(root, 'ads', '2')
  t.same(JSON.parse(await labelsOf(root)), { $pin: '2' })
  const linked = await folder(t)
  await writeFile(join(linked, 'store.json'), '{}')
  await symlink('../store.json', join(linked, 'ads/labels.json'))
  await pinVersion(linked, 'ads', '1')
  t.ok((await lstat(join(linked, 'ads/labels.json'))).isSymbolicLink())
  t.same(JSON.parse(await readFile(join(linked, 'store.json'), 'utf8')), { $pin: '1' })
})

t.test('what is not there can not be pinned, and what is broken is left alone', async (t) => {
  const root = await folder(t, '{"stable": ')
  await t.rejects(pinVersion(root, 'ads', '3'), {
    code: 'VERSION_NOT_FOUND',
    message: 'ads has no version 3; it has 1, 2, 10',
  })
  for (const name of ['shop', '../ads', '.', ''])
    await t.rejects(pinVersion(root, name, '1'), { code: 'MODEL_NOT_FOUND' }, name)
  await t.rejects(unpinVersion(root, 'shop'), { code: 'MODEL_NOT_FOUND' })
  await t.rejects(pinVersion(root, 'ads', '1'), { code: 'INVALID_BUNDLE', message: /^ads\/labels\.json is not JSON: / })
  t.equal(await labelsOf(root), '{"stable": ')
  await t.rejects(pinVersion(await folder(t, '[]'), 'ads', '1'), { message: /must be an object/ })
})

for (const [text, problem] of [
  ['{"$pin": "newest"}', 'ads/labels.json pins "newest", which is not a version: a version is a number, such as "3"'],
  ['{"$pin": 3}', 'ads/labels.json maps "$pin" to a value that is not a string'],
  ['{"$stable": "1"}', 'ads/labels.json has the label "$stable": no label begins with $'],
] as const) {
  t.test(`${text} is a problem, and what was pinned stays`, async (t) => {
    const root = await folder(t, text)
    t.match(await createFolderSource(root)(), [{ labels: {}, problem, unknown: 'labels' }])
    const { registry, disk } = setUp()
    disk.models = [model('ads', ['1', '2'], { pin: '1' })]
    await registry.reconcile()
    disk.models = [model('ads', ['1', '2'], { problem, unknown: 'labels' })]
    await registry.reconcile()
    t.equal(answering(registry), 'ads/1')
    t.match(registry.list(), [{ pin: '1', problem }])
  })
}

t.test('a pinned version answers, whatever else there is, until it is no longer pinned', async (t) => {
  const { registry, disk, loads, turns } = setUp({ models: { ads: ['1', '2', '3'] } })
  await registry.reconcile()
  disk.models = [model('ads', ['1', '2', '3', '4'], { pin: '2' })]
  const loading = gate()
  const done = registry.reconcile()
  await settled()
  loading.open()
  await done
  await settled()
  t.same(states(registry), ['ads/2 ready'])
  t.match(registry.list(), [{ pin: '2', default_version: '2' }])
  t.notOk('problem' in registry.list()[0]!)
  disk.models = [model('ads', ['1', '2', '3', '4'])]
  await registry.reconcile()
  t.equal(answering(registry), 'ads/4')
  t.same(loads, ['ads/3', 'ads/2', 'ads/4'])
  t.same(turns, ['ready', 'ads 3 → 2', 'ads 2 → 4'])
})

t.test('of all versions, the pinned one answers and the others do by their numbers', async (t) => {
  const { registry, disk, loads } = setUp({ mode: 'all' })
  disk.models = [model('ads', ['1', '2', '3'], { pin: '2' })]
  await registry.reconcile()
  t.same(loads, ['ads/2', 'ads/3', 'ads/1'])
  t.equal(answering(registry), 'ads/2')
  t.equal(answering(registry, 'ads', '3'), 'ads/3')
})

t.test('a version that was replaced is kept for a while, and a roll-back loads nothing', async (t) => {
  const { registry, disk, clock, loads, turns, loaded } = setUp({ keepPreviousMs: 60_000 })
  await registry.reconcile()
  disk.models = [model('ads', ['1', '2'])]
  await registry.reconcile()
  t.same(states(registry), ['ads/2 ready', 'ads/1 ready'])
  t.equal(answering(registry), 'ads/2')
  disk.models = [model('ads', ['1', '2'], { pin: '1' })]
  await registry.reconcile()
  t.equal(answering(registry), 'ads/1')
  t.same(loads, ['ads/1', 'ads/2'])
  t.same(turns, ['ready', 'ads 1 → 2', 'ads 2 → 1'])
  clock.now += 59_000
  await registry.reconcile()
  t.equal(loaded.get('ads/2')?.closes, 0)
  clock.now += 1_000
  await registry.reconcile()
  await settled()
  t.equal(loaded.get('ads/2')?.closes, 1)
  t.same(states(registry), ['ads/1 ready'])
})

t.test('a version that is kept makes room for the one after the next', async (t) => {
  const { registry, disk, held, loaded } = setUp({ keepPreviousMs: 60_000 })
  await registry.reconcile()
  disk.models = [model('ads', ['1', '2'])]
  await registry.reconcile()
  disk.models = [model('ads', ['1', '2', '3'])]
  const loading = gate()
  held.set('ads/3', loading.promise)
  const done = registry.reconcile()
  await settled()
  t.equal(loaded.get('ads/1')?.closes, 1, 'before the third is loaded')
  t.equal(answering(registry), 'ads/2')
  loading.open()
  await done
  t.same(states(registry), ['ads/3 ready', 'ads/2 ready'])
})

t.test('a pin that can not be followed leaves what serves, and is reported once', async (t) => {
  const { registry, disk, broken, events } = setUp({ models: { ads: ['1', '2'] } })
  await registry.reconcile()
  disk.models = [model('ads', ['1', '2', '3'], { pin: '7' })]
  await registry.reconcile()
  await registry.reconcile()
  t.equal(answering(registry), 'ads/2')
  const missing = 'version 7 is pinned, but it is not in the folder; version 2 answers'
  t.match(registry.list(), [{ pin: '7', default_version: '2', problem: missing }])
  broken.set('ads/1', 'damaged')
  disk.models = [model('ads', ['1', '2', '3'], { pin: '1' })]
  await registry.reconcile()
  await registry.reconcile()
  t.equal(answering(registry), 'ads/2')
  const failed = 'version 1 is pinned, but it failed: damaged; version 2 answers'
  t.match(registry.list(), [{ problem: failed }])
  t.same(events.slice(1), [
    'pin ads/7',
    `problem: ads: ${missing}`,
    'pin ads/1',
    'failed ads/1',
    `problem: ads: ${failed}`,
  ])
  t.same(registry.unreadyReasons(), [])
})

t.test('a pinned version that serves stays, though its folder is gone; without its model it goes', async (t) => {
  const { registry, disk, loaded } = setUp({ models: { ads: ['1'], other: ['1'] } })
  disk.models = [model('ads', ['1', '2'], { pin: '1' }), model('other', ['1'])]
  await registry.reconcile()
  disk.models = [model('ads', ['2'], { pin: '1' }), model('other', ['1'])]
  await registry.reconcile()
  await settled()
  t.equal(answering(registry, 'ads'), 'ads/1')
  disk.models = [model('other', ['1'])]
  await registry.reconcile()
  await settled()
  t.equal(loaded.get('ads/1')?.closes, 1)
})
