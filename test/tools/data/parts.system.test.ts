import { join } from 'node:path'
import t from 'tap'
import { readDataset } from '../../../src/tools/data/dataset.ts'
import { describeData } from '../../../src/tools/data/distributions.ts'
import { readRowsSpec } from '../../../src/tools/data/read-spec.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { rowsOfPart } from '../../../src/tools/evaluate/evaluate.ts'
import { parquetOf } from '../../support/parquet.ts'
import { specs } from '../../support/tiny.ts'

type TestDirs = Pick<typeof t, 'testdir'>

const csvOf = (...rows: number[]) => `at,click\n${rows.map((at) => `${at},${at % 2}`).join('\n')}\n`
const files = {
  'one.csv': csvOf(0, 1, 2, 3, 4),
  'checked.csv': csvOf(5, 6),
  'late.csv': csvOf(7, 8, 9),
  'later.csv': csvOf(10, 11),
}
const tasks = [{ name: 'ctr', label: 'click == "1"' }]
const test = { files: ['late.csv', 'later.csv'] }
const validation = { files: ['checked.csv'] }

async function read(t: TestDirs, spec: object, added: Record<string, string | Buffer> = {}) {
  const folder = t.testdir({ ...files, ...added, 'spec.yaml': JSON.stringify({ tasks, ...spec }) })
  const loaded = await readRowsSpec(join(folder, 'spec.yaml'), specs)
  const dataset = await readDataset(loaded, [])
  const { train, validation, test } = dataset.parts
  return { loaded, dataset, parts: [train, validation, test].map((rows) => [...rows]) }
}

async function problemsOf(t: TestDirs, spec: object, added?: Record<string, string | Buffer>): Promise<string[]> {
  try {
    await read(t, spec, added)
    return []
  } catch (error) {
    if (!(error instanceof SpecError)) throw error
    return error.problems.map(({ path, message }) => `${path} ${message}`)
  }
}

t.test('parts by files need no split', async (t) => {
  const { loaded, dataset, parts } = await read(t, { data: { csv: ['one.csv'], validation, test } })
  t.same(parts, [
    [0, 1, 2, 3, 4],
    [5, 6],
    [7, 8, 9, 10, 11],
  ])
  t.equal(dataset.place(10), 'later.csv line 2')
  t.equal(describeData(loaded.spec.data), 'one.csv; validation: checked.csv; test: late.csv, later.csv')
})

t.test('a split divides the files that are no part; the last rows of others are one', async (t) => {
  const split = { by: 'order', train: 0.6, validation: 0.4 }
  const { loaded, dataset, parts } = await read(t, {
    data: { csv: ['one.csv'], test: { ...test, last: 0.4 } },
    split,
  })
  t.same(parts, [
    [0, 1, 2],
    [3, 4],
    [8, 9],
  ])
  t.equal(dataset.rows, 10)
  t.same([...rowsOfPart(dataset, 'all')], [0, 1, 2, 3, 4, 8, 9], 'rows that are not used are in no part')
  t.equal(describeData(loaded.spec.data), 'one.csv; test: last 0.4 of late.csv, later.csv')
})

t.test('what divides by time, group or chance divides the files that are no part', async (t) => {
  const data = { csv: ['late.csv', 'one.csv'], test: { files: ['checked.csv'] } }
  const shares = { train: 0.75, validation: 0.25 }
  t.same(
    (await read(t, { data, split: { by: 'time', column: 'at', ...shares } })).parts,
    [
      [3, 4, 5, 6, 7, 0],
      [1, 2],
      [8, 9],
    ].map((rows) => rows.sort((a, b) => a - b)),
  )
  for (const split of [
    { by: 'random', ...shares },
    { by: 'group', ...shares },
  ]) {
    const { parts } = await read(t, { data, group: 'at', split })
    t.same([...parts[0]!, ...parts[1]!].sort(), [0, 1, 2, 3, 4, 5, 6, 7])
    t.same(parts[2], [8, 9])
  }
})

t.test('shares have defaults, also where a part has files', async (t) => {
  const many = { 'many.csv': csvOf(...Array.from({ length: 100 }, (_, i) => i)) }
  const lengths = async (data: object) =>
    (await read(t, { data: { csv: ['many.csv'], ...data }, split: { by: 'order' } }, many)).parts.map(
      ({ length }) => length,
    )
  t.same(await lengths({}), [60, 20, 20])
  t.same(await lengths({ test }), [80, 20, 5])
  t.same(await lengths({ validation }), [80, 2, 20])
})

t.test('Parquet files', async (t) => {
  const file = (...click: number[]) => parquetOf([{ name: 'click', data: click, type: 'INT32' }])
  const { parts, dataset } = await read(
    t,
    {
      data: { parquet: ['a.parquet'], test: { files: ['b.parquet'], last: 0.5 } },
      tasks: [{ name: 'ctr', label: 'click == 1.0' }],
      split: { by: 'order', train: 0.5, validation: 0.5 },
    },
    { 'a.parquet': file(1, 0, 1, 0), 'b.parquet': file(1, 0, 1, 1) },
  )
  t.same(parts, [
    [0, 1],
    [2, 3],
    [6, 7],
  ])
  t.equal(dataset.place(7), 'b.parquet row 4')
})

t.test('contradictions are named with their place', async (t) => {
  const csv = ['one.csv']
  const order = { by: 'order' }
  t.match(await problemsOf(t, { data: { csv, test } }), [/^\/split is missing: .* which of the other rows validate$/])
  t.match(await problemsOf(t, { data: { csv, validation } }), [/^\/split is missing: .* other rows test$/])
  t.match(await problemsOf(t, { data: { csv, validation, test }, split: order }), [/^\/split has nothing to divide/])
  t.match(await problemsOf(t, { data: { csv, test }, split: { ...order, test: 0.2 } }), [
    /^\/split\/test .*leave it out/,
  ])
  t.match(await problemsOf(t, { data: { csv, test }, split: { ...order, train: 0.6 } }), [
    /^\/split fractions must sum to 1, not 0.8: train 0.6, validation 0.2 \(default\)$/,
  ])
  t.match(await problemsOf(t, { data: { csv, test: { ...test, last: 1 } }, split: order }), [/^\/data\/test\/last /])
  t.match(await problemsOf(t, { data: { csv, test: ['late.csv'] }, split: order }), [/^\/data\/test must be an object/])
  t.match(await problemsOf(t, { data: { generator: 'ads-funnel', test }, split: order }), [/^\/data\/test /])
})

t.test('problems of files are named with their place', async (t) => {
  const data = { csv: ['one.csv'], validation, test: { files: ['gone.csv', 'late.csv'] } }
  t.match(await problemsOf(t, { data: { ...data, obtain: 'Ask for it.' } }), [
    /^\/data\/test\/files\/0 no such file: gone.csv/,
    /^\/data\/obtain Ask for it.$/,
  ])
  t.match(await problemsOf(t, { data }, { 'gone.csv': 'at,clack\n1,2\n' }), [
    /^\/data\/test\/files\/0 gone.csv: line 1 names no column "click", which one.csv has$/,
  ])
  t.match(await problemsOf(t, { data }, { 'gone.csv': 'at,click\n1\n' }), [/files\/0 gone.csv: line 2 has 1 cells/])
  t.match(
    await problemsOf(
      t,
      { data: { ...data, validation: { files: ['none.csv'] } } },
      {
        'none.csv': 'at,click\n',
        'gone.csv': csvOf(1),
      },
    ),
    [/^\/data\/validation has 0 of 0 rows; it needs 1$/],
  )
  t.match(await problemsOf(t, { data }, { 'one.csv': csvOf(1), 'gone.csv': csvOf(1) }), [/^\/data has 1 of 1 rows/])
})
