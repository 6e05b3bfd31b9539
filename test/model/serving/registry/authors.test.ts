import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { pinVersion, unpinVersion } from '../../../../src/model/serving/registry/pin.ts'
import { createFolderSource } from '../../../../src/model/serving/registry/source.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { model, settled, setUp } from '../../../support/controlled.ts'

const pinnedBy = (pin: string | undefined, by: string, at = 'then') => ({
  ...(pin === undefined ? {} : { pin }),
  pinnedBy: { ...(pin === undefined ? {} : { pin }), by, at },
})

t.test('what is there at the start was changed by nobody; a new version by the file', async (t) => {
  const { registry, disk } = setUp({ models: { ads: ['1', '2'] } })
  disk.models = [model('ads', ['1', '2'], pinnedBy('1', 'ci'))]
  await registry.reconcile()
  t.same(registry.authors(), {})
  disk.models = [model('ads', ['1', '2', '3'])]
  await registry.reconcile()
  t.same(registry.authors(), { ads: { pin: { version: undefined, by: 'file' }, serving: 'file' } })
  disk.models = [model('ads', ['1', '2', '3', '4'])]
  await registry.reconcile()
  t.match(registry.authors(), { ads: { serving: 'file' } })
})

t.test('a pin is by who wrote so beside it, once; a later change without a new author is by the file', async (t) => {
  const { registry, disk } = setUp({ models: { ads: ['1', '2'] } })
  await registry.reconcile()
  const steps: [Partial<ReturnType<typeof pinnedBy>>, string | undefined, string][] = [
    [pinnedBy('1', 'ci'), '1', 'ci'],
    [pinnedBy(undefined, 'command', 'later'), undefined, 'command'],
    // Somebody edits the labels: the author still is that of the last change.
    [{ pin: '1', pinnedBy: { by: 'command', at: 'later' } }, '1', 'file'],
    [{ pinnedBy: { by: 'command', at: 'later' } }, undefined, 'file'],
    [pinnedBy('1', 'ci', 'even later'), '1', 'ci'],
    [{ pin: '2', pinnedBy: { pin: '1', by: 'ci', at: 'even later' } }, '2', 'file'],
  ]
  for (const [changes, version, by] of steps) {
    disk.models = [model('ads', ['1', '2'], changes)]
    await registry.reconcile()
    t.same(registry.authors().ads, { pin: { version, by }, serving: by }, `${version} by ${by}`)
  }
})

t.test('an author who is ahead of the pin is its author when it comes', async (t) => {
  const { registry, disk } = setUp({ models: { ads: ['1', '2'] } })
  disk.models = [model('ads', ['1', '2'], { pinnedBy: { pin: '1', by: 'ci', at: 'now' } })]
  await registry.reconcile()
  await registry.reconcile()
  disk.models = [model('ads', ['1', '2'], pinnedBy('1', 'ci', 'now'))]
  await registry.reconcile()
  t.match(registry.authors(), { ads: { pin: { version: '1', by: 'ci' } } })
})

t.test('who loads and unloads a model; a folder that goes away', async (t) => {
  const { registry, disk } = setUp({ models: { ads: ['1'], other: ['1'], third: ['1'] } })
  await registry.reconcile()
  await registry.unload('ads', 'ci')
  await settled()
  t.same(registry.authors(), { ads: { unloaded: 'ci' } })
  await registry.load('ads', 'ops')
  t.same(registry.authors(), { ads: { serving: 'ops' } })
  await registry.unload('ads')
  t.same(registry.authors().ads?.unloaded, 'administrator')
  disk.models = [model('ads', ['1']), model('other', ['1'])]
  await registry.reconcile()
  t.same(Object.keys(registry.authors()), ['ads'])
})

t.test('the author is a file of its own: the labels stay as older releases read them', async (t) => {
  const root = await temporaryFolder(t)
  for (const version of ['1', '2']) await mkdir(join(root, 'ads', version), { recursive: true })
  const source = createFolderSource(root)
  await pinVersion(root, 'ads', '1', { by: 'ci', now: () => 0 })
  t.same(JSON.parse(await readFile(join(root, 'ads/labels.json'), 'utf8')), { $pin: '1' })
  const at = '1970-01-01T00:00:00.000Z'
  t.match(await source(), [{ pin: '1', pinnedBy: { pin: '1', by: 'ci', at } }])
  await pinVersion(root, 'ads', '1', { by: 'ops', now: () => 0 })
  t.match(await source(), [{ pinnedBy: { by: 'ci' } }], 'who pins what is pinned changes nothing')
  await unpinVersion(root, 'ads')
  const [unpinned] = await source()
  t.equal(unpinned!.pinnedBy?.by, 'command')
  t.notOk('pin' in unpinned!.pinnedBy!)
  const file = join(root, 'ads/pinned-by.json')
  for (const text of [
    '{',
    '[]',
    '{"by": "x\\n", "at": "now"}',
    `{"by": "${'x'.repeat(100)}", "at": ""}`,
    '{"pin": 1}',
  ]) {
    await writeFile(file, text)
    const [read] = await source()
    t.notOk('pinnedBy' in read!, text)
    t.notOk('problem' in read!)
  }
})
