import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createUniform } from '../../../src/base/hash.ts'
import { buildArchitecture, graphOutputs } from '../../../src/model/graph/architectures/build.ts'
import { layersModelFiles } from '../../../src/model/graph/lower/layers/write-layers-model.ts'
import { writeBundle } from '../../../src/model/serving/bundle/write.ts'
import { drawRow } from '../../../src/model/serving/features/draw.ts'
import { createLayout } from '../../../src/model/serving/features/layout.ts'
import type { FeatureValue } from '../../../src/schemas/feature-value.ts'
import type { Manifest } from '../../../src/schemas/manifest.ts'
import { findVersion, openLocalPredictor } from '../../../src/tools/evaluate/local-predictor.ts'
import { runCalibrate } from '../../../src/tools/evaluate/run-calibrate.ts'
import { runCompare } from '../../../src/tools/evaluate/run-compare.ts'
import { runEvaluate } from '../../../src/tools/evaluate/run-evaluate.ts'
import { runQuantize } from '../../../src/tools/evaluate/run-quantize.ts'
import { multiGateOptions, temporaryFolder } from '../../support/bundle.ts'
import { evaluateDefaults, evaluateToJson } from '../../support/evaluate.ts'
import { logFields } from '../../support/log-fields.ts'
import { parquetOfLists } from '../../support/parquet.ts'
import { startTestServer } from '../../support/server.ts'

/*
 * A version with lists, judged from a Parquet log and from the same log as CSV. Labels are drawn from its own answers:
 * it is as good as the truth. Labels of `shifted` are more often 1 than it says.
 */

const count = 1000

type Row = Record<string, FeatureValue>

async function writeVersion(models: string): Promise<void> {
  const layout = createLayout(logFields)
  const built = buildArchitecture(multiGateOptions, {
    sparseFields: layout.sparse.length,
    denseFields: layout.dense.length,
    ids: layout.ids,
    tasks: ['ctr', 'cvr'],
    seed: 4,
  })
  const kernel = built.weights.get('dense_embedding/kernel')!.data
  const numbers = new Float32Array(kernel.buffer, kernel.byteOffset, kernel.byteLength / 4)
  for (let i = 0; i < numbers.length; i++) numbers[i]! *= 6
  const manifest: Omit<Manifest, 'files'> = {
    ...{ manifest: 1, name: 'listed', version: '1', architecture: multiGateOptions, features: logFields },
    tasks: [{ name: 'ctr' }, { name: 'cvr' }],
    derived: [],
    graph: {
      format: 'layers',
      file: 'model.json',
      inputs: { sparse: 'sparse', dense: 'dense' },
      outputs: graphOutputs(multiGateOptions, ['ctr', 'cvr']),
    },
    precision: 'float32',
  }
  await writeBundle(join(models, 'listed', '1'), { manifest, files: layersModelFiles(built) })
}

/** Rows with their labels by a version's own answers, σ(logit + `shift`). */
async function drawLog(models: string, shift: number) {
  const random = createUniform(9)
  const rows = Array.from({ length: count }, (): Row => {
    const row = drawRow(logFields, random)
    const tags = row.tags as string[]
    if (random() < 0.2) tags.push('x', 'new')
    return { ...row, tags: { values: tags, weights: tags.map(() => Math.ceil(4 * random()) / 4) } }
  })
  const predictor = await openLocalPredictor(await findVersion('listed/1', models), {
    ...{ cache: process.env.MULTIGATE_CACHE, now: () => 0, onWarning: () => undefined, rows: count },
  })
  const labels: number[][] = []
  for (let first = 0; first < count; first += predictor.mostRows) {
    const some = rows.slice(first, first + predictor.mostRows)
    const columns = Object.fromEntries(logFields.map(({ name }) => [name, some.map((row) => row[name]!)]))
    const { tasks } = await predictor.predict(columns)
    some.forEach((_, i) => {
      const labelOf = (task: string) => {
        const p = tasks[task]![i]!
        return Number(random() < 1 / (1 + ((1 - p) / p) * Math.exp(-shift)))
      }
      labels.push([labelOf('ctr'), labelOf('cvr')])
    })
  }
  await predictor.close()
  return { rows, labels }
}

const weighted = (value: FeatureValue | undefined) => value as { values: string[]; weights: number[] }

async function writeLog(folder: string, models: string, name: string, shift: number): Promise<void> {
  const { rows, labels } = await drawLog(models, shift)
  const column = (field: string, read = (row: Row) => row[field]!) => ({ name: field, data: rows.map(read) })
  const parquet = parquetOfLists([
    { ...column('user'), type: 'double' },
    { ...column('history'), type: 'strings' },
    { ...column('ages'), type: 'doubles' },
    { ...column('item'), type: 'string' },
    { ...column('tags', ({ tags }) => weighted(tags).values), type: 'strings' },
    { ...column('strengths', ({ tags }) => weighted(tags).weights), type: 'doubles' },
    { ...column('image'), type: 'doubles' },
    { ...column('price'), type: 'double' },
    { name: 'click', data: labels.map(([click]) => click), type: 'double' },
    { name: 'sale', data: labels.map(([, sale]) => sale), type: 'double' },
  ])
  await writeFile(join(folder, `${name}.parquet`), parquet)
  const quoted = (value: unknown) => `"${JSON.stringify(value).replaceAll('"', '""')}"`
  const lines = rows.map(({ user, history, ages, item, tags, image, price }, i) => {
    const { values, weights } = weighted(tags)
    const lists = [quoted(history), (ages as number[]).join('|'), values.join(';'), weights.join(';'), quoted(image)]
    return [user, item, price, ...lists, ...labels[i]!].join(',')
  })
  const header = 'user,item,price,history,ages,tags,strengths,image,click,sale'
  await writeFile(join(folder, `${name}.csv`), `${[header, ...lines].join('\n')}\n`)
  const tasks = (one: string) => [
    { name: 'ctr', label: `click == ${one}` },
    { name: 'cvr', label: `sale == ${one}` },
  ]
  const spec = { slices: ['tags'], group: 'user', tasks: tasks('1.0'), data: { parquet: [`${name}.parquet`] } }
  const fields = [{ name: 'tags', weights: 'strengths' }]
  await writeFile(join(folder, `${name}.yaml`), JSON.stringify({ ...spec, fields }))
  const separated = [
    { name: 'tags', weights: 'strengths', list: { separator: ';' } },
    { name: 'ages', list: { separator: '|' } },
  ]
  // An empty cell is an empty list.
  const csv = { csv: [`${name}.csv`], missing: [] }
  await writeFile(
    join(folder, `${name}-csv.yaml`),
    JSON.stringify({ ...spec, tasks: tasks('"1"'), data: csv, fields: separated }),
  )
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => '',
    (error: Error) => error.message,
  )
}

async function setUp(t: Test) {
  const folder = await temporaryFolder(t)
  const models = join(folder, 'models')
  await writeVersion(models)
  await writeLog(folder, models, 'log', 0)
  await writeLog(folder, models, 'shifted', 0.8)
  return { models, at: (name: string) => join(folder, name) }
}

t.test('a version with lists', async (t) => {
  const { models, at } = await setUp(t)
  const target = 'listed/1'

  await t.test('is judged from Parquet and from CSV alike', async (t) => {
    const report = await evaluateToJson({ models, target, data: at('log.yaml') })
    const { created: _, data: __, ...same } = report
    const { created: ___, data: ____, ...other } = await evaluateToJson({ models, target, data: at('log-csv.yaml') })
    t.same(other, same)
    const [ctr] = report.tasks
    const { low, high } = ctr!.metrics.calibration_ratio
    t.ok(low! < 1 && high! > 1, 'its probabilities are the truth')
    t.ok(ctr!.metrics.auc.value! > 0.55, `AUC ${ctr!.metrics.auc.value}`)
    t.ok(ctr!.baselines.logistic!.metrics.auc.value! > 0.5, 'a regression on counts and members')
    const unknown = Object.fromEntries(report.model.fields.map((field) => [field.name, field.unknown]))
    t.ok(unknown.tags! > 0.1 && unknown.tags! < 0.3, `unknown tags in ${unknown.tags} of the rows`)
    t.same([unknown.history, unknown.image], [0, 0])
    const slices = ctr!.slices.filter(({ field }) => field === 'tags').map(({ value }) => value)
    t.ok(slices.includes('unknown') && slices.length > 2, `by length: ${slices}`)
  })

  await t.test('answers a server with the same rows alike', async (t) => {
    const server = await startTestServer(t, { models })
    const url = await server.fastify.listen({ host: '127.0.0.1', port: 0 })
    const predictions = async (service: { url: string } | undefined) => {
      const path = at('predictions.csv')
      const options = { ...evaluateDefaults, models, target: 'listed', data: at('log.yaml'), predictions: path }
      await runEvaluate({ ...options, service })
      const lines = (await readFile(path, 'utf8')).trim().split('\n').slice(1)
      return lines.map((line) => Number(line.split(',').at(-1)))
    }
    const [here, there] = [await predictions(undefined), await predictions({ url })]
    t.equal(there.length, 2 * count)
    t.ok(here.every((value, i) => Math.abs(value - there[i]!) < 1e-6))
  })

  await t.test('is calibrated, and the next version knows its lists by value and length', async (t) => {
    const calibrate = { method: 'platt' as const, tasks: undefined, force: false, dryRun: false }
    const options = { ...evaluateDefaults, ...calibrate, models, target, data: at('shifted.yaml') }
    t.equal(await runCalibrate(options), 0)
    const { manifest } = await findVersion('listed/2', models)
    t.same(Object.keys(manifest.drift!.features), ['user', 'history', 'ages', 'item', 'tags', 'price'])
    t.same(Object.keys(manifest.drift!.lengths!), ['history', 'ages', 'tags'])
    const out: string[] = []
    const compare = { ...evaluateDefaults, models, data: at('shifted.yaml'), a: target, b: 'listed/2' }
    await runCompare({ ...compare, out: { write: (text: string) => out.push(text) } })
    t.match(out.join(''), /listed\/2 compared with listed\/1: better/)
    const { drift } = await evaluateToJson({ models, target: 'listed/2', data: at('log.yaml') })
    const lengths = drift!.filter(({ kind }) => kind === 'length')
    t.same(lengths.map(({ name }) => name).sort(), ['ages', 'history', 'tags'])
    t.ok(lengths.every(({ psi }) => psi < 0.1))
    const values = drift!.filter(({ kind, name }) => kind === 'feature' && ['history', 'tags'].includes(name))
    t.ok(
      values.every(({ psi }) => psi < 0.1),
      'the rows are of the same kind',
    )
  })

  await t.test('is quantized', async (t) => {
    const options = { ...evaluateDefaults, models, target, data: at('log.yaml'), precision: 'auto' as const }
    const code = await runQuantize({ ...options, tables: undefined, rows: 500, dryRun: true })
    t.ok(code === 0 || code === 3)
  })

  await t.test('names the row and the value that does not fit', async (t) => {
    const { rows } = await drawLog(models, 0)
    const base = rows.slice(0, 5).map((row) => ({ ...row, tags: weighted(row.tags).values, click: 1, sale: 0 }))
    const types = { history: 'strings', ages: 'doubles', tags: 'strings', image: 'doubles', item: 'string' } as const
    const tasks = [{ name: 'ctr', label: 'click == 1.0' }]
    const refused = async (change: Row, all: Row = {}, form: Record<string, string> = {}, fields: unknown[] = []) => {
      const changed = base.map((row, i): Row => ({ ...row, ...all, ...(i === 3 && change) }))
      const columns = Object.keys(base[0]!).map((name) => {
        const type = form[name] ?? types[name as keyof typeof types] ?? 'double'
        return { name, type: type as 'double', data: changed.map((row) => row[name]) }
      })
      await writeFile(at('bad.parquet'), parquetOfLists(columns))
      await writeFile(at('bad.yaml'), JSON.stringify({ data: { parquet: ['bad.parquet'] }, tasks, fields }))
      return refusal(runEvaluate({ ...evaluateDefaults, models, target, data: at('bad.yaml') }))
    }
    const place = 'bad.parquet row 4'
    t.match(await refused({ tags: ['x', null] as never }), `${place}: tags[1] is null: leave out values`)
    t.match(await refused({ image: [1] }), `${place}: image has 1 numbers, not 2`)
    t.match(await refused({ history: ['a'], ages: [1, 2] }), `${place}: ages has 2 values where "history", of the same`)
    t.match(await refused({ ages: [-3], history: ['a'] }), `${place}: ages[0] must be greater than −1`)
    t.match(
      await refused({}, { item: ['a'] }, { item: 'strings' }),
      'column "item" is a list, where one value is wanted',
    )
    t.match(await refused({}, { tags: 3 }, { tags: 'double' }), 'column "tags" is a number, where a list is wanted')
    t.match(
      await refused({ tags: 'x|y' }, { tags: '["x"]' }, { tags: 'string' }),
      `${place}: tags must be a JSON array`,
    )
    t.match(await refused({}, {}, {}, [{ name: 'item', list: { separator: '|' } }]), "the model's item is one value")
    t.match(
      await refused({}, {}, {}, [{ name: 'tags', weights: 'strength' }]),
      '/fields/0/weights no column "strength"',
    )
    t.match(
      await refused({}, {}, {}, [{ name: 'price', expression: 'tags == "x"' }]),
      `column "tags" is a list, which expressions can't use`,
    )
  })
})
