import { type ASTNode, Environment } from '@marcbachmann/cel-js'
import { reasonOf } from '../../base/errors.ts'
import { didYouMean } from '../../schemas/closest-name.ts'
import type { Cell, Column, RowCell, UnusableColumn } from './source.ts'

/** Yields a number (true is 1), a string, or null if a column in the expression is missing. */
export interface Compiled {
  (row: readonly RowCell[]): Cell
  /** Indexes of the columns in the expression. */
  readonly columns: readonly number[]
}

/** Most columns that a message lists. */
const mostShown = 100
/** Most columns whose type a message explains. */
const mostExplained = 3

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * Compiles a CEL expression over columns (https://cel.dev). Columns are strings or doubles, so numbers compare as `x >=
 * 4.0`, and only columns with identifiers as names can be used. Throws an Error that describes an invalid expression;
 * the compiled function throws for rows that it can't be evaluated on.
 */
export function compileExpression(
  text: string,
  columns: readonly Column[],
  unusable: readonly UnusableColumn[] = [],
): Compiled {
  const environment = new Environment()
  const mentioned = identifiers(parse(environment, text).ast)
  const refused = unusable.find(({ name }) => mentioned.has(name))
  if (refused) throw new Error(unusableColumn(refused))
  const list = columns.find(({ name, type }) => type === 'list' && mentioned.has(name))
  if (list) throw new Error(`column ${JSON.stringify(list.name)} is a list, which expressions can't use`)
  const used = columns.flatMap((column, index) =>
    mentioned.has(column.name) && identifier.test(column.name) ? [{ ...column, index }] : [],
  )
  for (const { name, type } of used) {
    try {
      environment.registerVariable(name, type)
    } catch {
      // Names of types, such as `string`.
      throw new Error(`${name} means a type in expressions, so the column of that name can't be used in them`)
    }
  }
  const evaluate = parse(environment, text)
  const verdict = evaluate.check()
  if (!verdict.valid) throw new Error(explain(firstLine(verdict.error), columns, used))
  if (!['bool', 'int', 'double', 'string', 'dyn'].includes(String(verdict.type))) {
    throw new Error(`must yield a boolean, a number or a string, not ${verdict.type}`)
  }
  const compiled = (row: readonly RowCell[]): Cell => {
    const context: Record<string, Cell> = {}
    for (const { name, index } of used) {
      const cell = row[index] as Cell | undefined
      if (cell === null || cell === undefined) return null
      // Every comparison with it would be false: a missing label would count as a negative one.
      if (Number.isNaN(cell)) throw new Error(`column ${name} is NaN; write null where there is no value`)
      context[name] = cell
    }
    try {
      return toCell(evaluate(context))
    } catch (error) {
      throw new Error(firstLine(error))
    }
  }
  return Object.assign(compiled, { columns: used.map(({ index }) => index) })
}

/** Throws an Error if the text is not an expression, whatever the columns are. */
export function checkSyntax(text: string): void {
  parse(new Environment(), text)
}

function parse(environment: Environment, text: string): ReturnType<Environment['parse']> {
  try {
    return environment.parse(text)
  } catch (error) {
    throw new Error(firstLine(error))
  }
}

function toCell(value: unknown): Cell {
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'number' || typeof value === 'string' || value === null) return value
  throw new Error('must yield a boolean, a number or a string')
}

/** All names in the expression's syntax tree, variables of macros included. */
function identifiers(node: unknown, found = new Set<string>()): Set<string> {
  if (Array.isArray(node)) for (const part of node) identifiers(part, found)
  else if (typeof node === 'object' && node !== null && 'op' in node) {
    const { op, args } = node as ASTNode
    if (op === 'id') found.add(args)
    else identifiers(args, found)
  }
  return found
}

/** An unknown name is most likely a misspelt column, and other problems are values of another type than a column's. */
function explain(message: string, columns: readonly Column[], used: readonly Column[]): string {
  const unknown = /^Unknown variable: (.+)$/.exec(message)?.[1]
  if (unknown !== undefined) {
    const names = columns.map(({ name }) => name).filter((name) => identifier.test(name))
    return unknownColumn(unknown, names, [])
  }
  return [message, ...used.slice(0, mostExplained).map(typeHint)].join('; ')
}

function typeHint({ name, type }: Column): string {
  return type === 'double'
    ? `${name} is a number, as in ${name} == 1.0`
    : `${name} is a string, as in ${name} == "1" or double(${name}) > 0.5`
}

/** The message on a column that rows can't be read from: it has another type, or there is none of the name. */
export function unknownColumn(name: string, names: readonly string[], unusable: readonly UnusableColumn[]): string {
  const found = unusable.find((column) => column.name === name)
  return found ? unusableColumn(found) : `no column ${JSON.stringify(name)}${knownColumns(name, names)}`
}

function unusableColumn({ name, type }: UnusableColumn): string {
  return `column ${JSON.stringify(name)} is ${type}: only strings, numbers, dates, times and lists of them can be used`
}

/** `; the columns are a, b; did you mean b?` */
function knownColumns(unknown: string, names: readonly string[]): string {
  const shown = [
    ...names.slice(0, mostShown),
    ...(names.length > mostShown ? [`… ${names.length - mostShown} more`] : []),
  ]
  return `; the columns are ${shown.join(', ')}${didYouMean(unknown, names)}`
}

/** The library's messages continue with a drawing of the place. */
function firstLine(error: unknown): string {
  return reasonOf(error).split('\n')[0] ?? ''
}
