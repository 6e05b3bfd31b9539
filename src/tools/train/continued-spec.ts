import { isDeepStrictEqual } from 'node:util'
import { ModelError, type Violation } from '../../base/errors.ts'
import { check } from '../../schemas/check.ts'
import { didYouMean } from '../../schemas/closest-name.ts'
import { type CrossedField, defaultHash, type Field } from '../../schemas/features.ts'
import { History } from '../../schemas/history.ts'
import { isObject } from '../../schemas/json.ts'
import type { Calibration, Manifest } from '../../schemas/manifest.ts'
import type { CalibrationMethod } from '../../schemas/train-spec.ts'
import { historyLists } from '../data/history-fields.ts'

/**
 * A spec, as written, with what it leaves out of a version that training goes on from: name, fields, tasks and derived
 * tasks. A field or a task that it names has the rest of that version's, too. Throws INVALID_REQUEST for a history of
 * other lists than that version's, and for names that it does not have.
 */
export function continuedSpec(written: unknown, manifest: Manifest): unknown {
  if (!isObject(written)) return written
  const { features, crossed = [], tasks, derived, provenance } = manifest
  const history = written.history === undefined ? provenance?.history_of : written.history
  const made = isObject(history) ? historyLists(history) : []
  expectLists(written, manifest)
  const fields = [
    ...features
      .filter(({ name }) => !made.includes(name))
      .map((field) => ({ ...writtenField(field), ...readingOf(field, provenance) })),
    ...crossed.map(writtenCrossed),
  ]
  const trained = (name: string) => provenance?.tasks?.[name]
  // Rows often have a column of 0 and 1 with the name of the task.
  const known = tasks.map(({ name, description, calibration }) => ({
    name,
    ...refitted(calibration),
    label: `double(${name})`,
    ...(description !== undefined && { description }),
    ...trained(name),
  }))
  const products = derived.map(({ name, product, calibration }) => ({
    name,
    product,
    ...refitted(calibration),
    ...trained(name),
  }))
  return {
    ...written,
    name: written.name ?? manifest.name,
    description: written.description ?? manifest.description,
    precision: written.precision ?? manifest.precision,
    keep_precision: written.keep_precision ?? manifest.keep_precision,
    tables: written.tables ?? manifest.tables,
    entities: written.entities ?? manifest.entities,
    split: written.split ?? usualSplit(written),
    training: written.training ?? {},
    ...(written.sequences === undefined && provenance?.sequences && { sequences: provenance.sequences }),
    ...(history !== undefined && { history }),
    fields: completed('/fields', written.fields, fields),
    tasks: inOrderOf(known, completed('/tasks', written.tasks, known)),
    derived: completed('/derived', written.derived, products),
  }
}

/**
 * Throws INVALID_REQUEST where a spec's history makes other lists than the version's. The check that follows refuses
 * those that are invalid.
 */
function expectLists({ history, fields }: Record<string, unknown>, manifest: Manifest): void {
  const problems: Violation[] = []
  const own = check(History, history, '', problems) as History
  if (problems.length > 0) return
  const before = manifest.provenance?.history_of
  const given = Array.isArray(fields) ? fields.map((field) => isObject(field) && field.name) : []
  const made = historyLists(own)
  const known = manifest.features.map(({ name }) => name)
  const missing = before ? historyLists(before).filter((name) => !made.includes(name) && !given.includes(name)) : []
  if (missing.length === 0 && made.every((name) => known.includes(name))) return
  const part = (['name', 'of', 'outcomes', 'ages'] as const).find((key) => before && !sameLists(key, own, before))
  const title = `${manifest.name}/${manifest.version}`
  const theirs = before ? `that of ${title} makes ${historyLists(before).join(', ')}` : `${title} has no such fields`
  const place = part === undefined ? '/history' : `/history/${part}`
  throw new ModelError('INVALID_REQUEST', `${place}: the history makes the lists ${made.join(', ')}, where ${theirs}`)
}

/** Whether a part of two histories names the same lists, in any order. */
function sameLists(part: 'name' | 'of' | 'outcomes' | 'ages', own: History, before: Record<string, unknown>): boolean {
  const { name = 'history' } = before
  if (part === 'name') return own.name === name
  const listsOf = (history: Record<string, unknown>) => historyLists({ name, [part]: history[part] }).sort()
  return isDeepStrictEqual(listsOf(own), listsOf(before))
}

/** Where a field's values are in the rows. */
function readingOf(field: Field, provenance: Manifest['provenance']): Record<string, unknown> {
  const { column, expression, separator, weights } = provenance?.field_options?.[field.name] ?? {}
  const list = field.kind === 'vector' ? {} : field.list
  return {
    ...(expression === undefined ? column !== undefined && { column } : { expression }),
    ...(separator !== undefined && list && { list: { ...list, separator } }),
    ...(weights !== undefined && { weights }),
  }
}

/** The method of a calibration that was fitted, which is fitted again. */
function refitted(calibration: Calibration | undefined): { calibration?: CalibrationMethod } {
  if (calibration === undefined || calibration.method === 'negative_sampling') return {}
  return { calibration: calibration.method }
}

/** How rows are split where a spec doesn't say it; undefined where all parts have files of their own. */
function usualSplit({ data, group }: Record<string, unknown>): object | undefined {
  const own = isObject(data) ? ['validation', 'test'].filter((part) => part in data).length : 0
  const by = group === undefined ? 'random' : 'group'
  if (own === 0) return { by, train: 0.8, validation: 0.1, test: 0.1 }
  return own === 1 ? { by } : undefined
}

type Named = Record<string, unknown> & { name: string }

/**
 * The entries that are written, each with what is known of it, and those that are not, in an order that specs allow:
 * crossed fields are last. The check that follows refuses others. Throws INVALID_REQUEST for a name that is not known,
 * where nothing else is said of it.
 */
function completed(place: string, written: unknown, version: readonly Named[]): unknown {
  if (written !== undefined && !(Array.isArray(written) && written.every(isObject))) return written
  const entries = written ?? []
  const names = entries.map(({ name }) => name)
  const own = entries.map((entry) => {
    const same = version.find(({ name }) => name === entry.name)
    if (same === undefined && isBare(entry)) throw unknownEntry(entry, place, version)
    // The options of another kind are others.
    if (same === undefined || (entry.kind !== undefined && entry.kind !== same.kind)) return entry
    const { column: _, expression: __, ...rest } = same
    const known = 'column' in entry || 'expression' in entry ? rest : same
    // A seed belongs to its hash. Which one it must be, `fieldsOf` says.
    const { seed: ___, ...seedless } = known
    return { ...(entry.hash === undefined || entry.hash === hashOf(same) ? known : seedless), ...entry }
  })
  const all = [...own, ...version.filter(({ name }) => !names.includes(name))]
  return [...all.filter((entry) => !isCrossed(entry)), ...all.filter(isCrossed)]
}

/** An entry that makes sense only as a part of one that is known. */
const isBare = (entry: Record<string, unknown>) => !['kind', 'label', 'product'].some((key) => key in entry)

function unknownEntry({ name }: Record<string, unknown>, place: string, known: readonly Named[]): ModelError {
  const names = known.map((entry) => entry.name)
  const hint = didYouMean(String(name), names)
  const message = `${place}: ${JSON.stringify(name)} is not in the version that training goes on from, which has ${names.join(', ')}${hint}`
  return new ModelError('INVALID_REQUEST', message)
}

/** Tasks in the order of the version's, where it is not the spec that says it. */
function inOrderOf(known: readonly Named[], tasks: unknown): unknown {
  if (!Array.isArray(tasks) || tasks.length !== known.length) return tasks
  const ordered = known.map(({ name }) => tasks.find((task) => task.name === name))
  return ordered.includes(undefined) ? tasks : ordered
}

const hashOf = ({ hash = defaultHash }: Named) => hash

const isCrossed = ({ kind }: Record<string, unknown>) => kind === 'crossed'

/** A manifest's field as a spec has it: vocabulary and statistics are the version's. */
function writtenField(field: Field): Named {
  if (field.kind === 'numeric') return { ...field, scaling: field.scaling.method }
  if (field.kind !== 'vocabulary') return field
  const { values: _, ...rest } = field
  return rest
}

const writtenCrossed = (field: CrossedField): Named => ({ ...field, kind: 'crossed' })
