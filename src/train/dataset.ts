import { reasonOf, type Violation } from '../model/base/errors.ts'
import type { TrainField, TrainSpec } from '../schemas/train-spec.ts'
import { createAdsFunnel } from './ads-funnel.ts'
import { openCsv } from './csv.ts'
import { compileExpression } from './expression.ts'
import { createCellCheck } from './fields.ts'
import { referenceProblems } from './references.ts'
import { RowProblems } from './row-problems.ts'
import type { Cell, Source } from './source.ts'
import { type LoadedSpec, SpecError } from './spec.ts'
import { type Parts, splitRows } from './split.ts'

/** All rows of a spec's data, as columns, before encoding. */
export interface Dataset {
  rows: number
  /** Per field of the spec, per row: a string (vocabulary, hash), a number (integer, numeric), or null. */
  cells: Cell[][]
  /** Per task, per row: 1, 0, or −1 for rows outside the task's sample space. */
  labels: Int8Array[]
  /** Per task, the true probabilities, if the data has them. */
  oracles: (Float64Array | undefined)[]
  parts: Parts
  /** The place of a row, for messages. */
  place(row: number): string
}

type Reader<T> = (row: readonly Cell[]) => T

/** Reads all rows of the data once. Rejects with a SpecError that lists what does not fit, with its place in the data. */
export async function readDataset({ file, spec }: LoadedSpec, signal?: AbortSignal): Promise<Dataset> {
  const { source, readers } = await openDataset({ file, spec })
  const { rows, cells, labels, oracles, times } = await readRows(source, readers, file, signal)
  const parts = splitRows(spec.split, rows, readers.time && Float64Array.from(times))
  const problems: Violation[] = []
  for (const part of ['train', 'validation', 'test'] as const) {
    const least = part === 'train' ? 2 : 1
    if (parts[part].length >= least) continue
    problems.push({ path: `/split/${part}`, message: `has ${parts[part].length} of ${rows} rows; it needs ${least}` })
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

async function readRows(source: Source, readers: Readers, file: string, signal: AbortSignal | undefined) {
  const cells: Cell[][] = readers.fields.map(() => [])
  const labels: number[][] = readers.tasks.map(() => [])
  const oracles: number[][] = readers.tasks.map(() => [])
  const times: number[] = []
  const problems = new RowProblems()
  let rows = 0
  const attempt = <T>(path: string, read: Reader<T>, row: readonly Cell[]): T | undefined => {
    try {
      return read(row)
    } catch (error) {
      problems.add(path, `${source.place(rows)}: ${reasonOf(error)}`)
      return undefined
    }
  }
  try {
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
      if (problems.full) break
      // A generator never waits: this lets an interrupt through.
      if (rows % 8192 === 0) {
        await new Promise(setImmediate)
        signal?.throwIfAborted()
      }
    }
  } catch (error) {
    if (error instanceof SpecError) throw new SpecError(file, [...problems.list(), ...error.problems])
    throw error
  }
  const found = problems.list()
  if (found.length > 0) throw new SpecError(file, found)
  return { rows, cells, labels, oracles, times }
}

/** Opens a spec's data. Rejects with a SpecError if its files or their headers are missing. */
export async function openSource(data: TrainSpec['data'], file: string): Promise<Source> {
  return 'csv' in data ? openCsv(data, file) : createAdsFunnel(data)
}

/** Opens the data without reading rows. Rejects with a SpecError that lists unknown columns and invalid expressions. */
async function openDataset({ file, spec }: LoadedSpec): Promise<{ source: Source; readers: Readers }> {
  const source = await openSource(spec.data, file)
  const problems = referenceProblems(spec, source.columns)
  if (problems.length > 0) throw new SpecError(file, problems)
  return { source, readers: createReaders(spec, source) }
}

/** Problems of a spec's data, columns and expressions; no rows are read. */
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

/** Readers of a spec's columns and expressions, which are known to be valid. */
function createReaders(spec: TrainSpec, { columns }: Source): Readers {
  const column = (name: string): Reader<Cell> => {
    const index = columns.findIndex((candidate) => candidate.name === name)
    return (row) => row[index] ?? null
  }
  const number = (read: Reader<Cell>): Reader<number> => {
    return (row) => toNumber(read(row) ?? 'missing')
  }
  return {
    fields: spec.fields.map((field) => {
      const { expression } = field
      const read =
        expression === undefined ? column(field.column ?? field.name) : compileExpression(expression, columns)
      const problemOf = createCellCheck(field)
      return (row) => {
        const cell = toKind(field, read(row))
        const problem = problemOf(cell)
        if (problem !== undefined) throw new Error(`${field.name} ${problem}`)
        return cell
      }
    }),
    tasks: spec.tasks.map(({ label, where, oracle }) => {
      const readLabel = compileExpression(label, columns)
      const isInside = where === undefined ? () => 1 : compileExpression(where, columns)
      return {
        label: (row) => toLabel(readLabel, isInside, row),
        oracle: oracle === undefined ? undefined : number(column(oracle)),
      }
    }),
    time: spec.split.by === 'time' ? number(column(spec.split.column)) : undefined,
  }
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
