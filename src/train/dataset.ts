import type { Violation } from '../model/base/errors.ts'
import { reasonOf } from '../model/base/errors.ts'
import type { TrainField, TrainSpec } from '../schemas/train-spec.ts'
import { createAdsFunnel } from './ads-funnel.ts'
import { openCsv } from './csv.ts'
import { compileExpression, knownColumns } from './expression.ts'
import type { Cell, Source } from './source.ts'
import { type LoadedSpec, SpecError } from './spec.ts'
import { type Parts, splitRows } from './split.ts'

/** Every row of a spec's data, by column, before encoding. */
export interface Dataset {
  rows: number
  /** Per field of the spec, per row: a string (vocabulary, hash), a number (integer, numeric), or null. */
  cells: Cell[][]
  /** Per task, per row: 1, 0, or −1 for rows outside the task's sample space. */
  labels: Int8Array[]
  /** Per task the true probabilities, where the data knows them. */
  oracles: (Float64Array | undefined)[]
  parts: Parts
  /** Where a row stands, for messages. */
  place(row: number): string
}

type Reader<T> = (row: readonly Cell[]) => T

/** Bad rows that are told before it gives up. */
const maxRowProblems = 20

/** Reads all rows of the data once. Rejects with a SpecError that lists what doesn't fit, with the place in the data. */
export async function readDataset({ file, spec }: LoadedSpec, signal?: AbortSignal): Promise<Dataset> {
  const { source, readers } = await openDataset({ file, spec })
  const cells: Cell[][] = spec.fields.map(() => [])
  const labels: number[][] = spec.tasks.map(() => [])
  const oracles: number[][] = spec.tasks.map(() => [])
  const times: number[] = []
  const problems: Violation[] = []

  let rows = 0
  const attempt = <T>(path: string, read: Reader<T>, row: readonly Cell[]): T | undefined => {
    try {
      return read(row)
    } catch (error) {
      problems.push({ path, message: `${source.place(rows)}: ${reasonOf(error)}` })
      return undefined
    }
  }
  for await (const row of source.rows()) {
    readers.fields.forEach((read, index) => {
      cells[index]!.push(attempt(`/fields/${index}`, read, row) ?? null)
    })
    readers.tasks.forEach(({ label, oracle }, index) => {
      labels[index]!.push(attempt(`/tasks/${index}`, label, row) ?? -1)
      if (oracle) oracles[index]!.push(attempt(`/tasks/${index}/oracle`, oracle, row) ?? Number.NaN)
    })
    if (readers.time) times.push(attempt('/split/column', readers.time, row) ?? Number.NaN)
    rows += 1
    if (problems.length >= maxRowProblems) break
    // So that an interrupt is heard while a generator, which never waits, runs.
    if (rows % 8192 === 0) {
      await new Promise(setImmediate)
      signal?.throwIfAborted()
    }
  }
  if (problems.length > 0) throw new SpecError(file, problems)

  const parts = splitRows(spec.split, rows, readers.time && Float64Array.from(times))
  for (const part of ['train', 'validation', 'test'] as const) {
    const least = part === 'train' ? 2 : 1
    if (parts[part].length >= least) continue
    problems.push({ path: `/split/${part}`, message: `holds ${parts[part].length} of ${rows} rows; it needs ${least}` })
  }
  if (problems.length > 0) throw new SpecError(file, problems)
  return {
    rows,
    cells,
    labels: labels.map((values) => Int8Array.from(values)),
    oracles: oracles.map((values) => (values.length > 0 ? Float64Array.from(values) : undefined)),
    parts,
    place: source.place,
  }
}

/** The data, and how its rows are read: no row is. Rejects with a SpecError that lists unknown columns and wrong expressions. */
async function openDataset({ file, spec }: LoadedSpec): Promise<{ source: Source; readers: Readers }> {
  const source = 'csv' in spec.data ? await openCsv(spec.data, file) : createAdsFunnel(spec.data)
  return { source, readers: compileSpec(spec, source, file) }
}

/** What is wrong with a spec's data, columns and expressions, without reading rows. */
export async function columnProblems(loaded: LoadedSpec): Promise<Violation[]> {
  try {
    await openDataset(loaded)
    return []
  } catch (error) {
    if (error instanceof SpecError) return error.problems
    throw error
  }
}

interface Readers {
  fields: Reader<Cell>[]
  tasks: { label: Reader<number>; oracle: Reader<number> | undefined }[]
  time: Reader<number> | undefined
}

/** Readers of what the spec names; throws a SpecError that lists every unknown column and wrong expression. */
function compileSpec(spec: TrainSpec, source: Source, file: string): Readers {
  const problems: Violation[] = []
  const column = (name: string, path: string): Reader<Cell> => {
    const index = source.columns.findIndex((candidate) => candidate.name === name)
    if (index < 0)
      problems.push({
        path,
        message: `no column ${JSON.stringify(name)}${knownColumns(
          name,
          source.columns.map((known) => known.name),
        )}`,
      })
    return (row) => row[index] ?? null
  }
  const expression = (text: string, path: string): Reader<Cell> => {
    try {
      return compileExpression(text, source.columns)
    } catch (error) {
      problems.push({ path, message: reasonOf(error) })
      return () => null
    }
  }
  const readers: Readers = {
    fields: spec.fields.map((field, index) => {
      const path = `/fields/${index}`
      const read =
        field.expression === undefined
          ? column(field.column ?? field.name, field.column === undefined ? `${path}/name` : `${path}/column`)
          : expression(field.expression, `${path}/expression`)
      return (row) => toKind(field, read(row))
    }),
    tasks: spec.tasks.map((task, index) => {
      const label = expression(task.label, `/tasks/${index}/label`)
      const where = task.where === undefined ? () => 1 : expression(task.where, `/tasks/${index}/where`)
      const oracle = task.oracle === undefined ? undefined : column(task.oracle, `/tasks/${index}/oracle`)
      return {
        label: (row) => toLabel(label, where, row),
        oracle: oracle && ((row) => toNumber(oracle(row) ?? 'missing')),
      }
    }),
    time: undefined,
  }
  if (spec.split.by === 'time') {
    const time = column(spec.split.column, '/split/column')
    readers.time = (row) => toNumber(time(row) ?? 'missing')
  }
  if (problems.length > 0) throw new SpecError(file, problems)
  return readers
}

function toLabel(label: Reader<Cell>, where: Reader<Cell>, row: readonly Cell[]): number {
  const inside = where(row)
  if (inside === null || inside === 0) return -1
  if (inside !== 1) throw new Error(`where must yield true or false, not ${JSON.stringify(inside)}`)
  const value = label(row)
  if (value === null) return -1
  if (value !== 0 && value !== 1)
    throw new Error(`label must yield true or false, 1 or 0, not ${JSON.stringify(value)}`)
  return value
}

function toKind(field: TrainField, cell: Cell): Cell {
  if (cell === null) return null
  if (field.kind === 'vocabulary' || field.kind === 'hash') return String(cell)
  return toNumber(cell)
}

function toNumber(cell: string | number): number {
  const number = typeof cell === 'number' || cell.trim() === '' ? cell : Number(cell)
  if (typeof number !== 'number' || !Number.isFinite(number))
    throw new Error(`must be a number, not ${JSON.stringify(cell)}`)
  return number
}
