import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { createFolderSource } from '../../../../src/model/serving/registry/source.ts'
import { temporaryFolder } from '../../../support/bundle.ts'

/** A models' folder of these files; a path that ends in a slash is an empty folder. */
async function models(t: Test, files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'multigate-source-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  for (const [path, text] of Object.entries(files)) {
    const full = join(root, path)
    await mkdir(path.endsWith('/') ? full : dirname(full), { recursive: true })
    if (!path.endsWith('/')) await writeFile(full, text)
  }
  return root
}

const scan = async (t: Test, files: Record<string, string>) => createFolderSource(await models(t, files))()

t.test('each folder is a model, each numbered folder in it a version', async (t) => {
  const found = await scan(t, { 'b/1/manifest.json': '{}', 'a/2/manifest.json': '{}', 'a/10/manifest.json': '{}' })
  t.same(
    found.map(({ name, versions }) => [name, versions.map(({ version }) => version).sort()]),
    [
      ['a', ['10', '2']],
      ['b', ['1']],
    ],
  )
})

t.test('an empty folder holds no model', async (t) => {
  t.same(await scan(t, {}), [])
})

t.test('a folder that is not there is refused', async (t) => {
  const root = await models(t, {})
  await t.rejects(createFolderSource(join(root, 'none'))(), { code: 'ENOENT' })
})

t.test('files and hidden folders are no models', async (t) => {
  const found = await scan(t, { 'README.md': '', '.git/1/manifest.json': '{}', 'a/1/manifest.json': '{}' })
  t.same(
    found.map(({ name }) => name),
    ['a'],
  )
})

t.test('the folder of lost files that a volume has is no model', async (t) => {
  t.same(await scan(t, { 'lost+found/': '' }), [])
})

t.test('folders that are no positive integers are no versions', async (t) => {
  const files = ['0', '01', '-1', '1.5', 'v1', '.2-x', '1e3', '9999999999999999999', '3']
  const [model] = await scan(t, Object.fromEntries(files.map((name) => [`a/${name}/manifest.json`, '{}'])))
  t.same(
    model?.versions.map(({ version }) => version),
    ['3'],
  )
})

t.test('a model without a version is a problem', async (t) => {
  t.match(await scan(t, { 'a/': '' }), [
    { name: 'a', versions: [], problem: 'a has no version: a version is a folder named by a number, such as a/1' },
  ])
})

t.test('a folder that no request can name is a problem, and none of its versions is loaded', async (t) => {
  for (const name of ['__proto__', 'a\nb', 'a b', '-a', 'é', 'a'.repeat(129)]) {
    const [model, ...others] = await scan(t, { [`${name}/1/manifest.json`]: '{}' })
    t.match(model, { name, versions: [] })
    t.ok(model?.problem?.startsWith(`${JSON.stringify(name)} can't be the name of a model: `), String(model?.problem))
    t.same(others, [])
  }
  t.match(await scan(t, { [`${'a'.repeat(128)}/1/manifest.json`]: '{}' }), [{ versions: [{ version: '1' }] }])
})

t.test('a link to a folder is a model, a link to a file is none', async (t) => {
  const root = await models(t, { 'store/1/manifest.json': '{}', file: '' })
  await symlink('store', join(root, 'linked'))
  await symlink('file', join(root, 'other'))
  const found = await createFolderSource(root)()
  t.same(
    found.map(({ name, versions }) => [name, versions.length]),
    [
      ['linked', 1],
      ['store', 1],
    ],
  )
})

t.test('a link to nothing is a problem of that model alone', async (t) => {
  const root = await models(t, { 'a/1/manifest.json': '{}' })
  await symlink('nowhere', join(root, 'b'))
  t.match(await createFolderSource(root)(), [
    { name: 'a', problem: undefined },
    { name: 'b', versions: [], labels: {}, problem: "b can't be read: it is missing" },
  ])
})

t.test('a stamp stays while the manifest does', async (t) => {
  const source = createFolderSource(await models(t, { 'a/1/manifest.json': '{}' }))
  t.same(await source(), await source())
})

t.test('a stamp changes with the size of the manifest', async (t) => {
  const root = await models(t, { 'a/1/manifest.json': '{}' })
  const path = join(root, 'a/1/manifest.json')
  await utimes(path, 1, 1)
  const [before] = await createFolderSource(root)()
  await writeFile(path, '{ }')
  await utimes(path, 1, 1)
  const [after] = await createFolderSource(root)()
  t.not(after?.versions[0]?.stamp, before?.versions[0]?.stamp)
})

t.test('a stamp changes with the time of the manifest', async (t) => {
  const root = await models(t, { 'a/1/manifest.json': '{}' })
  const path = join(root, 'a/1/manifest.json')
  await utimes(path, 1, 1)
  const [before] = await createFolderSource(root)()
  await utimes(path, 2, 2)
  const [after] = await createFolderSource(root)()
  t.not(after?.versions[0]?.stamp, before?.versions[0]?.stamp)
})

t.test('a version without a manifest has a stamp too, which changes when the manifest comes', async (t) => {
  const root = await models(t, { 'a/1/': '' })
  const [before] = await createFolderSource(root)()
  t.same(before?.versions, [{ version: '1', stamp: '' }])
  await writeFile(join(root, 'a/1/manifest.json'), '{}')
  const [after] = await createFolderSource(root)()
  t.not(after?.versions[0]?.stamp, '')
})

t.test('labels are read', async (t) => {
  const [model] = await scan(t, { 'a/1/manifest.json': '{}', 'a/labels.json': '{ "stable": "1", "next": "2" }' })
  t.same(model?.labels, { stable: '1', next: '2' })
  t.equal(model?.problem, undefined)
})

for (const [text, problem] of [
  ['{', /^a\/labels\.json is not JSON: .*$/],
  ['{\n  stable\n}', /^a\/labels\.json is not JSON: \S.*$/],
  ['"\n\n\n', /^a\/labels\.json is not JSON: \S.*$/],
  ['[]', 'a/labels.json must be an object of label: version'],
  ['null', 'a/labels.json must be an object of label: version'],
  ['"x"', 'a/labels.json must be an object of label: version'],
  ['{ "stable": 1 }', 'a/labels.json maps "stable" to a value that is not a string'],
] as const) {
  t.test(`labels that are ${text} are a problem, and the versions stay`, async (t) => {
    const [model] = await scan(t, { 'a/1/manifest.json': '{}', 'a/labels.json': text })
    t.match(model, { labels: {}, problem, unknown: 'labels' })
    t.equal(model?.versions.length, 1)
  })
}

t.test('labels without end are a problem', async (t) => {
  const [model] = await scan(t, { 'a/1/manifest.json': '{}', 'a/labels.json': ' '.repeat(1024 * 1024 + 1) })
  t.match(model?.problem, 'a/labels.json is larger than 1048576 bytes')
})

t.test('labels that are a folder are a problem', async (t) => {
  const [model] = await scan(t, { 'a/1/manifest.json': '{}', 'a/labels.json/': '' })
  t.match(model?.problem, /^a\/labels\.json EISDIR/)
})

t.test("a version's stamp changes with any of its files", async (t) => {
  const root = await temporaryFolder(t)
  await mkdir(join(root, 'ads', '1', 'data'), { recursive: true })
  await writeFile(join(root, 'ads', '1', 'data', 'weights.bin'), 'damaged')
  const stamp = async () => (await createFolderSource(root)())[0]?.versions[0]?.stamp
  const before = await stamp()
  t.equal(await stamp(), before)
  await writeFile(join(root, 'ads', '1', 'data', 'weights.bin'), 'whole again')
  t.not(await stamp(), before)
})
