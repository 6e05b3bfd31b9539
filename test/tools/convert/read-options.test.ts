import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readFeatures, readText } from '../../../src/tools/convert/read-options.ts'

t.test('features are a list of fields, or a part of a manifest', async (t) => {
  const path = join(t.testdir(), 'features.json')
  const field = { name: 'price', side: 'candidate', kind: 'numeric', scaling: { method: 'none' } }
  await writeFile(path, JSON.stringify([field]))
  t.match(await readFeatures(path), { features: [{ ...field, missing: 'error' }], derived: [] })
  await writeFile(path, JSON.stringify({ features: [field], tasks: [{ name: 'ctr' }] }))
  t.match(await readFeatures(path), { tasks: [{ name: 'ctr' }] })
  await writeFile(path, JSON.stringify({ features: [field], golden: {} }))
  await t.rejects(readFeatures(path), { message: /features\.json: \/golden/ })
  await writeFile(path, JSON.stringify([field, { ...field, kind: 'picture' }]))
  await t.rejects(readFeatures(path), { code: 'INVALID_REQUEST', message: /features\.json: \/1\/kind/ })
})

t.test('what is no file, or no YAML or JSON, is told', async (t) => {
  const folder = t.testdir({ 'x.json': '{', 'x.yaml': 'a: [' })
  await t.rejects(readText(join(folder, 'x.json')), { code: 'INVALID_REQUEST', message: /x\.json is not JSON/ })
  await t.rejects(readText(join(folder, 'x.yaml')), { code: 'INVALID_REQUEST', message: /x\.yaml: / })
  await t.rejects(readText(folder), { message: /can't be read: it is not a file/ })
})
