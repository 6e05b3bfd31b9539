import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { type ReadOptions, readDataset } from '../../../src/tools/data/dataset.ts'
import { readRowsSpec } from '../../../src/tools/data/read-spec.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { specs } from '../../support/tiny.ts'

/*
 * Rows that can't be read say where: the path in the spec, the file, and the line.
 */

type TestDirs = Pick<typeof t, 'testdir'>
type Files = Record<string, string | Buffer>

const spec = { data: { csv: ['rows.csv'] }, tasks: [{ name: 'ctr', label: 'click == "1"' }] }
const fields = [{ name: 'price', kind: 'number' as const, path: '/fields' }]
const good = 'user,price,click\na,1,1\nb,2,0\n'

async function read(t: TestDirs, files: Files, changes: object = {}, options: ReadOptions = {}) {
  const folder = t.testdir({ ...files, 'rows.yaml': JSON.stringify({ ...spec, ...changes }) })
  return readDataset(await readRowsSpec(join(folder, 'rows.yaml'), specs), fields, options)
}

async function problemsOf(t: TestDirs, csv: string | Buffer, changes: object = {}, options: ReadOptions = {}) {
  return problemsOfFiles(t, { 'rows.csv': csv }, changes, options)
}

async function problemsOfFiles(t: TestDirs, files: Files, changes: object = {}, options: ReadOptions = {}) {
  try {
    await read(t, files, changes, options)
    return []
  } catch (error) {
    if (!(error instanceof SpecError)) throw error
    return error.problems.map(({ path, message }) => `${path} ${message}`)
  }
}

t.test('labels that are neither 0 nor 1', async (t) => {
  const label = (text: string) => ({ tasks: [{ name: 'ctr', label: text }] })
  t.same(await problemsOf(t, good, label('click')), [
    '/tasks/0 rows.csv line 2: label must yield true or false, 1 or 0, not "1": say which values are positive, as in click == "1"',
    '/tasks/0 rows.csv line 3: label must yield true or false, 1 or 0, not "0": say which values are positive, as in click == "1"',
  ])
  t.same(await problemsOf(t, good, label('double(price)')), [
    '/tasks/0 rows.csv line 3: label must yield true or false, 1 or 0, not 2',
  ])
  t.same(await problemsOf(t, good, label('click == 1')), [
    '/tasks/0/label no such overload: string == int; click is a string, as in click == "1" or double(click) > 0.5',
  ])
  t.same(await problemsOf(t, good, label('double(click) == 1.0')), [])
})

t.test('weights', async (t) => {
  const csv = 'price,click,w\n1,1,1\n1,1,-1\n1,0,NaN\n1,0,\n1,0,Infinity\n1,0,x\n'
  t.same(await problemsOf(t, csv, { weight: 'w' }), [
    '/weight rows.csv line 3: a weight must not be negative, as -1 is',
    '/weight rows.csv line 4: must be a number, not "NaN"',
    '/weight rows.csv line 5: must be a number, and is missing',
    '/weight rows.csv line 6: must be a number, not "Infinity"',
    '/weight rows.csv line 7: must be a number, not "x"',
  ])
  t.same(await problemsOf(t, 'price,click,w\n1,1,0\n1,0,0.0\n', { weight: 'w' }), [
    '/weight is 0 in all rows: nothing would count',
  ])
})

t.test('columns that are absent', async (t) => {
  const changes = { group: 'usr', weight: 'prices', slices: ['clik', 'price'] }
  const known = '; the columns are user, price, click; did you mean'
  t.same(await problemsOf(t, good, changes), [
    `/group no column "usr"${known} user?`,
    `/weight no column "prices"${known} price?`,
    `/slices/0 no column "clik"${known} click?`,
  ])
  const renamed = good.replace('price', 'cost')
  t.match(await problemsOf(t, renamed), [
    /^\/fields no column "price"; the columns are user, cost, click.*; the model has the field price: name its column under `fields`$/,
  ])
})

t.test('files that end too early, or hold nothing', async (t) => {
  const zipped = gzipSync(good.repeat(1000))
  const data = { data: { csv: ['rows.csv.gz'], columns: ['user', 'price', 'click'] } }
  t.same(await problemsOfFiles(t, { 'rows.csv.gz': zipped.subarray(0, 40) }, data), [
    '/data/csv/0 rows.csv.gz: ends too early: the compressed file is only a part of one',
  ])
  t.same(await problemsOf(t, zipped), [
    '/data/csv/0 rows.csv: is compressed by gzip: give it a name that ends with .gz',
  ])
  t.same(await problemsOf(t, ''), ['/data/csv/0 rows.csv: is empty'])
  t.same(await problemsOf(t, '\n\r\n\n'), ['/data/csv/0 rows.csv: is empty'])
  t.same(await problemsOf(t, 'user,price,click\n'), ['/data has no rows'])
  t.same(await problemsOf(t, '', { data: { csv: ['rows.csv'], columns: ['price', 'click'] } }), ['/data has no rows'])
})

t.test('blank lines are no rows', async (t) => {
  const { rows, place } = await read(t, { 'rows.csv': `\n${good}\n\r\nc,3,0\n\n` })
  t.equal(rows, 3)
  t.equal(place(2), 'rows.csv line 7')
})

t.test('files of different columns', async (t) => {
  const files = (header: string) => ({ 'rows.csv': good, 'more.csv': `${header}\na,1,1\n` })
  const data = { data: { csv: ['rows.csv', 'more.csv'] } }
  const cases = {
    'user,prize,click': 'no column "price", which rows.csv has',
    'user,price,click,sale': 'a column "sale", which rows.csv has not',
    'user,price,click,user': 'a column twice',
    'price,user,click': 'the columns in another order than rows.csv',
  }
  for (const [header, problem] of Object.entries(cases))
    t.same(await problemsOfFiles(t, files(header), data), [`/data/csv/1 more.csv: line 1 names ${problem}`])
})

t.test('bytes that are no text in UTF-8', async (t) => {
  const latin = Buffer.from(`${good}zoë,1,1\n`, 'latin1')
  t.same(await problemsOf(t, latin), ['/data/csv/0 rows.csv: line 4 is not UTF-8: save the file in that encoding'])
  t.same(await problemsOf(t, Buffer.from(`\ufeff${good}`, 'utf16le')), [
    '/data/csv/0 rows.csv: is in UTF-16: save it in UTF-8',
  ])
  const nul = 'has a NUL byte: the file is no text, or none in UTF-8'
  t.same(await problemsOf(t, Buffer.from(good, 'utf16le')), [`/data/csv/0 rows.csv: line 1 ${nul}`])
  t.same(await problemsOf(t, `${good}a\0,1,1\n`), [`/data/csv/0 rows.csv: line 4 ${nul}`])
  t.match(await problemsOf(t, Buffer.from('7f454c4602010100ff00ff00', 'hex')), [/^\/data\/csv\/0 rows.csv: line 1 /])
  const { groups } = await read(t, { 'rows.csv': `${good}zoë 😀,1,1\n` }, { group: 'user' })
  t.equal(groups?.at(2), 'zoë 😀')
})

t.test('a line of 100 MB takes little memory', async (t) => {
  const folder = t.testdir({ 'rows.yaml': JSON.stringify(spec) })
  writeFileSync(join(folder, 'rows.csv'), Buffer.concat([Buffer.from(good), Buffer.alloc(100_000_000, 'x')]))
  const before = process.resourceUsage().maxRSS
  const loaded = await readRowsSpec(join(folder, 'rows.yaml'), specs)
  await t.rejects(readDataset(loaded, fields), {
    message: /\/data\/csv\/0 rows.csv: line 4 is longer than 4 MiB: a quote may be open, or the file is no CSV$/,
  })
  t.ok(process.resourceUsage().maxRSS - before < 80_000, 'less than 80 MB')
})

t.test('quotes', async (t) => {
  const csv = 'user,price,click\n"a\nb",1,1\n"say ""hi""",x,0\n'
  t.same(await problemsOf(t, csv), ['/fields rows.csv line 4: price must be a number, not "x"'])
  t.same(await problemsOf(t, `${good}"c,1,1\nd,1,1\n`), [
    '/data/csv/0 rows.csv: line 4 opens a quote that is never closed',
  ])
})

t.test('equal times', async (t) => {
  const split = { split: { by: 'time', column: 'price', train: 0.6, validation: 0.2, test: 0.2 } }
  const same = `user,price,click\n${'a,7,1\n'.repeat(10)}`
  t.match(await problemsOf(t, same, split), [
    '/split/validation has 0 of 10 rows; it needs 1: all rows have the same price, 7',
    '/split/test has 0 of 10 rows; it needs 1: all rows have the same price, 7',
  ])
  const two = `user,price,click\n${'a,7,1\n'.repeat(5)}${'a,8,1\n'.repeat(5)}`
  t.same(await problemsOf(t, two, split), [
    '/split/validation has 0 of 10 rows; it needs 1: rows of the same price stay together',
    '/split/test has 0 of 10 rows; it needs 1: rows of the same price stay together',
  ])
})

t.test('more rows than memory', async (t) => {
  const many = `user,price,click\n${Array.from({ length: 20_000 }, (_, i) => `u${i},1,1\n`).join('')}`
  t.match(await problemsOf(t, many, { group: 'user' }, { memory: 100_000 }), [
    /^\/data about \d+,000 rows would take .* of memory, and .* are available: give fewer rows, or more memory$/,
  ])
  t.same(await problemsOf(t, many, { group: 'user' }, { memory: 100_000_000 }), [])
  const few = `user,price,click\n${'a,1,1\n'.repeat(20_000)}`
  t.same(await problemsOf(t, few, {}, { memory: 200_000, bytesAfter: 0 }), [], 'the columns fit')
  t.match(await problemsOf(t, few, {}, { memory: 200_000 }), [/^\/data .* of memory/], 'what is made of them does not')
})
