import type { Entities, Entity } from '../../../schemas/entities.ts'
import { KeyList } from '../../contracts/key-list.ts'
import { cellOf, type TableValue } from '../tables/column-readers.ts'
import type { RowsByKey } from '../tables/feature-table.ts'
import type { TableHandle } from '../tables/table-handles.ts'
import { EncodedRows } from './encoded-rows.ts'
import { describeValue } from './field.ts'
import type { FieldColumn, RowArrays } from './field-column.ts'
import type { ListEncoder } from './lists.ts'
import { bindField, type TableField, unfit, type Widths, wantedOf } from './table-fields.ts'

/** The tables of entities by name. What it answers may be read until the caller waits for something. */
export interface TableSource {
  current(name: string): RowsByKey | undefined
  /** Has new versions of a table checked before they take over, until the function that it answers is called. */
  guard?(name: string, problemOf: (table: RowsByKey) => string | undefined): () => void
  /** The tables with these names, for other threads. */
  handles?(names: Iterable<string>): Record<string, TableHandle>
}

/** Receive the values and keys that a model meets. */
export interface EntityListeners {
  /** Receives the field of every value that the model doesn't know. */
  onUnknown?: ((field: string) => unknown) | undefined
  /** Receives the number of keys that a request names, and those that the table does not have. */
  onKeys?: ((entity: string, found: number, unknown: readonly string[]) => unknown) | undefined
}

/** The features of a model that come from tables. */
export class LayoutEntities {
  readonly all: readonly LayoutEntity[]
  readonly byKey: ReadonlyMap<string, LayoutEntity>
  readonly context: readonly LayoutEntity[]
  /** At most one. */
  readonly candidate: LayoutEntity | undefined
  readonly #tables: TableSource
  readonly #names: ReadonlySet<string>

  constructor(
    entities: Entities,
    byName: ReadonlyMap<string, FieldColumn>,
    tables: TableSource,
    listeners: EntityListeners,
  ) {
    this.#tables = tables
    this.all = Object.entries(entities).map(
      ([name, entity]) => new LayoutEntity(name, entity, byName, tables, listeners),
    )
    this.#names = new Set(this.all.map(({ table }) => table))
    this.byKey = new Map(this.all.map((entity) => [entity.key, entity]))
    this.context = this.all.filter(({ side }) => side === 'context')
    this.candidate = this.all.find(({ side }) => side === 'candidate')
  }

  /** Why a table does not fit the model, or is not there; undefined where all do. */
  problem(): string | undefined {
    for (const entity of this.all) {
      const problem = entity.problem()
      if (problem !== undefined) return `/entities/${entity.name}: ${problem}`
    }
    return undefined
  }

  /** Refuses versions of its tables that do not fit, until the function that it answers is called. */
  guard(): () => void {
    const guards = this.all.map((entity) => entity.guard())
    return () => {
      for (const end of guards) end()
    }
  }

  /** Its tables, for other threads. */
  handles(): Record<string, TableHandle> {
    return this.#tables.handles?.(this.#names) ?? {}
  }
}

/** A field that a row of a table has no value of, where it has no default, or a value that can't be encoded. */
export interface AbsentValue {
  slot: FieldColumn
  /** Why it can't be encoded; undefined: there is none. */
  wrong: string | undefined
}

/** Keys that a request names; undefined where a candidate names none. */
export type GivenKeys = KeyList | readonly (string | undefined)[]

/** The fields of an entity as one version of its table has them. */
interface Bound {
  table: RowsByKey
  fields: TableField[]
  lists: TableField[]
  /** Rows of candidates, which requests name by the hundred. */
  encoded: EncodedRows | undefined
}

/** Features that a table has, by a key. */
export class LayoutEntity {
  readonly name: string
  readonly key: string
  readonly side: Entity['side']
  readonly slots: ReadonlySet<FieldColumn>
  /** The fate of keys that the table does not have. */
  readonly unknown: Entity['unknown']
  /** Name of its table. */
  readonly table: string
  readonly #tables: TableSource
  readonly #listeners: EntityListeners
  #bound: Bound | undefined

  constructor(
    name: string,
    { key, side, table, features, unknown }: Entity,
    byName: ReadonlyMap<string, FieldColumn>,
    tables: TableSource,
    listeners: EntityListeners,
  ) {
    this.name = name
    this.key = key
    this.side = side
    this.slots = new Set(features.map((feature) => byName.get(feature)!))
    this.unknown = unknown
    this.table = table
    this.#tables = tables
    this.#listeners = listeners
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
      const problem = unfit(wantedOf(slot.encoder.field), table.columns.get(slot.name))
      if (problem !== undefined) return problem
    }
    return undefined
  }

  /** The rows of keys, −1 for those that the table does not have; undefined keys have none. */
  find(keys: GivenKeys): Int32Array {
    const rows = new Int32Array(keys.length).fill(-1)
    const table = this.#current()?.table
    if (table === undefined) return rows
    if (areWhole(keys)) table.findAll(keys, rows)
    else
      for (let i = 0; i < keys.length; i++) {
        const key = keys.at(i)
        if (key !== undefined) rows[i] = table.find(key)
      }
    this.#report(keys, rows)
    return rows
  }

  #report(keys: GivenKeys, rows: Int32Array): void {
    const { onKeys } = this.#listeners
    if (onKeys === undefined) return
    let found = 0
    let unknown: string[] | undefined
    for (let i = 0; i < keys.length; i++) {
      if (rows[i]! >= 0) {
        found++
        continue
      }
      const key = keys.at(i)
      if (key === undefined) continue
      if (unknown === undefined) unknown = [key]
      else unknown.push(key)
    }
    if (found > 0 || unknown !== undefined) onKeys(this.name, found, unknown ?? none)
  }

  /** The problem of a value of the row with this key. */
  absentValue({ slot, wrong }: AbsentValue, key: string): string {
    const of = `of ${quoted(key)} in the table ${JSON.stringify(this.table)}`
    return wrong === undefined
      ? `has no ${slot.name} ${of}, and the field has no default`
      : `${slot.name} ${of} ${wrong}`
  }

  /** The problem of a key that the table does not have. */
  unknownKey(key: string): string {
    return `the table ${JSON.stringify(this.table)} has no row of ${quoted(key)}`
  }

  /**
   * Writes the single values of table rows, −1 for none, into the rows of `target`, but for fields that are `given`.
   * `absent` receives what has no value, where the field has no default, and what can't be encoded.
   */
  fill(
    rows: Int32Array,
    target: RowArrays,
    widths: Widths,
    given: { has(slot: FieldColumn): boolean },
    absent: (row: number, value: AbsentValue) => void,
  ): void {
    const bound = this.#current()
    if (bound === undefined) return
    // Rows are kept whole: where the request gives a field, `target` holds its value.
    const encoded = bound.fields.some(({ slot }) => given.has(slot)) ? undefined : bound.encoded
    const wanted = encoded ? encoded.take(rows, target, widths) : rows
    if (wanted === undefined) return
    let wrongRows: Set<number> | undefined
    for (const { slot, fill } of bound.fields) {
      if (given.has(slot)) continue
      const isRequired = typeof slot.encoder.missing === 'string'
      fill(wanted, target, widths, (row, wrong) => {
        if (!isRequired && wrong === undefined) return
        wrongRows ??= new Set()
        wrongRows.add(row)
        absent(row, { slot, wrong })
      })
    }
    encoded?.keep(wanted, target, widths, wrongRows)
  }

  /**
   * Takes the lists of table row `from` for row `row` of a request, undefined for the context, but for those that the
   * request sends; of a sequence that it sends in part, none. Answers the fields that have none, and no default.
   */
  takeLists(
    from: number,
    lists: ListEncoder,
    row: number | undefined,
    isSent: (slot: FieldColumn) => boolean,
  ): AbsentValue[] {
    const absent: AbsentValue[] = []
    for (const { slot, take } of this.#current()?.lists ?? []) {
      if (slot.group!.members.some(isSent) || take(from, lists, row)) continue
      if (typeof slot.encoder.missing === 'string') absent.push({ slot, wrong: undefined })
    }
    return absent
  }

  /** For people: the value of each field in table row `from`, −1 for none; null where it has none. */
  valuesOf(from: number): [name: string, value: TableValue][] {
    const table = this.#current()?.table
    return [...this.slots].map(({ name }) => {
      const column = table?.columns.get(name)
      return [name, from < 0 || column === undefined ? null : cellOf(column, from)]
    })
  }

  #current() {
    const table = this.#tables.current(this.table)
    if (table === undefined) return undefined
    if (this.#bound?.table !== table) {
      const all = [...this.slots].flatMap((slot) => bindField(slot, table, this.#listeners.onUnknown))
      const isList = ({ slot }: TableField) => slot.group !== undefined
      const fields = all.filter((one) => !isList(one))
      const encoded = this.side === 'candidate' && fields.length > 0 ? new EncodedRows(fields, table.rows) : undefined
      this.#bound = { table, fields, lists: all.filter(isList), encoded }
    }
    return this.#bound
  }
}

const none: readonly string[] = []

function areWhole(keys: GivenKeys): keys is KeyList | readonly string[] {
  return keys instanceof KeyList || !keys.includes(undefined)
}

const quoted = (key: string) => JSON.stringify(key.slice(0, 64))

/** The text of a key; undefined where it is none. */
export function keyText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return Number.isSafeInteger(value) ? String(value) : undefined
}

/** The problem of a value that is to be a key, or an `id`; undefined where it is one. */
export function keyProblem(value: unknown): string | undefined {
  if (typeof value === 'string' || Number.isSafeInteger(value)) return undefined
  if (typeof value !== 'number') return `must be a string or an integer, not ${describeValue(value)}`
  return Number.isInteger(value) ? 'is beyond ±(2^53 − 1): send it as a string' : 'must be a string or an integer'
}
