import { type ASTNode, Environment } from '@marcbachmann/cel-js'
import { closestName } from '../model/base/closest-name.ts'
import { reasonOf } from '../model/base/errors.ts'
import type { Cell, Column } from './source.ts'

/** Yields a number (true is 1), a string, or null if a column in the expression is missing. */
export type Compiled = (row: readonly Cell[]) => Cell

/** Most columns that a message lists. */
const mostShown = 100

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * Compiles a CEL expression over columns (https://cel.dev). Columns are strings or doubles, so numbers compare as `x >= 4.0`, and
 * only columns with identifiers as names can be used. Throws an Error that describes an invalid expression; the compiled function
 * throws for rows that it can't be evaluated on.
 */
export function compileExpression(text: string, columns: readonly Column[]): Compiled {
  const environment = new Environment()
  for (const { name, type } of columns) if (identifier.test(name)) environment.registerVariable(name, type)
  let evaluate: ReturnType<Environment['parse']>
  try {
    evaluate = environment.parse(text)
  } catch (error) {
    throw new Error(firstLine(error))
  }
  const verdict = evaluate.check()
  if (!verdict.valid) throw new Error(explain(firstLine(verdict.error), columns))
  if (!['bool', 'int', 'double', 'string', 'dyn'].includes(String(verdict.type))) {
    throw new Error(`must yield a boolean, a number or a string, not ${verdict.type}`)
  }
  const named = columns.map(({ name }, index) => ({ name, index }))
  const mentioned = identifiers(evaluate.ast)
  const used = named.filter(({ name }) => mentioned.has(name))
  return (row) => {
    const context: Record<string, Cell> = {}
    for (const { name, index } of used) {
      const cell = row[index]
      if (cell === null || cell === undefined) return null
      context[name] = cell
    }
    try {
      return toCell(evaluate(context))
    } catch (error) {
      throw new Error(firstLine(error))
    }
  }
}

/** Throws an Error if the text is not an expression, whatever the columns are. */
export function checkSyntax(text: string): void {
  try {
    new Environment().parse(text)
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

/** An unknown name is most likely a misspelt column. */
function explain(message: string, columns: readonly Column[]): string {
  const unknown = /^Unknown variable: (.+)$/.exec(message)?.[1]
  if (unknown === undefined) return message
  const names = columns.map(({ name }) => name).filter((name) => identifier.test(name))
  return `no column ${JSON.stringify(unknown)}${knownColumns(unknown, names)}`
}

/** `; the columns are a, b; did you mean b?` */
export function knownColumns(unknown: string, names: readonly string[]): string {
  const shown = [
    ...names.slice(0, mostShown),
    ...(names.length > mostShown ? [`… ${names.length - mostShown} more`] : []),
  ]
  const meant = closestName(unknown, names)
  return `; the columns are ${shown.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

/** The library's messages continue with a drawing of the place. */
function firstLine(error: unknown): string {
  return reasonOf(error).split('\n')[0] ?? ''
}
