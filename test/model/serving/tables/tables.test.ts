import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cellOf } from '../../../../src/model/serving/tables/column-readers.ts'
import type { RowsByKey } from '../../../../src/model/serving/tables/feature-table.ts'
import { FollowedTables } from '../../../../src/model/serving/tables/table-handles.ts'
import { type TableChange, type TableRules, Tables } from '../../../../src/model/serving/tables/tables.ts'
import { writeTableDelta } from '../../../../src/tools/features/write-delta.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { writeTable } from '../../../support/tables.ts'

const priceIn = (table: RowsByKey | undefined) => table && cellOf(table.columns.get('price')!, table.find('b'))

/** A table with three rows, whose price says its version. */
async function setUp(t: Test, rules: TableRules = {}) {
  const models = await temporaryFolder(t)
  const write = (price: number, version?: string) =>
    writeTable(
      models,
      'ads',
      ['a', 'b', 'c'].map((id) => ({ id, price })),
      version,
    )
  const changes: TableChange[] = []
  const tables = new Tables(models, (change) => changes.push(change), rules)
  t.teardown(() => tables.close())
  const look = async () => {
    changes.length = 0
    await tables.refresh()
    return changes
  }
  const price = () => priceIn(tables.current('ads'))
  return { folder: join(models, '.tables/ads'), write, tables, look, price }
}

t.test('versions that are not the highest can be removed while it is read', async (t) => {
  const { folder, write, look, price } = await setUp(t)
  await write(1.5)
  await write(2.5)
  t.same(await look(), [{ table: 'ads', version: '2', type: 'opened', replaced: false }])
  await rm(join(folder, '1'), { recursive: true })
  t.same(await look(), [])
  t.equal(price(), 2.5)
})

t.test('a table whose versions are all removed stays as it is, and that is said once', async (t) => {
  const { folder, write, look, price } = await setUp(t)
  await write(1.5)
  await look()
  await rm(join(folder, '1'), { recursive: true })
  const gone = { table: 'ads', version: '1', type: 'gone', problem: 'its folder has no version any more' }
  t.same(await look(), [gone])
  t.same(await look(), [])
  t.equal(price(), 1.5)
  await rm(folder, { recursive: true })
  t.same(await look(), [])
  t.equal(price(), 1.5)
  // An import does not use its number again.
  await write(2.5)
  t.same(await look(), [{ table: 'ads', version: '2', type: 'opened', replaced: false }])
  t.equal(price(), 2.5)
  await rm(folder, { recursive: true })
  t.same(await look(), [{ ...gone, version: '2', problem: 'its folder is missing' }])
})

t.test('where the highest version is removed, the one before it is read again', async (t) => {
  const { folder, write, look, price } = await setUp(t)
  await write(1.5)
  await write(2.5)
  await look()
  await rm(join(folder, '2'), { recursive: true })
  t.same(await look(), [{ table: 'ads', version: '1', type: 'opened', replaced: false }])
  t.equal(price(), 1.5)
})

t.test('a version that is refused is tried again when its files change', async (t) => {
  const asked: string[] = []
  let problem: string | undefined = 'not signed'
  const verify = async <T>(table: string, version: string, read: () => Promise<T>) => {
    asked.push(`${table}/${version}`)
    if (problem !== undefined) throw new Error(problem)
    return read()
  }
  const { folder, write, look, price } = await setUp(t, { verify })
  await write(1.5)
  t.same(await look(), [{ table: 'ads', version: '1', type: 'refused', problem: 'not signed' }])
  t.equal(price(), undefined)
  t.same(await look(), [])
  // Deltas are none of its files.
  await mkdir(join(folder, '1/deltas'))
  t.same(await look(), [])
  problem = 'forged'
  await writeFile(join(folder, '1/table.json.sig'), 'x')
  t.match(await look(), [{ problem: 'forged' }])
  problem = undefined
  await utimes(join(folder, '1/table.json.sig'), 1, 1)
  t.same(await look(), [{ table: 'ads', version: '1', type: 'opened', replaced: false }])
  t.same(asked, ['ads/1', 'ads/1', 'ads/1'])
  problem = 'changed'
  await write(2.5)
  t.same(await look(), [{ table: 'ads', version: '2', type: 'refused', problem: 'changed' }])
  t.equal(price(), 1.5)
})

t.test('a version that did not fit a model is tried again once that is gone', async (t) => {
  const { write, tables, look, price } = await setUp(t)
  await write(1.5)
  await look()
  const end = tables.guard('ads', () => 'has no column "size"')
  await write(2.5)
  t.match(await look(), [{ version: '2', problem: /has no column "size": a model that is served would lose it/ }])
  t.same(await look(), [])
  end()
  t.same(await look(), [{ table: 'ads', version: '2', type: 'opened', replaced: false }])
  t.equal(price(), 2.5)
})

t.test('deltas are not applied where they are refused', async (t) => {
  const { folder, write, look } = await setUp(t, { refuseDeltas: 'deltas are not signed' })
  await write(1.5)
  await look()
  await mkdir(join(folder, '1/deltas'))
  await writeFile(join(folder, '1/deltas/delta-1.bin'), 'x')
  const event = { type: 'refused', file: 'deltas/delta-1.bin', reason: 'deltas are not signed' }
  t.same(await look(), [{ table: 'ads', version: '1', type: 'deltas', event }])
})

t.test('other content under the same number takes over, for threads and deltas too', async (t) => {
  const { folder, write, tables, look, price } = await setUp(t)
  await write(1.5)
  await look()
  const [former] = tables.status()
  const handle = structuredClone(tables.handles(['ads']).ads!)
  const thread = new FollowedTables()
  thread.follow({ ads: handle })
  await rename(join(folder, '1'), join(folder, '../moved'))
  await write(9, '1')
  const late = new FollowedTables()
  late.follow({ ads: handle })
  t.equal(priceIn(late.current('ads')), 1.5, 'a thread that opens it late reads what the server reads')
  t.same(await look(), [{ table: 'ads', version: '1', type: 'opened', replaced: true }])
  t.equal(price(), 9)
  const [now] = tables.status()
  t.not(now!.digest, former!.digest)
  thread.follow({ ads: structuredClone(tables.handles(['ads']).ads!) })
  t.equal(priceIn(thread.current('ads')), 9)
  // Its former content, which only its description tells from the other, comes back.
  await rename(join(folder, '1'), join(folder, '../other'))
  await rename(join(folder, '../moved'), join(folder, '1'))
  t.match(await look(), [{ replaced: true }])
  t.equal(price(), 1.5)
  await utimes(join(folder, '1/rows.bin'), 1, 1)
  t.same(await look(), [], 'files with the same content are no change')
})

t.test('a delta for other content of the same number is not applied', async (t) => {
  const { folder, write, look, price } = await setUp(t)
  await write(1.5)
  await look()
  const { signal } = new AbortController()
  await rename(join(folder, '1'), join(folder, '../moved'))
  await write(9, '1')
  const rows = join(folder, '../rows.jsonl')
  await writeFile(rows, '{ "id": "b", "price": 3 }')
  const options = { file: rows, remove: undefined, columns: undefined, lists: new Map(), doubled: 'refuse' as const }
  await writeTableDelta({ ...options, folder: join(folder, '1'), signal, onProgress: () => undefined })
  // The served version's folder gets the delta before anybody looks.
  await rename(join(folder, '1/deltas'), join(folder, '../moved/deltas'))
  await rename(join(folder, '1'), join(folder, '../other'))
  await rename(join(folder, '../moved'), join(folder, '1'))
  t.match(await look(), [{ type: 'deltas', event: { type: 'refused', reason: /made for other files of ads\/1/ } }])
  t.equal(price(), 1.5)
})

t.test('a version whose content is not what its description says is refused, and the former one stays', async (t) => {
  const { folder, write, tables, look, price } = await setUp(t)
  await write(1.5)
  await write(2.5)
  const rows = join(folder, '2/rows.bin')
  const good = await readFile(rows)
  await writeFile(rows, Buffer.alloc(good.length))
  const problem = /rows\.bin is damaged: its SHA-256 is/
  t.match(await look(), [
    { version: '2', type: 'refused', problem },
    { version: '1', type: 'opened' },
  ])
  t.equal(price(), 1.5, 'a lower version that is whole is read where none is read yet')
  t.same(await look(), [], 'that is said once, and not read again')
  t.match(tables.status(), [{ version: '1', refused: { version: '2', problem } }])
  await writeFile(rows, good)
  t.match(await look(), [{ version: '2', type: 'opened' }])
  t.equal(tables.status()[0]!.refused, undefined)
  await writeFile(rows, Buffer.alloc(good.length))
  t.match(await look(), [{ version: '2', type: 'refused', problem }], 'its own files, too, while it is read')
  t.equal(price(), 2.5)
})
