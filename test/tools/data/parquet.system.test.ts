import { join } from 'node:path'
import t from 'tap'
import { readDataset } from '../../../src/tools/data/dataset.ts'
import { readRowsSpec } from '../../../src/tools/data/read-spec.ts'
import type { FieldReading } from '../../../src/tools/data/readers.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { parquetOf } from '../../support/parquet.ts'
import { pythonWith } from '../../support/python.ts'
import { specs } from '../../support/tiny.ts'

type TestDirs = Pick<typeof t, 'testdir'>
type Files = Record<string, Buffer | string>

/** Fields of columns, by whether they are strings or numbers. */
const fieldsOf = (kinds: Record<string, FieldReading['kind']>): FieldReading[] =>
  Object.entries(kinds).map(([name, kind]) => ({ name, kind, path: '/fields' }))

async function read(folder: string, spec: object, fields: FieldReading[]) {
  const { writeFile } = await import('node:fs/promises')
  const file = join(folder, 'rows.yaml')
  await writeFile(file, JSON.stringify(spec))
  return readDataset(await readRowsSpec(file, specs), fields)
}

async function problemsOf(t: TestDirs, files: Files, changes: object, fields: FieldReading[] = []): Promise<string[]> {
  try {
    await read(t.testdir(files), { ...clicksSpec, ...changes }, fields)
    return []
  } catch (error) {
    if (!(error instanceof SpecError)) throw error
    return error.problems.map(({ path, message }) => `${path} ${message}`)
  }
}

const clicksSpec = {
  data: { parquet: ['clicks.parquet'] },
  tasks: [{ name: 'ctr', label: 'clicked == 1.0' }],
}

const clicked = { name: 'clicked', data: [1, 0, 1], type: 'INT32' as const }
const price = { name: 'price', data: [0.5, 1, 2], type: 'DOUBLE' as const }

t.test('reads strings, numbers, booleans and times across row groups and files', async (t) => {
  const file = (first: number) =>
    parquetOf(
      [
        { name: 'clicked', data: [true, false, true], type: 'BOOLEAN' },
        { name: 'word', data: ['a', '-', 'ü'], type: 'STRING' },
        { name: 'id', data: [BigInt(first), 2n, -3n], type: 'INT64' },
        { name: 'at', data: [new Date(1500), new Date(0), new Date(-1000)], type: 'TIMESTAMP' },
      ],
      2,
    )
  const folder = t.testdir({ 'one.parquet': file(1), 'two.parquet': file(10) })
  const dataset = await read(
    folder,
    { ...clicksSpec, data: { parquet: ['one.parquet', 'two.parquet'], missing: ['-'] }, slices: ['at'] },
    fieldsOf({ word: 'string', id: 'number' }),
  )
  t.equal(dataset.rows, 6)
  t.same([...dataset.cells[0]!], ['a', null, 'ü', 'a', null, 'ü'])
  t.same([...dataset.cells[1]!], [1, 2, -3, 10, 2, -3])
  t.same([...dataset.labels[0]!], [1, 0, 1, 1, 0, 1])
  t.same([...dataset.slices[0]!.column], [1.5, 0, -1, 1.5, 0, -1])
  t.equal(dataset.place(0), 'one.parquet row 1')
  t.equal(dataset.place(2), 'one.parquet row 3')
  t.equal(dataset.place(5), 'two.parquet row 3')
})

t.test('files must have the same columns of the same types', async (t) => {
  const files = {
    'part-1.parquet': parquetOf([clicked, price]),
    'part-2.parquet': parquetOf([clicked, { name: 'price', data: ['a', 'b', 'c'], type: 'STRING' }]),
    'part-3.parquet': parquetOf([clicked, { name: 'cost', data: [1, 2, 3], type: 'DOUBLE' }]),
  }
  t.same(await problemsOf(t, files, { data: { parquet: ['part-1.parquet', 'part-2.parquet', 'part-3.parquet'] } }), [
    '/data/parquet/1 part-2.parquet: column price is a string, in part-1.parquet a number',
    '/data/parquet/2 part-3.parquet: column price is missing, which part-1.parquet has',
    '/data/parquet/2 part-3.parquet: column cost is not in part-1.parquet',
  ])
})

t.test('names files that are no Parquet, or a part of one', async (t) => {
  const whole = parquetOf([clicked, price])
  const parquet = ['text.parquet', 'head.parquet', 'tail.parquet', 'none.parquet', 'short.parquet']
  const files = {
    'text.parquet': 'clicked,price\n1,2\n',
    'head.parquet': whole.subarray(0, whole.length - 20),
    'tail.parquet': whole.subarray(whole.length - 40),
    'none.parquet': '',
    'short.parquet': 'PAR1',
  }
  t.match(await problemsOf(t, files, { data: { parquet } }), [
    /^\/data\/parquet\/0 text.parquet: is no Parquet file, or only a part of one \(.*PAR1/,
    /^\/data\/parquet\/1 head.parquet: is no Parquet file, or only a part of one/,
    /^\/data\/parquet\/2 tail.parquet: is no Parquet file, or only a part of one/,
    '/data/parquet/3 none.parquet: is empty',
    /^\/data\/parquet\/4 short.parquet: is no Parquet file, or only a part of one/,
  ])
  t.same(await problemsOf(t, {}, {}), ['/data/parquet/0 no such file: clicks.parquet (relative to the spec)'])
  const damaged = Buffer.from(whole)
  damaged.fill(0xff, 4, 40)
  t.match(await problemsOf(t, { 'clicks.parquet': damaged }, {}), [
    /^\/data\/parquet\/0 clicks.parquet: column clicked /,
  ])
})

t.test('no rows', async (t) => {
  const empty = parquetOf([{ name: 'clicked', data: [], type: 'INT32' }])
  t.same(await problemsOf(t, { 'clicks.parquet': empty }, {}), ['/data has no rows'])
})

t.test('names the row of a number that is none, and of an integer beyond 2^53', async (t) => {
  const file = parquetOf(
    [
      { ...clicked, data: [1, 0, 1, 0] },
      { name: 'price', data: [1, Number.NaN, 2, Number.POSITIVE_INFINITY], type: 'DOUBLE' },
    ],
    2,
  )
  const bad = [
    'clicks.parquet row 2: must be a number, not NaN',
    'clicks.parquet row 4: must be a number, not Infinity',
  ]
  t.same(
    await problemsOf(
      t,
      { 'clicks.parquet': file },
      { weight: 'price', slices: ['price'] },
      fieldsOf({ price: 'number' }),
    ),
    ['/fields', '/weight', '/fields', '/weight'].map((path, i) => {
      const message = bad[i >> 1]!
      return `${path} ${path === '/fields' ? message.replace('must', 'price must') : message}`
    }),
  )
  t.same(
    await problemsOf(t, { 'clicks.parquet': file }, { slices: ['price'] }),
    bad.map((message) => `/slices/0 ${message}`),
  )
  const ids = parquetOf([clicked, { name: 'id', data: [1n, 2n, 2n ** 53n], type: 'INT64' }], 2)
  t.same(await problemsOf(t, { 'clicks.parquet': ids }, {}, fieldsOf({ id: 'number' })), [
    `/data/parquet/0 clicks.parquet row 3: column id holds ${2n ** 53n}, beyond ±2^53: write ids as strings, and times as timestamps or in microseconds`,
  ])
  t.same(await problemsOf(t, { 'clicks.parquet': ids }, {}), [], 'only if the column is used')
})

t.test('columns that can not be read are refused where they are used', async (t) => {
  const files = {
    'clicks.parquet': parquetOf([
      clicked,
      { name: 'bytes', data: [Buffer.of(1), Buffer.of(2), Buffer.of(3)], type: 'BYTE_ARRAY' },
    ]),
  }
  t.same(await problemsOf(t, files, {}), [])
  const message = 'column "bytes" is binary: only strings, numbers, dates, times and lists of them can be used'
  t.same(
    await problemsOf(t, files, { group: 'bytes', tasks: [{ name: 'ctr', label: 'bytes == 1.0' }] }, [
      { name: 'bytes', kind: 'string', path: '/fields/0' },
    ]),
    [`/fields/0/name ${message}`, `/tasks/0/label ${message}`, `/group ${message}`],
  )
  t.match(await problemsOf(t, files, { group: 'click' }), [
    /^\/group no column "click"; the columns are clicked; did you mean clicked\?$/,
  ])
})

t.test('a number compared with a string', async (t) => {
  const files = { 'clicks.parquet': parquetOf([clicked, price]) }
  const label = (text: string) => ({ tasks: [{ name: 'ctr', label: text }] })
  t.same(await problemsOf(t, files, label('clicked == "1"')), [
    '/tasks/0/label no such overload: double == string; clicked is a number, as in clicked == 1.0',
  ])
  t.same(await problemsOf(t, files, label('clicked')), [])
  t.match(await problemsOf(t, files, label('price')), [
    '/tasks/0 clicks.parquet row 1: label must yield true or false, 1 or 0, not 0.5: say which values are positive, as in price > 0.0',
  ])
})

t.test('text that is not UTF-8', async (t) => {
  const file = parquetOf([clicked, { name: 'word', data: ['aaaa', 'bbbb', 'cccc'], type: 'STRING' }])
  for (let at = file.indexOf('bbbb'); at >= 0; at = file.indexOf('bbbb')) file.fill(0xff, at, at + 4)
  t.same(await problemsOf(t, { 'clicks.parquet': file }, {}, fieldsOf({ word: 'string' })), [
    '/data/parquet/0 clicks.parquet: column word holds text that is not UTF-8',
  ])
})

const python = await pythonWith(['pyarrow==26.0.1'])
t.test('reads what pyarrow writes', { skip: typeof python === 'string' && python }, async (t) => {
  if (typeof python === 'string') return
  const folder = t.testdir({})
  await python.run('parquet/write.py', [folder])
  const clicks = fieldsOf({ user: 'string', price: 'number', id: 'number' })
  const rows = Array.from({ length: 1000 }, (_, row) => row)
  for (const compression of ['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4'])
    for (const version of ['1.0', '2.0']) {
      const name = `${compression}-${version}.parquet`
      const { cells, labels } = await read(folder, { ...clicksSpec, data: { parquet: [name] } }, clicks)
      t.same(
        [...labels[0]!],
        rows.map((row) => Number(row % 3 === 0)),
        name,
      )
      t.same(
        [...cells[0]!],
        rows.map((row) => (row % 10 ? `ü${row % 7}` : null)),
        name,
      )
      t.same(
        [...cells[1]!],
        rows.map((row) => row / 4),
        name,
      )
      t.same([...cells[2]!], rows, name)
    }
  const at = Date.UTC(2024, 1, 29, 12, 30, 0, 250) / 1000
  const first = {
    category: 'a',
    large: 'x',
    int8: -128,
    uint8: 255,
    int16: -32768,
    uint32: 2 ** 32 - 1,
    int64: -(2 ** 53) + 1,
    uint64: 2 ** 53 - 1,
    half: 0.5,
    ratio: 0.1,
    flag: 1,
    day: Date.UTC(2024, 1, 29) / 1000,
    seconds: Math.floor(at),
    millis: at,
    micros: at,
    nanos: at,
    money: -12.34,
    long_money: 1234567890123.5,
    nothing: null,
  }
  const kinds = Object.entries(first).map(([name, value]) => [name, typeof value === 'string' ? 'string' : 'number'])
  const fields = fieldsOf(Object.fromEntries(kinds))
  for (const name of ['types.parquet', 'int96.parquet']) {
    const spec = { data: { parquet: [name] }, tasks: [{ name: 'ctr', label: 'click' }] }
    const { cells } = await read(folder, spec, fields)
    const columns = Object.keys(first)
    t.same(Object.fromEntries(cells.map((column, i) => [columns[i], column.at(0)])), first, name)
    const second = cells.map((column) => column.at(1))
    t.same(
      second,
      columns.map((column) => (column === 'large' ? 'y' : null)),
      name,
    )
    const unusable = {
      time: 'a time of day: only',
      bytes: 'binary: only',
      list: 'a list, where one value is wanted',
      struct: 'a struct: only',
      map: 'a map: only',
    }
    for (const [column, problem] of Object.entries(unusable))
      await t.rejects(read(folder, { ...spec, group: column }, []), {
        message: new RegExp(`/group column "${column}" is ${problem}`),
      })
  }
})
