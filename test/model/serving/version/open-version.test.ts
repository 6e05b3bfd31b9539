import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { findBundle } from '../../../../src/model/serving/version/read-version.ts'
import { writeTestBundle } from '../../../support/bundle.ts'

t.test('a version is found by its folder, by its model, by name', async (t) => {
  const root = t.testdir()
  await writeTestBundle(root, { version: '2' })
  await writeTestBundle(root, { version: '10' })
  await mkdir(join(root, 'ads/.11-partial'))
  await mkdir(join(root, 'empty'))
  const versionOf = async (path: string) => (await findBundle(path, root))?.manifest.version
  t.equal(await versionOf(join(root, 'ads/2')), '2')
  t.equal(await versionOf(join(root, 'ads')), '10', 'the highest as a number')
  t.equal(await versionOf('ads'), '10')
  t.equal(await versionOf('ads/2'), '2')
  t.equal(await versionOf('empty'), undefined)
  t.equal(await versionOf('nothing'), undefined)
})
