import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readArchitecture, readFeatures, readText } from '../../src/convert/said.ts'

t.test('an architecture is a name, of ours or of the class, or a file of arguments', async (t) => {
  t.match(await readArchitecture('AITM'), { name: 'aitm', options: {} })
  t.match(await readArchitecture('multi_gate'), { name: 'multi_gate', options: {} })
  const path = join(t.testdir(), 'class.yaml')
  await writeFile(path, 'name: MixtureOfExperts\nnum_experts: 3\nnum_tasks: 2\nnum_emb: 484\nsparse_fields: 31\n')
  t.same(await readArchitecture(path), {
    name: 'mixture_of_experts',
    options: { num_experts: 3 },
    num_tasks: 2,
    num_emb: 484,
    sparseFields: 31,
  })
  await writeFile(path, 'num_experts: 3')
  await t.rejects(readArchitecture(path), { code: 'INVALID_REQUEST', message: /class\.yaml: \/name is required/ })
  await writeFile(path, 'name: constructor')
  await t.rejects(readArchitecture(path), { message: /"constructor" is none of SharedBottom/ })
})

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
  await t.rejects(readText(folder), { message: /can't be read: it is no file/ })
})
