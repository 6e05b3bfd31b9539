import { reasonOf, type Violation } from '../model/base/errors.ts'
import { isObject } from '../schemas/json.ts'
import { checkSyntax, compileExpression, knownColumns } from './expression.ts'
import type { Column } from './source.ts'

/** A column or an expression in a spec, with its place. */
interface Reference {
  path: string
  kind: 'column' | 'expression'
  text: string
}

/**
 * Lists unknown columns and invalid expressions of a spec. The spec may be invalid elsewhere: parts of a wrong shape are skipped.
 * Without `columns`, because the data can't be read, only the syntax of expressions is checked.
 */
export function referenceProblems(spec: unknown, columns: readonly Column[] | undefined): Violation[] {
  return referencesOf(spec).flatMap(({ path, kind, text }) => {
    const message = kind === 'expression' ? expressionProblem(text, columns) : columnProblem(text, columns)
    return message === undefined ? [] : [{ path, message }]
  })
}

function expressionProblem(text: string, columns: readonly Column[] | undefined): string | undefined {
  try {
    if (columns === undefined) checkSyntax(text)
    else compileExpression(text, columns)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

function columnProblem(name: string, columns: readonly Column[] | undefined): string | undefined {
  if (columns === undefined || columns.some((column) => column.name === name)) return undefined
  const names = columns.map((column) => column.name)
  return `no column ${JSON.stringify(name)}${knownColumns(name, names)}`
}

function referencesOf(spec: unknown): Reference[] {
  if (!isObject(spec)) return []
  const references: Reference[] = []
  /** Returns whether `owner` has the property. */
  const add = (owner: Record<string, unknown>, path: string, property: string, kind: Reference['kind']): boolean => {
    const text = owner[property]
    if (typeof text === 'string') references.push({ path: `${path}/${property}`, kind, text })
    return text !== undefined
  }
  listOf(spec.fields).forEach((field, index) => {
    const path = `/fields/${index}`
    // The column's default is the field's name.
    if (!add(field, path, 'expression', 'expression') && !add(field, path, 'column', 'column'))
      add(field, path, 'name', 'column')
  })
  listOf(spec.tasks).forEach((task, index) => {
    const path = `/tasks/${index}`
    add(task, path, 'label', 'expression')
    add(task, path, 'where', 'expression')
    add(task, path, 'oracle', 'column')
  })
  if (isObject(spec.split) && spec.split.by === 'time') add(spec.split, '/split', 'column', 'column')
  return references
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map((item) => (isObject(item) ? item : {})) : []
}
