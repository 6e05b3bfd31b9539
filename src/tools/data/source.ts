import { existsSync, statSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import { listProblems, type Violation } from '../../base/errors.ts'
import { isOrdinary } from '../../base/files.ts'
import type { CsvData, ParquetData, RowsSpec } from '../../schemas/rows-spec.ts'
import type { TrainSpec } from '../../schemas/train-spec.ts'

/** A value of the data; null if it is missing. */
export type Cell = string | number | null

/** The values of a list, or the numbers of a vector; null where the data has none in place of a value. */
export type ListCell = readonly Cell[]

/** A cell of a row; lists are in columns of lists alone. */
export type RowCell = Cell | ListCell

export interface Column {
  name: string
  type: 'string' | 'double' | 'list'
}

/** A column of a type that rows can't be read from. */
export interface UnusableColumn {
  name: string
  /** The kind of its values, with an article: `a list`. */
  type: string
}

/** Rows of data, read once, in a fixed order. */
export interface Source {
  columns: Column[]
  unusable?: UnusableColumn[]
  /** Place of row `index`, for messages: `file.csv line 7`. */
  place(index: number): string
  /**
   * The rows; each array has the length of `columns` and may be reused for the next row. `wanted`: indexes of the
   * columns whose cells are needed, where others may hold anything; default: all.
   */
  rows(wanted?: ReadonlySet<number>): AsyncIterable<readonly RowCell[]> | Iterable<readonly RowCell[]>
  /**
   * The same rows as columns, where a file holds them so: of some rows at a time, each column that is `wanted`, by its
   * index. They live until the next ones are asked for.
   */
  groups?(wanted: ReadonlySet<number>): AsyncIterable<RowGroup>
  /**
   * Rows of the files that are a part of their own, once all are read: the last ones are those of the past, before them
   * test, then validation.
   */
  ownRows?(): Record<FilePart, number>
  /** Facts about the rows that people should know, once all are read. */
  notes?(): string[]
  /** How many of its rows a source takes that can take a share of them. */
  sample?: number
  /** Share of the data that has been read, 0 to 1, about; undefined if nothing says so. */
  progress(): number | undefined
}

/** Some rows that follow each other. */
export interface RowGroup {
  rows: number
  columns: ReadonlyMap<number, GroupColumn>
}

/** A column of some rows. */
export interface GroupColumn<T extends RowCell = RowCell> {
  at(row: number): T
  /** The same, where they are texts: reading them makes no strings. */
  texts?: ColumnTexts
  /** The same, where all are known to be finite numbers, or texts of them. */
  numbers?: ColumnNumbers
  /** The same, where they are lists: the values of all rows, and where those of a row begin and end; −1: no list. */
  lists?: { items: GroupColumn<Cell>; startOf(row: number): number; endOf(row: number): number }
}

/** Texts as UTF-8. */
export interface ColumnTexts {
  bytes: Uint8Array
  /** Where a text begins and ends, by its number. */
  starts: Int32Array
  ends: Int32Array
  /** The number of the text of a row; −1: it has none. */
  numberOf(row: number): number
  /** The same of as many rows as `numbers` has, in one loop. */
  numberAll?(numbers: Int32Array): void
  /** How many texts there are, where rows share them. */
  shared?: number
  /** Hashes of the texts of rows (string-pool.ts), where they have been computed. */
  hashes?: Int32Array
}

/** Finite numbers of rows, NaN where there is none; `isJson`: texts of them were written as JSON writes numbers. */
export interface ColumnNumbers {
  values: Float64Array
  isJson: boolean
}

/** A part of the rows that may have files of its own. */
export type OwnPart = 'validation' | 'test'

/** A part, or rows that are in histories alone. */
export type FilePart = OwnPart | 'past'

export interface DataFile {
  path: string
  /** Its place in the spec, for messages. */
  place: string
  /** The part that its rows belong to; undefined: those that the split says. */
  part: FilePart | undefined
}

/**
 * The files of a spec, whose paths are relative to it: first those that the split divides, then those of validation and
 * of test. Throws a SpecError that lists those that do not exist, and pipes and devices: they would be read more than
 * once, and opening a pipe blocks until something writes to it.
 */
export function locateFiles(data: CsvData | ParquetData, specFile: string): DataFile[] {
  const [form, paths] = 'csv' in data ? ['csv', data.csv] : ['parquet', data.parquet]
  const listed = [
    { paths, place: `/data/${form}`, part: undefined },
    { paths: data.validation?.files ?? [], place: '/data/validation/files', part: 'validation' as const },
    { paths: data.test?.files ?? [], place: '/data/test/files', part: 'test' as const },
    { paths: data.past ?? [], place: '/data/past', part: 'past' as const },
  ].flatMap(({ paths, place, part }) =>
    paths.map((written, index) => ({
      written,
      file: { path: resolve(dirname(specFile), written), place: `${place}/${index}`, part },
    })),
  )
  const problems = listed.flatMap(({ written, file }) => {
    const message = pathProblem(file.path, written) ?? repeatedProblem(file, listed)
    return message === undefined ? [] : [{ path: file.place, message }]
  })
  if (problems.length > 0)
    throw new SpecError(specFile, [
      ...problems,
      ...(data.obtain === undefined ? [] : [{ path: '/data/obtain', message: data.obtain.trim() }]),
    ])
  return listed.map(({ file }) => file)
}

function pathProblem(path: string, written: string): string | undefined {
  if (!existsSync(path)) return `no such file: ${written}${isAbsolute(written) ? '' : ' (relative to the spec)'}`
  const found = statSync(path)
  if (found.isDirectory()) return `${written} is a folder, not a file`
  return isOrdinary(found) ? undefined : `${written} is a pipe or a device, not a file`
}

/** Rows of the past that are among the others, too, would be twice in histories. */
function repeatedProblem({ path, place, part }: DataFile, listed: readonly { file: DataFile }[]): string | undefined {
  if (part !== 'past') return undefined
  const first = listed.find(({ file }) => file.path === path)!.file
  return first.place === place ? undefined : `is ${first.place}, too: its rows would be in histories twice`
}

/** An invalid spec, or data that does not fit it: lists every problem with its place. */
export class SpecError extends Error {
  readonly file: string
  readonly problems: Violation[]

  constructor(file: string, problems: Violation[]) {
    super([`${file}:`, ...listProblems(problems, Number.POSITIVE_INFINITY).map((line) => `  ${line}`)].join('\n'))
    this.name = 'SpecError'
    this.file = file
    this.problems = problems
  }
}

export interface LoadedSpec {
  /** Path of the spec's file; paths inside the spec are relative to its folder. */
  file: string
  spec: TrainSpec
}

/** A spec as a description of its rows. */
export interface LoadedRows {
  file: string
  spec: RowsSpec
  /** The version that the spec trains; undefined if it describes rows alone. */
  trains: { name: string; version: string } | undefined
}

/** Problems listed in all, and per place. */
const mostListed = 20
const mostPerPlace = 5
/** Problems after which no further rows are read. */
const mostFound = 10_000

/** Problems of rows, bounded per place in the spec, so that one bad column does not hide another. */
export class RowProblems {
  readonly #listed: Violation[] = []
  readonly #counts = new Map<string, number>()
  #found = 0

  add(path: string, message: string): void {
    const count = (this.#counts.get(path) ?? 0) + 1
    this.#counts.set(path, count)
    this.#found++
    if (count <= mostPerPlace && this.#listed.length < mostListed) this.#listed.push({ path, message })
  }

  /** Whether further rows would add nothing. */
  get full(): boolean {
    return this.#listed.length >= mostListed || this.#found >= mostFound
  }

  /** The listed problems, then the number of others per place. */
  list(): Violation[] {
    const more = [...this.#counts].flatMap(([path, count]) => {
      const rest = count - this.#listed.filter((problem) => problem.path === path).length
      return rest > 0 ? [{ path, message: `and ${rest} more` }] : []
    })
    return [...this.#listed, ...more]
  }
}
