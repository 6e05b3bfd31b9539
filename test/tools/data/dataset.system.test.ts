import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { readDataset } from '../../../src/tools/data/dataset.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { readingsOf } from '../../../src/tools/train/fields.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { specs, tinyCsv, tinySpec } from '../../support/tiny.ts'

type TestDirs = Pick<typeof t, 'testdir'>
type Files = Record<string, string | Buffer>

async function read(t: TestDirs, changes: object, files: Files) {
  const folder = t.testdir({ ...files, 'spec.yaml': JSON.stringify({ ...tinySpec(), ...changes }) })
  const loaded = await readSpec(join(folder, 'spec.yaml'), specs)
  return readDataset(loaded, readingsOf(loaded.spec.fields))
}

async function problemsOf(t: TestDirs, changes: object, files: Files): Promise<string[]> {
  try {
    await read(t, changes, files)
    return []
  } catch (error) {
    if (!(error instanceof SpecError)) throw error
    return error.problems.map(({ path, message }) => `${path} ${message}`)
  }
}

const header = 'colour,shop,hour,size,click,sale\n'
const good = 'red,a,1,2.5,1,0\ngreen,,2,,0,0\nblue,c,3,1,1,1\nred,d,4,1,0,0\nred,e,5,1,1,1\n'

t.test('reads cells by kind and labels by sample space', async (t) => {
  const { rows, cells, labels, parts, place, oracles } = await read(t, {}, { 'tiny.csv': header + good })
  t.equal(rows, 5)
  t.same([...cells[0]!], ['red', 'green', 'blue', 'red', 'red'])
  t.same([...cells[1]!], ['a', null, 'c', 'd', 'e'])
  t.same([...cells[2]!], [1, 2, 3, 4, 5])
  t.same([...cells[3]!], [2.5, null, 1, 1, 1])
  t.same([...cells[4]!], [1, 0, 0, 1, 1])
  t.same([...labels[0]!], [1, 0, 1, 0, 1])
  t.same([...labels[1]!], [0, -1, 1, -1, 1])
  t.same([...parts.train], [0, 1, 2])
  t.same(oracles, [undefined, undefined])
  t.equal(place(2), 'tiny.csv line 4')
})

t.test('an interrupt is noticed while rows are read, however wide they are', async (t) => {
  const more = Array.from({ length: 100_000 }, (_, i) => `c${i}`)
  const row = `red,a,1,2.5,1,0${','.repeat(more.length)}\n`
  const folder = t.testdir({
    'tiny.csv': `${header.trim()},${more.join(',')}\n${row.repeat(5)}`,
    'spec.yaml': JSON.stringify(tinySpec()),
  })
  const loaded = await readSpec(join(folder, 'spec.yaml'), specs)
  const controller = new AbortController()
  const looks: number[] = []
  const onProgress = (rows: number) => {
    looks.push(rows)
    controller.abort(new Error('interrupted'))
  }
  const { signal } = controller
  await t.rejects(readDataset(loaded, readingsOf(loaded.spec.fields), { signal, onProgress }), {
    message: 'interrupted',
  })
  t.same(looks, [2])
})

t.test('several files, gzip, separators, white space, columns of the spec', async (t) => {
  const data = {
    csv: ['one.csv.gz', 'two.csv'],
    columns: ['colour', 'shop', 'hour', 'size', 'click', 'sale'],
    separator: ';',
    trim: true,
    missing: ['?'],
  }
  const files = {
    'one.csv.gz': gzipSync('red; a; 1; 2.5; 1; 0\ngreen; ?; 2; ?; 0; 0\n'),
    'two.csv': 'blue; c; 3; 1; ?; 1\nred;d;4;1;0;0\n\nred;e;5;1;1;1\n',
  }
  const { cells, labels, place } = await read(t, { data }, files)
  t.same([...cells[1]!], ['a', null, 'c', 'd', 'e'])
  t.same([...labels[0]!], [1, 0, -1, 0, 1], 'a missing label counts for nothing')
  t.equal(place(1), 'one.csv.gz line 2')
  t.equal(place(2), 'two.csv line 1')
})

t.test('splits by time and knows oracles', async (t) => {
  const changes = {
    split: { by: 'time', column: 'hour', train: 0.6, validation: 0.2, test: 0.2 },
    tasks: [{ name: 'ctr', label: 'click == "1"', oracle: 'size' }],
    derived: [],
  }
  const csv = `${header}red,a,5,0.5,1,0\nred,a,4,0.5,1,0\nred,a,3,0.5,1,0\nred,a,2,0.5,0,0\nred,a,1,0.25,1,0\n`
  const { parts, oracles } = await read(t, changes, { 'tiny.csv': csv })
  t.same([...parts.test], [0])
  t.same([...parts.train], [2, 3, 4])
  t.same([...oracles[0]!], [0.5, 0.5, 0.5, 0.5, 0.25])
})

t.test('generates ads-funnel', async (t) => {
  const { spec } = await readSpec('ads-funnel', specs)
  const small = { ...spec, data: { ...spec.data, rows: 10_000 } } as typeof spec
  const dataset = await readDataset({ file: 'x', spec: small }, readingsOf(small.fields))
  t.equal(dataset.rows, 10_000)
  t.equal(dataset.place(0), 'row 1')
  t.ok(dataset.oracles[0]!.every((p) => p > 0 && p < 1))
  const controller = new AbortController()
  controller.abort(new Error('enough'))
  await t.rejects(readDataset({ file: 'x', spec: small }, readingsOf(small.fields), { signal: controller.signal }), {
    message: 'enough',
  })
})

t.test('names unknown columns and wrong expressions together', async (t) => {
  const changes = {
    tasks: [{ name: 'ctr', label: 'clicks == "1"', where: 'click >', oracle: 'truth' }],
    derived: [],
    fields: [
      { name: 'color', kind: 'vocabulary' },
      { name: 'x', column: 'y', kind: 'hash', buckets: 2 },
      { name: 'z', expression: 'size * 2', kind: 'numeric' },
    ],
    split: { by: 'time', column: 'at' },
  }
  t.match(await problemsOf(t, changes, { 'tiny.csv': header + good }), [
    /^\/fields\/0\/name no column "color"; the columns are colour, shop/,
    /^\/fields\/1\/column no column "y"/,
    /^\/fields\/2\/expression no such overload/,
    /^\/tasks\/0\/label no column "clicks"; the columns are colour, .*; did you mean click\?$/,
    /^\/tasks\/0\/where Unexpected token/,
    /^\/tasks\/0\/oracle no column "truth"/,
    /^\/split\/column no column "at"/,
  ])
})

t.test('lines are counted as an editor counts them', async (t) => {
  for (const [name, end] of [
    ['LF', '\n'],
    ['CRLF', '\r\n'],
  ] as const) {
    const lines = [
      '',
      header.trim(),
      'red,a,1,2.5,1,0',
      '',
      `"re${end}${end}d",a,1,2.5,1,0`,
      'red,a,1,2.5,1,0',
      '',
      `blue,"b${end}",1,2.5,1,0`,
      `green,"${end}b",1,2.5,1,0`,
      '',
      'red,a,1,2.5,1,0',
    ]
    // Line 1 is blank, 2 the header; each break inside quotes is a line more.
    const begins = [3, 5, 8, 10, 12, 15]
    const { place } = await read(t, {}, { 'tiny.csv': lines.join(end) + end })
    t.same(
      begins.map((_, row) => place(row)),
      begins.map((line) => `tiny.csv line ${line}`),
      name,
    )
    const bad = [...lines, '', 'red,a,noon,1,1,0'].join(end)
    t.same(await problemsOf(t, {}, { 'tiny.csv': bad }), [
      '/fields/2 tiny.csv line 17: hour must be a number, not "noon"',
    ])
    const short = [...lines, '', 'red,a'].join(end)
    t.match(await problemsOf(t, {}, { 'tiny.csv': short }), [/tiny.csv: line 17 has 2 cells, not 6/])
  }
})

t.test('names the line of a bad cell', async (t) => {
  const changes = {
    tasks: [
      { name: 'ctr', label: 'int(click)' },
      { name: 'cvr', label: 'sale == "1"', where: 'int(sale)' },
    ],
    derived: [],
    split: { by: 'time', column: 'hour' },
  }
  const csv = `${header + good}red,a,noon,1,2,7\nred,a,,1,x,0\n`
  t.match(await problemsOf(t, changes, { 'tiny.csv': csv }), [
    '/fields/2 tiny.csv line 7: hour must be a number, not "noon"',
    '/tasks/0 tiny.csv line 7: label must yield true or false, 1 or 0, not 2',
    '/tasks/1 tiny.csv line 7: where must yield true or false, not 7',
    '/split/column tiny.csv line 7: must be a number, not "noon"',
    '/fields/2 tiny.csv line 8: hour is required: the field has no default',
    /^\/tasks\/0 tiny.csv line 8: .*cannot convert/,
    '/split/column tiny.csv line 8: must be a number, and is missing',
  ])
})

t.test('a bad column does not hide another, nor a malformed line', async (t) => {
  const rows = Array.from({ length: 50 }, (_, i) => `red,a,${i === 8 ? 24.5 : 1},${i === 6 ? 'big' : 1},1,1`)
  const two = await problemsOf(t, {}, { 'tiny.csv': `${header}${rows.join('\n')}\nred,a\n` })
  t.match(two, [
    '/fields/3 tiny.csv line 8: size must be a number, not "big"',
    /^\/fields\/2 tiny.csv line 10: hour must be an integer/,
    '/data/csv/0 tiny.csv: line 52 has 2 cells, not 6',
  ])
  const bad = Array.from({ length: 50 }, (_, i) => `red,a,x,${i === 40 ? 'big' : 1},1,1`)
  const many = await problemsOf(t, {}, { 'tiny.csv': `${header}${bad.join('\n')}\n` })
  t.equal(many.length, 7)
  t.match(many[5], '/fields/3 tiny.csv line 42: size must be a number, not "big"')
  t.equal(many[6], '/fields/2 and 45 more')
  const everywhere = await problemsOf(
    t,
    { tasks: Array.from({ length: 6 }, (_, i) => ({ name: `t${i}`, label: 'int(click) + 5' })), derived: [] },
    { 'tiny.csv': `${header}${'red,a,1,1,1,1\n'.repeat(50)}` },
  )
  t.equal(everywhere.filter((problem) => !/and \d+ more$/.test(problem)).length, 20, 'gives up after twenty')
})

t.test('names malformed files', async (t) => {
  t.match(await problemsOf(t, {}, {}), ['/data/csv/0 no such file: tiny.csv (relative to the spec)'])
  t.match(await problemsOf(t, {}, { 'tiny.csv': '' }), ['/data/csv/0 tiny.csv: is empty'])
  t.match(await problemsOf(t, {}, { 'tiny.csv': 'a,b,a\n' }), [/header names "a" twice/])
  t.match(await problemsOf(t, {}, { 'tiny.csv': `${header + good}red,a\n` }), [/tiny.csv: line 7 has 2 cells, not 6/])
  t.match(await problemsOf(t, {}, { 'tiny.csv': `${header + good}red,"a\n` }), [/^\/data\/csv\/0 tiny.csv: /])
  const two = { data: { csv: ['tiny.csv', 'two.csv'] } }
  t.match(await problemsOf(t, two, { 'tiny.csv': header + good, 'two.csv': 'a,b\n' }), [
    '/data/csv/1 two.csv: line 1 names no column "colour", which tiny.csv has',
  ])
  t.match(await problemsOf(t, two, { 'tiny.csv': header + good, 'two.csv': '' }), ['/data/csv/1 two.csv: is empty'])
  const zipped = { data: { csv: ['tiny.csv.gz'] } }
  t.match(await problemsOf(t, zipped, { 'tiny.csv.gz': 'not gzip' }), [
    '/data/csv/0 tiny.csv.gz: is no valid gzip file (incorrect header check)',
  ])
})

t.test('refuses a pipe, which blocks', async (t) => {
  const pipe = join(await temporaryFolder(t), 'pipe')
  execFileSync('mkfifo', [pipe])
  for (const data of [{ csv: [pipe] }, { parquet: [pipe] }])
    t.match(await problemsOf(t, { data }, {}), [
      `/data/${Object.keys(data)[0]}/0 ${pipe} is a pipe or a device, not a file`,
    ])
})

t.test('refuses a folder', async (t) => {
  const folder = await temporaryFolder(t)
  for (const data of [{ csv: [folder] }, { parquet: [folder] }])
    t.match(await problemsOf(t, { data }, {}), [`/data/${Object.keys(data)[0]}/0 ${folder} is a folder, not a file`])
})

t.test('refuses parts that hold too few rows', async (t) => {
  t.match(await problemsOf(t, {}, { 'tiny.csv': `${header}red,a,1,1,1,1\n` }), [
    '/split/train has 1 of 1 rows; it needs 2',
    '/split/validation has 0 of 1 rows; it needs 1',
    '/split/test has 0 of 1 rows; it needs 1',
  ])
  t.same(await problemsOf(t, {}, { 'tiny.csv': tinyCsv(10) }), [])
})
