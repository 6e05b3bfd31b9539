import { type ColumnReader, cellOf } from '../../model/serving/tables/column-readers.ts'
import type { ChangedTable } from '../../model/serving/tables/open-changed.ts'
import type { JoinedTable } from '../../schemas/joined-table.ts'
import { type Column, type RowCell, RowProblems, type Source, SpecError } from './source.ts'

/** A table whose columns are added to rows, by the keys in one of theirs. */
export interface Join {
  table: ChangedTable
  /** The index of the column of keys. */
  key: number
  /** Columns of the table. */
  features: readonly string[]
  /** Whether a row with a key that the table does not have is left out; else it has none of the features. */
  leavesOut: boolean
}

/** Rows of a source, with the columns of tables behind their own. */
export class JoinedSource implements Source {
  /** Ascending indexes of the rows that are left out, once the rows are read; these have none of the features. */
  leftOut: number[] = []
  readonly columns: Column[]
  readonly unusable: Source['unusable'] & {}
  readonly #source: Source
  readonly #joins: readonly JoinedColumns[]
  readonly #file: string

  /** Features must be columns of their tables, and none of the source's; `file`: of the spec, for messages. */
  constructor(source: Source, joins: readonly Join[], file: string) {
    this.#source = source
    this.#file = file
    let first = source.columns.length
    this.#joins = joins.map((join) => {
      const joined = new JoinedColumns(join, source.columns[join.key]!.name, first)
      first += join.features.length
      return joined
    })
    this.columns = [...source.columns, ...this.#joins.flatMap(({ columns }) => columns)]
    this.unusable = source.unusable ?? []
  }

  /** The tables, and how many rows had keys that they do not have, once the rows are read. */
  get tables(): JoinedTable[] {
    return this.#joins.map((join) => join.describe())
  }

  place(index: number): string {
    return this.#source.place(index)
  }

  ownRows(): ReturnType<NonNullable<Source['ownRows']>> {
    return this.#source.ownRows?.() ?? { validation: 0, test: 0, past: 0 }
  }

  notes(): string[] {
    return this.#source.notes?.() ?? []
  }

  progress(): number | undefined {
    return this.#source.progress()
  }

  async *rows(wanted: ReadonlySet<number> = new Set(this.columns.keys())): AsyncGenerator<readonly RowCell[]> {
    const own = [...wanted].filter((index) => index < this.#source.columns.length)
    const joins = this.#joins.map((join) => join.reader(wanted))
    const problems = new RowProblems()
    const row: RowCell[] = this.columns.map(() => null)
    this.leftOut = []
    let index = 0
    for await (const cells of this.#source.rows(new Set([...own, ...this.#joins.map(({ key }) => key)]))) {
      for (const column of own) row[column] = cells[column]!
      let isLeft = false
      for (const join of joins) {
        const { problem, leftOut = false } = join(cells, row)
        if (problem !== undefined) problems.add('/data', `${this.#source.place(index)}: ${problem}`)
        isLeft ||= leftOut
      }
      if (isLeft) this.leftOut.push(index)
      if (problems.full) break
      yield row
      index++
    }
    const found = problems.list()
    if (found.length > 0) throw new SpecError(this.#file, found)
  }
}

/** Writes what a table has of a row's key into the row. */
type RowReader = (cells: readonly RowCell[], row: RowCell[]) => ReadKey

interface ReadKey {
  /** Why the key is none. */
  problem?: string
  leftOut?: boolean
}

const nothing: ReadKey = {}

/** The columns of one table. */
class JoinedColumns {
  readonly key: number
  readonly columns: Column[]
  readonly #table: ChangedTable
  readonly #keyName: string
  readonly #readers: { index: number; column: ColumnReader }[]
  readonly #leavesOut: boolean
  #unknown = 0
  #withoutKey = 0

  constructor({ table, key, features, leavesOut }: Join, keyName: string, first: number) {
    this.key = key
    this.#table = table
    this.#keyName = keyName
    this.#leavesOut = leavesOut
    this.#readers = features.map((name, i) => ({
      index: first + i,
      column: remembering(table.table.columns.get(name)!),
    }))
    this.columns = this.#readers.map(({ column: { kind } }, i) => ({
      name: features[i]!,
      type: kind === 'number' ? 'double' : kind,
    }))
  }

  describe(): JoinedTable {
    const { description, deltas } = this.#table
    const { name, version, rows, created_at } = description
    const { applied, refused } = deltas
    return {
      ...{ name, version, rows, created_at, deltas: applied, key: this.#keyName },
      ...(refused && { refused_delta: { file: refused.file, reason: refused.reason } }),
      features: this.columns.map((column) => column.name),
      unknown: this.#unknown,
      ...(this.#leavesOut && this.#unknown > 0 && { left_out: this.#unknown }),
      without_key: this.#withoutKey,
    }
  }

  reader(wanted: ReadonlySet<number>): RowReader {
    const readers = this.#readers.filter(({ index }) => wanted.has(index))
    this.#unknown = 0
    this.#withoutKey = 0
    return (cells, row) => {
      for (const { index } of readers) row[index] = null
      const key = cells[this.key]!
      if (key === null) {
        this.#withoutKey++
        return nothing
      }
      if (typeof key !== 'string' && !Number.isSafeInteger(key)) return { problem: wrongKey(this.#keyName) }
      const from = this.#table.table.find(String(key))
      if (from < 0) {
        this.#unknown++
        return { leftOut: this.#leavesOut }
      }
      for (const { index, column } of readers) row[index] = cellOf(column, from)
      return nothing
    }
  }
}

/** The problem of a key that is neither a string nor a whole number. */
export const wrongKey = (name: string) => `${name} must be a string, or an integer within ±(2^53 − 1)`

/** Texts that are remembered: columns of few different ones make each once. */
const remembered = 2 ** 14

/** A column that makes the texts of its latest codes once. */
function remembering(column: ColumnReader): ColumnReader {
  if (column.kind === 'string') return { ...column, text: latestTexts(column.text, column.strings) }
  if (column.kind !== 'list' || column.items.kind !== 'string') return column
  return { ...column, items: { ...column.items, text: latestTexts(column.items.text, column.items.strings) } }
}

function latestTexts(text: (code: number) => string, strings: number): (code: number) => string {
  const places = Math.min(remembered, strings + 1)
  const codes = new Uint32Array(places)
  const texts = new Array<string>(places).fill('')
  return (code) => {
    const place = code % places
    // 0 is no text's code.
    if (codes[place] !== code) {
      texts[place] = text(code)
      codes[place] = code
    }
    return texts[place]!
  }
}
