import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { reasonOf } from '../../../src/base/errors.ts'
import { type ImportOptions, importTable } from '../../../src/tools/features/import-table.ts'
import { openTableSource } from '../../../src/tools/features/table-source.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { parquetOfLists } from '../../support/parquet.ts'

const folder = await temporaryFolder(t)
let tables = 0

/** Options of an import into a folder of its own. */
function optionsFor(file: string, more: Partial<ImportOptions> = {}): ImportOptions {
  return {
    ...{ file, key: 'id', columns: undefined, text: [], lists: new Map(), doubled: 'refuse', version: '1' },
    ...{ models: join(folder, `models-${tables++}`), name: 'ads', signal: new AbortController().signal },
    onProgress: () => undefined,
    ...more,
  }
}

/** The files that an import wrote, and its description but for the time; or why it failed. */
async function imported(options: ImportOptions) {
  try {
    const { folder, description, replaced } = await importTable(options)
    const names = (await readdir(folder)).filter((name) => name.endsWith('.bin')).sort()
    const files = await Promise.all(names.map((name) => readFile(join(folder, name), 'base64')))
    return { description: { ...description, created_at: '' }, replaced, names, files }
  } catch (error) {
    return reasonOf(error)
  }
}

/** Both ways to import a file end alike; returns how. */
async function alike(t: Test, file: string, more: Partial<ImportOptions> = {}) {
  const here = await imported(optionsFor(file, { ...more, here: true }))
  const ahead = await imported(optionsFor(file, { ...more, here: false }))
  t.same(ahead, here)
  return here
}

const write = async (name: string, content: string | Uint8Array) => {
  await writeFile(join(folder, name), content)
  return join(folder, name)
}

/** Rows of more than one piece of a file. */
const rowCount = 12_000
const header = 'id,name,price,plain,code,tags'
const rowOf = (i: number) => {
  const name = i % 7 === 0 ? `"say ""é${i % 5000}"", then"` : i % 11 === 0 ? '' : `名${(i * 7919) % 9001}`
  const price = i % 13 === 0 ? '' : `${i % 2 === 0 ? '+' : '-'}0${i}.50`
  return `k${i},${name},${price},${i / 4},0${i % 9},${i % 5 === 0 ? '' : `a${i % 90}|b`}`
}
const rows = Array.from({ length: rowCount }, (_, i) => rowOf(i))
const csvOf = (lines: readonly string[], end = '\n') => [header, ...lines].join(end)
const lists = new Map([['tags', '|']])

t.test('a CSV file that a thread reads becomes the same table', async (t) => {
  const found = await alike(t, await write('ads.csv', csvOf(rows)), { lists, text: ['code'] })
  t.match(found, { description: { rows: rowCount }, replaced: 0, names: { length: 4 } })
  await alike(t, await write('crlf.csv', csvOf(rows, '\r\n')), { lists })
  await alike(t, await write('ads.csv.gz', gzipSync(csvOf(rows))), { columns: ['price', 'name'] })
})

t.test('a column of numbers becomes one of strings where a late row has another text', async (t) => {
  const late = rows.with(rowCount - 9, 'late,n,cheap,1e400,,x')
  const found = await alike(t, await write('late.csv', csvOf(late)))
  t.match(found, `late.csv line ${rowCount - 7}: plain is no finite number: 1e400`)
  const fewer = await alike(t, join(folder, 'late.csv'), { columns: ['price', 'name'] })
  t.match(fewer, { description: { columns: [{ name: 'price', kind: 'string' }] } })
})

t.test('a Parquet file that a thread reads becomes the same table', async (t) => {
  const count = 5000
  const column = <T>(at: (row: number) => T) => Array.from({ length: count }, (_, row) => at(row))
  const columns = (price: (row: number) => number | null) => [
    { name: 'id', type: 'integers' as const, data: column((row) => BigInt(row)).map((id) => [id]) },
    { name: 'key', type: 'string' as const, data: column((row) => `k${row}`) },
    { name: 'brand', type: 'string' as const, data: column((row) => (row % 9 === 0 ? null : `b${row % 40}`)) },
    { name: 'price', type: 'double' as const, data: column(price) },
    { name: 'tags', type: 'strings' as const, data: column((row) => (row % 3 === 0 ? null : [`t${row % 50}`, 'é'])) },
    { name: 'sizes', type: 'doubles' as const, data: column((row) => (row % 4 === 0 ? [] : [row, 0.5])) },
  ]
  const priceOf = (row: number) => (row % 8 === 0 ? null : row / 7)
  const good = await write('ads.parquet', parquetOfLists(columns(priceOf)))
  const found = await alike(t, good, { key: 'key' })
  t.match(found, { description: { rows: count } })
  await alike(t, good, { key: 'key', text: ['price'] })
  const bad = columns((row) => (row === 4321 ? Number.NaN : priceOf(row)))
  const refused = await alike(t, await write('nan.parquet', parquetOfLists(bad)), { key: 'key' })
  t.match(refused, 'nan.parquet row 4322: price is no finite number')
})

t.test('what is wrong with a file is said in the same words', async (t) => {
  const twice = csvOf([...rows, rowOf(5), rowOf(6)])
  t.match(await alike(t, await write('twice.csv', twice)), `twice.csv line ${rowCount + 2}: id "k5" is there already`)
  t.match(await alike(t, join(folder, 'twice.csv'), { doubled: 'last' }), { replaced: 2 })
  const short = csvOf([...rows, 'k,1'])
  t.match(await alike(t, await write('short.csv', short)), `line ${rowCount + 2} has 2 cells, not 6`)
  const compressed = gzipSync(csvOf(rows))
  const part = await write('part.csv.gz', compressed.subarray(0, compressed.length - 5000))
  t.match(await alike(t, part), 'ends too early')
})

t.test('a thread that ends, and a file that has gone, end an import with an error', async (t) => {
  const file = await write('gone.csv', csvOf(rows))
  process.once('worker', (worker) => void worker.terminate())
  t.match(await imported(optionsFor(file, { here: false })), /the thread that reads the file ended: exit code \d/)
  const { source } = await openTableSource({ file, lists: new Map(), here: false })
  await rm(file)
  await t.rejects(
    source.groups!(new Set([0]))
      [Symbol.asyncIterator]()
      .next(),
    {
      name: 'SpecError',
      message: /no such file/,
    },
  )
})

t.test('an import that is aborted ends its thread, and leaves nothing', async (t) => {
  const file = await write('abort.csv', csvOf(rows))
  const stop = new AbortController()
  const exited = new Promise((resolve) => process.once('worker', (worker) => worker.once('exit', resolve)))
  const options = optionsFor(file, { here: false, signal: stop.signal, onProgress: () => stop.abort() })
  await t.rejects(importTable(options), { name: 'AbortError' })
  await exited
  await t.rejects(readdir(options.models), { code: 'ENOENT' })
})
