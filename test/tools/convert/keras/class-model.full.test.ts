import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { exportModel } from '../../../../src/tools/convert/export-model.ts'
import { importModel } from '../../../../src/tools/convert/import-model.ts'
import { blocksOf } from '../../../../src/tools/convert/keras/blocks.ts'
import { classWeights } from '../../../../src/tools/convert/keras/class-weights.ts'
import { readHdf5 } from '../../../../src/tools/convert/keras/hdf5.ts'
import { openKeras } from '../../../../src/tools/convert/keras/open-keras.ts'
import { plainTasks, recognise } from '../../../../src/tools/convert/keras/recognise.ts'
import { writeKerasWeights } from '../../../../src/tools/convert/keras/write-weights.ts'
import { multiGateOptions, writeTestBundle } from '../../../support/bundle.ts'
import { hdf5 } from '../../../support/hdf5.ts'
import { importOptions } from '../../../support/import-options.ts'
import { counted, functional, input, layer, saveKeras } from '../../../support/keras/saved-model.ts'
import { zip } from '../../../support/zip.ts'

const towers = { num_hidden_tasks: 2, dim_hidden_tasks: 4, dropout_tasks: 0 }
const embedding = { dim_emb: 3, embedding_l2: 0 }
const { name: _, ...experts } = multiGateOptions
const architectures: ArchitectureOptions[] = [
  { name: 'shared_bottom', ...embedding, num_hidden_shared: 3, dim_hidden_shared: 5, dropout_shared: 0, ...towers },
  { name: 'mixture_of_experts', ...experts },
  multiGateOptions,
  {
    name: 'aitm',
    ...embedding,
    num_hidden_tower: 2,
    dim_hidden_tower: 5,
    dropout_tower: 0,
    num_hidden_head: 1,
    dim_hidden_head: 64,
    dropout_proj_head: 0,
  },
]

for (const architecture of architectures)
  t.test(`${architecture.name}: its float64 computation and its graph answer the same`, async (t) => {
    const folder = t.testdir()
    const manifest = await writeTestBundle(folder, { architecture })
    const out = join(folder, 'ads.weights.h5')
    const signal = new AbortController().signal
    const to = { to: 'keras-weights' as const, keras: 2 as const, force: false, signal, progress: () => undefined }
    const { checked } = await exportModel({ target: 'ads', models: folder, out, ...to })
    t.equal(checked, manifest.golden!.rows.length)
    const again = await importModel(importOptions(out, folder, { architecture: architecture.name }))
    t.same(again.manifest.architecture, architecture)
    t.equal(again.manifest.golden?.rows.length, 32)
  })

t.test('what a file of weights does not say can be stated, and is told where it is not', async (t) => {
  const folder = t.testdir()
  const variant = { ...multiGateOptions, gate_function: 'sigmoid', activation: 'tanh' } as ArchitectureOptions
  const values = (name: string) => {
    const { values } = counted(...weights.find((weight) => weight.name === name)!.shape)
    return name.endsWith('variance') ? values.map(Math.abs) : values
  }
  const path = join(folder, 'variant.weights.h5')
  await writeFile(path, await writeKerasWeights(variant, shape, values, 3))
  const stated = { architecture: 'mmoe,gate_function=sigmoid,activation=tanh' }
  const first = await importModel(importOptions(path, folder, { ...stated, sizes: [2, 3] }))
  t.same(first.manifest.architecture, variant)
  t.same(
    first.unchecked.map(({ option }) => option),
    [undefined, undefined],
    'what was stated is not assumed',
  )
  const golden = join(folder, 'golden.json')
  await writeFile(golden, JSON.stringify(first.manifest.golden))

  const silent = await importModel(importOptions(path, folder, { sizes: [2, 3], version: '2' }))
  t.same(
    silent.unchecked.map(({ option }) => option),
    ['gate_function', 'activation', undefined, undefined],
  )
  const largest = Math.max(
    ...silent.manifest.golden!.probabilities.flatMap((row, i) =>
      row.map((value, task) => Math.abs(value - first.manifest.golden!.probabilities[i]![task]!)),
    ),
  )
  t.ok(largest > 1e-3, 'the same weights answer otherwise')

  await t.rejects(importModel(importOptions(path, folder, { sizes: [2, 3], version: '3', golden })), {
    code: 'INVALID_REQUEST',
    message:
      /but the file's weights answer .* assumed: gate_function=softmax, not .*; activation=relu .*--architecture/,
  })
  const checked = await importModel(importOptions(path, folder, { ...stated, sizes: [2, 3], version: '3', golden }))
  t.same(checked.unchecked, [], 'golden rows have compared it')
})

t.test('a class without normalisation is known by its weights', async (t) => {
  const bare = { ...multiGateOptions, normalisation: 'none' } as ArchitectureOptions
  const tensors = Object.fromEntries(
    classWeights(bare, shape).map(({ keras3, shape }) => [keras3!, counted(...shape)] as const),
  )
  const file = await readHdf5(await hdf5({ tensors }), 'bare.weights.h5')
  const found = recognise(blocksOf(file), { options: {} }, 'bare.weights.h5')
  t.same(found.options, bare)
  t.throws(() => recognise(blocksOf(file), { options: { normalisation: 'batch' } }, 'bare.weights.h5'), {
    code: 'INVALID_REQUEST',
    message: /its hidden layers have no normalisation, not normalisation=batch/,
  })
  await t.rejects(
    writeKerasWeights(bare, shape, () => new Float32Array(), 3),
    { code: 'UNSUPPORTED_GRAPH' },
  )
  const path = join(t.testdir(), 'bare.weights.h5')
  await writeFile(path, await hdf5({ tensors }))
  const { manifest } = await importModel(importOptions(path, t.testdirName, { sizes: [2, 3] }))
  t.same(manifest.architecture, bare)

  const layered = await hdf5({ tensors: { ...tensors, 'experts/mlp/layers/layer_normalization/vars/0': counted(5) } })
  const other = await readHdf5(layered, 'layered.weights.h5')
  t.throws(() => blocksOf(other), { code: 'UNSUPPORTED_GRAPH', message: /LayerNormalization/ })
})

t.test('a file that is not of the stated class: the classes that fit are named', async (t) => {
  const values = (name: string) => counted(...weights.find((weight) => weight.name === name)!.shape).values
  for (const version of [2, 3] as const) {
    const path = join(t.testdir(), `mmoe${version}.weights.h5`)
    await writeFile(path, await writeKerasWeights(options, shape, values, version))
    const open = (name: 'aitm' | 'shared_bottom') => openKeras(path, { name, options: {} })
    const message = (name: string) => `${path}: 5 MLPs and 2 gates make no ${name}; they fit multi_gate`
    await t.rejects(open('aitm'), { code: 'INVALID_BUNDLE', message: message('aitm') })
    await t.rejects(open('shared_bottom'), { code: 'INVALID_BUNDLE', message: message('shared_bottom') })
  }
  const even = { ...multiGateOptions, num_experts: 4 } as ArchitectureOptions
  const path = join(t.testdir(), 'even.weights.h5')
  await writeFile(
    path,
    await writeKerasWeights(
      even,
      shape,
      (name) => counted(...classWeights(even, shape).find((weight) => weight.name === name)!.shape).values,
      3,
    ),
  )
  await t.rejects(openKeras(path, { name: 'aitm', options: {} }), {
    message: `${path}: 6 MLPs and 2 gates make no aitm; they fit multi_gate`,
  })
})

const options = multiGateOptions
const shape = { sparseFields: 2, denseFields: 1, ids: 5, tasks: plainTasks(2) }
const weights = classWeights(options, shape)

t.test('a whole model of a class: its arguments, and weights that must be of them', async (t) => {
  const folder = t.testdir()
  const values = (name: string) => counted(...weights.find((weight) => weight.name === name)!.shape).values
  const bytes = await writeKerasWeights(options, shape, values, 3)
  const saved = async (config: object) => {
    const path = join(folder, 'mmoe.keras')
    const text = (name: string, value: unknown) => ({ name, bytes: Buffer.from(JSON.stringify(value)) })
    const entries = [text('metadata.json', {}), text('config.json', config), { name: 'model.weights.h5', bytes }]
    await writeFile(path, zip(entries))
    return path
  }
  const { name: _, embedding_l2, ...said } = options as Record<string, unknown>
  const config = { name: 'mmoe', trainable: true, ...said, num_tasks: 2, num_emb: 5 }
  const model = await openKeras(await saved({ class_name: 'MultiGateMixtureOfExperts', config }), undefined)
  t.same(
    [model.architecture, model.sparse.length, model.dense, model.tasks],
    [options, 2, ['dense_0'], ['task_0', 'task_1']],
  )
  const refused = async (changed: object, code: string, message: RegExp, as?: Parameters<typeof openKeras>[1]) =>
    t.rejects(
      openKeras(await saved({ class_name: 'MultiGateMixtureOfExperts', config: { ...config, ...changed } }), as),
      { code, message },
    )
  await refused({ num_experts: 4 }, 'INVALID_REQUEST', /mmoe\.keras: model\.weights\.h5 has 3 experts, not 4/)
  await refused({ dim_hidden_tasks: 9 }, 'INVALID_BUNDLE', /of this multi_gate must be \[8,9\]/)
  await refused({ dropout_tasks: 7 }, 'INVALID_BUNDLE', /\/dropout_tasks/)
  await refused({}, 'INVALID_REQUEST', /is a multi_gate, not a aitm/, { name: 'aitm', options: {} })
  await refused({}, 'INVALID_REQUEST', /has num_experts=3, not num_experts=4/, { options: { num_experts: 4 } })
  const sigmoid = { options: { gate_function: 'sigmoid' } }
  const stated = await openKeras(await saved({ class_name: 'MultiGateMixtureOfExperts', config }), sigmoid)
  t.match(stated.architecture, { gate_function: 'sigmoid' })
  const written = { ...config, gate_function: 'sigmoid' }
  const known = await openKeras(await saved({ class_name: 'MultiGateMixtureOfExperts', config: written }), undefined)
  t.notOk(known.assumed.some(({ option }) => option === 'gate_function'))

  const layers = [input('x', 1), layer('Dense', 'out', { units: 1, activation: 'sigmoid' }, ['x'])]
  const tensors = { 'layers/dense/vars/0': counted(1, 1), 'layers/dense/vars/1': counted(1) }
  const whole = await saveKeras(folder, functional(layers, ['out']), tensors, 'whole.keras')
  t.same((await openKeras(whole, undefined)).assumed, [], 'a graph says everything')
  await t.rejects(openKeras(whole, sigmoid), { code: 'INVALID_REQUEST', message: /contains its complete graph/ })
})

/** Weights as a legacy file has them: by layer, in the order of the layers; what trains before what doesn't. */
async function legacy(change: (layers: Map<string, string[]>) => void = () => undefined) {
  const layers = new Map<string, string[]>([['multi_input_embedding', []]])
  const tensors: Record<string, ReturnType<typeof counted>> = {}
  const late: [string, string][] = []
  // Names that sort in another order than the layers stand in.
  for (const { name, shape } of weights) {
    const parts = name.split('/')
    const inEmbedding = parts[0]!.endsWith('embedding')
    const layer = inEmbedding ? 'multi_input_embedding' : parts[0]!.startsWith('expert') ? `z_${parts[0]}` : parts[0]!
    const path = `m/${parts.slice(inEmbedding || parts.length === 2 ? 0 : 1).join('/')}:0`
    tensors[`${layer}/${path}`] = counted(...shape)
    if (name.includes('moving')) late.push([layer, path])
    else layers.set(layer, [...(layers.get(layer) ?? []), path])
  }
  for (const [layer, path] of late) layers.get(layer)!.push(path)
  change(layers)
  const attributes = {
    '': { layer_names: [...layers.keys()] },
    ...Object.fromEntries([...layers].map(([layer, names]) => [layer, { weight_names: names }])),
  }
  return readHdf5(await hdf5({ tensors, attributes }), 'legacy.h5')
}

t.test('a legacy file is read in the order that it lists', async (t) => {
  const found = recognise(blocksOf(await legacy()), { options: {} }, 'legacy.h5')
  t.equal(found.options.name, 'multi_gate')
  t.same([...found.weights.keys()].sort(), weights.map(({ name }) => name).sort())
  for (const [name, { values }] of found.weights)
    t.same(values, counted(...weights.find((weight) => weight.name === name)!.shape).values, name)
  const unlisted = await legacy((layers) => layers.delete('gate_task_0'))
  t.throws(() => blocksOf(unlisted), {
    message: /legacy\.h5: the weight \/gate_task_0\/m\/gate_task_0\/kernel:0 belongs to none/,
  })
  const missing = await legacy((layers) => layers.set('gate_task_0', ['m/none:0']))
  t.throws(() => blocksOf(missing), { message: /lacks the weight \/gate_task_0\/m\/none:0, which it lists/ })
})
