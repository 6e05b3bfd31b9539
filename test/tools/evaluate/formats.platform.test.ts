import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createUniform } from '../../../src/base/hash.ts'
import { drawRow } from '../../../src/model/serving/features/draw.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { runEvaluate } from '../../../src/tools/evaluate/run-evaluate.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { runCli, spawnCli } from '../../support/cli.ts'
import { evaluateDefaults } from '../../support/evaluate.ts'
import { copyShop, stated } from '../../support/pytorch-example.ts'
import { noReference, readReference } from '../../support/reference.ts'
import { startTestServer } from '../../support/server.ts'

/*
 * Versions of every saved format: the answers that `multigate evaluate` judges in its own process are those of
 * `POST /predict`.
 */

const rows = 700

/**
 * Writes drawn rows with drawn labels, and their spec. `unit`: numbers lie between 0 and 1, as the model was trained
 * with.
 */
async function writeRows(models: string, name: string, folder: string, unit: boolean): Promise<string> {
  const { manifest } = await readBundle(models, name, '1')
  const random = createUniform(5)
  const fields = manifest.features.map((field) => field.name)
  const tasks = manifest.tasks.map((task) => task.name)
  const lines = [[...fields, ...tasks.map((task) => `label_${task}`)].join(',')]
  for (let i = 0; i < rows; i++) {
    const row = drawRow(manifest.features, random)
    if (unit)
      for (const { kind, name: field } of manifest.features)
        if (kind === 'numeric') row[field] = Math.abs(Number(row[field])) % 1
    lines.push([...fields.map((field) => row[field]), ...tasks.map(() => Number(random() < 0.3))].join(','))
  }
  await writeFile(join(folder, 'rows.csv'), `${lines.join('\n')}\n`)
  const spec = {
    data: { csv: ['rows.csv'] },
    tasks: tasks.map((task) => ({ name: task, label: `label_${task} == "1"` })),
  }
  await writeFile(join(folder, 'rows.yaml'), JSON.stringify(spec))
  return join(folder, 'rows.yaml')
}

async function expectEqual(t: Test, models: string, name: string, unit = false): Promise<void> {
  const folder = await temporaryFolder(t)
  const data = await writeRows(models, name, folder, unit)
  const server = await startTestServer(t, { models })
  const url = await server.fastify.listen({ host: '127.0.0.1', port: 0 })
  const predictions = async (file: string, service: { url: string } | undefined) => {
    const path = join(folder, file)
    const code = await runEvaluate({ ...evaluateDefaults, models, target: name, data, service, predictions: path })
    t.equal(code, 0)
    const [header, ...lines] = (await readFile(path, 'utf8')).trim().split('\n')
    t.equal(header, 'task,row,group,label,weight,prediction')
    return lines.map((line) => line.split(','))
  }
  const here = await predictions('here.csv', undefined)
  const there = await predictions('there.csv', { url })
  const tasks = new Set(here.map(([task]) => task)).size
  t.equal(here.length, tasks * rows)
  t.equal(there.length, here.length)
  let largest = 0
  for (const [i, line] of here.entries()) {
    if (line[0] !== there[i]![0] || line[1] !== there[i]![1]) t.fail(`line ${i} is of another row`)
    largest = Math.max(largest, Math.abs(Number(line[5]) - Number(there[i]![5])))
  }
  t.ok(largest <= 1e-6, `${name}: the largest difference is ${largest}`)
}

t.test('layers model, with a calibration, a derived task and its calibration', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models, {
    name: 'layers',
    manifest: {
      tasks: [{ name: 'ctr', calibration: { method: 'platt', a: 0.7, b: -0.4 } }, { name: 'cvr' }],
      derived: [
        {
          name: 'ctcvr',
          product: ['ctr', 'cvr'],
          calibration: { method: 'isotonic', x: [0.05, 0.2, 0.4], y: [0.01, 0.3, 0.9] },
        },
      ],
    },
  })
  await expectEqual(t, models, 'layers')
})

t.test('export of PyTorch, a tensor per field', async (t) => {
  const folder = await temporaryFolder(t)
  await copyShop(folder)
  await writeFile(join(folder, 'features.json'), JSON.stringify(stated.features))
  const models = join(folder, 'models')
  const options = ['--features', join(folder, 'features.json'), '--tasks', 'ctr,cvr,buy', '--models', models]
  const { code, stderr } = await spawnCli(['init', join(folder, 'shop.onnx'), '--name', 'shop', ...options])
  t.equal(code, 0, stderr)
  await expectEqual(t, models, 'shop')
})

for (const file of ['saved_model', 'model.onnx', 'tfjs'])
  t.test(`Keras' own ${file}`, { skip: noReference }, async (t) => {
    const { folder, shape } = await readReference('keras3/mmoe')
    const least = Math.floor(shape.ids / shape.sparseFields)
    const sizes = Array.from({ length: shape.sparseFields }, () => least)
    sizes[0]! += shape.ids - least * shape.sparseFields
    const features = [
      ...Array.from({ length: shape.sparseFields }, (_, i) => ({
        ...{ name: `id_${i}`, side: 'candidate', kind: 'integer', missing: 'error', out_of_vocabulary: 'error' },
        size: sizes[i]!,
      })),
      ...Array.from({ length: shape.denseFields }, (_, i) => ({
        ...{ name: `x_${i}`, side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' },
      })),
    ]
    const work = await temporaryFolder(t)
    await writeFile(join(work, 'features.json'), JSON.stringify(features))
    await cp(join(folder, file), join(work, file), { recursive: true })
    const models = join(work, 'models')
    const options = ['--features', join(work, 'features.json'), '--tasks', shape.tasks.join(','), '--models', models]
    const { code, stderr } = await runCli(['init', join(work, file), '--name', 'reference', ...options])
    t.equal(code, 0, stderr)
    await expectEqual(t, models, 'reference', true)
  })
