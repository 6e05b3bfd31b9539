import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type QuantizationRows, readQuantizationRows } from '../../../src/model/serving/bundle/quantization.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { readDataset } from '../../../src/tools/data/dataset.ts'
import { encodeRows } from '../../../src/tools/data/encode-rows.ts'
import { toQuantizationRows, usualQuantizationRows } from '../../../src/tools/data/quantization-rows.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { readingsOf } from '../../../src/tools/train/fields.ts'
import { evaluateToJson } from '../../support/evaluate.ts'
import { startTestServer } from '../../support/server.ts'
import { specs } from '../../support/tiny.ts'

const root = join(specs, '../../../..')

/** Why a data set's test can't run, or false where its file is there. */
const without = (name: string, file: string) =>
  !existsSync(join(root, 'data', file)) && `no data: npm run data -- ${name}`

/** Ids, numbers and labels of each row. */
function keysOf({ rows, ...columns }: QuantizationRows): string[] {
  return Array.from({ length: rows }, (_, row) =>
    Object.values(columns)
      .map((values) => values!.subarray((row * values!.length) / rows, ((row + 1) * values!.length) / rows).join())
      .join(' '),
  )
}

t.test('every model keeps quantization rows, whose halves hold both classes of every task', async (t) => {
  const models = join(root, 'models')
  const names = (await readdir(models, { withFileTypes: true })).filter((entry) => entry.isDirectory())
  t.equal(names.length, 5)
  for (const { name } of names) {
    const bundle = await readBundle(models, name, '1')
    const { tasks, quantization, precision } = bundle.manifest
    t.same([quantization, precision], [{ file: 'quantization.bin', rows: 4096, labels: true }, 'float32'], name)
    t.ok(
      (await stat(join(bundle.folder, quantization!.file))).size <= 800_000,
      `${name}: small enough for a repository`,
    )
    const { rows, labels } = (await readQuantizationRows(bundle))!
    const half = (rows / 2) * tasks.length
    tasks.forEach((task, column) => {
      for (const part of [labels!.subarray(0, half), labels!.subarray(half)]) {
        const own = part.filter((_, i) => i % tasks.length === column)
        t.ok(own.includes(0) && own.includes(1), `${name}: ${task.name}`)
      }
    })
  }
})

t.test(
  'the census model on the test rows of its spec, asked through HTTP and in this process',
  { skip: without('census-income', 'census-income.data.gz') },
  async (t) => {
    const { file, spec } = await readSpec('census-income', specs)
    const dataset = await readDataset({ file, spec }, readingsOf(spec.fields))
    t.equal(dataset.rows, 299_285)
    t.same(
      [dataset.parts.train.length, dataset.parts.validation.length, dataset.parts.test.length],
      [160_037, 39_486, 19_952],
    )
    const bundle = await readBundle(join(root, 'models'), 'census-income', '1')
    const { encoded } = encodeRows(bundle.manifest.features, dataset.cells, dataset.parts.validation, dataset.place)
    const labels = dataset.labels.map((values) => Int8Array.from(dataset.parts.validation, (row) => values[row]!))
    const validation = new Set(keysOf(toQuantizationRows({ encoded, labels })))
    const kept = keysOf((await readQuantizationRows(bundle))!)
    t.equal(kept.length, usualQuantizationRows)
    t.ok(
      kept.every((key) => validation.has(key)),
      'its quantization rows are validation rows',
    )
    const server = await startTestServer(t, { models: join(root, 'models') })
    const url = await server.fastify.listen({ host: '127.0.0.1', port: 0 })
    for (const service of [{ url }, undefined]) {
      const report = await evaluateToJson({ data: 'census-income', service, models: join(root, 'models') })
      for (const { name, metrics } of report.tasks) {
        const { value } = metrics.auc
        t.ok(value! >= (name === 'income_50k' ? 0.9415 : 0.9938), `${name} AUC ${value}`)
        t.ok(Math.abs(value! - bundle.manifest.quality![name]!.auc!) < 1e-5, 'as its manifest says')
      }
    }
  },
)

t.test(
  'movielens: derived columns and a split by time',
  { skip: without('movielens', 'movielens-100k-2016.csv.gz') },
  async (t) => {
    const { file, spec } = await readSpec('movielens', specs)
    const { rows, cells, labels, parts } = await readDataset({ file, spec }, readingsOf(spec.fields))
    const field = (name: string) => cells[spec.fields.findIndex((candidate) => candidate.name === name)]!
    t.equal(rows, 100_004)
    t.same([parts.train.length, parts.validation.length, parts.test.length], [60_003, 20_001, 20_000])
    // The first row: film 21, "Comedy|Crime|Thriller", rated 3.0.
    t.same([field('movie_id').at(0), field('comedy').at(0), field('drama').at(0), labels[0]![0]], ['21', 1, 0, 0])
    t.same([labels[0]![1], labels[1]![1]], [1, 1], 'the second one is rated 5.0')
  },
)
