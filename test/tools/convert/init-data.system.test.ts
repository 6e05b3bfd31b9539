// A version that was trained elsewhere, whole from its export and labelled rows on.
import { spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createUniform } from '../../../src/base/hash.ts'
import { readEvaluation } from '../../../src/model/serving/bundle/evaluation.ts'
import { logit, sigmoid } from '../../../src/model/serving/calibration/calibrator.ts'
import { drawRow } from '../../../src/model/serving/features/draw.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { askGraph } from '../../../src/tools/convert/ask-graph.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { cli } from '../../support/entries.ts'
import { copyShop, stated } from '../../support/pytorch-example.ts'
import { startTestServer } from '../../support/server.ts'

const folder = await temporaryFolder(t)
const models = join(folder, 'models')
await copyShop(folder)
const { features } = stated
const names = features.map(({ name }) => name)
const about = {
  description: 'From PyTorch',
  features,
  tasks: [{ name: 'ctr', description: 'Clicked' }, { name: 'cvr' }, { name: 'again' }],
}
await writeFile(join(folder, 'features.json'), JSON.stringify(about))
async function spec(file: string, changes: object = {}): Promise<string> {
  const tasks = [
    { name: 'ctr', label: 'click == "1"' },
    { name: 'cvr', label: 'sale == "1"', where: 'click == "1"' },
  ]
  await writeFile(join(folder, file), JSON.stringify({ data: { csv: ['rows.csv'] }, tasks, group: 'user', ...changes }))
  return join(folder, file)
}

const init = (name: string, ...more: string[]) =>
  runCli([
    ...['init', join(folder, 'shop.onnx'), '--name', name, '--models', models],
    ...['--features', join(folder, 'features.json'), '--derived', 'ctcvr=ctr*cvr', ...more],
  ])

t.test('without rows it says what is missing, and so does the server', async (t) => {
  const { code, stdout } = await init('bare')
  t.equal(code, 0)
  t.match(
    stdout,
    /quality, \/drift, \/quantization and the evaluation report: rows with labels \(--data rows\.yaml\), or later multigate calibrate bare/,
  )
  const server = await startTestServer(t, { models })
  const { fields, tasks } = (await server.fastify.inject('/models/bare/versions/1/distributions')).json()
  t.match(fields[0], { name: 'country', reference: false, bins: [] })
  t.same(tasks, [])
})

/** Writes rows that are clicked and bought more where the graph says so. */
async function writeRows(): Promise<void> {
  const random = createUniform(3)
  const rows = Array.from({ length: 3000 }, () => drawRow(features, random))
  const { manifest } = await readBundle(models, 'bare', '1')
  const answers = await askGraph(join(models, 'bare/1'), manifest, rows)
  const lines = rows.map((row, i) => {
    const [click, sale] = answers[i]!.map((p) => random() < sigmoid(1.5 * logit(p)))
    return [`u${i % 300}`, ...names.map((name) => row[name]), Number(click), Number(click && sale)].join(',')
  })
  await writeFile(join(folder, 'rows.csv'), `user,${names.join(',')},click,sale\n${lines.join('\n')}\n`)
}

// pytorch.platform.test.ts calibrates and quantizes such a version.
t.test('rows with labels make a whole version, which is served', async (t) => {
  await writeRows()
  const data = await spec('rows.yaml')
  const { code, stdout, stderr } = await init('shop', '--data', data)
  t.equal(code, 0, stderr)
  t.match(stdout, /^ctr: 3,000 rows, /)
  t.match(stdout, /16 golden rows of rows\.yaml, answered by this graph/)
  const bundle = await readBundle(models, 'shop', '1')
  const { manifest } = bundle
  t.match(manifest, {
    description: 'From PyTorch',
    tasks: about.tasks,
    derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'] }],
    quality: { ctr: { rows: 3000 }, ctcvr: {} },
    quantization: { rows: 3000, labels: true },
    provenance: {
      ...{ data: 'rows.csv', command: /^multigate init / },
      tasks: { ctr: { label: 'click == "1"' }, cvr: { label: 'sale == "1"', where: 'click == "1"' } },
    },
  })
  t.same(Object.keys(manifest.drift!.features), names)
  t.same(Object.keys(manifest.drift!.tasks), ['ctr', 'cvr', 'again', 'ctcvr'])
  t.equal((await readEvaluation(bundle))?.model.version, '1')
  const [first] = (await readFile(join(folder, 'rows.csv'), 'utf8')).split('\n').slice(1)
  t.equal(names.map((name) => manifest.golden!.rows[0]![name]).join(','), first!.split(',').slice(1, -2).join(','))

  const server = await startTestServer(t, { models })
  const { body } = await server.predict({ model: 'shop', candidates: manifest.golden!.rows.slice(0, 1) })
  t.ok(Math.abs(body.predictions[0].ctcvr - manifest.golden!.served![0]![3]!) < 1e-6)
  const url = '/models/shop/versions/1/distributions'
  const { fields } = (await server.fastify.inject(url)).json()
  t.ok(fields.every(({ reference, bins }: any) => reference === true && bins.length > 0))
})

t.test('nothing is written where rows do not fit, or the version does not meet their conditions', async (t) => {
  const strict = await init(
    'strict',
    '--data',
    await spec('strict.yaml', { publish: { metrics: { ctr: { auc: { min: 0.99 } } } } }),
  )
  t.equal(strict.code, 3)
  t.match(strict.stdout, /ctr AUC ≥ 0\.99/)
  t.match(strict.stderr, /nothing was written\n$/)
  const unknown = await init(
    'strict',
    '--data',
    await spec('unknown.yaml', { tasks: [{ name: 'buy', label: 'sale == "1"' }] }),
  )
  t.match(unknown, { code: 1, stderr: /\/tasks\/0\/name "buy" is no task of the model: ctr, cvr, again, ctcvr/ })
  const twice = await init('strict', '--tasks', 'a,b')
  t.match(twice, { code: 1, stderr: /the features file names the tasks: omit --tasks/ })
  const factor = await init('strict', '--derived', 'buy=ctr*cart')
  t.match(factor, { code: 1, stderr: /\/derived\/1\/product\/1 is not a task: "cart"/ })
  t.notOk((await readdir(models)).includes('strict'))
})

const script = spawnSync('script', ['--version']).status === 0 ? false : 'needs script, of bsdutils'

t.test('init asks questions on a terminal, but not with --yes', { skip: script }, async (t) => {
  const run = (name: string, more: string, input: string) => {
    const command = `"${process.execPath}" "${cli}" init "${join(folder, 'shop.onnx')}" --name ${name} ${more}`
    return spawnSync('script', ['-qec', command, '/dev/null'], { input, cwd: folder, encoding: 'utf8' })
  }
  const asked = run('asked', '', '\nclick,cart,purchase\nids_0,ids_1\nbuy=click*cart\n\n\n')
  t.equal(asked.status, 0, asked.stdout)
  t.match(asked.stdout, /Tasks, .*\[task_0,task_1,task_2\]/)
  const { manifest } = await readBundle(models, 'asked', '1')
  t.match(manifest, { tasks: [{ name: 'click' }, {}, {}], derived: [{ name: 'buy' }], features: [{ side: 'context' }] })
  const told = run('told', '--yes', '')
  t.equal(told.status, 0, told.stdout)
  t.notMatch(told.stdout, /\[task_0/)
})
