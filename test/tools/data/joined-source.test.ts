import { join } from 'node:path'
import t from 'tap'
import { openChanged } from '../../../src/model/serving/tables/open-changed.ts'
import { joinEntities } from '../../../src/tools/data/entity-tables.ts'
import { JoinedSource } from '../../../src/tools/data/joined-source.ts'
import type { RowCell, Source } from '../../../src/tools/data/source.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { importRows } from '../../support/feature-table.ts'

/*
 * Rows with the columns of a table behind their own.
 */

const models = await temporaryFolder(t)
await importRows(models, 'ads', [
  { id: '7', name: 'seven', price: 0.1, tags: ['x', 'y'], image: [1, 2.5] },
  { id: '8', name: null, price: null, tags: [], image: null },
  // Codes of strings that share a place among those that are remembered.
  ...Array.from({ length: 40_000 }, (_, i) => ({ id: `n${i}`, name: `name ${i}`, price: i, tags: [`t${i}`] })),
])
const table = await openChanged(join(models, '.tables/ads/1'))
t.teardown(() => table.close())

/** Rows of keys and clicks, in one array, as the sources of files have them. */
function sourceOf(keys: readonly RowCell[], type: 'string' | 'double' = 'string') {
  const asked: number[][] = []
  const source: Source = {
    columns: [
      { name: 'click', type: 'double' },
      { name: 'ad_id', type },
    ],
    place: (row) => `line ${row + 1}`,
    *rows(wanted = new Set([0, 1])) {
      asked.push([...wanted].sort())
      const row: RowCell[] = [null, null]
      for (const [i, key] of keys.entries()) {
        if (wanted.has(0)) row[0] = i
        row[1] = key
        yield row
      }
    },
    progress: () => 0.5,
  }
  return { source, asked }
}

const features = ['name', 'price', 'tags', 'image'] as const

async function read(source: Source, wanted?: ReadonlySet<number>): Promise<RowCell[][]> {
  const rows: RowCell[][] = []
  for await (const row of source.rows(wanted)) rows.push([...row])
  return rows
}

t.test('each row has the values of its key, and none where the table has none', async (t) => {
  const { source } = sourceOf(['8', '7', '9', null, '8', '7'])
  const joined = new JoinedSource(source, [{ table, key: 1, features, leavesOut: false }], 'spec')
  t.same(joined.columns.slice(2), [
    { name: 'name', type: 'string' },
    { name: 'price', type: 'double' },
    { name: 'tags', type: 'list' },
    { name: 'image', type: 'list' },
  ])
  const [seven, eight, none] = [
    ['seven', 0.1, ['x', 'y'], [1, 2.5]],
    [null, null, [], null],
    [null, null, null, null],
  ]
  t.same(await read(joined), [
    [0, '8', ...eight!],
    [1, '7', ...seven!],
    [2, '9', ...none!],
    [3, null, ...none!],
    [4, '8', ...eight!],
    [5, '7', ...seven!],
  ])
  t.match(joined.tables, [{ name: 'ads', version: '1', rows: 40_002, deltas: 0, unknown: 1, without_key: 1 }])
  t.equal(joined.progress(), 0.5)
  t.same(joined.ownRows(), { validation: 0, test: 0, past: 0 })
})

t.test('strings are those of the table, however many there are', async (t) => {
  const keys = Array.from({ length: 3000 }, (_, i) => `n${(i * 16_384 + (i % 3)) % 40_000}`)
  const joined = new JoinedSource(sourceOf(keys).source, [{ table, key: 1, features, leavesOut: false }], 'spec')
  const rows = await read(joined)
  t.same(
    rows.map(([, , name, , tags]) => [name, tags]),
    keys.map((key) => [`name ${key.slice(1)}`, [`t${key.slice(1)}`]]),
  )
})

t.test('whole numbers are keys, and only columns that are wanted are read', async (t) => {
  const { source, asked } = sourceOf([7, 8], 'double')
  const joined = new JoinedSource(source, [{ table, key: 1, features, leavesOut: false }], 'spec')
  t.same(
    (await read(joined, new Set([3]))).map((row) => row[3]),
    [0.1, null],
  )
  t.same(asked, [[1]], 'the key is read for the table')
})

t.test('rows with keys that the table lacks are left out, where a server does not answer them', async (t) => {
  const { source } = sourceOf(['7', 'no', null, '8', 'nor'])
  const joined = new JoinedSource(source, [{ table, key: 1, features, leavesOut: true }], 'spec')
  t.same(
    (await read(joined)).map(([, , name]) => name),
    ['seven', null, null, null, null],
    'they keep their places',
  )
  t.same(joined.leftOut, [1, 4])
  t.match(joined.tables, [{ unknown: 2, left_out: 2, without_key: 1 }])
  await read(joined)
  t.same(joined.leftOut, [1, 4], 'those of the last reading')
})

t.test('wrong keys are problems of their rows', async (t) => {
  const keys = ['7', 1.5, ['7'], null, 'no']
  const joined = new JoinedSource(sourceOf(keys).source, [{ table, key: 1, features, leavesOut: true }], 'spec')
  const error = await read(joined).then(
    () => t.fail(),
    ({ problems }) => problems,
  )
  t.same(error, [
    { path: '/data', message: 'line 2: ad_id must be a string, or an integer within ±(2^53 − 1)' },
    { path: '/data', message: 'line 3: ad_id must be a string, or an integer within ±(2^53 − 1)' },
  ])
})

t.test('entities whose features the rows have, or that no field reads, need neither table nor key', async (t) => {
  const entity = { key: 'user_id', side: 'context', table: 'none', unknown: 'defaults' } as const
  const entities = { user: { ...entity, features: ['click', 'age', 'size'] } }
  const fields = [
    { name: 'click', kind: 'number', path: '/fields/0' },
    { name: 'age', kind: 'number', path: '/fields/1', column: 'click' },
    { name: 'size', kind: 'number', path: '/fields/2', expression: 'click + 1.0' },
  ] as const
  const about = { file: 'spec' }
  const folder = join(models, '.tables')
  const { source } = sourceOf(['7'])
  const opened = await joinEntities(source, about, fields, [{ entities, folder, of: undefined }])
  t.equal(opened.source, source)
  t.equal(opened.joined, undefined)
  opened.close()
  const more = [...fields, { name: 'size', kind: 'number', path: '/fields/2' } as const]
  await t.rejects(
    joinEntities(source, about, more, [{ entities, folder, of: undefined }]),
    /\/entities\/user the rows have neither size nor the key "user_id"/,
  )
})

t.test('a table that is open is joined as it is open, and its caller closes it', async (t) => {
  const models = await temporaryFolder(t)
  const columns = [{ name: 'price', kind: 'number', path: '/fields/0' } as const]
  const ad = { key: 'ad_id', side: 'candidate', table: 'ads', unknown: 'defaults' } as const
  const entities = [
    { entities: { ad: { ...ad, features: ['price'] } }, folder: join(models, '.tables'), of: undefined },
  ]
  await importRows(models, 'ads', [{ id: '7', price: 1 }])
  const open = await openChanged(join(models, '.tables/ads/1'))
  t.teardown(() => open.close())
  await importRows(models, 'ads', [{ id: '7', price: 2 }])
  const pricesOf = async (about: { file: string; open?: typeof open }) => {
    const { source, close } = await joinEntities(sourceOf(['7']).source, about, columns, entities)
    const prices: unknown[] = []
    for await (const row of source.rows()) prices.push(row.at(-1))
    close()
    return prices
  }
  t.same(await pricesOf({ file: 'spec', open }), [1])
  t.same(await pricesOf({ file: 'spec', open }), [1], 'it is still open')
  t.same(await pricesOf({ file: 'spec' }), [2])
})
