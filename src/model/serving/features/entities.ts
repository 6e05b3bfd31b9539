import type { Entities, Entity } from '../../../schemas/entities.ts'
import { type ColumnReader, cellOf } from '../tables/column-readers.ts'
import type { RowsByKey } from '../tables/feature-table.ts'
import type { TableHandle } from '../tables/tables.ts'
import { describeValue } from './field.ts'
import { type FieldColumn, type RowArrays, unknownTest } from './field-column.ts'
import type { Violations } from './problems.ts'

/** The tables of entities by name. What it answers may be read until the caller waits for something. */
export interface TableSource {
  current(name: string): RowsByKey | undefined
  /** Has new versions of a table checked before they take over, until the function that it answers is called. */
  guard?(name: string, problemOf: (table: RowsByKey) => string | undefined): () => void
  /** The tables with these names, for other threads. */
  handles?(names: Iterable<string>): Record<string, TableHandle>
}

type OnUnknown = ((field: string) => unknown) | undefined

/** The features of a model that come from tables. */
export class LayoutEntities {
  readonly context: readonly LayoutEntity[]
  /** At most one. */
  readonly candidate: LayoutEntity | undefined
  readonly #tables: TableSource

  constructor(entities: Entities, byName: ReadonlyMap<string, FieldColumn>, tables: TableSource, onUnknown: OnUnknown) {
    this.#tables = tables
    const all = Object.entries(entities).map(
      ([name, entity]) => new LayoutEntity(name, entity, byName, tables, onUnknown),
    )
    this.context = all.filter(({ side }) => side === 'context')
    this.candidate = all.find(({ side }) => side === 'candidate')
  }

  get #all(): LayoutEntity[] {
    return [...this.context, ...(this.candidate ? [this.candidate] : [])]
  }

  /** Why a table does not fit the model, or is not there; undefined where all do. */
  problem(): string | undefined {
    for (const entity of this.#all) {
      const problem = entity.problem()
      if (problem !== undefined) return `/entities/${entity.name}: ${problem}`
    }
    return undefined
  }

  /** Refuses versions of its tables that do not fit, until the function that it answers is called. */
  guard(): () => void {
    const guards = this.#all.map((entity) => entity.guard())
    return () => {
      for (const end of guards) end()
    }
  }

  /** Its tables, for other threads. */
  handles(): Record<string, TableHandle> {
    return this.#tables.handles?.(new Set(this.#all.map(({ table }) => table))) ?? {}
  }
}

/** A field that a row of a table has no value of, where it has no default, or a value that can't be encoded. */
export interface AbsentValue {
  slot: FieldColumn
  /** Why it can't be encoded; undefined: there is none. */
  wrong: string | undefined
}

/** Takes the values of lists, to encode them later. */
interface TakesLists {
  take(slot: FieldColumn, value: unknown, row: number | undefined): boolean
}

/** A field, and the column of a table that it is read from. */
interface Filled {
  slot: FieldColumn
  column: ColumnReader
  /** Encodes the value of a row; undefined where there is none; a string says what is wrong with it. */
  encode(row: number): number | string | undefined
}

/** Features that a table has, by a key. */
export class LayoutEntity {
  readonly name: string
  readonly key: string
  readonly side: Entity['side']
  readonly slots: ReadonlySet<FieldColumn>
  /** Whether a request with a key that the table does not have is refused. */
  readonly refuses: boolean
  /** Name of its table. */
  readonly table: string
  readonly #tables: TableSource
  readonly #onUnknown: OnUnknown
  #bound: { table: RowsByKey; filled: Filled[] } | undefined

  constructor(
    name: string,
    { key, side, table, features, unknown }: Entity,
    byName: ReadonlyMap<string, FieldColumn>,
    tables: TableSource,
    onUnknown: OnUnknown,
  ) {
    this.name = name
    this.key = key
    this.side = side
    this.slots = new Set(features.map((feature) => byName.get(feature)!))
    this.refuses = unknown === 'refuse'
    this.table = table
    this.#tables = tables
    this.#onUnknown = onUnknown
  }

  /** Why the table does not fit the model; undefined where it does. */
  problem(): string | undefined {
    const table = this.#tables.current(this.table)
    if (table === undefined) return `there is no table ${JSON.stringify(this.table)} beside the models`
    const problem = this.#problemOf(table)
    return problem && `the table ${this.table}/${table.version} ${problem}`
  }

  guard(): () => void {
    return this.#tables.guard?.(this.table, (table) => this.#problemOf(table)) ?? (() => undefined)
  }

  #problemOf(table: RowsByKey): string | undefined {
    for (const slot of this.slots) {
      const problem = unfit(slot, table.columns.get(slot.name))
      if (problem !== undefined) return problem
    }
    return undefined
  }

  /** Adds the problem of a key, and answers undefined; otherwise the key as text. */
  keyOf(value: unknown, path: string, problems: Violations): string | undefined {
    if (typeof value === 'string') return value
    if (Number.isSafeInteger(value)) return String(value)
    if (!problems.full)
      problems.add(
        path,
        typeof value === 'number'
          ? 'must be a string, or an integer within ±(2^53 − 1)'
          : `must be a string or an integer, not ${describeValue(value)}`,
      )
    return undefined
  }

  /** The rows of keys, −1 for those that the table does not have; undefined keys have none. */
  find(keys: readonly (string | undefined)[]): Int32Array {
    const rows = new Int32Array(keys.length).fill(-1)
    const table = this.#current()?.table
    if (table === undefined) return rows
    if (!keys.includes(undefined)) table.findAll(keys as string[], rows)
    else
      for (let i = 0; i < keys.length; i++) {
        const key = keys[i]
        if (key !== undefined) rows[i] = table.find(key)
      }
    return rows
  }

  /** The problem of a value of the row with this key. */
  absentValue({ slot, wrong }: AbsentValue, key: string): string {
    const of = `of ${JSON.stringify(key.slice(0, 64))} in the table ${JSON.stringify(this.table)}`
    return wrong === undefined
      ? `has no ${slot.name} ${of}, and the field has no default`
      : `${slot.name} ${of} ${wrong}`
  }

  /** The problem of a key that the table does not have. */
  unknownKey(key: string): string {
    return `the table ${JSON.stringify(this.table)} has no row of ${JSON.stringify(key.slice(0, 64))}`
  }

  /**
   * Writes the values of row `from` into row `row` of `target`, but for fields that `isSent` says the request sends.
   * Fields that the row has no value of keep what is there.
   */
  fill(
    from: number,
    target: RowArrays,
    row: number,
    widths: { sparse: number; dense: number },
    lists: { encoder: TakesLists; row: number | undefined } | undefined,
    isSent: (name: string) => boolean,
  ): AbsentValue[] {
    const absent: AbsentValue[] = []
    for (const { slot, column, encode } of this.#current()?.filled ?? []) {
      if (isSent(slot.name)) continue
      if (slot.group !== undefined) {
        const list = cellOf(column, from)
        if (list !== null) lists!.encoder.take(slot, list, lists!.row)
        continue
      }
      const code = encode(from)
      if (typeof code === 'number') {
        if (slot.sparse) target.sparse[row * widths.sparse + slot.column] = code
        else target.dense[row * widths.dense + slot.column] = code
      } else if (code !== undefined || typeof slot.encoder.missing === 'string') absent.push({ slot, wrong: code })
    }
    return absent
  }

  #current(): { table: RowsByKey; filled: Filled[] } | undefined {
    const table = this.#tables.current(this.table)
    if (table === undefined) return undefined
    if (this.#bound?.table !== table)
      this.#bound = { table, filled: [...this.slots].flatMap((slot) => bind(slot, table, this.#onUnknown)) }
    return this.#bound
  }
}

/** Why a field can't be read from a column. */
function unfit({ name, encoder: { field } }: FieldColumn, column: ColumnReader | undefined): string | undefined {
  if (column === undefined) return `has no column ${JSON.stringify(name)}`
  const isList = field.kind === 'vector' || field.list !== undefined
  const wants = field.kind === 'numeric' || field.kind === 'vector' || field.kind === 'integer' ? 'number' : 'string'
  const at = `has a column ${JSON.stringify(name)} of`
  if (isList !== (column.kind === 'list')) return `${at} ${isList ? 'single values, and the field is a list' : 'lists'}`
  if (column.kind === 'list') {
    const isEmpty = column.longest === 0
    return isEmpty || column.items.kind === wants
      ? undefined
      : `${at} lists of ${column.items.kind}s, and the field is one of ${wants}s`
  }
  if (column.kind === wants) return undefined
  if (column.kind === 'string')
    return column.strings === 0 ? undefined : `${at} strings, and the field is one of numbers`
  return column.kind === 'number' && column.exactText
    ? undefined
    : `${at} numbers that are not written as they were imported: import it with --text ${name}`
}

/** Nothing where the column does not fit: the field keeps its default. */
function bind(slot: FieldColumn, table: RowsByKey, onUnknown: OnUnknown): Filled[] {
  const column = table.columns.get(slot.name)
  if (column === undefined || unfit(slot, column) !== undefined) return []
  return [{ slot, column, encode: encoderOf(slot, column, onUnknown) }]
}

/** In place of a code that is not known yet, or of a text that can't be encoded. */
const [notYet, wrong] = [-1, -2]

function encoderOf({ name, encoder }: FieldColumn, column: ColumnReader, onUnknown: OnUnknown): Filled['encode'] {
  if (column.kind === 'number') {
    const asText = encoder.field.kind !== 'numeric' && encoder.field.kind !== 'integer'
    return (row) => {
      const number = column.number(row)
      return Number.isNaN(number) ? undefined : encoder.encode(asText ? String(number) : number)
    }
  }
  if (column.kind !== 'string') return () => undefined
  // Each text is encoded once; the encoder counts it then.
  const isUnknown = unknownTest(encoder)
  const ids = new Int32Array(column.strings + 1).fill(notYet)
  return (row) => {
    const code = column.code(row)
    if (code === 0) return undefined
    const known = ids[code]!
    if (known >= 0) {
      if (isUnknown?.(known)) onUnknown?.(name)
      return known
    }
    const id = encoder.encode(column.text(code))
    ids[code] = typeof id === 'number' ? id : wrong
    return id
  }
}
