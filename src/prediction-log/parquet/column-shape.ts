import type { Role } from './roles.ts'

/** The type of a column's values; `json`: text in JSON, of values that have no type in common. */
export type ColumnType =
  | { kind: 'number' | 'integer' | 'text' | 'boolean' | 'time' | 'json' }
  | { kind: 'list'; items: ColumnType }
  | { kind: 'struct'; columns: Map<string, ColumnType> }

const kinds = { number: 1, text: 2, boolean: 4, list: 8, struct: 16, other: 32 } as const

/** The values of one place in records, all together: they decide the type of its column. */
export class ColumnShape {
  readonly #role: Role
  /** Bits of `kinds`. */
  #kinds = 0
  /** All values are what the role says. */
  #isAs = true
  readonly #columns = new Map<string, ColumnShape>()
  readonly #items: ColumnShape | undefined
  /** One of the numbers, at whatever depth, is −0. */
  #hasNegativeZero = false

  constructor(role: Role) {
    this.#role = role
    this.#items = role.items && new ColumnShape(role.items)
  }

  note(value: unknown): void {
    if (value === null || value === undefined) return
    if (typeof value === 'number') this.#noteNumber(value)
    else if (typeof value === 'string') this.#noteText(value)
    else if (typeof value === 'boolean') this.#kinds |= kinds.boolean
    else if (Array.isArray(value) && this.#items) {
      this.#kinds |= kinds.list
      for (const item of value) this.#items.note(item)
    } else if (!Array.isArray(value) && this.#isStruct(value)) {
      this.#kinds |= kinds.struct
      for (const name in value) this.#column(name).note((value as Record<string, unknown>)[name])
    } else this.#kinds |= kinds.other
  }

  /** Undefined where all values were null. `isColumn`: whether a property with this name can be a column. */
  type(isColumn: (name: string) => boolean): ColumnType | undefined {
    const { as, least } = this.#role
    switch (this.#kinds) {
      case 0:
        return undefined
      case kinds.number:
        return { kind: as === 'integer' && this.#isAs ? 'integer' : 'number' }
      case kinds.text:
        return { kind: as === 'time' && this.#isAs ? 'time' : 'text' }
      case kinds.boolean:
        return { kind: 'boolean' }
      case kinds.list:
        return { kind: 'list', items: this.#items!.type(isColumn) ?? emptyItems(this.#items!.#role) }
      case kinds.struct: {
        const columns = new Map<string, ColumnType>()
        for (const [name, shape] of this.#columns) {
          if (!isColumn(name)) return { kind: 'json' }
          const type = shape.type(isColumn)
          if (type !== undefined) columns.set(name, type)
        }
        if (columns.size > 0) return { kind: 'struct', columns }
        return least === undefined ? { kind: 'json' } : structOf(least)
      }
      default:
        return { kind: 'json' }
    }
  }

  get hasNegativeZero(): boolean {
    return (
      this.#hasNegativeZero ||
      this.#items?.hasNegativeZero === true ||
      [...this.#columns.values()].some((column) => column.hasNegativeZero)
    )
  }

  /** The columns of an object whose properties have a negative zero among their values. */
  negativeZeros(): string[] {
    return [...this.#columns].flatMap(([name, column]) => (column.hasNegativeZero ? [name] : []))
  }

  #noteNumber(value: number): void {
    this.#kinds |= kinds.number
    const isNegativeZero = Object.is(value, -0)
    if (isNegativeZero) this.#hasNegativeZero = true
    if (isNegativeZero || value !== (value | 0)) this.#isAs = false
  }

  #noteText(value: string): void {
    this.#kinds |= kinds.text
    if (this.#role.as === 'time' && this.#isAs) this.#isAs = isTime(value)
  }

  #isStruct(value: object): boolean {
    const { columns, others } = this.#role
    if (columns === undefined && others === undefined) return false
    if (others !== undefined) return true
    for (const name in value) if (!Object.hasOwn(columns!, name)) return false
    return true
  }

  #column(name: string): ColumnShape {
    let column = this.#columns.get(name)
    if (column === undefined) {
      const { columns = {}, others } = this.#role
      column = new ColumnShape(Object.hasOwn(columns, name) ? columns[name]! : others!)
      this.#columns.set(name, column)
    }
    return column
  }
}

/** Whether the time of day is all that the text says: it comes back from ms since 1970. */
function isTime(text: string): boolean {
  const ms = Date.parse(text)
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text
}

const structOf = (least: string): ColumnType => ({ kind: 'struct', columns: new Map([[least, { kind: 'integer' }]]) })

const emptyItems = ({ least }: Role): ColumnType => (least === undefined ? { kind: 'text' } : structOf(least))
