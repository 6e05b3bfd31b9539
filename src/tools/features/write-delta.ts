import { randomUUID } from 'node:crypto'
import { constants, copyFile, link, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { makeFolder } from '../../base/files.ts'
import { suggestNames } from '../../base/names.ts'
import { deltasFolder, fileOf, sequenceOf } from '../../model/serving/delta-files/delta-folder.ts'
import type { BuiltColumn } from '../../model/serving/tables/built-columns.ts'
import { type ColumnReader, isEmpty } from '../../model/serving/tables/column-readers.ts'
import { inMemory } from '../../model/serving/tables/merge-layers.ts'
import { openTable } from '../../model/serving/tables/open-table.ts'
import { StringPool, stringAt } from '../../model/serving/tables/string-pool.ts'
import {
  baseOfTable,
  checkTableDelta,
  decodeTableDelta,
  encodeTableDelta,
} from '../../model/serving/tables/table-delta.ts'
import type { BuiltRows } from '../../model/serving/tables/write-table.ts'
import { SpecError } from '../data/source.ts'
import { type ReadOptions, readRows } from './import-table.ts'
import { openTableSource } from './table-source.ts'

export interface DeltaOptions extends Pick<ReadOptions, 'columns' | 'lists' | 'doubled' | 'signal' | 'onProgress'> {
  /** Folder of a version of a table. */
  folder: string
  /** Rows that are replaced or added. */
  file: string | undefined
  /** A file with the keys of rows that are removed. */
  remove: string | undefined
}

export interface WrittenDelta {
  path: string
  sequence: number
  /** Rows that are replaced or added, and removed. */
  rows: number
  removed: number
  columns: string[]
}

/**
 * Writes the next delta of a table. Rejects with a SpecError or a ModelError that names what is wrong, then nothing was
 * changed.
 */
export async function writeTableDelta(options: DeltaOptions): Promise<WrittenDelta> {
  const { folder, file, remove } = options
  const { table, description, close } = openTable(folder)
  try {
    const key = description.key.name
    const rows = file === undefined ? noRows() : await readChanges(file, key, table.columns, options)
    const changed = rows.keys.count
    if (remove !== undefined) await addRemoved(rows, remove, key, options)
    const removed = new Uint8Array(rows.keys.count).fill(1, changed)
    const about = {
      ...{ table: description.name, version: description.version, base: baseOfTable(description) },
      created_at: new Date().toISOString(),
    }
    const built = inMemory(rows, key)
    const content = { ...built, removed: { buffer: removed.buffer, offset: 0, length: removed.length } }
    const encode = (sequence: number) => encodeTableDelta({ ...about, sequence }, content)
    checkTableDelta(decodeTableDelta(encode(1)), description, [table])
    const { path, sequence } = await writeNext(folder, encode)
    return {
      ...{ path, sequence, rows: changed, removed: rows.keys.count - changed },
      columns: built.described.columns.map(({ name }) => name),
    }
  } catch (error) {
    if (error instanceof ModelError || error instanceof SpecError || options.signal.aborted) throw error
    throw new ModelError('INVALID_REQUEST', `the delta of ${folder} can't be written: ${reasonOf(error)}`, {
      cause: error,
    })
  } finally {
    close()
  }
}

/** Rows with some columns of the table. */
async function readChanges(
  file: string,
  key: string,
  columns: ReadonlyMap<string, ColumnReader>,
  options: DeltaOptions,
): Promise<BuiltRows> {
  const opened = await openTableSource({ file, lists: options.lists, complete: true })
  const given = opened.source.columns.map(({ name }) => name)
  if (!given.includes(key)) {
    const message = `has no column ${JSON.stringify(key)}${suggestNames(key, given)}`
    throw new SpecError(file, [{ path: '', message }])
  }
  const names = (options.columns ?? given).filter((name) => name !== key)
  const problems = names.flatMap((name) => {
    const column = columns.get(name)
    const problem = column
      ? isEmpty(column)
        ? undefined
        : listProblem(name, column, opened.source.columns.find((one) => one.name === name)?.type)
      : `the table has no column ${JSON.stringify(name)}${suggestNames(name, [...columns.keys()])}`
    return problem === undefined ? [] : [{ path: '', message: problem }]
  })
  if (names.length === 0) problems.push({ path: '', message: `has no column but ${JSON.stringify(key)}` })
  if (problems.length > 0) throw new SpecError(file, problems)
  const kinds = new Map(
    [...columns].flatMap(([name, column]) =>
      column.kind === 'list' || isEmpty(column) ? [] : [[name, column.kind] as const],
    ),
  )
  const { rows } = await readRows(opened, { ...options, file, key, columns: names, text: [], kinds })
  return rows
}

function listProblem(name: string, { kind }: ColumnReader, given: string | undefined): string | undefined {
  if (given === undefined || (kind === 'list') === (given === 'list')) return undefined
  return kind === 'list'
    ? `the table's column ${name} has lists: --list "${name}=|" divides the cells of a CSV file`
    : `the table's column ${name} has no lists`
}

const noRows = (): BuiltRows => ({ keys: new StringPool(), columns: [], rowOf: undefined })

/** Adds rows without values. */
async function addRemoved(rows: BuiltRows, file: string, key: string, options: DeltaOptions): Promise<void> {
  const opened = await openTableSource({ file, lists: new Map() })
  const { rows: gone } = await readRows(opened, { ...options, file, key, columns: [], text: [] })
  const { keys, columns, rowOf = (key: number) => key } = rows
  const before = keys.count
  let last = 0
  for (let i = 0; i < before; i++) last = Math.max(last, rowOf(i) + 1)
  for (let row = 0; row < gone.keys.count; row++) {
    const text = stringAt(gone.keys, row)
    if (keys.add(text) !== before + row)
      throw new SpecError(file, [
        { path: '', message: `${key} ${JSON.stringify(text)} is also among the changed rows` },
      ])
    for (const column of columns) (column as BuiltColumn).push(null)
  }
  rows.rowOf = (number) => (number < before ? rowOf(number) : last + number - before)
}

/** Codes of file systems that have no links. A file that is copied is refused until it is whole. */
const noLinks = ['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP']

/** Writes the delta under the first number that is free; another process may take one meanwhile. */
async function writeNext(
  folder: string,
  encode: (sequence: number) => Buffer,
): Promise<{ path: string; sequence: number }> {
  const deltas = join(folder, deltasFolder)
  await makeFolder(deltas)
  const sequences = (await readdir(deltas)).flatMap((name) => sequenceOf(name) ?? [])
  for (let sequence = Math.max(0, ...sequences) + 1; ; sequence++) {
    const path = join(folder, fileOf(sequence))
    const temporary = join(deltas, `.building-${randomUUID().slice(0, 8)}`)
    try {
      await writeFile(temporary, encode(sequence), { flush: true })
      await link(temporary, path).catch(async (error: NodeJS.ErrnoException) => {
        if (!noLinks.includes(error.code ?? '')) throw error
        await copyFile(temporary, path, constants.COPYFILE_EXCL)
      })
      return { path, sequence }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      await rm(temporary, { force: true })
    }
  }
}
