import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { fileProblem, makeFolder, replaceFile } from '../../base/files.ts'
import { surveyLive } from '../../model/graph/compile/survey-live.ts'
import { manifestFile, readManifest } from '../../model/serving/bundle/manifest.ts'
import { deltasFolder, fileOf, sequenceOf } from '../../model/serving/delta-files/delta-folder.ts'
import { type Delta, type DeltaTable, decodeDelta, encodeDelta } from '../../model/serving/deltas/delta-file.ts'
import { checkDelta, type Expectation, expectationOf, type LiveField } from '../../model/serving/deltas/expectation.ts'
import { createSparseFieldEncoder } from '../../model/serving/features/field.ts'
import { inputFields } from '../../model/serving/features/table.ts'
import { describeGraph, outputsOf, savedGraph } from '../../model/serving/prediction/load-graph.ts'
import type { SparseField } from '../../schemas/features.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { Cell, Column, ListCell, RowCell, Source } from '../data/source.ts'

/** The column of ids in a file of rows. */
const idColumn = 'id'

interface WriteOptions {
  /** Folder of a version. */
  folder: string
  /** CSV or Parquet file of rows. */
  rows: string
  field: string
  /** Default: the one after the last. */
  sequence?: number | undefined
}

/**
 * Writes the next delta of a version from a file of rows. Rejects with INVALID_BUNDLE or INVALID_REQUEST, naming the
 * place.
 */
export async function writeDelta(options: WriteOptions): Promise<{ path: string; rows: number; width: number }> {
  const { folder, field, rows: file } = options
  const { manifest, expected } = await versionOf(folder)
  const live = expected.fields.find(({ name }) => name === field)
  const feature = inputFields(manifest.features).find(({ name }) => name === field)
  if (live === undefined || feature === undefined || feature.kind === 'numeric' || feature.kind === 'vector') {
    const known = expected.fields.map(({ name }) => name).join(', ')
    throw new ModelError(
      'INVALID_REQUEST',
      `${JSON.stringify(field)} is not a live field of ${folder}; live are ${known}`,
    )
  }
  const table = await readRows(file, feature, live)
  const names = await readdir(join(folder, deltasFolder)).catch(() => [])
  const sequences = names.flatMap((name) => sequenceOf(name) ?? [])
  const { sequence = Math.max(0, ...sequences) + 1 } = options
  if (sequences.includes(sequence))
    throw new ModelError('INVALID_REQUEST', `${join(folder, fileOf(sequence))} exists already`)
  const { model, version, base } = expected
  const delta: Delta = { model, version, base, sequence, tables: [table] }
  try {
    checkDelta(delta, expected)
  } catch (error) {
    throw new ModelError('INVALID_REQUEST', `${file}: ${reasonOf(error)}`)
  }
  const path = join(folder, fileOf(sequence))
  await makeFolder(dirname(path))
  await replaceFile(path, encodeDelta(delta))
  return { path, rows: table.ids.length, width: table.width }
}

export interface CheckedDelta {
  path: string
  /** Whether the version was there to compare it with. */
  compared: boolean
  delta?: Delta
  problem?: string
}

/** Checks delta files; those in the folder `deltas` of a version also against that. */
export async function checkDeltas(paths: readonly string[]): Promise<CheckedDelta[]> {
  const versions = new Map<string, ReturnType<typeof versionOf> | undefined>()
  const checked: CheckedDelta[] = []
  for (const path of paths) {
    const folder = dirname(dirname(resolve(path)))
    if (!versions.has(folder)) versions.set(folder, (await hasManifest(folder, path)) ? versionOf(folder) : undefined)
    const compared = versions.get(folder) !== undefined
    try {
      const delta = decodeDelta(await readFile(path).catch((cause) => Promise.reject(new Error(fileProblem(cause)))))
      const sequence = sequenceOf(basename(path))
      if (sequence !== undefined && delta.sequence !== sequence)
        throw new Error(`says that it is number ${delta.sequence}`)
      const version = await versions.get(folder)
      if (version !== undefined) checkDelta(delta, version.expected)
      checked.push({ path, compared, delta })
    } catch (error) {
      checked.push({ path, compared, problem: reasonOf(error) })
    }
  }
  return checked
}

async function hasManifest(folder: string, path: string): Promise<boolean> {
  if (basename(dirname(resolve(path))) !== deltasFolder) return false
  return (await readdir(folder)).includes(manifestFile)
}

/** A version, and what its deltas must be like. */
async function versionOf(folder: string): Promise<{ manifest: Manifest; expected: Expectation }> {
  const manifest = await readManifest(join(folder, manifestFile), join(folder, manifestFile))
  const source = savedGraph({ folder: resolve(folder), manifest }, outputsOf(manifest))
  const tables = await surveyLive({ ...describeGraph(manifest, undefined), source })
  if (typeof tables === 'string') throw new ModelError('INVALID_BUNDLE', `${folder} refuses deltas: ${tables}`)
  return { manifest, expected: expectationOf(manifest, { tables }) }
}

/** Reads rows of ids, or of a field's values, and the numbers of each. */
async function readRows(path: string, field: SparseField, { width }: LiveField): Promise<DeltaTable> {
  const source = await openRows(path)
  const { key, isId, values } = columnsOf(source.columns, field, width, path)
  const idOf = isId ? parseId : idsOfValues(field)
  const ids: number[] = []
  const rows: number[] = []
  let row = 0
  for await (const cells of source.rows()) {
    try {
      ids.push(idOf((cells[key] ?? null) as Cell))
      for (const column of values) pushNumbers(rows, cells[column] ?? null, source.columns[column]!.name, width)
    } catch (error) {
      throw new ModelError('INVALID_REQUEST', `${source.place(row)}: ${reasonOf(error)}`)
    }
    row++
  }
  if (row === 0) throw new ModelError('INVALID_REQUEST', `${path} has no rows`)
  return { field: field.name, width, ids: Uint32Array.from(ids), rows: Float32Array.from(rows) }
}

async function openRows(path: string): Promise<Source> {
  const file = resolve(path)
  if (!/\.parquet$/i.test(path)) {
    const { openCsv } = await import('../data/csv.ts')
    return openCsv({ csv: [file], separator: ',', trim: false, missing: [''] }, file)
  }
  const { openParquet } = await import('../data/parquet.ts')
  return openParquet({ parquet: [file], missing: [''] }, file)
}

function columnsOf(columns: readonly Column[], field: SparseField, width: number, path: string) {
  const refuse = (message: string) => new ModelError('INVALID_REQUEST', `${path}: ${message}`)
  const places = [idColumn, field.name].map((name) => columns.findIndex((column) => column.name === name))
  const [id, value] = places as [number, number]
  if (id < 0 === value < 0)
    throw refuse(
      `it must have either a column ${idColumn}, of ids, or a column ${field.name}, of values as in requests`,
    )
  const key = Math.max(id, value)
  const values = [...columns.keys()].filter((column) => column !== key)
  if (columns[key]!.type === 'list') throw refuse(`its column ${columns[key]!.name} is a list, not one value`)
  // One list holds the whole row.
  if (values.length === 1 && columns[values[0]!]!.type === 'list') return { key, isId: id >= 0, values }
  if (values.length !== width)
    throw refuse(`it has ${values.length} columns of numbers, but the rows of the field's table have ${width}`)
  return { key, isId: id >= 0, values }
}

function parseId(cell: Cell): number {
  const id = numberOf(cell, idColumn)
  if (!Number.isInteger(id) || id < 0 || id >= 2 ** 32) throw new Error(`${idColumn} must be an id, not ${cell}`)
  return id
}

/** Values as in requests; one that is not known would change the row of all that are not. */
function idsOfValues(field: SparseField): (cell: Cell) => number {
  let unknown = false
  const { encode } = createSparseFieldEncoder(field, 0, () => {
    unknown = true
  })
  return (cell) => {
    if (cell === null && field.list !== undefined) throw new Error(`${field.name} must be a value, not null`)
    unknown = false
    const id = encode(
      field.kind === 'integer' && cell !== null ? numberOf(cell, field.name) : cell === null ? null : `${cell}`,
    )
    if (typeof id === 'string') throw new Error(`${field.name} ${id}`)
    if (unknown) throw new Error(`${field.name} has no value ${JSON.stringify(cell)}`)
    return id
  }
}

/** Adds the number of a cell, or those of a list, which are a whole row of the table. */
function pushNumbers(rows: number[], cell: RowCell, column: string, width: number): void {
  if (cell === null || typeof cell !== 'object') {
    rows.push(numberOf(cell, column))
    return
  }
  const list: ListCell = cell
  if (list.length !== width)
    throw new Error(`${column} has ${list.length} numbers, but the rows of the field's table have ${width}`)
  list.forEach((item, i) => {
    rows.push(numberOf(item, `${column}[${i}]`))
  })
}

function numberOf(cell: Cell, column: string): number {
  const number = typeof cell === 'string' && cell.trim() === '' ? Number.NaN : Number(cell ?? Number.NaN)
  if (!Number.isFinite(number)) throw new Error(`${column} must be a number, not ${JSON.stringify(cell)}`)
  return number
}
