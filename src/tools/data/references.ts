import { reasonOf, type Violation } from '../../base/errors.ts'
import { isObject } from '../../schemas/json.ts'
import { checkSyntax, compileExpression, unknownColumn } from './expression.ts'
import type { FieldReading } from './readers.ts'
import type { Source } from './source.ts'

/** A column or an expression in a spec, with its place. */
interface Reference {
  path: string
  kind: 'column' | 'expression'
  text: string
  /** Added to the message. */
  hint?: string
}

type Columns = Pick<Source, 'columns' | 'unusable'>

/**
 * Lists unknown columns and invalid expressions of a spec and of fields. The spec may be invalid elsewhere: parts of a
 * wrong shape are skipped. Without `columns`, because the data can't be read, only the syntax of expressions is
 * checked.
 */
export function referenceProblems(
  spec: unknown,
  fields: readonly FieldReading[],
  columns: Columns | undefined,
): Violation[] {
  const names = columns && new Set(columns.columns.map(({ name }) => name))
  return [...fields.map(referenceOf), ...referencesOf(spec, fields)].flatMap(({ path, kind, text, hint = '' }) => {
    const message = kind === 'expression' ? expressionProblem(text, columns) : columnProblem(text, names, columns)
    return message === undefined ? [] : [{ path, message: `${message}${hint}` }]
  })
}

/** A field that the spec does not mention is read from the column of its name. */
function referenceOf({ name, path, column, expression }: FieldReading): Reference {
  if (expression !== undefined) return { path: `${path}/expression`, kind: 'expression', text: expression }
  if (column !== undefined) return { path: `${path}/column`, kind: 'column', text: column }
  const mentioned = /\/\d+$/.test(path)
  const hint = mentioned ? '' : `; the model has the field ${name}: name its column under \`fields\``
  return { path: mentioned ? `${path}/name` : path, kind: 'column', text: name, hint }
}

function expressionProblem(text: string, known: Columns | undefined): string | undefined {
  try {
    if (known === undefined) checkSyntax(text)
    else compileExpression(text, known.columns, known.unusable)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

function columnProblem(
  name: string,
  names: ReadonlySet<string> | undefined,
  known: Columns | undefined,
): string | undefined {
  if (names === undefined || names.has(name)) return undefined
  return unknownColumn(name, [...names], known?.unusable ?? [])
}

function referencesOf(spec: unknown, fields: readonly FieldReading[]): Reference[] {
  if (!isObject(spec)) return []
  const references: Reference[] = []
  /** Returns whether `owner` has the property. */
  const add = (owner: Record<string, unknown>, path: string, property: string, kind: Reference['kind']): boolean => {
    const text = owner[property]
    if (typeof text === 'string') references.push({ path: `${path}/${property}`, kind, text })
    return text !== undefined
  }
  listOf(spec.tasks).forEach((task, index) => {
    const path = `/tasks/${index}`
    add(task, path, 'label', 'expression')
    add(task, path, 'where', 'expression')
    add(task, path, 'oracle', 'column')
  })
  add(spec, '', 'group', 'column')
  add(spec, '', 'weight', 'column')
  if (Array.isArray(spec.slices))
    spec.slices.forEach((name, index) => {
      if (typeof name !== 'string' || fields.some((field) => field.name === name)) return
      references.push({ path: `/slices/${index}`, kind: 'column', text: name })
    })
  if (isObject(spec.split) && spec.split.by === 'time') add(spec.split, '/split', 'column', 'column')
  return references
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map((item) => (isObject(item) ? item : {})) : []
}
