import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { decodeContainer, encodeContainer } from '../../../../src/model/serving/delta-files/container.ts'
import { fileOf } from '../../../../src/model/serving/delta-files/delta-folder.ts'
import { cellOf, columnProblem } from '../../../../src/model/serving/tables/column-readers.ts'
import type { RowsByKey } from '../../../../src/model/serving/tables/feature-table.ts'
import { openChanged } from '../../../../src/model/serving/tables/open-changed.ts'
import { type OpenTable, openTable } from '../../../../src/model/serving/tables/open-table.ts'
import { descriptionFile, fileNames } from '../../../../src/model/serving/tables/table-folder.ts'
import { TableDeltaHeader, type TableDescription } from '../../../../src/schemas/feature-table.ts'
import { createRandom, type Random } from '../../../../src/tools/data/random.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { randomCases, steadySeed } from '../../../support/cases.ts'
import { runCli } from '../../../support/cli.ts'
import { importRows } from '../../../support/feature-table.ts'

/*
 * Tables and deltas whose checksums are right and whose content is not: they are refused, or read without a fault.
 */

const keys = ['a', 'bb', 'é', 'k'.repeat(40), 'l'.repeat(300), 'c', '7', '__proto__']
const rows = keys.map((id, i) => ({
  ...{ id, name: i % 3 ? `n${i}` : null, price: i / 2, small: i, tags: i % 2 ? [`t${i}`, 'x'] : null },
  vector: Array.from({ length: i }, (_, j) => j / 2),
}))

const models = await temporaryFolder(t)
await importRows(models, 'ads', rows)
const folder = join(models, '.tables/ads/1')
const changes = join(models, 'changes.jsonl')
await writeFile(changes, [...rows.slice(2), { ...rows[0], id: 'new' }].map((row) => JSON.stringify(row)).join('\n'))
await writeFile(join(models, 'gone.csv'), 'id\nbb\n')
const { code, stderr } = await runCli([
  'features',
  'delta',
  'ads',
  changes,
  '--remove',
  join(models, 'gone.csv'),
  '--models',
  models,
])
if (code !== 0) throw new Error(stderr)
const goodDelta = await readFile(join(folder, fileOf(1)))
const goodDescription = await readFile(join(folder, descriptionFile), 'utf8')
const goodFiles = new Map(await Promise.all(fileNames.map(async (n) => [n, await readFile(join(folder, n))] as const)))

type Json = { [name: string]: any }

/** The delta with another header, or other content, and the checksum of that. */
function deltaWith(change: (header: TableDeltaHeader, content: Buffer) => void): Buffer {
  const sizeOf = () => goodDelta.length - 32 - 12 - goodDelta.readUInt32LE(8)
  const { header, content } = decodeContainer(goodDelta, { schema: TableDeltaHeader, sizeOf, alignment: 8 })
  const copy = Buffer.from(content)
  change(header, copy)
  return encodeContainer(header, [copy], 8)
}

/** Reads a delta as a server would; why it is refused, if it is. */
async function readDelta(bytes: Buffer): Promise<string | undefined> {
  await mkdir(join(folder, 'deltas'), { recursive: true })
  await writeFile(join(folder, fileOf(1)), bytes)
  const { table, deltas, close } = await openChanged(folder)
  try {
    readAll(table, () => undefined)
    return deltas.refused?.reason
  } finally {
    close()
  }
}

/** Reads all that requests may; `fault` receives what is thrown. */
function readAll(table: RowsByKey, fault: ((error: unknown) => void) | undefined): void {
  const attempt = (work: () => unknown) => {
    try {
      work()
    } catch (error) {
      if (fault === undefined) throw error
      fault(error)
    }
  }
  const asked = [...keys, '', 'new', 'nobody', 'ü', 'm'.repeat(300)]
  const found = new Int32Array(asked.length)
  attempt(() => table.findAll(asked, found))
  for (const [i, key] of asked.entries())
    for (const row of new Set([found[i]!, table.find(key)]))
      if (row >= 0) for (const column of table.columns.values()) attempt(() => cellOf(column, row))
}

const numbers = [-1, 0, 1, 2, 3, 4, 7, 8, 16, 255, 2 ** 16, 2 ** 28, 2 ** 31, 2 ** 32 - 1, 2 ** 53, 1e300, 0.5]

function pick<T>(all: readonly T[], random: Random): T {
  return all[random.integer(all.length)]!
}

/** Changes one number, or one text, somewhere in an object. */
function changeOne(value: Json, random: Random): void {
  const places: [Json, string][] = []
  const collect = (of: Json) => {
    for (const [name, item] of Object.entries(of))
      if (typeof item === 'object' && item !== null) collect(item)
      else if (!['base', 'table', 'version', 'sequence', 'format', 'sha256'].includes(name)) places.push([of, name])
  }
  collect(value)
  const [of, name] = pick(places, random)
  const was = of[name]
  const near = typeof was === 'number' ? [was + 1, was - 1, was * 2, was + 8] : []
  of[name] =
    typeof was === 'number'
      ? pick([...numbers, ...near], random)
      : pick(['', 'uint8', 'int32', 'float64', 'string', 'number', 'list', '__proto__', true, null, 2], random)
}

function changeBytes(bytes: Buffer, random: Random): void {
  for (let i = 1 + random.integer(4); i > 0 && bytes.length >= 4; i--)
    if (random.integer(2) === 0) bytes[random.integer(bytes.length)] = random.integer(256)
    else bytes.writeUInt32LE(pick([0, 1, 255, 2 ** 31, 2 ** 32 - 1], random), 4 * random.integer(bytes.length >> 2))
}

t.test('a delta that lies is refused, or read without a fault', async (t) => {
  t.equal(await readDelta(goodDelta), undefined)
  const outcomes = { refused: 0, read: 0 }
  for (let i = 0; i < randomCases(1500, 200); i++) {
    const random = createRandom(steadySeed + i)
    const bytes = deltaWith((header, content) => {
      if (random.integer(2) === 0) changeOne(header, random)
      else changeBytes(content, random)
    })
    const reason = await readDelta(bytes)
    outcomes[reason === undefined ? 'read' : 'refused']++
    if (reason === '') t.fail(`case ${i} is refused without a reason`)
  }
  t.ok(outcomes.refused > 100 && outcomes.read > 10, JSON.stringify(outcomes))
})

/** Where a column's numbers are in the content of the delta. */
const columnOf = (header: TableDeltaHeader, name: string) => header.columns.find((one) => one.name === name)!

t.test('what can not be true of a delta is refused by its reason', async (t) => {
  const align = (bytes: number) => Math.ceil(bytes / 8) * 8
  const cases: [RegExp, (header: TableDeltaHeader, content: Buffer) => void][] = [
    [/^column "name" .*code of no string/, (header, content) => (content[columnOf(header, 'name').place] = 200)],
    [
      /^column "tags" .*list beyond its values/,
      (header, content) => content.writeUInt32LE(1e9, columnOf(header, 'tags').place + 4),
    ],
    [
      /^column "vector" .*list beyond its values/,
      (header, content) => content.writeUInt32LE(2 ** 31, columnOf(header, 'vector').place),
    ],
    [/has an index of other rows/, ({ bytes }, content) => content.fill(1, align(bytes.rows), align(bytes.rows) + 16)],
    [/that is not found by its key/, (_, content) => (content[0] = 3)],
    [
      /string that ends before it begins/,
      (header, content) => {
        const { rows, index } = header.bytes
        const { offsets } = columnOf(header, 'name') as { offsets: number }
        content.writeUInt32LE(1e9, align(rows) + align(index) + offsets + 4)
      },
    ],
    [/^has \w+ at byte 1 of rows of/, (header) => (columnOf(header, 'small').place = 1)],
    [/^has \w+ at byte \d+ of rows of/, (header) => (columnOf(header, 'small').place = header.row_bytes)],
  ]
  for (const [reason, change] of cases) t.match(await readDelta(deltaWith(change)), reason)
})

t.test('a table that lies is refused, or a value that can not be read is MODEL_FAILED', async (t) => {
  const outcomes = { refused: 0, failed: 0, read: 0 }
  const lying = join(await temporaryFolder(t), '1')
  await mkdir(lying)
  for (let i = 0; i < randomCases(1500, 500); i++) {
    const random = createRandom(steadySeed + i)
    const description = JSON.parse(goodDescription) as TableDescription
    const chosen = random.integer(2) === 0 ? undefined : pick(fileNames, random)
    if (chosen === undefined) changeOne(description, random)
    await writeFile(join(lying, descriptionFile), JSON.stringify(description))
    for (const [name, good] of goodFiles) {
      const bytes = Buffer.from(good)
      if (name === chosen) changeBytes(bytes, random)
      await writeFile(join(lying, name), bytes)
    }
    const opened = openOrError(lying)
    if (opened instanceof Error) {
      outcomes.refused++
      t.ok(opened.message.startsWith(lying), opened.message)
      continue
    }
    const { table, close } = opened
    const faults: unknown[] = []
    readAll(table, (error) => faults.push(error))
    for (let row = 0; row < table.rows && table.rows < 1000; row++) table.keyOf(row)
    outcomes[faults.length === 0 ? 'read' : 'failed']++
    for (const fault of faults) {
      t.ok(fault instanceof ModelError && fault.code === 'MODEL_FAILED', String(fault))
      t.type(table.problem(), 'string')
    }
    close()
  }
  t.ok(outcomes.refused > 50 && outcomes.failed > 10 && outcomes.read > 10, JSON.stringify(outcomes))
})

t.test('the content of a good table has no problem', async (t) => {
  const { table, close } = openTable(folder)
  t.equal(table.problem(), undefined)
  for (const column of table.columns.values()) t.equal(columnProblem(column, table.rows), undefined)
  close()
})

t.test('the search in an index without an empty place ends', async (t) => {
  const lying = join(await temporaryFolder(t), '1')
  await mkdir(lying)
  await writeFile(join(lying, descriptionFile), goodDescription)
  for (const [name, bytes] of goodFiles) await writeFile(join(lying, name), bytes)
  const { table: good, close: closeGood } = openTable(folder)
  const index = new Int32Array(goodFiles.get('index.bin')!.length / 4).fill(5)
  await writeFile(join(lying, 'index.bin'), Buffer.from(index.buffer))
  const { table, close } = openTable(lying)
  t.equal(table.find('nobody'), -1)
  // All places have the hash of a key that none of them is of.
  const own = new Int32Array(Uint8Array.from(goodFiles.get('index.bin')!).buffer)
  const place = own.findIndex((slot, i) => i % 2 === 0 && slot === good.find('a') + 1)
  const same = index.map((_, i) => (i % 2 === 0 ? 5 : own[place + 1]!))
  close()
  await writeFile(join(lying, 'index.bin'), Buffer.from(same.buffer))
  const again = openTable(lying)
  t.equal(again.table.find('a'), -1)
  again.close()
  closeGood()
})

function openOrError(folder: string): OpenTable | Error {
  try {
    return openTable(folder)
  } catch (error) {
    return error as Error
  }
}
