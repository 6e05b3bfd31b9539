import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { makeFolder } from '../../base/files.ts'
import { suggestNames } from '../../base/names.ts'
import { StringPool } from '../../model/serving/tables/string-pool.ts'
import { descriptionFile, tablesFolder, versionsIn } from '../../model/serving/tables/table-folder.ts'
import type { TableDescription } from '../../schemas/feature-table.ts'
import { Blocks } from '../data/column-blocks.ts'
import { type RowCell, RowProblems, type Source, SpecError } from '../data/source.ts'
import { CellColumn, type ColumnKind, type ImportedColumn, ListsColumn, NotNumbers } from './table-columns.ts'
import { openTableSource } from './table-source.ts'
import { type ImportedRows, writeTable } from './write-table.ts'

export interface ImportOptions {
  /** .csv, .csv.gz, .parquet or .jsonl */
  file: string
  /** The models folder. */
  models: string
  /** The table's name. */
  name: string
  /** The column of keys. */
  key: string
  /** Columns to import; default: all but the key. */
  columns: readonly string[] | undefined
  /** Columns of text, also where all values are numbers. */
  text: readonly string[]
  /** Columns of a CSV file with a list in each cell, and what stands between its values. */
  lists: ReadonlyMap<string, string>
  /** `refuse` keys that are there twice, or keep the `last` row of each. */
  doubled: 'refuse' | 'last'
  /** Default: the one after the highest. */
  version: string | undefined
  signal: AbortSignal
  onProgress: (what: 'read' | 'written', rows: number, share: number | undefined) => void
}

export interface ImportedTable {
  folder: string
  description: TableDescription
  /** Rows that others with their key replaced. */
  replaced: number
}

/** Imports a table. Rejects with a SpecError that names what is wrong, or a ModelError; then nothing was changed. */
export async function importTable(options: ImportOptions): Promise<ImportedTable> {
  const { file, models, name, key, signal, onProgress } = options
  const source = await openTableSource(options)
  const { rows, replaced } = await readRows(source, options)
  const parent = join(models, tablesFolder, name)
  const building = join(parent, `.building-${randomUUID().slice(0, 8)}`)
  try {
    await makeFolder(parent)
    await mkdir(building)
    const written = await writeTable({
      ...{ folder: building, rows, key, signal },
      onProgress: (done) => onProgress('written', done, done / rows.keys.count),
    })
    const version =
      options.version ?? String((await versionsIn(parent)).reduce((most, one) => Math.max(most, one), 0) + 1)
    const description: TableDescription = {
      ...{ format: 1, name, version, created_at: new Date().toISOString(), source: basename(file) },
      ...written,
    }
    await writeFile(join(building, descriptionFile), `${JSON.stringify(description, undefined, 2)}\n`, { flag: 'wx' })
    const folder = join(parent, version)
    if ((await readdir(parent)).includes(version))
      throw new ModelError('INVALID_REQUEST', `${folder} is there already: a version does not change`)
    await rename(building, folder)
    return { folder, description, replaced }
  } catch (error) {
    await rm(building, { recursive: true, force: true }).catch(() => undefined)
    if (error instanceof ModelError || error instanceof SpecError || signal.aborted) throw error
    throw new ModelError('MODEL_FAILED', `the table can't be written below ${parent}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

interface ReadRows {
  rows: ImportedRows
  replaced: number
}

/** Reads all rows; again from the beginning, where a column of numbers turns out to be one of strings. */
async function readRows(source: Source, options: ImportOptions): Promise<ReadRows> {
  const texts = new Set(options.text)
  const wanted = wantedColumns(source, options)
  for (;;)
    try {
      return await readOnce(source, wanted, texts, options)
    } catch (error) {
      if (!(error instanceof NotNumbers)) throw error
      texts.add(source.columns[error.column]!.name)
    }
}

/** Indexes of the key and of the columns. Throws a SpecError. */
function wantedColumns({ columns, unusable = [] }: Source, { file, key, columns: given, text, lists }: ImportOptions) {
  const names = columns.map(({ name }) => name)
  const problems = [...new Set([key, ...(given ?? []), ...text, ...lists.keys()])].flatMap((name) => {
    if (names.includes(name)) return []
    const found = unusable.find((column) => column.name === name)
    const message = found
      ? `the column ${JSON.stringify(name)} is ${found.type}`
      : `has no column ${JSON.stringify(name)}${suggestNames(name, names)}`
    return [{ path: '', message }]
  })
  if (problems.length > 0) throw new SpecError(file, problems)
  const chosen = given ?? names.filter((name) => name !== key)
  return { key: names.indexOf(key), columns: chosen.map((name) => names.indexOf(name)) }
}

async function readOnce(
  source: Source,
  wanted: { key: number; columns: readonly number[] },
  texts: ReadonlySet<string>,
  { file, key, doubled, signal, onProgress }: ImportOptions,
): Promise<ReadRows> {
  const columns = wanted.columns.map((index): ImportedColumn => {
    const { name, type } = source.columns[index]!
    if (type === 'list') return new ListsColumn(name)
    const kind: ColumnKind = type === 'double' ? 'number' : texts.has(name) ? 'string' : 'detected'
    return new CellColumn(name, index, kind)
  })
  const keys = new StringPool()
  const rowOfKey = new Blocks([Uint32Array])
  const moved = new Map<number, number>()
  const problems = new RowProblems()
  let row = 0
  const push = (cells: readonly RowCell[]) => {
    const known = keys.count
    const number = keyOf(keys, cells[wanted.key]!)
    if (number < known) {
      if (doubled === 'refuse') throw new Error(`${key} ${JSON.stringify(cells[wanted.key])} is there already`)
      moved.set(number, row)
    } else rowOfKey.push(row)
    for (let i = 0; i < columns.length; i++)
      try {
        columns[i]!.push(cells[wanted.columns[i]!] as never)
      } catch (error) {
        if (error instanceof NotNumbers) throw error
        throw new Error(`${columns[i]!.name} ${reasonOf(error)}`)
      }
  }
  for await (const cells of source.rows(new Set([wanted.key, ...wanted.columns]))) {
    try {
      push(cells)
    } catch (error) {
      if (error instanceof NotNumbers) throw error
      problems.add('', `${source.place(row)}: ${reasonOf(error)}`)
      if (problems.full) break
    }
    row++
    if (row % 2 ** 14 !== 0) continue
    onProgress('read', row, source.progress())
    // A generator never waits: this lets an interrupt through.
    await new Promise(setImmediate)
    signal.throwIfAborted()
  }
  const found = problems.list()
  if (found.length > 0) throw new SpecError(file, found)
  if (row === 0) throw new SpecError(file, [{ path: '', message: 'has no rows' }])
  return {
    rows: { keys, columns, rowOf: (key) => moved.get(key) ?? rowOfKey.at(key) },
    replaced: row - keys.count,
  }
}

/** The number of a key, which is added if it is new. Throws an Error where it is none. */
function keyOf(keys: StringPool, cell: RowCell): number {
  if (cell === null || cell === '') throw new Error('the key is empty')
  if (typeof cell === 'number') {
    if (!Number.isSafeInteger(cell)) throw new Error(`the key ${cell} is no integer within ±(2^53 − 1)`)
    return keys.add(String(cell))
  }
  if (typeof cell !== 'string') throw new Error('the key is a list')
  try {
    return keys.add(cell)
  } catch (error) {
    throw new Error(`the key ${reasonOf(error)}`)
  }
}
