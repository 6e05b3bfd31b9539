import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { KeyList } from '../../../../src/model/contracts/key-list.ts'
import { fileOf } from '../../../../src/model/serving/delta-files/delta-folder.ts'
import { CellColumn } from '../../../../src/model/serving/tables/built-columns.ts'
import { cellOf, type TableValue } from '../../../../src/model/serving/tables/column-readers.ts'
import type { RowsByKey } from '../../../../src/model/serving/tables/feature-table.ts'
import { ListsColumn } from '../../../../src/model/serving/tables/lists-column.ts'
import { inMemory } from '../../../../src/model/serving/tables/merge-layers.ts'
import { openChanged } from '../../../../src/model/serving/tables/open-changed.ts'
import { readDescription } from '../../../../src/model/serving/tables/open-table.ts'
import { StringPool } from '../../../../src/model/serving/tables/string-pool.ts'
import { baseOfTable, encodeTableDelta } from '../../../../src/model/serving/tables/table-delta.ts'
import { NumberedTables } from '../../../../src/model/serving/tables/table-handles.ts'
import { type TableChange, Tables } from '../../../../src/model/serving/tables/tables.ts'
import { type BuiltRows, writeTable } from '../../../../src/model/serving/tables/write-table.ts'
import { readTensors } from '../../../../src/server/body/read-tensors.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases } from '../../../support/cases.ts'

/** A row by column; null: it is removed. */
type Row = Record<string, TableValue> | null
type Rows = ReadonlyMap<string, Row>

const kinds = { name: 'string', price: 'number', tags: 'list' } as const
type Name = keyof typeof kinds
const allNames = Object.keys(kinds) as Name[]

function build(rows: Rows, names: readonly Name[]): BuiltRows {
  const keys = new StringPool()
  for (const key of rows.keys()) keys.add(key)
  const columns = names.map((name, i) => {
    const kind = kinds[name]
    const column = kind === 'list' ? new ListsColumn(name) : new CellColumn(name, i, kind)
    for (const row of rows.values()) column.push((row?.[name] ?? null) as never)
    return column
  })
  return { keys, columns, rowOf: undefined }
}

async function writeVersion(models: string, rows: Rows, version = '1'): Promise<string> {
  const folder = join(models, '.tables', 'ads', version)
  await mkdir(folder, { recursive: true })
  const written = await writeTable({ folder, rows: build(rows, allNames), key: 'id' })
  const description = {
    format: 1,
    name: 'ads',
    version,
    created_at: new Date(0).toISOString(),
    source: 'a',
    ...written,
  }
  await writeFile(join(folder, 'table.json'), JSON.stringify(description))
  return folder
}

async function writeDelta(folder: string, sequence: number, rows: Rows, names: readonly Name[], changes: object = {}) {
  const { name, version, ...description } = readDescription(folder)
  const removed = Uint8Array.from(rows.values(), (row) => Number(row === null))
  const about = {
    ...{ table: name, version, base: baseOfTable(description), sequence },
    created_at: new Date(sequence * 1000).toISOString(),
  }
  const content = {
    ...inMemory(build(rows, names), 'id'),
    removed: { buffer: removed.buffer, offset: 0, length: removed.length },
  }
  await mkdir(join(folder, 'deltas'), { recursive: true })
  // Whole, as of a tool that renames.
  await writeFile(join(folder, 'deltas/x'), encodeTableDelta({ ...about, ...changes }, content))
  await rename(join(folder, 'deltas/x'), join(folder, fileOf(sequence)))
}

/** The row of a key, read from a table. */
function read(table: RowsByKey, key: string): Row {
  const row = table.find(key)
  if (row < 0) return null
  return Object.fromEntries([...table.columns].map(([name, column]) => [name, cellOf(column, row)]))
}

const key = fc.oneof(
  fc.constantFrom('a', 'b', 'c', 'd', 'é', 'k'.repeat(40), 'l'.repeat(300)),
  fc.string({ minLength: 1, maxLength: 6 }),
)
const value = {
  name: fc.option(fc.oneof(fc.constantFrom('x', 'y', ''), fc.string({ maxLength: 5 }))),
  price: fc.option(fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(0))),
  tags: fc.option(fc.array(fc.string({ maxLength: 3 }), { maxLength: 4 })),
}
const rowsOf = (names: readonly Name[], removes: boolean) =>
  fc
    .array(
      fc.tuple(
        key,
        fc.record(Object.fromEntries(names.map((name) => [name, value[name]]))) as fc.Arbitrary<Row>,
        fc.boolean(),
      ),
      { minLength: 1, maxLength: 12 },
    )
    .map((rows) => new Map(rows.map(([key, row, gone]) => [key, removes && gone ? null : row])))
const delta = fc
  .subarray(allNames)
  .chain((names) => fc.record({ names: fc.constant(names), rows: rowsOf(names, true) }))

t.test('deltas applied one by one, or together, are those of a Map', async (t) => {
  await fc.assert(
    fc.asyncProperty(rowsOf(allNames, false), fc.array(delta, { minLength: 1, maxLength: 4 }), async (base, deltas) => {
      const models = await temporaryFolder(t)
      const folder = await writeVersion(models, base)
      const tables = new Tables(models)
      await tables.refresh()
      const expected = new Map<string, Row>(base)
      const check = (table: RowsByKey) => {
        const keys = [...expected.keys(), 'nobody']
        const rows = new Int32Array(keys.length)
        table.findAll(keys, rows)
        for (const [i, key] of keys.entries()) {
          const [found, wanted] = [read(table, key), expected.get(key) ?? null]
          t.same(found, wanted, `${JSON.stringify(key)}`)
          if (rows[i] !== table.find(key)) throw new Error(`findAll finds another row of ${key}`)
        }
        const candidates = keys.filter((key) => /^[ -~]*$/.test(key) && !/["\\]/.test(key))
        const sent = readTensors(Buffer.from(JSON.stringify({ candidates })))!.candidates as KeyList
        table.findAll(sent, rows)
        for (const [i, key] of candidates.entries())
          if (rows[i] !== table.find(key)) throw new Error(`findAll finds another row of the bytes of ${key}`)
      }
      for (const [i, { names, rows }] of deltas.entries()) {
        await writeDelta(folder, i + 1, rows, names)
        for (const [key, row] of rows) {
          const none = Object.fromEntries(allNames.map((name) => [name, null]))
          expected.set(key, row === null ? null : { ...(expected.get(key) ?? none), ...row })
        }
        await tables.refresh()
        check(tables.current('ads')!)
      }
      const together = await openChanged(folder)
      check(together.table)
      t.equal(together.deltas.applied, deltas.length)
      together.close()
      await tables.close()
    }),
    { numRuns: randomCases(40) },
  )
})

const base: Rows = new Map([
  ['a', { name: 'x', price: 1, tags: ['t'] }],
  ['b', { name: null, price: 2.5, tags: null }],
])
const cheap: Rows = new Map([['a', { price: 0.5 }]])

async function follow(t: Test) {
  const models = await temporaryFolder(t)
  const folder = await writeVersion(models, base)
  const changes: TableChange[] = []
  const tables = new Tables(models, (change) => changes.push(change))
  await tables.refresh()
  t.teardown(() => tables.close())
  const prices = async () => {
    await tables.refresh()
    return ['a', 'b'].map((key) => read(tables.current('ads')!, key)?.price)
  }
  return { models, folder, tables, changes, prices }
}

t.test('deltas take effect once and in order, and the last can be taken back', async (t) => {
  const { folder, tables, prices, changes } = await follow(t)
  await writeDelta(folder, 2, new Map([['a', { price: 7 }]]), ['price'])
  t.same(await prices(), [1, 2.5], 'the first one is missing')
  t.match(tables.status()[0]?.deltas, { applied: 0, refused: { reason: 'deltas/delta-1.bin is missing' } })
  await writeDelta(
    folder,
    1,
    new Map([
      ['a', { price: 3 }],
      ['b', { price: 4 }],
    ]),
    ['price'],
  )
  t.same(await prices(), [7, 4])
  t.match(tables.status()[0], { changedAt: 2000, deltas: { applied: 2, rows: 2, refused: null } })
  const before = changes.length
  await prices()
  t.equal(changes.length, before, 'nothing happens when nothing has changed')
  await rm(join(folder, fileOf(2)))
  t.same(await prices(), [3, 4])
  await rm(join(folder, fileOf(1)))
  t.same(await prices(), [1, 2.5])
  t.match(tables.status()[0], { changedAt: undefined, deltas: { applied: 0, rows: 0 } })
})

t.test('a delta that is damaged, or of something else, has no effect, and says why', async (t) => {
  const { folder, tables, prices } = await follow(t)
  const refused = async () => {
    t.same(await prices(), [1, 2.5])
    return tables.status()[0]?.deltas.refused?.reason
  }
  for (const [changes, reason] of [
    [{ version: '2' }, 'is of ads/2, not of ads/1'],
    [{ table: 'users' }, 'is of users/1, not of ads/1'],
    [{ base: '0'.repeat(64) }, /^was made for other files of ads\/1: its base is 0000/],
    [{ sequence: 4 }, 'says that it is number 4'],
    [{ created_at: 'today' }, /^header \/created_at /],
  ] as const) {
    await writeDelta(folder, 1, cheap, ['price'], changes)
    t.match(await refused(), reason)
  }
  await writeDelta(folder, 1, cheap, ['price'])
  const whole = await readFile(join(folder, fileOf(1)))
  for (let i = 0; i < 30; i++) {
    const broken = Buffer.from(whole)
    const at = Math.floor((i * whole.length) / 30)
    broken[at]! ^= 1 << (i % 8)
    await writeFile(join(folder, fileOf(1)), i % 3 === 0 ? broken.subarray(0, at) : broken)
    t.match(await refused(), /\w/, `byte ${at}`)
  }
  await writeFile(join(folder, fileOf(1)), whole)
  t.same(await prices(), [0.5, 2.5])
})

t.test('a delta whose values are of another kind is refused, and names the column', async (t) => {
  const { folder, tables, prices } = await follow(t)
  const other = build(new Map([['a', { name: 'cheap' }]]), ['name'])
  const column = new CellColumn('price', 0, 'string')
  column.push('cheap')
  const { name, version, ...description } = readDescription(folder)
  const about = { table: name, version, base: baseOfTable(description), created_at: new Date(0).toISOString() }
  const content = {
    ...inMemory({ ...other, columns: [column] }, 'id'),
    removed: { buffer: new ArrayBuffer(1), offset: 0, length: 1 },
  }
  await mkdir(join(folder, 'deltas'))
  await writeFile(join(folder, fileOf(1)), encodeTableDelta({ ...about, sequence: 1 }, content))
  t.same(await prices(), [1, 2.5])
  t.match(tables.status()[0]?.deltas.refused, { reason: 'column "price" has strings, and the table\'s has numbers' })
})

t.test('a new version has its own deltas from its first answer on', async (t) => {
  const { models, folder, tables, prices } = await follow(t)
  await writeDelta(folder, 1, cheap, ['price'])
  t.same(await prices(), [0.5, 2.5])
  const next = await writeVersion(models, new Map([...base, ['b', { name: 'y', price: 8, tags: [] }]]), '2')
  await writeDelta(next, 1, new Map([['a', null]]), [])
  const refreshed = tables.refresh()
  t.equal(read(tables.current('ads')!, 'a')?.price, 0.5)
  await refreshed
  t.same(await prices(), [undefined, 8])
})

t.test('another thread may read a table later as it was, until it gives that up', async (t) => {
  const { models, folder, tables, prices } = await follow(t)
  const handles = [tables.handles(['ads']).ads!]
  const keep = async () => {
    await prices()
    handles.push(tables.handles(['ads']).ads!)
  }
  t.equal(tables.handles(['ads']).ads, handles[0], 'it is the same while nothing changes')
  await writeDelta(folder, 1, cheap, ['price'])
  await keep()
  await writeDelta(folder, 2, new Map([['a', null]]), [])
  await keep()
  await writeVersion(models, new Map([['a', { name: 'y', price: 8, tags: [] }]]), '2')
  await keep()
  const numbered = new NumberedTables()
  for (const [number, handle] of handles.entries()) numbered.open(number, structuredClone(handle))
  const states = () => handles.map((_, number) => numbered.get(number)).map((table) => table && read(table, 'a')?.price)
  t.same(states(), [1, 0.5, undefined, 8])
  numbered.close(0)
  numbered.close(0)
  t.same(states().slice(1), [0.5, undefined, 8], 'states of one version share its files')
  t.equal(numbered.get(0), undefined)
  for (const number of handles.keys()) numbered.close(number)
  await rm(folder, { recursive: true })
  numbered.open(9, structuredClone(handles[0]!))
  t.equal(read(numbered.get(9)!, 'a')?.price, 1, 'a version that was removed is read all the same')
})
