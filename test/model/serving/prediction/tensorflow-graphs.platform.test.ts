import { readdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { DataType } from '../../../../src/model/graph/lower/tensorflow/tensorflow_pb.ts'
import { writeBundle } from '../../../../src/model/serving/bundle/write.ts'
import type { LoadOptions } from '../../../../src/model/serving/prediction/loaded-model.ts'
import { loadModel } from '../../../../src/model/serving/prediction/model.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { readRawRows } from '../../../support/raw-rows.ts'
import { noReference, readReference, referenceFolder } from '../../../support/reference.ts'
import { constant, integers, node, placeholder } from '../../../support/tensorflow/graph-def.ts'
import { referenceGraphs } from '../../../support/tensorflow/reference-graphs.ts'
import { saveGraphModel } from '../../../support/tensorflow/save-model.ts'

/*
 * TensorFlow's graphs as versions of models: with a manifest, without one, and such that ONNX has no form of.
 */

const pool = await createEnginePool({ engine: 'auto', workers: 1 })
t.teardown(() => pool.close())
const cache = await temporaryFolder(t)
const options: LoadOptions = {
  pool,
  clock: systemClock,
  compiler: { cache, candidateBytes: 1 << 20, now: Date.now },
  maxBatchRows: 64,
  maxDelayMs: 0,
  maxQueueRows: 1000,
  maxRequestRows: 1000,
}

/** Every file below a folder, by its path. */
function filesOf(folder: string, below = ''): Record<string, Uint8Array> {
  const all = readdirSync(join(folder, below)).map((name): Record<string, Uint8Array> => {
    const path = join(below, name)
    return statSync(join(folder, path)).isDirectory()
      ? filesOf(folder, path)
      : { [path]: readFileSync(join(folder, path)) }
  })
  return Object.assign({}, ...all)
}

for (const [name, format, file] of [
  ['saved_model', 'saved_model', 'saved_model.pb'],
  ['tfjs', 'graph_model', 'model.json'],
] as const)
  t.test(`keras2/mmoe/${name} with a manifest answers raw rows, by side`, { skip: noReference }, async (t) => {
    const { features, candidates, tasks, probabilities } = readRawRows((i) => (i % 2 === 0 ? 'context' : 'candidate'))
    const models = await temporaryFolder(t)
    const files = filesOf(join(referenceFolder, 'keras2/mmoe', name))
    const manifest = {
      manifest: 1 as const,
      name: 'census',
      version: '1',
      features,
      tasks: tasks.map((name) => ({ name })),
      derived: [],
      graph: {
        format,
        file,
        inputs: { sparse: 'input_1', dense: 'input_2' },
        outputs: { probabilities: 'output_1' },
      },
      precision: 'float32' as const,
      golden: { rows: candidates, probabilities, tolerance: 1e-5 },
    }
    await writeBundle(join(models, 'census', '1'), { manifest, files })
    const model = await loadModel(await readBundle(models, 'census', '1'), options)
    t.teardown(() => model.close())
    t.match(model.plan, { compiled: true, split: true, notes: [] })
    const query = {
      rows: { form: 'rows' as const, context: undefined, candidates },
      deadline: systemClock.now() + 60_000,
    }
    const { tasks: answers } = await model.predict(query).table
    for (const [column, [, values]] of answers.entries())
      for (const [row, value] of values.entries()) t.ok(Math.abs(value - probabilities[row]![column]!) <= 1e-5)

    // Weights that nobody has listed are not served.
    const weights = Object.keys(files).filter((path) => path !== file && /variables|shard/.test(path))
    t.ok(weights.length > 0)
    for (const left of weights) {
      const version = join(models, 'census', '2')
      const { [left]: bytes, ...listed } = files
      await writeBundle(version, { manifest: { ...manifest, version: '2' }, files: listed }, { replace: true })
      await cp(join(models, 'census/1', left), join(version, left))
      await t.rejects(readBundle(models, 'census', '2'), {
        code: 'INVALID_BUNDLE',
        message: `census/2/manifest.json: /files lacks ${JSON.stringify(left)}, which ${file} reads`,
      })
      t.ok(bytes)
    }
  })

t.test('is served without a manifest too', { skip: noReference }, async (t) => {
  const models = await temporaryFolder(t)
  for (const { model: from, name, source } of referenceGraphs.filter(({ model }) => model.endsWith('/mmoe'))) {
    await cp(source.folder, join(models, name, '1'), { recursive: true })
    const model = await loadModel(await readBundle(models, name, '1'), options)
    t.match(model.plan, { compiled: true }, `${from}/${name}`)
    t.same(model.manifest.tasks, [{ name: 'task_0' }, { name: 'task_1' }])
    const { shape } = await readReference(from)
    const ids = model.manifest.graph.inputs.sparse
    const expected = { keras2: 'input_1', keras3: name.includes('int32') ? 'sparse' : 'args_0' }[from.split('/')[0]!]
    t.same(ids, [expected], `ids are found by the table that they are looked up in, of ${shape.ids} rows`)
    await model.close()
  }
})

t.test('what ONNX has no form of is computed by TensorFlow, and that is said', async (t) => {
  const models = await temporaryFolder(t)
  const version = join(models, 'running', '1')
  await mkdir(version, { recursive: true })
  await saveGraphModel(version, {
    nodes: [
      placeholder('x'),
      constant('axis', integers([1], [])),
      node('Cumsum', 'sums', ['x', 'axis'], { exclusive: false, reverse: false }),
      node('Sigmoid', 'out', ['sums']),
    ],
    inputs: { x: ['x', DataType.DT_FLOAT, [-1, 3]] },
    outputs: { answer: ['out', DataType.DT_FLOAT, [-1, 3]] },
  })
  const model = await loadModel(await readBundle(models, 'running', '1'), options)
  t.teardown(() => model.close())
  const why = 'model.json: node sums (Cumsum): this operator is not supported'
  t.match(model.plan.notes, [
    new RegExp(`^the graph runs as it was saved: ${why.replace(/[()]/g, '\\$&')}; tensorflow \\(\\w+\\) computes it$`),
  ])
  t.match(model.plan, { compiled: false, split: false, precision: 'float32' })
})
