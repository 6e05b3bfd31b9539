import type { RowsSpec } from '../../schemas/rows-spec.ts'
import { compileExpression } from './expression.ts'
import type { ListValue } from './list-column.ts'
import { type ListReading, readList } from './read-list.ts'
import type { Cell, Column, RowCell } from './source.ts'

type Reader<T> = (row: readonly RowCell[]) => T

/** Where the values of a field are: in a column, or what an expression yields. */
export interface FieldSource {
  name: string
  /** Its place in the spec, for messages. */
  path: string
  /** Default: the field's name. */
  column?: string | undefined
  expression?: string | undefined
}

/** A field to read. */
export interface FieldReading extends FieldSource {
  /** Type of its value, or of the values of its list. */
  kind: 'string' | 'number'
  /** How its list, or its vector, is read; undefined for one value. */
  list?: ListReading | undefined
  /** Whether the values of earlier rows are wanted, not the row's own; `ages`: by how much the row's exceeds them. */
  history?: boolean | 'ages' | undefined
  /** Describes what is wrong with a cell, if anything is. */
  problemOf?(cell: Cell): string | undefined
}

/** Readers of one row, by what they read. They throw an Error for values that don't fit. */
export interface Readers {
  /** Indexes of the columns that are read. */
  columns: ReadonlySet<number>
  fields: (Pick<FieldReading, 'path' | 'kind' | 'list' | 'history'> & { read: Reader<Cell | ListValue> })[]
  /** `label`: 1, 0, or −1 outside the sample space. */
  tasks: { label: Reader<number>; oracle: Reader<number> | undefined }[]
  group: Reader<string | null> | undefined
  weight: Reader<number> | undefined
  time: Reader<number> | undefined
  /** `where`: 1 where a row is in histories of later ones, else 0. */
  history: { by: Reader<string | null>; order: Reader<number>; where: Reader<number> } | undefined
  /** Readers of slices that are no fields. */
  slices: { name: string; kind: 'string' | 'number'; read: Reader<Cell> }[]
}

/** Creates the readers of columns and expressions, which are known to be valid. */
export function createReaders(
  spec: Pick<RowsSpec, 'tasks' | 'group' | 'weight' | 'slices' | 'split' | 'history'>,
  fields: readonly FieldReading[],
  columns: readonly Column[],
): Readers {
  const used = new Set<number>()
  const indexes = new Map(columns.map(({ name }, index) => [name, index]))
  const cellOf = (name: string): Reader<RowCell> => {
    const index = indexes.get(name) ?? -1
    used.add(index)
    return (row) => row[index] ?? null
  }
  const column = (name: string) => cellOf(name) as Reader<Cell>
  const compile = (text: string): Reader<Cell> => {
    const compiled = compileExpression(text, columns)
    for (const index of compiled.columns) used.add(index)
    return compiled
  }
  const number = (read: Reader<Cell>): Reader<number> => {
    return (row) => {
      const cell = read(row)
      if (cell === null) throw new Error('must be a number, and is missing')
      return toNumber(cell)
    }
  }
  const { group, weight, split, slices = [], history } = spec
  return {
    columns: used,
    fields: fields.map((field) => {
      const { expression, kind, path, list, history } = field
      const read = expression === undefined ? cellOf(field.column ?? field.name) : compile(expression)
      if (list === undefined) return { path, kind, list, history, read: checked(field, read as Reader<Cell>) }
      const weights = list.weights === undefined ? () => null : cellOf(list.weights)
      const named = { ...list, name: field.name, kind }
      return { path, kind, list, history, read: (row) => readList(named, read(row), weights(row)) }
    }),
    tasks: spec.tasks.map(({ label, where, oracle }) => {
      const readLabel = compile(label)
      const isInside = where === undefined ? () => 1 : compile(where)
      return {
        label: (row) => toLabel(label, readLabel, isInside, row),
        oracle: oracle === undefined ? undefined : probability(number(column(oracle))),
      }
    }),
    group: group === undefined ? undefined : string(column(group)),
    weight: weight === undefined ? undefined : weightOf(number(column(weight))),
    time: split?.by === 'time' ? number(column(split.column)) : undefined,
    history: history && {
      by: string(column(history.by)),
      order: number(column(history.order)),
      where: history.where === undefined ? () => 1 : truth(compile(history.where)),
    },
    slices: slices
      .filter((name) => !fields.some((field) => field.name === name))
      .map((name) => {
        const kind = columns[indexes.get(name) ?? -1]?.type === 'double' ? 'number' : 'string'
        const read = column(name)
        return { name, kind, read: kind === 'string' ? string(read) : finite(read) }
      }),
  }
}

function checked(field: FieldReading, read: Reader<Cell>): Reader<Cell> {
  const { name, kind, problemOf } = field
  return (row) => {
    const found = read(row)
    const cell = found === null ? null : kind === 'string' ? String(found) : toNumber(found, name)
    const problem = problemOf?.(cell)
    if (problem !== undefined) throw new Error(`${name} ${problem}`)
    return cell
  }
}

function string(read: Reader<Cell>): Reader<string | null> {
  return (row) => {
    const cell = read(row)
    return cell === null ? null : String(cell)
  }
}

function finite(read: Reader<Cell>): Reader<number | null> {
  return (row) => {
    const cell = read(row)
    return cell === null ? null : toNumber(cell)
  }
}

function weightOf(read: Reader<number>): Reader<number> {
  return (row) => {
    const weight = read(row)
    if (weight < 0) throw new Error(`a weight must not be negative, as ${weight} is`)
    return weight
  }
}

function probability(read: Reader<number>): Reader<number> {
  return (row) => {
    const value = read(row)
    if (value < 0 || value > 1) throw new Error(`a probability must lie between 0 and 1, not be ${value}`)
    return value
  }
}

function truth(read: Reader<Cell>): Reader<number> {
  return (row) => {
    const value = read(row)
    if (value === null || value === 0) return 0
    if (value !== 1) throw new Error(`where must yield true or false, not ${JSON.stringify(value)}`)
    return 1
  }
}

function toLabel(text: string, label: Reader<Cell>, where: Reader<Cell>, row: readonly RowCell[]): number {
  const inside = where(row)
  if (inside === null || inside === 0) return -1
  if (inside !== 1) throw new Error(`where must yield true or false, not ${JSON.stringify(inside)}`)
  const value = label(row)
  if (value === null) return -1
  if (value !== 0 && value !== 1)
    throw new Error(`label must yield true or false, 1 or 0, not ${JSON.stringify(value)}${labelHint(text, value)}`)
  return value
}

/** A label that is a column alone, of values that are no labels. */
function labelHint(text: string, value: string | number): string {
  if (!/^\s*\w+\s*$/.test(text)) return ''
  const positive = typeof value === 'number' ? '> 0.0' : `== ${JSON.stringify(value === '0' ? '1' : value)}`
  return `: say which values are positive, as in ${text.trim()} ${positive}`
}

/** The number of a cell; throws an Error that names what it is of. */
function toNumber(cell: string | number, name = ''): number {
  const number = Number(cell)
  // White space alone would be 0.
  if (!Number.isFinite(number) || (number === 0 && typeof cell === 'string' && cell.trim() === ''))
    throw new Error(
      `${name === '' ? '' : `${name} `}must be a number, not ${typeof cell === 'number' ? cell : JSON.stringify(cell)}`,
    )
  return number
}
