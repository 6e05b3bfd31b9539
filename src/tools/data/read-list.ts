import { reasonOf } from '../../base/errors.ts'
import { isObject } from '../../schemas/json.ts'
import type { ListValue } from './list-column.ts'
import type { RowCell } from './source.ts'

/** How a list, or a vector, is read from a cell. */
export interface ListReading {
  /** Separates the values of a cell of text; default: such a cell is a JSON array. */
  separator?: string | undefined
  /** Column of the values' weights, a list too. */
  weights?: string | undefined
  /** Whether the list has weights; default: false. */
  weighted?: boolean | undefined
}

interface NamedList extends ListReading {
  name: string
  kind: 'string' | 'number'
}

/**
 * The list in a cell; null if it is missing. `weights`: the cell of its weights. Throws an Error that names the value
 * that doesn't fit.
 */
export function readList(list: NamedList, cell: RowCell, weights: RowCell): ListValue | null {
  const { name, kind } = list
  if (isMissing(list, cell)) return null
  const { items, own } = contentOf(list, cell)
  const values = items.map((item, i) =>
    kind === 'string' ? textOf(item, `${name}[${i}]`) : numberOf(item, `${name}[${i}]`),
  )
  const given = isMissing(list, weights)
    ? own
    : contentOf({ ...list, name: `weights of ${name}`, weighted: false }, weights).items
  if (given === undefined) return { values }
  const numbers = given.map((item, i) => weightOf(item, `weight ${i} of ${name}`))
  if (numbers.length === values.length) return { values, weights: numbers }
  throw new Error(`${name} has ${numbers.length} weights for ${values.length} values`)
}

/** An empty cell, or JSON's null. */
const isMissing = ({ separator }: ListReading, cell: RowCell): cell is null =>
  cell === null || (separator === undefined && typeof cell === 'string' && cell.trim() === 'null')

/** `own`: the weights that the cell gives, too. */
interface Content {
  items: readonly unknown[]
  own?: readonly unknown[]
}

function contentOf({ name, separator, weighted = false }: Omit<NamedList, 'kind'>, cell: RowCell): Content {
  if (typeof cell === 'object') return { items: cell! }
  if (typeof cell === 'number') throw new Error(`${name} must be a list, not ${cell}`)
  if (separator !== undefined) return { items: separated(name, cell, separator) }
  const shown = JSON.stringify(cell.length > 40 ? `${cell.slice(0, 40)}…` : cell)
  if (!/^\s*[[{]/.test(cell))
    throw new Error(
      `${name} must be a JSON array, such as ["a", "b"], not ${shown}; name the separator of other lists under fields, as list: { separator: "|" }`,
    )
  return parsed(name, cell, weighted)
}

function separated(name: string, cell: string, separator: string): string[] {
  const items = cell === '' ? [] : cell.split(separator)
  const empty = items.indexOf('')
  if (empty < 0) return items
  throw new Error(`${name}[${empty}] is empty: no value stands before or after ${JSON.stringify(separator)}`)
}

function parsed(name: string, text: string, weighted: boolean): Content {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Error(`${name} is no valid JSON: ${reasonOf(error)}`)
  }
  if (Array.isArray(value)) return { items: value }
  if (weighted && isObject(value) && Array.isArray(value.values) && Array.isArray(value.weights))
    return { items: value.values, own: value.weights }
  throw new Error(`${name} must be a JSON array${weighted ? ', or an object with arrays values and weights' : ''}`)
}

function textOf(item: unknown, name: string): string {
  if (typeof item === 'string' || typeof item === 'number') return String(item)
  throw new Error(`${name} ${wrongItem(item, 'a string')}`)
}

function numberOf(item: unknown, name: string): number {
  const number = typeof item === 'string' ? Number(item.trim() === '' ? Number.NaN : item) : item
  if (typeof number === 'number' && Number.isFinite(number)) return number
  if (typeof item === 'string' || typeof item === 'number')
    throw new Error(`${name} must be a number, not ${typeof item === 'string' ? JSON.stringify(item) : item}`)
  throw new Error(`${name} ${wrongItem(item, 'a number')}`)
}

function weightOf(item: unknown, name: string): number {
  const weight = numberOf(item, name)
  if (weight < 0) throw new Error(`${name} must not be negative, as ${weight} is`)
  return weight
}

function wrongItem(item: unknown, wanted: string): string {
  if (item === null || item === undefined) return 'is null: leave out values that are missing'
  const found = Array.isArray(item) ? 'a list' : typeof item === 'object' ? 'an object' : `${item}`
  return `must be ${wanted}, not ${found}`
}
