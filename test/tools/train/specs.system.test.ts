import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import type { RowData } from '../../../src/schemas/rows-spec.ts'
import { readDataset } from '../../../src/tools/data/dataset.ts'
import { encodeParts } from '../../../src/tools/data/encode-rows.ts'
import { readRowsSpec, readSpec } from '../../../src/tools/data/read-spec.ts'
import { RowProblems, SpecError } from '../../../src/tools/data/source.ts'
import { readingsOf } from '../../../src/tools/train/fields.ts'
import { fitFields } from '../../../src/tools/train/fit-fields.ts'
import { specs } from '../../support/tiny.ts'

const shared = join(specs, '../../../../../shared/data')
const without = (file: string) => !existsSync(join(shared, file)) && `needs ../shared/data/${file}`

/** Reads and encodes the rows of a spec, with other data if given. */
async function encode(name: string, data?: (written: RowData) => object) {
  const loaded = await readSpec(name, specs)
  const { file } = loaded
  const spec = { ...loaded.spec, ...(data && { data: data(loaded.spec.data) as RowData }) }
  const dataset = await readDataset({ file, spec }, readingsOf(spec.fields))
  const { fields, problems } = fitFields(spec.fields, dataset.cells, dataset.parts.train)
  const found = new RowProblems()
  const encoded = encodeParts(fields, dataset, [dataset.parts.test], { problems: found, ownIds: false })
  return { dataset, encoded, problems: [...problems, ...found.list()] }
}

const lengths = ({ dataset }: Awaited<ReturnType<typeof encode>>) =>
  Object.values(dataset.parts).map(({ length }) => length)

t.test('all specs are valid', async (t) => {
  for (const name of readdirSync(specs).filter((name) => name.endsWith('.yaml'))) {
    if (['ads-funnel-fresh.yaml', 'ads-history-fresh.yaml'].includes(name)) {
      t.equal((await readRowsSpec(join(specs, name), specs)).trains, undefined, `${name}: rows alone`)
      continue
    }
    t.equal((await readSpec(join(specs, name), specs)).spec.name, basename(name, '.yaml'))
  }
})

t.test('data that is missing is described', async (t) => {
  for (const name of ['ali-ccp', 'aliexpress', 'criteo', 'kuairand']) {
    const { file, spec } = await readSpec(name, specs)
    const absent = { ...spec, data: { ...spec.data, csv: ['absent.csv'] } as RowData }
    await t.rejects(readDataset({ file, spec: absent }, []), SpecError)
    const message = new RegExp(`no such file: absent.csv[^]*/data/obtain .* Put .* into data/${name}:`)
    await t.rejects(readDataset({ file, spec: absent }, []), { message })
  }
})

t.test('Ali-CCP', { skip: without('ali-ccp-sample/train.csv') }, async (t) => {
  const file = (name: string) => join(shared, 'ali-ccp-sample', name)
  const read = await encode('ali-ccp', (data) => ({
    ...data,
    csv: [file('train.csv')],
    validation: { files: [file('val.csv')] },
    test: { files: [file('test.csv')] },
  }))
  t.same(read.problems, [])
  t.equal(lengths(read)[0], 100)
  t.same([read.encoded.train.sparseFields, read.encoded.train.denseFields], [23, 8])
})

t.test('Criteo', { skip: without('criteo-sample.csv') }, async (t) => {
  const sample = { csv: [join(shared, 'criteo-sample.csv')], separator: ',', trim: false, missing: [''] }
  const read = await encode('criteo', () => sample)
  t.same(read.problems, [])
  t.same(lengths(read), [160, 20, 20])
  t.same([read.encoded.train.sparseFields, read.encoded.train.denseFields], [26, 13])
})

t.test('the halves of the census', { skip: without('census-income.data.gz') }, async (t) => {
  const halves = (data: RowData) => ({
    ...data,
    csv: [join(shared, 'census-income.data.gz')],
    test: { files: [join(shared, 'census-income.test.gz')], last: 0.2 },
  })
  const read = await encode('census-income-education', halves)
  t.same(read.problems, [])
  const [train, validation, test] = lengths(read)
  t.same([train! + validation!, test], [199_523, 19_952])
  const college = read.dataset.labels[0]!.subarray(0, 199_523).reduce((sum, label) => sum + label, 0)
  t.equal(college, 67_003)
})

t.test('parts have no campaign and no user in common', async (t) => {
  const read = await encode('ads-funnel-unseen', (data) => ({ ...data, rows: 20_000 }))
  const { groups, parts } = read.dataset
  const [train, test] = [parts.train, parts.test].map((rows) => new Set(Array.from(rows, (row) => groups!.at(row))))
  t.ok(train!.size > 1 && test!.size > 1)
  t.ok([...test!].every((campaign) => !train!.has(campaign)))
})

t.test('synthetic tasks: half of the labels are positive', async (t) => {
  const { dataset } = await encode('synthetic-tasks', (data) => ({ ...data, rows: 20_000 }))
  for (const labels of dataset.labels) t.ok(Math.abs(labels.reduce((a, b) => a + b, 0) / 20_000 - 0.5) < 0.015)
})
