import { mkdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cellOf } from '../../../../src/model/serving/tables/column-readers.ts'
import { type TableChange, type TableRules, Tables } from '../../../../src/model/serving/tables/tables.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { writeTable } from '../../../support/tables.ts'

/** A table with three rows, whose price says its version. */
async function setUp(t: Test, rules: TableRules = {}) {
  const models = await temporaryFolder(t)
  const write = (price: number) =>
    writeTable(
      models,
      'ads',
      ['a', 'b', 'c'].map((id) => ({ id, price })),
    )
  const changes: TableChange[] = []
  const tables = new Tables(models, (change) => changes.push(change), rules)
  const look = async () => {
    changes.length = 0
    await tables.refresh()
    return changes
  }
  const price = () => {
    const table = tables.current('ads')
    return table && cellOf(table.columns.get('price')!, table.find('b'))
  }
  return { folder: join(models, '.tables/ads'), write, tables, look, price }
}

t.test('versions that are not the highest can be removed while it is read', async (t) => {
  const { folder, write, look, price } = await setUp(t)
  await write(1.5)
  await write(2.5)
  t.same(await look(), [{ table: 'ads', version: '2', type: 'opened' }])
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
  // A version does not change: what has its number is what is read.
  await write(9)
  t.same(await look(), [])
  t.equal(price(), 1.5)
  await write(2.5)
  t.same(await look(), [{ table: 'ads', version: '2', type: 'opened' }])
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
  t.same(await look(), [{ table: 'ads', version: '1', type: 'opened' }])
  t.equal(price(), 1.5)
})

t.test('a version that is refused is tried again when its files change', async (t) => {
  const asked: string[] = []
  let problem: string | undefined = 'not signed'
  const verify = async (table: string, version: string) => {
    asked.push(`${table}/${version}`)
    if (problem !== undefined) throw new Error(problem)
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
  t.same(await look(), [{ table: 'ads', version: '1', type: 'opened' }])
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
  t.same(await look(), [{ table: 'ads', version: '2', type: 'opened' }])
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
