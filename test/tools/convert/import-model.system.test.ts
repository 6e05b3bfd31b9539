import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { importModel } from '../../../src/tools/convert/import-model.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { importOptions } from '../../support/import-options.ts'
import { counted, functional, input, layer, saveKeras } from '../../support/keras/saved-model.ts'

/** Two ids of one table of 6 rows, two numbers, two tasks. */
async function saved(t: Test, activation = 'sigmoid') {
  const folder = t.testdir()
  const layers = [
    input('ids', 2),
    input('numbers', 2),
    layer('Embedding', 'table', { input_dim: 6, output_dim: 2 }, ['ids']),
    layer('Flatten', 'flat', {}, ['table']),
    layer('Concatenate', 'all', {}, ['flat', 'numbers']),
    layer('Dense', 'out', { units: 2, activation }, ['all']),
  ]
  const tensors = {
    'layers/embedding/vars/0': counted(6, 2),
    'layers/dense/vars/0': counted(6, 2),
    'layers/dense/vars/1': counted(2),
  }
  const path = await saveKeras(folder, functional(layers, ['out'], ['ids', 'numbers']), tensors)
  const file = async (name: string, value: unknown) => {
    await writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value))
    return join(folder, name)
  }
  return { folder, path, models: join(folder, 'models'), file }
}

t.test('a version is written that verifies, and says where it is from', async (t) => {
  const { path, models } = await saved(t)
  const said: string[] = []
  const result = await importModel(importOptions(path, models, { sizes: [2, 4], progress: (text) => said.push(text) }))
  t.equal(result.folder, join(models, 'imported/1'))
  t.same(await readdir(models), ['imported'])
  const { manifest } = await readBundle(models, 'imported', '1')
  t.match(manifest, {
    description: 'test, a Keras model of 6 layers',
    features: [
      { name: 'ids_0', kind: 'integer', size: 2 },
      { name: 'ids_1', size: 4 },
      { name: 'numbers_0', kind: 'numeric' },
      { name: 'numbers_1' },
    ],
    tasks: [{ name: 'task_0' }, { name: 'task_1' }],
    graph: { format: 'layers', file: 'model.json' },
    provenance: { command: 'multigate import', created: '1970-01-01T00:00:00.000Z' },
  })
  t.ok(said.length >= 4)
})

t.test('inputs of one value a row, of ids and of numbers', async (t) => {
  const layers = [
    input('country'),
    input('campaign'),
    input('price'),
    layer('Embedding', 'of_country', { input_dim: 3, output_dim: 2 }, ['country']),
    layer('Embedding', 'of_campaign', { input_dim: 5, output_dim: 3 }, ['campaign']),
    layer('Reshape', 'prices', { target_shape: [1] }, ['price']),
    layer('Concatenate', 'all', {}, ['of_country', 'of_campaign', 'prices']),
    layer('Dense', 'out', { units: 1, activation: 'sigmoid' }, ['all']),
  ]
  const tensors = {
    'layers/embedding/vars/0': counted(3, 2),
    'layers/embedding_1/vars/0': counted(5, 3),
    'layers/dense/vars/0': counted(6, 1),
    'layers/dense/vars/1': counted(1),
  }
  const folder = await temporaryFolder(t)
  const path = await saveKeras(folder, functional(layers, ['out'], ['country', 'campaign', 'price']), tensors)
  const { engine, plan, manifest } = await importModel(importOptions(path, join(folder, 'models')))
  t.match(manifest.features, [
    { name: 'country', size: 3 },
    { name: 'campaign', size: 5 },
    { name: 'price', kind: 'numeric' },
  ])
  t.equal(engine, 'onnx')
  t.ok(plan.compiled, plan.notes.join())
})

t.test('what is there is left alone, unless it is to be replaced', async (t) => {
  const { path, models } = await saved(t)
  await importModel(importOptions(path, models))
  const before = await readFile(join(models, 'imported/1/manifest.json'), 'utf8')
  await t.rejects(importModel(importOptions(path, models, { tasks: ['a', 'b'] })), {
    code: 'INVALID_REQUEST',
    message: /imported\/1 exists already; --force replaces it/,
  })
  t.equal(await readFile(join(models, 'imported/1/manifest.json'), 'utf8'), before)
  await importModel(importOptions(path, models, { tasks: ['a', 'b'], force: true }))
  t.match((await readBundle(models, 'imported', '1')).manifest.tasks, [{ name: 'a' }, { name: 'b' }])
})

t.test('a features file may be a part of a manifest', async (t) => {
  const { path, models, file } = await saved(t)
  const features = await file(
    'features.yaml',
    `
description: clicks
features:
  - { name: country, side: context, kind: vocabulary, values: [DE, FR], out_of_vocabulary: error }
  - { name: price, side: candidate, kind: numeric, scaling: { method: standard, mean: 3, deviation: 2 } }
  - { name: campaign, side: candidate, kind: hash, buckets: 4 }
  - { name: hour, side: context, kind: numeric, scaling: { method: log1p } }
tasks:
  - { name: ctr, calibration: { method: platt, a: 1, b: 0.5 } }
  - { name: cvr }
derived:
  - { name: ctcvr, product: [ctr, cvr] }
`,
  )
  const { manifest, notes } = await importModel(importOptions(path, models, { features }))
  t.same(notes, [])
  t.match(manifest, { description: 'clicks', derived: [{ name: 'ctcvr' }], tasks: [{ calibration: { a: 1 } }, {}] })
  const [[ctr, cvr, ctcvr] = []] = manifest.golden!.served!
  const [raw] = manifest.golden!.probabilities
  const calibrated = 1 / (1 + Math.exp(-(Math.log(raw![0]! / (1 - raw![0]!)) + 0.5)))
  t.ok(Math.abs(ctr! - calibrated) < 1e-9, 'golden rows check the calibration')
  t.same([cvr, ctcvr], [raw![1], ctr! * cvr!], 'and derived tasks')
  t.match(manifest.golden!.rows[0], { country: String, campaign: String, price: Number, hour: Number })

  const both = importModel(importOptions(path, models, { features, tasks: ['a', 'b'], force: true }))
  await t.rejects(both, { message: /the features file names the tasks: omit --tasks/ })
  const wrong = await file('wrong.json', [{ name: 'x', kind: 'numeric', side: 'nowhere' }])
  await t.rejects(importModel(importOptions(path, models, { features: wrong, force: true })), {
    code: 'INVALID_REQUEST',
    message: /wrong\.json: \/0\/side/,
  })
  const odd = await file('odd.yaml', 'a: [')
  await t.rejects(importModel(importOptions(path, models, { features: odd, force: true })), { message: /odd\.yaml: / })
  await t.rejects(importModel(importOptions(path, models, { features: join(models, 'no.yaml'), force: true })), {
    message: /no\.yaml can't be read: ENOENT/,
  })
})

t.test('golden rows: what Keras answered is held against the weights', async (t) => {
  const { path, models, file } = await saved(t)
  const { manifest } = await importModel(importOptions(path, models))
  const { rows, probabilities } = manifest.golden!
  const named = await file('named.json', { rows, probabilities })
  const result = await importModel(importOptions(path, models, { golden: named, force: true }))
  t.same(result.manifest.golden, { rows, probabilities, served: probabilities, tolerance: 1e-5 })

  const tensors = {
    sparse: { data: rows.map((row) => [row.ids_0, row.ids_1]) },
    dense: rows.map((row) => [row.numbers_0, row.numbers_1]),
    probabilities: { data: probabilities },
  }
  const golden = await file('tensors.json', tensors)
  t.same((await importModel(importOptions(path, models, { golden, force: true }))).manifest.golden?.rows, rows)

  const refused = async (value: unknown, message: RegExp) => {
    const golden = await file('wrong.json', value)
    await t.rejects(importModel(importOptions(path, models, { golden, version: '2' })), {
      code: 'INVALID_REQUEST',
      message,
    })
  }
  const moved = probabilities.map((row, i) => (i === 3 ? [row[0]! + 0.001, row[1]!] : row))
  await refused(
    { rows, probabilities: moved },
    /wrong\.json: \/probabilities\/3\/0 is .* but the file's weights answer/,
  )
  await refused({ rows, probabilities: [[1]] }, /\/probabilities\/0 must be 2 numbers/)
  await refused({ rows: [1], probabilities }, /\/rows must be a list of objects/)
  const changed = (row: object) => ({ rows: rows.map((golden, i) => (i === 1 ? row : golden)), probabilities })
  await refused(
    changed({ ...rows[1], id_0: 1 }),
    /wrong\.json: \/rows\/1\/id_0 is no field; did you mean ids_0\?; the fields are ids_0, ids_1, numbers_0, numbers_1$/,
  )
  await refused(changed({ ...rows[1], ids_0: 'x' }), /wrong\.json: \/rows\/1\/ids_0 must be an integer/)
  await refused({ rows: rows.slice(1), probabilities }, /has 31 rows and 32 answers/)
  await refused({ ...tensors, sparse: [[1, 2]] }, /\/sparse has 1 rows, not 32/)
  await refused({ ...tensors, sparse: rows.map(() => [1, 6]) }, /\/sparse\/0\/1 is 6, but the ids of ids_1 are 0 … 5/)
  await refused({ ...tensors, dense: undefined }, /\/dense must be a list of rows/)
  await refused([], /is not a JSON object/)
  t.same(await readdir(join(models, 'imported')), ['1'], 'nothing is half-written')
})

t.test('a graph that needs no import is named with its command', async (t) => {
  const { models, folder, file } = await saved(t)
  await file('click.onnx', 'any')
  const options = { tasks: ['ctr', 'cvr'], context: ['country'], golden: 'answers.json' }
  await t.rejects(importModel(importOptions(join(folder, 'click.onnx'), models, options)), {
    code: 'INVALID_REQUEST',
    message:
      /multigate init .*click\.onnx --name imported --models .*models --tasks ctr,cvr --context country --golden answers\.json$/,
  })
  await mkdir(join(folder, 'saved'))
  await writeFile(join(folder, 'saved/saved_model.pb'), '')
  await t.rejects(importModel(importOptions(join(folder, 'saved'), models)), {
    message: /multigate init .*saved --name/,
  })
})

t.test('a model that answers no probabilities is refused', async (t) => {
  const { path, models } = await saved(t, 'linear')
  await t.rejects(importModel(importOptions(path, models)), {
    code: 'UNSUPPORTED_GRAPH',
    message: /which is not a probability: it should end in a sigmoid/,
  })
  await t.rejects(readdir(models), { code: 'ENOENT' })
})

t.test('what was said must fit the model', async (t) => {
  const { path, models, folder } = await saved(t)
  await t.rejects(importModel(importOptions(path, models, { tasks: ['a'] })), {
    message: /a: 1 tasks, but the model has 2/,
  })
  await t.rejects(importModel(importOptions(path, models, { architecture: 'transformer' })), {
    code: 'INVALID_REQUEST',
    message: /"transformer" is neither .* nor one of SharedBottom, .*aitm/,
  })
  await t.rejects(importModel(importOptions(join(folder, 'none.keras'), models)), {
    message: /none\.keras is missing/,
  })
  await writeFile(join(folder, 'x.keras'), 'hello, world')
  await t.rejects(importModel(importOptions(join(folder, 'x.keras'), models)), {
    message: /neither a \.keras archive nor an HDF5/,
  })
  const stopped = { signal: AbortSignal.abort(new Error('interrupted')) }
  await t.rejects(importModel(importOptions(path, models, stopped)), { message: 'interrupted' })
  await t.rejects(readdir(models), { code: 'ENOENT' })
})
