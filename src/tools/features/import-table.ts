import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Blocks } from '../../base/column-blocks.ts'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { makeFolder, replaceFile } from '../../base/files.ts'
import { suggestNames } from '../../base/names.ts'
import { type BuiltColumn, CellColumn, type ColumnKind, NotNumbers } from '../../model/serving/tables/built-columns.ts'
import { ListsColumn } from '../../model/serving/tables/lists-column.ts'
import { StringPool } from '../../model/serving/tables/string-pool.ts'
import {
  descriptionFile,
  highestFile,
  tablesFolder,
  unfinishedPrefix,
  versionsIn,
} from '../../model/serving/tables/table-folder.ts'
import { type BuiltRows, writeTable } from '../../model/serving/tables/write-table.ts'
import type { TableDescription } from '../../schemas/feature-table.ts'
import { type RowCell, type RowGroup, RowProblems, type Source, SpecError } from '../data/source.ts'
import { keyOf, numberOfKeys, pusherOf, pushNumbers } from './push-group.ts'
import { type OpenSource, openTableSource } from './table-source.ts'

export interface ReadOptions {
  /** .csv, .csv.gz, .parquet or .jsonl */
  file: string
  /** The column of keys. */
  key: string
  /** Columns to import; default: all but the key. */
  columns: readonly string[] | undefined
  /** Columns of text, also where all values are numbers. */
  text: readonly string[]
  /** Columns of a CSV file with a list in each cell, and what stands between its values. */
  lists: ReadonlyMap<string, string>
  /** Kinds of columns of single values; default: as their values are. */
  kinds?: ReadonlyMap<string, 'string' | 'number'>
  /** `refuse` keys that are there twice, or keep the `last` row of each. */
  doubled: 'refuse' | 'last'
  signal: AbortSignal
  onProgress: (what: 'read' | 'written', rows: number, share: number | undefined) => void
}

export interface ImportOptions extends Omit<ReadOptions, 'kinds'> {
  /** The models folder. */
  models: string
  /** The table's name. */
  name: string
  /** Default: the one after the highest that the table has had. */
  version: string | undefined
  /** See `openTableSource`. */
  here?: boolean
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
  const { rows, replaced } = await readRows(await openTableSource(options), options)
  const parent = join(models, tablesFolder, name)
  const building = join(parent, `${unfinishedPrefix}${randomUUID().slice(0, 8)}`)
  try {
    await makeFolder(parent)
    await mkdir(building)
    const written = await writeTable({
      ...{ folder: building, rows, key, signal },
      onProgress: (done) => onProgress('written', done, done / rows.keys.count),
    })
    const highest = await highestOf(parent)
    const version = options.version ?? String(highest + 1)
    const description: TableDescription = {
      ...{ format: 1, name, version, created_at: new Date().toISOString(), source: basename(file) },
      ...written,
    }
    await writeFile(join(building, descriptionFile), `${JSON.stringify(description, undefined, 2)}\n`, { flag: 'wx' })
    const folder = join(parent, version)
    if ((await readdir(parent)).includes(version))
      throw new ModelError('INVALID_REQUEST', `${folder} is there already: a version does not change`)
    await replaceFile(join(dirname(parent), highestFile(name)), `${Math.max(highest, Number(version))}\n`)
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

/** The highest number that a table has, or has had before its folder was removed; 0 where it is new. */
async function highestOf(parent: string): Promise<number> {
  const text = await readFile(join(dirname(parent), highestFile(basename(parent))), 'utf8').catch(() => '')
  return Math.max(...(await versionsIn(parent)), /^\d{1,15}\n?$/.test(text) ? Number(text) : 0)
}

export interface ReadRows {
  rows: BuiltRows
  replaced: number
}

/** Reads all rows; again from the beginning, where a column of numbers turns out to be one of strings. */
export async function readRows(opened: OpenSource, options: ReadOptions): Promise<ReadRows> {
  const texts = new Set(options.text)
  const wanted = wantedColumns(opened.source, options)
  for (;;)
    try {
      return await new RowReader(opened, wanted, texts, options).read()
    } catch (error) {
      if (!(error instanceof NotNumbers)) throw error
      for (const column of error.columns) texts.add(opened.source.columns[column]!.name)
    }
}

/** Indexes of the key and of the columns. */
interface Wanted {
  key: number
  columns: readonly number[]
}

/** Throws a SpecError. */
function wantedColumns(
  { columns, unusable = [] }: Source,
  { file, key, columns: given, text, lists }: ReadOptions,
): Wanted {
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

/** Reads the rows of a source into columns, once. */
class RowReader {
  readonly #source: Source
  readonly #wanted: Wanted
  readonly #options: ReadOptions
  readonly #columns: BuiltColumn[]
  readonly #keys = new StringPool()
  readonly #rowOfKey = new Blocks([Uint32Array])
  /** Rows that replace those of their keys. */
  readonly #moved = new Map<number, number>()
  readonly #problems = new RowProblems()
  #row = 0

  constructor({ source, detects }: OpenSource, wanted: Wanted, texts: ReadonlySet<string>, options: ReadOptions) {
    this.#source = source
    this.#wanted = wanted
    this.#options = options
    this.#columns = wanted.columns.map((index): BuiltColumn => {
      const { name, type } = source.columns[index]!
      if (type === 'list') return new ListsColumn(name, options.lists.get(name))
      const found: ColumnKind = type === 'double' ? 'number' : detects ? 'detected' : 'string'
      const kind = options.kinds?.get(name) ?? (texts.has(name) ? 'string' : found)
      return new CellColumn(name, index, kind)
    })
  }

  async read(): Promise<ReadRows> {
    const { key, columns } = this.#wanted
    const wanted = new Set([key, ...columns])
    if (this.#source.groups)
      for await (const group of this.#source.groups(wanted)) {
        this.#pushGroup(group)
        await this.#pause()
        if (this.#problems.full) break
      }
    else
      for await (const cells of this.#source.rows(wanted)) {
        this.#attempt(this.#row, 1, () => this.#pushRow(cells))
        if (this.#problems.full) break
        if (++this.#row % 2 ** 14 === 0) await this.#pause()
      }
    const found = this.#problems.list()
    const { file } = this.#options
    if (found.length > 0) throw new SpecError(file, found)
    if (this.#row === 0) throw new SpecError(file, [{ path: '', message: 'has no rows' }])
    const isMoved = this.#row > this.#keys.count
    const rowOf = isMoved ? (key: number) => this.#moved.get(key) ?? this.#rowOfKey.at(key) : undefined
    return {
      rows: { keys: this.#keys, columns: this.#columns, rowOf },
      replaced: this.#row - this.#keys.count,
    }
  }

  #pushRow(cells: readonly RowCell[]): void {
    const key = cells[this.#wanted.key]!
    this.#pushKey(keyOf(this.#keys, key), this.#row, () => key)
    for (let i = 0; i < this.#columns.length; i++) {
      const column = this.#columns[i]!
      try {
        column.push(cells[this.#wanted.columns[i]!] as never)
      } catch (error) {
        throw new Error(`${column.name} ${reasonOf(error)}`)
      }
    }
  }

  /** A loop for each column takes half as long as one for each row. Throws NotNumbers of all columns of the group. */
  #pushGroup({ rows, columns }: RowGroup): void {
    const first = this.#row
    const keys = columns.get(this.#wanted.key)!
    const add = numberOfKeys(this.#keys, keys, rows)
    this.#attempt(first, rows, (row) => this.#pushKey(add(row), first + row, () => keys.at(row)))
    const notNumbers: number[] = []
    for (const [i, column] of this.#columns.entries())
      try {
        const cells = columns.get(this.#wanted.columns[i]!)!
        if (!pushNumbers(column, cells)) this.#attempt(first, rows, pusherOf(column, cells, rows), column.name)
      } catch (error) {
        if (!(error instanceof NotNumbers)) throw error
        notNumbers.push(...error.columns)
      }
    if (notNumbers.length > 0) throw new NotNumbers(notNumbers)
    this.#row += rows
  }

  #pushKey(number: number, row: number, cell: () => RowCell): void {
    if (number === this.#rowOfKey.length) {
      this.#rowOfKey.push(row)
      return
    }
    const { key, doubled } = this.#options
    if (doubled === 'refuse') throw new Error(`${key} ${JSON.stringify(cell())} is there already`)
    this.#moved.set(number, row)
  }

  /** Does some work for `rows` rows, and notes what is wrong with them; `column`: a name that messages lack. */
  #attempt(first: number, rows: number, work: (row: number) => void, column?: string): void {
    let row = 0
    while (row < rows && !this.#problems.full)
      try {
        for (; row < rows; row++) work(row)
      } catch (error) {
        if (error instanceof NotNumbers) throw error
        const what = column === undefined ? reasonOf(error) : `${column} ${reasonOf(error)}`
        this.#problems.add('', `${this.#source.place(first + row)}: ${what}`)
        row++
      }
  }

  /** A generator never waits: this lets an interrupt through. */
  async #pause(): Promise<void> {
    const { signal, onProgress } = this.#options
    onProgress('read', this.#row, this.#source.progress())
    await new Promise(setImmediate)
    signal.throwIfAborted()
  }
}
