import { reasonOf, type Violation } from '../../base/errors.ts'
import { isObject } from '../../schemas/json.ts'
import { checkSyntax, compileExpression, unknownColumn } from './expression.ts'
import type { FieldReading, FieldSource } from './readers.ts'
import type { Column, Source } from './source.ts'

/** A column or an expression in a spec, with its place. */
interface Reference {
  path: string
  kind: 'column' | 'expression'
  text: string
  /** Added to the message. */
  hint?: string
  /** Contents of the column's cells; `either` where the field is not known. Default: one value. */
  holds?: 'value' | 'list' | 'either'
}

type Columns = Pick<Source, 'columns' | 'unusable'>

/**
 * Lists unknown columns and invalid expressions of a spec and of fields. The spec may be invalid elsewhere: parts of a
 * wrong shape are skipped. Without `columns`, because the data can't be read, only the syntax of expressions is
 * checked.
 */
export function referenceProblems(
  spec: unknown,
  fields: readonly (FieldReading | FieldSource)[],
  columns: Columns | undefined,
): Violation[] {
  const known = columns && new Map(columns.columns.map((column) => [column.name, column]))
  return [...fields.flatMap(referencesOfField), ...referencesOf(spec, fields)].flatMap((reference) => {
    const { path, kind, text, hint = '' } = reference
    if (kind === 'expression') {
      const message = expressionProblem(text, columns)
      return message === undefined ? [] : [{ path, message }]
    }
    const column = known?.get(text)
    const message = column ? holdsOther(column, reference) : columnProblem(text, known, columns)
    return message === undefined ? [] : [{ path, message: column ? message : `${message}${hint}` }]
  })
}

/** A column of lists where a value is wanted, or the other way round. Text may be that of a list. */
function holdsOther({ name, type }: Column, { holds = 'value', hint = '' }: Reference): string | undefined {
  if (holds === 'value' && type === 'list')
    return `column ${JSON.stringify(name)} is a list, where one value is wanted${hint && '; the field has one'}`
  if (holds === 'list' && type === 'double') return `column ${JSON.stringify(name)} is a number, where a list is wanted`
  return undefined
}

/** A field that the spec does not mention is read from the column of its name. */
function referencesOfField(field: FieldReading | FieldSource): Reference[] {
  const list = 'list' in field ? field.list : undefined
  const holds = 'kind' in field ? (list ? 'list' : 'value') : 'either'
  const own = { ...referenceOf(field), holds } as const
  return list?.weights === undefined
    ? [own]
    : [own, { path: `${field.path}/weights`, kind: 'column', text: list.weights, holds: 'list' }]
}

function referenceOf({ name, path, column, expression }: FieldSource): Reference {
  // Lists of a history read what their fields read.
  if (/^\/history\/of\/\d+$/.test(path))
    return expression === undefined
      ? { path, kind: 'column', text: column ?? name }
      : { path, kind: 'expression', text: expression }
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
  names: ReadonlyMap<string, Column> | undefined,
  known: Columns | undefined,
): string | undefined {
  return names && unknownColumn(name, [...names.keys()], known?.unusable ?? [])
}

function referencesOf(spec: unknown, fields: readonly FieldSource[]): Reference[] {
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
  if (isObject(spec.history)) {
    add(spec.history, '/history', 'by', 'column')
    add(spec.history, '/history', 'order', 'column')
    add(spec.history, '/history', 'where', 'expression')
  }
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
