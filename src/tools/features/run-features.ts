import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { TSchema } from 'typebox'
import type { RunContext } from '../../base/command.ts'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { createProgress } from '../../base/progress.ts'
import { counted, formatBytes, formatTable, grouped } from '../../base/terminal.ts'
import { cellOf } from '../../model/serving/tables/column-readers.ts'
import { type ChangedTable, openChanged } from '../../model/serving/tables/open-changed.ts'
import { descriptionFile, tablesFolder } from '../../model/serving/tables/table-folder.ts'
import { check } from '../../schemas/check.ts'
import type { TableColumn, TableDescription } from '../../schemas/feature-table.ts'
import { ModelName, VersionName } from '../../schemas/manifest.ts'
import type { ProblemItem } from '../../schemas/problem.ts'
import { findHighest, unfitReaders } from '../data/entity-tables.ts'
import { type ImportOptions, importTable } from './import-table.ts'
import { type DeltaOptions, writeTableDelta } from './write-delta.ts'

type ImportRun = RunContext &
  Omit<ImportOptions, 'name' | 'columns' | 'signal' | 'onProgress'> & {
    name?: string
    columns?: readonly string[]
    json: boolean
  }

/** `multigate features import`. Rejects with ModelError or SpecError; then nothing was changed. */
export async function runImport(options: ImportRun): Promise<void> {
  const { file, json, out, err, columns, version } = options
  const name = options.name ?? basename(file).replace(/\.(csv|csv\.gz|parquet|jsonl|ndjson)$/i, '')
  expectName('/name', ModelName, name)
  if (version !== undefined) expectName('/version', VersionName, version)
  const started = performance.now()
  const progress = createProgress(err)
  try {
    const { folder, description, replaced } = await importTable({
      ...options,
      ...{ name, columns },
      onProgress: (what, rows, share) => {
        const total = share === undefined || share === 0 ? undefined : Math.max(rows, Math.round(rows / share))
        progress.rows(what === 'read' ? `reading ${file}` : 'writing the table', rows, total)
      },
    })
    progress.stop()
    for (const [problem, versions] of await unfitReaders(options.models, name, folder))
      err.write(`warning: ${versions.join(', ')} can't use ${name}/${description.version}, which ${problem}\n`)
    const seconds = (performance.now() - started) / 1000
    if (json) {
      out.write(`${JSON.stringify({ folder, replaced, seconds, ...description }, undefined, 2)}\n`)
      return
    }
    const { rows } = description
    const note = replaced > 0 ? `, ${grouped(replaced)} rows replaced by later ones with their key` : ''
    out.write(`${folder}: ${grouped(rows)} rows${note}; ${seconds.toFixed(1)} s\n\n${formatStats(description)}\n`)
  } finally {
    progress.stop()
  }
}

function expectName(path: string, schema: TSchema, value: string): void {
  const problems: ProblemItem[] = []
  check(schema, value, path, problems)
  const [problem] = problems
  if (problem) throw new ModelError('INVALID_REQUEST', `the table's ${path.slice(1)} ${problem.message}`)
}

/** `multigate features get` */
export async function runGet({
  table: named,
  keys,
  models,
  out,
}: RunContext & { table: string; keys: readonly string[]; models: string }): Promise<void> {
  const { table, description, close } = await openChanged(await findTable(named, models))
  const absent: string[] = []
  try {
    const { name } = description.key
    for (const key of keys) {
      const row = table.find(key)
      if (row < 0) absent.push(key)
      const values = [...table.columns].map(([column, reader]) => [column, cellOf(reader, row)])
      if (row >= 0) out.write(`${JSON.stringify({ [name]: key, ...Object.fromEntries(values) })}\n`)
    }
  } finally {
    close()
  }
  if (absent.length > 0)
    throw new ModelError(
      'INVALID_REQUEST',
      `the table has no row of ${absent.map((key) => JSON.stringify(key)).join(', ')}`,
    )
}

/** `multigate features stats` */
export async function runStats({
  table,
  models,
  json,
  out,
}: RunContext & { table: string; models: string; json: boolean }): Promise<void> {
  const folder = await findTable(table, models)
  const { description, deltas, close } = await openChanged(folder)
  close()
  const text = json
    ? JSON.stringify({ folder, ...description, deltas }, undefined, 2)
    : [formatStats(description), ...formatDeltas(deltas)].join('\n')
  out.write(`${text}\n`)
}

type DeltaRun = RunContext &
  Omit<DeltaOptions, 'folder' | 'signal' | 'onProgress'> & { table: string; models: string; json: boolean }

/** `multigate features delta` */
export async function runDelta({ table, models, json, out, err, ...options }: DeltaRun): Promise<void> {
  const { file, remove } = options
  if (file === undefined && remove === undefined)
    throw new ModelError('INVALID_REQUEST', 'name a file of changed rows, or --remove a file of keys')
  const folder = await findTable(table, models)
  const progress = createProgress(err)
  try {
    const written = await writeTableDelta({
      ...{ ...options, folder },
      onProgress: (_, rows) => progress.rows(`reading ${file ?? remove}`, rows, undefined),
    })
    progress.stop()
    const { path, rows, removed, columns } = written
    const changes = [
      ...(rows > 0 ? [`${counted(rows, 'row')} changed: ${columns.join(', ')}`] : []),
      ...(removed > 0 ? [`${grouped(removed)} removed`] : []),
    ]
    out.write(json ? `${JSON.stringify(written, undefined, 2)}\n` : `${path}: ${changes.join('; ')}\n`)
  } finally {
    progress.stop()
  }
}

/** The folder of a version of a table: the one that is named, or the highest. */
async function findTable(named: string, models: string): Promise<string> {
  if (existsSync(join(named, descriptionFile))) return named
  return findHighest(join(models, tablesFolder), named).catch((error) => {
    throw new ModelError('MODEL_NOT_FOUND', reasonOf(error))
  })
}

function formatDeltas({ applied, rows, bytes, createdAt, refused }: ChangedTable['deltas']): string[] {
  if (applied === 0 && refused === undefined) return []
  const last = createdAt === undefined ? '' : `, the last of ${new Date(createdAt).toISOString()}`
  return [
    '',
    `${counted(applied, 'delta')}${last}: ${counted(rows, 'row')} changed, ${formatBytes(bytes)}`,
    ...(refused ? [`not in effect: ${refused.file} ${refused.reason}`] : []),
  ]
}

function formatStats({ name, version, rows, key, row_bytes: rowBytes, columns, files }: TableDescription): string {
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0)
  const described = columns.map((column) => [column.name, ...describe(column)])
  const long = key.long === 0 ? '' : `, ${grouped(key.long)} keys of more than ${key.width - 1} bytes beside them`
  return [
    `${name}/${version}: ${grouped(rows)} rows by ${key.name}, ${formatBytes(bytes)}`,
    `${(bytes / rows).toFixed(0)} bytes a row, of which ${rowBytes} are its values and its key${long}`,
    '',
    formatTable(['column', 'values', 'stored as', 'different'], described, 3),
  ].join('\n')
}

function describe(column: TableColumn): [string, string, string] {
  const code = (bytes: number) => `codes of ${counted(bytes, 'byte')}`
  if (column.kind === 'string') return ['strings', code(column.code_bytes), grouped(column.strings)]
  if (column.kind === 'number') return ['numbers', column.type, '']
  const { items, longest } = column
  const of = `lists of up to ${grouped(longest)}`
  return items.kind === 'string'
    ? [`${of} strings`, code(items.code_bytes), grouped(items.strings)]
    : [`${of} numbers`, items.type, '']
}
