import { type CrossedField, defaultHash, type Field } from '../../schemas/features.ts'
import { isObject } from '../../schemas/json.ts'
import type { Manifest } from '../../schemas/manifest.ts'

/**
 * A spec, as written, with what it leaves out of a version that training goes on from: name, fields, tasks and derived
 * tasks. A field or a task that it names has the rest of that version's, too.
 */
export function continuedSpec(written: unknown, manifest: Manifest): unknown {
  if (!isObject(written)) return written
  const { features, crossed = [], tasks, derived, provenance } = manifest
  const read = (name: string) => {
    const { column, expression } = provenance?.field_options?.[name] ?? {}
    return expression === undefined ? { ...(column !== undefined && { column }) } : { expression }
  }
  const fields = [
    ...features.map((field) => ({ ...writtenField(field), ...read(field.name) })),
    ...crossed.map(writtenCrossed),
  ]
  const trained = (name: string) => provenance?.tasks?.[name]
  // Rows often have a column of 0 and 1 with the name of the task.
  const known = tasks.map(({ name, description }) => ({
    name,
    label: `double(${name}) == 1.0`,
    ...(description !== undefined && { description }),
    ...trained(name),
  }))
  const products = derived.map(({ name, product }) => ({ name, product, ...trained(name) }))
  return {
    ...written,
    name: written.name ?? manifest.name,
    fields: completed(written.fields, fields),
    tasks: inOrderOf(known, completed(written.tasks, known)),
    derived: written.derived ?? products,
  }
}

type Named = Record<string, unknown> & { name: string }

/**
 * The entries that are written, each with what is known of it, and those that are not, in an order that specs allow:
 * crossed fields are last. The check that follows refuses others.
 */
function completed(written: unknown, version: readonly Named[]): unknown {
  if (written !== undefined && !(Array.isArray(written) && written.every(isObject))) return written
  const entries = written ?? []
  const names = entries.map(({ name }) => name)
  const own = entries.map((entry) => {
    const same = version.find(({ name }) => name === entry.name)
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
