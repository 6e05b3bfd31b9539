import { readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cellOf } from '../../../../src/model/serving/tables/column-readers.ts'
import { FollowedTables } from '../../../../src/model/serving/tables/table-handles.ts'
import { type TableChange, type TableRules, Tables } from '../../../../src/model/serving/tables/tables.ts'
import { removeUnusedCopies } from '../../../../src/model/serving/tables/take-table.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { writeTable } from '../../../support/tables.ts'

/** A table that is too large to be read into memory. */
async function setUp(t: Test) {
  const folder = await temporaryFolder(t)
  const [models, copies] = [folder, join(folder, '.cache/tables')]
  const text = (row: number) => `${row} ${'x'.repeat(2000)}`
  const rows = Array.from({ length: 2500 }, (_, row) => ({ id: `ad-${row}`, text: text(row) }))
  const { folder: version } = await writeTable(models, 'ads', rows)
  const file = join(version, 'strings.bin')
  t.ok((await stat(file)).size > 2 ** 22)
  /** A server that has just started. */
  const open = async (rules: TableRules = { copies }) => {
    const changes: TableChange[] = []
    const tables = new Tables(models, (change) => changes.push(change), rules)
    t.teardown(() => tables.close())
    await tables.refresh()
    const served = tables.current('ads')
    return { tables, changes, value: () => served && cellOf(served.columns.get('text')!, served.find('ad-7')) }
  }
  return { models, version, copies, file, open, expected: text(7) }
}

t.test('files that are cut short while they are served are read all the same, by threads too', async (t) => {
  const { version, open, expected } = await setUp(t)
  const { tables, value, changes } = await open()
  t.match(changes, [{ type: 'opened' }])
  const handle = structuredClone(tables.handles(['ads']).ads!)
  for (const name of await readdir(version)) await truncate(join(version, name))
  t.equal(value(), expected)
  const thread = new FollowedTables()
  thread.follow({ ads: handle })
  const table = thread.current('ads')!
  t.equal(cellOf(table.columns.get('text')!, table.find('ad-7')), expected)
  await tables.refresh()
  t.match(changes.slice(1), [{ type: 'refused', problem: /table\.json/ }])
  t.equal(value(), expected)
})

t.test(
  'the next process takes the copy, without reading a source that is as it was when it was verified',
  async (t) => {
    const { copies, file, open, expected } = await setUp(t)
    await utimes(file, 1, 1)
    await open()
    const [copy] = await readdir(copies)
    const { ino } = await stat(join(copies, copy!, 'strings.bin'))
    const handle = await readFile(file)
    await writeFile(file, Buffer.alloc(handle.length), { flag: 'r+' })
    await utimes(file, 1, 1)
    const { changes, value } = await open()
    t.match(changes, [{ type: 'opened' }])
    t.equal(value(), expected)
    t.equal((await stat(join(copies, copy!, 'strings.bin'))).ino, ino)
    await utimes(file, 2, 2)
    const { changes: now } = await open()
    t.match(now, [{ type: 'refused', problem: /strings\.bin is damaged/ }], 'one that has changed since is verified')
  },
)

t.test('a copy that was changed is made again', async (t) => {
  const { copies, open, expected } = await setUp(t)
  const first = await open()
  await first.tables.close()
  const [copy] = await readdir(copies)
  await writeFile(join(copies, copy!, 'rows.bin'), 'x')
  const { changes, value } = await open()
  t.match(changes, [{ type: 'opened' }])
  t.equal(value(), expected)
})

t.test('where nothing can be copied, files are read where they are, and that is said once', async (t) => {
  const { models, file, open, expected } = await setUp(t)
  for (const rules of [{}, { copies: join(file, 'no-folder') }]) {
    const { tables, changes, value } = await open(rules)
    t.match(changes, [
      { type: 'opened' },
      { type: 'unprotected', problem: rules.copies ? /ENOTDIR/ : /no cache folder/ },
    ])
    t.equal(value(), expected)
    await writeTable(models, 'ads', [{ id: 'ad-7', text: 'x'.repeat(2 ** 23) }])
    await tables.refresh()
    t.match(changes.slice(2), [{ type: 'opened' }])
    await tables.close()
    await rm(join(models, `.tables/ads/${changes[2]!.version}`), { recursive: true })
  }
})

t.test('a copy is removed an hour after its last use', async (t) => {
  const { models, copies, open } = await setUp(t)
  const { tables } = await open()
  await writeTable(models, 'ads', [{ id: 'ad-7', text: 'x'.repeat(2 ** 23) }])
  await tables.refresh()
  t.equal((await readdir(copies)).length, 2, 'another process may still read it')
  const hour = 3600 * 1000
  await removeUnusedCopies({ copies, now: () => Date.now() + hour - 60_000 })
  t.equal((await readdir(copies)).length, 2)
  await removeUnusedCopies({ copies, now: () => Date.now() + hour + 60_000 })
  t.equal((await readdir(copies)).length, 0)
})
