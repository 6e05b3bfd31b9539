import type { Bundle } from '../../model/serving/bundle/read.ts'
import {
  createNumericFieldEncoder,
  createSparseFieldEncoder,
  requiredMessage,
} from '../../model/serving/features/field.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import { type CrossedField, defaultHash, type Field } from '../../schemas/features.ts'
import { type History, historyField } from '../../schemas/history.ts'
import type { TrainField } from '../../schemas/train-fields.ts'
import type { Dataset } from '../data/dataset.ts'
import { outcomeReading } from '../data/history-fields.ts'
import type { FieldReading } from '../data/readers.ts'
import { type Cell, type LoadedSpec, SpecError } from '../data/source.ts'
import { fitFields, severalOf } from './fit-fields.ts'

/**
 * Creates a check of cells that needs no vocabulary or scaling: returns the problem of a cell that a request could not
 * contain either. A value missing from the vocabulary is found by `encodeRows`.
 */
function createCellCheck(
  field: Exclude<TrainField, { kind: 'shared' | 'vector' }>,
): (cell: Cell) => string | undefined {
  const encoder =
    field.kind === 'integer'
      ? createSparseFieldEncoder(field, 0)
      : field.kind === 'numeric' && field.scaling === 'log1p'
        ? createNumericFieldEncoder({ ...field, scaling: { method: 'log1p', scale: 1 } })
        : undefined
  return (cell) => {
    if (cell === null) return field.missing === 'error' ? requiredMessage : undefined
    const encoded = encoder?.encode(cell)
    return typeof encoded === 'string' ? encoded : undefined
  }
}

/**
 * Per column of ids the id of values outside the field's vocabulary or range; −1 where a field refuses them, hashes,
 * is a list or crossed.
 */
export function unknownIdsOf({ sparse }: Pick<Layout, 'sparse'>): Int32Array {
  return Int32Array.from(sparse, ({ field, bucket = -1 }) => ('list' in field && field.list ? -1 : bucket))
}

/** How the fields of a training spec are read. */
export function readingsOf(fields: readonly TrainField[], history?: History): FieldReading[] {
  return fields.map((field, index): FieldReading => {
    const of = fields.find(({ name }) => history?.of.includes(name) && historyField(history, name) === field.name)
    if (of !== undefined) return historyReading(of, field.name, fields, history!)
    const outcome = outcomeReading(field.name, history)
    if (outcome !== undefined) return outcome
    const owner = field.kind === 'shared' ? fields.find(({ name }) => name === field.table) : field
    const { name, column, expression } = field
    const kind = owner?.kind === 'vocabulary' || owner?.kind === 'hash' ? 'string' : 'number'
    const reading = { name, path: `/fields/${index}`, kind, column, expression } as const
    if (field.kind === 'vector') return { ...reading, list: { separator: field.list?.separator } }
    const { list, weights } = field
    if (list) return { ...reading, list: { separator: list.separator, weights, weighted: list.weighted === true } }
    return { ...reading, ...(field.kind !== 'shared' && { problemOf: createCellCheck(field) }) }
  })
}

/** Reads the values of a field, of which the lists of a history are made. */
function historyReading(of: TrainField, name: string, fields: readonly TrainField[], history: History): FieldReading {
  const [{ kind, expression, list }] = readingsOf([of, ...fields.filter((field) => field !== of)]) as [FieldReading]
  const column = expression === undefined ? (of.column ?? of.name) : undefined
  const path = `/history/of/${history.of.indexOf(of.name)}`
  return { name, path, kind, column, expression, list, history: true }
}

/**
 * The fields of the version to be: fitted to the training rows, or those of the version that training goes on from,
 * whose tables have a row for each value. The data set's cells become those of the fields, in their order.
 *
 * Throws a SpecError where a field can't be fitted, or the spec lacks one of that version's or has one of another kind.
 */
export function fieldsOf({ spec, file }: LoadedSpec, dataset: Dataset, from: Bundle | undefined): Field[] {
  const { cells, parts } = dataset
  if (from === undefined) {
    const { fields, problems } = fitFields(spec.fields, cells, parts.train, spec.history)
    if (problems.length > 0) throw new SpecError(file, problems)
    return fields
  }
  const { features, name, version } = from.manifest
  const readings = readingsOf(spec.fields, spec.history)
  const title = `${name}/${version}`
  const problems: { path: string; message: string }[] = []
  const columns = features.map((field) => {
    const index = spec.fields.findIndex((candidate) => candidate.name === field.name)
    const written = spec.fields[index]
    if (written === undefined)
      problems.push({ path: '/fields', message: `lacks ${field.name}, a field of ${title}, which --from continues` })
    else if (written.kind !== field.kind)
      problems.push({ path: `/fields/${index}/kind`, message: `must be ${field.kind}, as in ${title}` })
    else
      for (const [key, before] of changedOptions(field, written)) {
        const path = placeOf(key, `/fields/${index}`, readings[index]!)
        const message = `must be ${wanted(before)}, as in ${title}`
        // Several lists may be as long as the history.
        if (!problems.some((problem) => problem.path === path)) problems.push({ path, message })
      }
    return cells[index]!
  })
  spec.fields.forEach((field, index) => {
    if (!features.some(({ name }) => name === field.name))
      problems.push({
        path: `/fields/${index}`,
        message: `${field.name} is no field of ${title}, which --from continues`,
      })
  })
  const crossed = from.manifest.crossed ?? []
  if (JSON.stringify(spec.crossed) !== JSON.stringify(crossed))
    problems.push({
      path: '/fields',
      message: `must have the crossed fields of ${title}, which --from continues: ${describeCrossed(crossed)}`,
    })
  if (problems.length > 0) throw new SpecError(file, problems)
  dataset.cells = columns
  return features
}

/** Where a spec says an option of a field, or of a list that its history makes. */
function placeOf(option: string, field: string, { path, history, list }: FieldReading): string {
  if (history === undefined) return `${field}/${option}`
  if (option !== 'list/max') return path
  return list === undefined ? '/history/last' : '/history/max'
}

/** `before`: an option's value, or whether it was given. */
function wanted(before: unknown): unknown {
  if (before === undefined || before === false) return 'left out'
  return before === true ? 'given' : before
}

/** Options that give a field's values other ids, with their values before; seeds of two hashes are not compared. */
function changedOptions(before: Field, now: TrainField): [option: string, before: unknown][] {
  const [was, is] = [optionsOf(before), optionsOf(now)]
  const changed = Object.keys(was).filter((key) => was[key] !== is[key])
  return changed.filter((key) => key !== 'seed' || was.hash === is.hash).map((key) => [key, was[key]])
}

function optionsOf(field: Field | TrainField): Record<string, unknown> {
  const { side, size, buckets, seed, padded = false, table, length } = field as Record<string, unknown>
  const hash = field.kind === 'hash' ? (field.hash ?? defaultHash) : undefined
  const { list, sequence } = field.kind === 'vector' ? {} : severalOf(field)
  const { max, keep = 'first', weighted = false, padding } = list ?? {}
  const lists = { list: list !== undefined, sequence, 'list/max': max, 'list/padding': padding }
  const ofList = list && { 'list/keep': keep, 'list/weighted': weighted }
  return { side, size, hash, buckets, seed, padded, table, length, ...lists, ...ofList }
}

function describeCrossed(crossed: readonly CrossedField[]): string {
  const all = crossed.map(
    ({ name, of, buckets, seed }) => `${name} of ${of.join(' × ')} (${buckets} buckets, seed ${seed})`,
  )
  return all.join(', ') || 'none'
}
