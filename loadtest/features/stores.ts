import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { getHeapStatistics } from 'node:v8'
import type { ColumnReader } from '../../src/model/serving/tables/column-readers.ts'
import type { FeatureTable } from '../../src/model/serving/tables/feature-table.ts'
import { type AdValue, adOf, keyOf } from './ads.ts'

/** Something that holds the features of ads by their keys. */
export interface Store {
  name: string
  ads: number
  bytes: number
  /** Looks keys up; how many of them are there. */
  find(keys: readonly string[]): number
  /** Looks keys up and reads all values; a number that depends on each of them. */
  fetch(keys: readonly string[]): number
  close(): Promise<void> | void
}

/** The project's own. Strings are read as the codes that a version encodes them by. */
export function tableStore(table: FeatureTable, close: () => void): Store {
  const { rows: ads, bytes } = table
  const readers = [...table.columns.values()].map(sumOf)
  const rows = new Int32Array(1000)
  return {
    ...{ name: 'feature table', ads, bytes, close },
    find(keys) {
      table.findAll(keys, rows)
      let found = 0
      for (let i = 0; i < keys.length; i++) if (rows[i]! >= 0) found++
      return found
    },
    fetch(keys) {
      table.findAll(keys, rows)
      let sum = 0
      for (let i = 0; i < keys.length; i++) for (const read of readers) sum += read(rows[i]!)
      return sum
    },
  }
}

function sumOf(column: ColumnReader): (row: number) => number {
  if (column.kind === 'string') return column.code
  if (column.kind === 'number') return (row) => column.number(row) || 0
  const { items } = column
  const read = items.kind === 'string' ? items.code : items.number
  return (row) => {
    const [first, count] = [column.first(row), column.count(row)]
    let sum = 0
    for (let i = 0; i < count; i++) sum += read(first + i)
    return sum
  }
}

/** A Map of objects, as many as fit: until four fifths of the heap that Node allows are taken. */
export function mapStore(most: number): Store {
  const before = process.memoryUsage().heapUsed
  const limit = 0.8 * getHeapStatistics().heap_size_limit
  const rows = new Map<string, Record<string, AdValue>>()
  for (let ad = 0; ad < most; ad++) {
    rows.set(keyOf(ad), adOf(ad))
    if (ad % 2 ** 14 === 0 && process.memoryUsage().heapUsed > limit) break
  }
  return {
    ...{ name: 'Map of objects', ads: rows.size, bytes: process.memoryUsage().heapUsed - before },
    find: (keys) => countOf(keys, (key) => rows.has(key)),
    fetch: (keys) => sumOfAll(keys, (key) => rows.get(key)),
    close: () => rows.clear(),
  }
}

/** The part of the library that is used. */
interface Lmdb {
  open(options: { path: string; sharedStructuresKey: symbol }): {
    put(key: string, value: unknown): Promise<boolean>
    get(key: string): Record<string, AdValue> | undefined
    doesExist(key: string): boolean
    flushed: Promise<void>
    close(): Promise<void>
  }
}

/** LMDB with a record for each ad; undefined where the package can't be installed. */
export async function lmdbStore(ads: number, folder: string): Promise<Store | undefined> {
  const arguments_ = [
    'install',
    '--prefix',
    folder,
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    'lmdb@3',
  ]
  const installed = await promisify(execFile)('npm', arguments_).catch(() => undefined)
  if (installed === undefined) return undefined
  const { open } = createRequire(join(folder, 'here.js'))('lmdb') as Lmdb
  const path = join(folder, 'ads.mdb')
  // The structure of records is stored once, and not with each.
  const store = open({ path, sharedStructuresKey: Symbol.for('structures') })
  let last: Promise<unknown> = Promise.resolve()
  for (let ad = 0; ad < ads; ad++) {
    last = store.put(keyOf(ad), adOf(ad))
    if (ad % 2 ** 14 === 0) await last
  }
  await last
  await store.flushed
  return {
    ...{ name: 'LMDB', ads, bytes: (await stat(path)).size },
    find: (keys) => countOf(keys, (key) => store.doesExist(key)),
    fetch: (keys) => sumOfAll(keys, (key) => store.get(key)),
    close: () => store.close(),
  }
}

function countOf(keys: readonly string[], has: (key: string) => boolean): number {
  let found = 0
  for (const key of keys) if (has(key)) found++
  return found
}

function sumOfAll(keys: readonly string[], get: (key: string) => Record<string, AdValue> | undefined): number {
  let sum = 0
  for (const key of keys) {
    const row = get(key)
    for (const name in row) sum += sizeOfValue(row[name]!)
  }
  return sum
}

function sizeOfValue(value: AdValue): number {
  if (typeof value === 'number') return value
  return value === null ? 0 : value.length
}
