import { reasonOf, type Violation } from '../../base/errors.ts'
import { sum } from '../../model/quality/metrics.ts'
import type { JoinedTable } from '../../schemas/joined-table.ts'
import { longestList } from '../../schemas/list-options.ts'
import type { RowsSpec } from '../../schemas/rows-spec.ts'
import { type CellColumn, type ColumnBytes, LabelColumn, MemoryCheck, NumberColumn, StringColumn } from './columns.ts'
import { joinEntities, type OpenRows, type RowEntities } from './entity-tables.ts'
import { withAges, withHistories } from './history-cells.ts'
import { ListColumn } from './list-column.ts'
import { expectHistoryMemory } from './make-histories.ts'
import { openSource } from './open-source.ts'
import { leaveOut, partsOf } from './parts.ts'
import { createReaders, type FieldReading, type Readers } from './readers.ts'
import { referenceProblems } from './references.ts'
import { RowProblems, SpecError } from './source.ts'
import type { Parts } from './split.ts'

/** All rows of a spec's data, as columns, before encoding. */
export interface Dataset {
  rows: number
  /** Per field, in the order they were asked for. */
  cells: CellColumn[]
  /** Per task, per row: 1, 0, or −1 for rows outside the task's sample space. */
  labels: Int8Array[]
  /** Per task, the true probabilities, if the data has them. */
  oracles: (Float64Array | undefined)[]
  /** Without parts in the spec, all rows are test rows. Rows of files that are used in part may be in none. */
  parts: Parts
  /** Per row its group, if the spec names a column of groups. */
  groups: StringColumn | undefined
  /** Per row its weight, ≥ 0, if the spec names a column of weights. */
  weights: Float64Array | undefined
  /** Columns of slices that are no fields. */
  slices: { name: string; column: CellColumn }[]
  /** Test rows that are training rows too, where it was counted before cells were let go. */
  repeatedTests?: number
  /** The feature tables that rows have values of, and the rows of each part that are left out for their keys. */
  tables?: JoinedTable[] | undefined
  leftOut?: Parts | undefined
  /** Facts about the rows that people should know. */
  notes?: string[] | undefined
  /** The place of a row, for messages. */
  place(row: number): string
}

/** The parts of a spec that say how its rows are read. */
export type RowsToRead = Pick<RowsSpec, 'data' | 'tasks' | 'group' | 'weight' | 'slices' | 'split' | 'history'>

export interface ReadOptions {
  signal?: AbortSignal | undefined
  /** Called now and then with the number of rows read and, if known, their share of all. */
  onProgress?: ((rows: number, share: number | undefined) => void) | undefined
  /** Bytes that columns and what is made of them may take; default: those available. */
  memory?: number | undefined
  /** Bytes per value of what is made of the columns; default: those of judging all rows. */
  bytesAfter?: number | undefined
  /** Whose features come from tables, where rows do not have them. */
  entities?: readonly RowEntities[] | undefined
}

/** Bytes per value of judging: encoded once for drift, 4, and once for the logistic regression, 8. */
export const judgingBytes = 12
/** Bytes per row and task of judging, measured: predictions before and after calibration, their order, groups. */
const judgingBytesPerTask = 90

/**
 * Most rows between two looks at the signal, the memory and the progress; and about as many cells, since rows may be
 * very wide.
 */
const pause = 8192
const pauseCells = 2 ** 18

/**
 * Reads all rows of the data once, `fields` as columns. Rejects with a SpecError that lists what does not fit, with its
 * place in the data, or that says that the memory does not suffice, before it does not.
 */
export async function readDataset(
  { file, spec }: { file: string; spec: RowsToRead },
  fields: readonly FieldReading[],
  options: ReadOptions = {},
): Promise<Dataset> {
  const { source, readers, joined, close } = await openDataset({ file, spec }, fields, options.entities)
  const { histories, ...read } = await pauseFor(options.signal)
    .then(() => readRows({ source, joined }, readers, file, options))
    .finally(close)
  if (read.rows === 0) throw new SpecError(file, [{ path: '/data', message: 'has no rows' }])
  if (spec.history && histories) {
    const { last, max = longestList } = spec.history
    const made = withHistories(read.cells, readers, histories, last, file)
    const most = readers.fields.filter(({ history }) => history).map(({ list }) => (list === undefined ? last : max))
    expectHistoryMemory(file, made.lists, options.bytesAfter ?? judgingBytes, most, options.memory)
    read.cells = withAges(made.cells, readers, histories)
  }
  const problems: Violation[] = []
  if (read.weights?.every((weight) => weight === 0))
    problems.push({ path: '/weight', message: 'is 0 in all rows: nothing would count' })
  if (read.weights && !Number.isFinite(sum(read.weights)))
    problems.push({ path: '/weight', message: 'adds up to more than a number can be: give smaller weights' })
  const all = partsOf(spec, { ...read, own: source.ownRows?.() ?? { validation: 0, test: 0, past: 0 } }, problems)
  const kept = leaveOut(all, joined?.leftOut ?? [], problems)
  if (problems.length > 0) throw new SpecError(file, problems)
  return {
    ...read,
    ...kept,
    ...(joined && { tables: joined.tables }),
    notes: source.notes?.(),
    place: (row) => source.place(row),
  }
}

async function readRows(
  { source, joined }: Omit<OpenRows, 'close'>,
  readers: Readers,
  file: string,
  options: ReadOptions,
) {
  const { signal, onProgress } = options
  const cells: CellColumn[] = readers.fields.map(({ kind, list }) => {
    if (list) return new ListColumn(kind, list.weighted === true)
    return kind === 'string' ? new StringColumn() : new NumberColumn()
  })
  const labels = readers.tasks.map(() => new LabelColumn())
  const oracles = readers.tasks.map(() => new NumberColumn())
  const groups = readers.group && new StringColumn()
  const weights = readers.weight && new NumberColumn()
  const times = readers.time && new NumberColumn()
  const history = readers.history && { by: new StringColumn(), order: new NumberColumn(), where: new LabelColumn() }
  const slices = readers.slices.map(({ name, kind }) => ({
    name,
    column: kind === 'string' ? new StringColumn() : new NumberColumn(),
  }))
  const columns: CellColumn[] = [...cells, ...slices.map(({ column }) => column), ...oracles]
  for (const column of [groups, weights, times, history?.by, history?.order]) if (column) columns.push(column)
  const problems = new RowProblems()
  const memory = new MemoryCheck(options.memory)
  const pauseRows = Math.max(1, Math.min(pause, Math.floor(pauseCells / source.columns.length)))
  let rows = 0
  const attempt = <T>(path: string, read: (row: readonly never[]) => T, row: readonly unknown[], isLeft = false) => {
    try {
      return read(row as readonly never[])
    } catch (error) {
      if (!isLeft) problems.add(path, `${source.place(rows)}: ${reasonOf(error)}`)
      return null
    }
  }
  try {
    for await (const row of source.rows(readers.columns)) {
      const isLeft = joined?.leftOut.at(-1) === rows
      for (let index = 0; index < cells.length; index++) {
        const { path, read } = readers.fields[index]!
        ;(cells[index] as StringColumn).push(attempt(path, read, row, isLeft) as never)
      }
      for (let index = 0; index < labels.length; index++) {
        const { label, oracle } = readers.tasks[index]!
        labels[index]!.push(attempt(`/tasks/${index}`, label, row) ?? -1)
        if (oracle) oracles[index]!.push(attempt(`/tasks/${index}/oracle`, oracle, row))
      }
      if (readers.group) groups!.push(attempt('/group', readers.group, row))
      if (readers.weight) weights!.push(attempt('/weight', readers.weight, row))
      if (readers.history && history) {
        history.by.push(attempt('/history/by', readers.history.by, row))
        history.order.push(attempt('/history/order', readers.history.order, row))
        history.where.push(attempt('/history/where', readers.history.where, row) ?? 0)
      }
      if (readers.time) times!.push(attempt('/split/column', readers.time, row))
      for (let index = 0; index < slices.length; index++)
        slices[index]!.column.push(attempt(`/slices/${index}`, readers.slices[index]!.read, row) as never)
      rows += 1
      if (problems.full) break
      if (rows % pauseRows === 0) {
        await pauseFor(signal)
        const share = source.progress()
        onProgress?.(rows, share)
        const taken = columnBytes(columns)
        taken.rows += valuesOf(cells, rows) * (options.bytesAfter ?? judgingBytes)
        if (options.bytesAfter === undefined) taken.rows += rows * labels.length * judgingBytesPerTask
        memory.check(rows, share, taken, { file, sample: source.sample })
      }
    }
  } catch (error) {
    if (error instanceof SpecError) throw new SpecError(file, [...problems.list(), ...error.problems])
    throw error
  }
  const found = problems.list()
  if (found.length > 0) throw new SpecError(file, found)
  return {
    rows,
    cells,
    labels: labels.map((column) => column.flat()),
    oracles: oracles.map((column) => (column.length > 0 ? column.flat() : undefined)),
    groups,
    weights: weights?.flat(),
    times: times?.flat(),
    slices,
    histories: history && { by: history.by, order: history.order.flat(), where: history.where.flat() },
  }
}

/** Lets an interrupt through, which a generator that never waits doesn't. Rejects where there was one. */
async function pauseFor(signal: AbortSignal | undefined): Promise<void> {
  await new Promise(setImmediate)
  signal?.throwIfAborted()
}

/** Number of values in columns of `rows` rows, those of lists included. */
function valuesOf(cells: readonly CellColumn[], rows: number): number {
  return cells.reduce((sum, column) => sum + rows + (column instanceof ListColumn ? column.values.length : 0), 0)
}

function columnBytes(columns: readonly CellColumn[]): ColumnBytes {
  const total = { rows: 0, values: 0 }
  for (const { bytes } of columns) {
    total.rows += bytes.rows
    total.values += bytes.values
  }
  return total
}

/** Rows that are open, and how each of the fields that were asked for is read from one. */
export interface OpenDataset extends OpenRows {
  readers: Readers
}

/**
 * Opens the data, and the tables of entities, without reading rows. Rejects with a SpecError that lists unknown columns
 * and invalid expressions.
 */
export async function openDataset(
  { file, spec }: { file: string; spec: RowsToRead },
  fields: readonly FieldReading[],
  entities: readonly RowEntities[] = [],
): Promise<OpenDataset> {
  const tables = 'generator' in spec.data ? undefined : spec.data.tables
  const opened = await joinEntities(await openSource(spec.data, file), { file, tables }, fields, entities)
  const problems = referenceProblems(spec, fields, opened.source)
  if (problems.length === 0) return { ...opened, readers: createReaders(spec, fields, opened.source.columns) }
  opened.close()
  throw new SpecError(file, problems)
}

/** Problems of a spec's data, columns and expressions; no rows are read. */
export async function columnProblems(
  loaded: { file: string; spec: RowsToRead },
  fields: readonly FieldReading[],
  entities: readonly RowEntities[],
): Promise<Violation[]> {
  try {
    const { close } = await openDataset(loaded, fields, entities)
    close()
    return []
  } catch (error) {
    if (error instanceof SpecError) return error.problems
    throw error
  }
}
