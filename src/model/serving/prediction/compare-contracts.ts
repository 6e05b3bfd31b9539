import { isDeepStrictEqual } from 'node:util'
import { listNames } from '../../../base/names.ts'
import type { PredictOptions } from '../../../schemas/predict.ts'
import type { Bundle } from '../bundle/read.ts'
import { createTensorEncoder, encoderOf } from '../features/encoder.ts'
import type { FieldEncoder } from '../features/field.ts'
import type { FieldColumn } from '../features/field-column.ts'
import { Violations } from '../features/problems.ts'
import type { InputField } from '../features/table.ts'
import type { LoadedModel } from './loaded-model.ts'
import { createPlanner, ecpm } from './request-plan.ts'
import { type InputTensor, type OutputTensor, tensorColumns, tensorsOf } from './tensors.ts'

/** The requests that a version accepts, and the answers that it gives: what its clients rely on. */
export type Contract = Pick<LoadedModel, 'manifest' | 'encoder' | 'tensors' | 'manifestless' | 'check'>

/** The contract of a version that is not loaded. */
export function contractOf({ manifest, manifestless }: Pick<Bundle, 'manifest' | 'manifestless'>): Contract {
  const encoder = manifestless ? createTensorEncoder(tensorColumns(manifestless.signature)) : encoderOf(manifest)
  const plan = createPlanner(manifest)
  return {
    manifest,
    encoder,
    tensors: tensorsOf(manifest, encoder.layout, manifestless?.signature, manifestless !== undefined),
    manifestless: manifestless !== undefined,
    check({ tasks, options = {}, problems: found }) {
      const problems = new Violations(found)
      plan(tasks, options, problems)
      return problems.list
    },
  }
}

/**
 * The problems that clients of `before` have when `after` answers in its place: a sentence for each task that is no
 * longer answered, and for each field, value or option with which a request that was answered is now refused. Empty
 * where nothing breaks.
 *
 * Clients of a version with a manifest send named values; encoded tensors follow the ids of each version, and are not
 * compared. Nor are numbers near the limit of float32, which every other scaling moves. Clients of a version without a
 * manifest send tensors.
 */
export function compareContracts(before: Contract, after: Contract): string[] {
  return [
    ...comparedTasks(before, after),
    ...comparedOptions(before, after),
    ...(before.manifestless ? comparedTensors(before, after) : comparedFields(before, after)),
  ]
}

/** Most sentences of a list: a version may have thousands of fields. */
const mostListed = 5

/** The first findings of `compareContracts` in a sentence, and how many more there are. */
export function listProblems(found: readonly string[]): string {
  const more = found.length > mostListed ? `; and ${found.length - mostListed} more` : ''
  return found.slice(0, mostListed).join('; ') + more
}

/**
 * Says in a sentence what clients of `a` notice when `b` answers in its place. `problems`: those of `compareContracts`.
 */
export function formatContracts(a: string, b: string, problems: readonly string[]): string {
  return problems.length === 0
    ? `${b} accepts and answers what ${a} does`
    : `${b} is incompatible with ${a}: ${listProblems(problems)}`
}

function comparedTasks({ manifest: before }: Contract, { manifest: after }: Contract): string[] {
  const base = new Set(after.tasks.map(({ name }) => name))
  const derived = new Set(after.derived.map(({ name }) => name))
  const gated = after.graph.outputs.gates ?? {}
  const gates = Object.keys(gated).length > 0 ? Object.keys(before.graph.outputs.gates ?? {}) : []
  return [
    ...[...before.tasks, ...before.derived].flatMap(({ name }) =>
      base.has(name) || derived.has(name) ? [] : [`the task ${name} is no longer answered`],
    ),
    ...before.tasks.flatMap(({ name }) =>
      derived.has(name) ? [`the task ${name} is derived now, and has no raw probability`] : [],
    ),
    ...gates.flatMap((name) =>
      base.has(name) && !Object.hasOwn(gated, name) ? [`the task ${name} no longer has gates`] : [],
    ),
  ]
}

/** Options that depend on the model, beside the names of tasks. */
const options: Record<string, PredictOptions> = {
  gates: { gates: true },
  unknown: { unknown: true },
  'rank by ecpm': { rank: { by: ecpm } },
}

function comparedOptions(before: Contract, after: Contract): string[] {
  const accepts = ({ check }: Contract, options: PredictOptions) => check({ options }).length === 0
  return Object.entries(options).flatMap(([name, asked]) =>
    accepts(before, asked) && !accepts(after, asked) ? [`the option ${name} is no longer possible`] : [],
  )
}

function comparedFields(before: Contract, after: Contract): string[] {
  if (after.manifestless) return ['named fields are no longer accepted: it has no manifest']
  const [earlier, later] = [before.encoder.layout.byName, after.encoder.layout.byName]
  return [
    ...[...earlier].flatMap(([name, slot]) => {
      const now = later.get(name)
      if (now === undefined) return [`the field ${name} is no longer accepted`]
      return [
        ...(isRequired(now) && !isRequired(slot) ? [`the field ${name} is now required`] : []),
        ...refusedValues(slot.encoder, now.encoder).map((why) => `the field ${name} ${why}`),
      ]
    }),
    ...[...later].flatMap(([name, slot]) =>
      isRequired(slot) && !earlier.has(name) ? [`the field ${name} is new and required`] : [],
    ),
  ]
}

/** A default that the field itself refuses counts as none. */
const isRequired = ({ encoder }: FieldColumn): boolean => typeof encoder.missing === 'string'

/** JSON types of the values of each kind. */
const types = {
  vocabulary: 'a string',
  hash: 'a string',
  integer: 'an integer',
  numeric: 'a number',
  vector: 'a vector',
} as const

/** How the values of a field have narrowed, to follow its name; at most one finding. */
function refusedValues(before: FieldEncoder, after: FieldEncoder): string[] {
  const [was, is] = [before.field, after.field]
  const [wasList, isList] = [was, is].map((field) => 'list' in field && field.list !== undefined)
  if (wasList !== isList) return [isList ? 'must now be an array' : 'must now be a single value, and was an array']
  if (is.kind === 'vector' && was.kind === 'vector')
    return is.length === was.length ? [] : [`must now have ${is.length} numbers, and had ${was.length}`]
  const isWidened = was.kind === 'integer' && is.kind === 'numeric'
  if (types[was.kind] !== types[is.kind] && !isWidened)
    return [`must now be ${types[is.kind]}, and was ${types[was.kind]}`]
  if (is.kind === 'numeric')
    return is.scaling.method === 'log1p' && acceptsBelowZero(was) ? ['must now be greater than −1'] : []
  if (is.kind === 'hash' || is.kind === 'vector' || is.out_of_vocabulary !== 'error') return []
  if (is.kind === 'integer')
    return was.kind === 'integer' && was.out_of_vocabulary === 'error' && was.size <= is.size
      ? []
      : [`must now be from 0 to ${is.size - 1}`]
  if (was.kind !== 'vocabulary' || was.out_of_vocabulary !== 'error')
    return ['no longer accepts values outside its vocabulary']
  const removed = firstRemoved(was.values, after, is.values)
  return removed === undefined ? [] : [`no longer accepts ${JSON.stringify(removed.slice(0, 64))}`]
}

/** Integers of an unknown value may be negative. */
const acceptsBelowZero = (field: InputField): boolean =>
  field.kind === 'numeric' ? field.scaling.method !== 'log1p' : field.kind === 'integer' && isBucket(field)

const isBucket = (field: Extract<InputField, { kind: 'integer' }>) => field.out_of_vocabulary !== 'error'

/** Most vocabularies only grow: values at the same place need no look-up. */
function firstRemoved(was: readonly string[], { encode }: FieldEncoder, is: readonly string[]): string | undefined {
  return was.find((value, i) => is[i] !== value && typeof encode(value) === 'string')
}

function comparedTensors(before: Contract, after: Contract): string[] {
  const outputs = new Map(after.tensors.outputs.map((output) => [output.name, output]))
  const inputs = new Map(after.tensors.inputs.map((input) => [input.name, input]))
  const known = new Set(before.tensors.inputs.map(({ name }) => name))
  return [
    ...before.tensors.outputs.flatMap((output) => comparedOutput(output, outputs.get(output.name))),
    ...before.tensors.inputs.flatMap((input) => comparedInput(input, before, inputs.get(input.name), after)),
    ...after.tensors.inputs.flatMap(({ name }) => (known.has(name) ? [] : [`the input ${name} is new and required`])),
  ]
}

const shapeOf = (dims: readonly number[]) => `[${['rows', ...dims].join(', ')}]`

function comparedOutput({ name, dims }: OutputTensor, now: OutputTensor | undefined): string[] {
  if (now === undefined) return [`the output ${name} is no longer answered`]
  return shapeOf(dims) === shapeOf(now.dims)
    ? []
    : [`the output ${name} is now ${shapeOf(now.dims)}, and was ${shapeOf(dims)}`]
}

function comparedInput(input: InputTensor, before: Contract, now: InputTensor | undefined, after: Contract): string[] {
  const { name } = input
  if (now === undefined) return [`the input ${name} is no longer accepted`]
  if (shapeOf(input.dims) !== shapeOf(now.dims))
    return [`the input ${name} must now be ${shapeOf(now.dims)}, and was ${shapeOf(input.dims)}`]
  if (now.role === 'dense') return []
  if (input.role === 'dense') return [`the input ${name} must now hold integers`]
  const narrowed = Array.from({ length: now.width }, (_, i) => {
    const was = before.encoder.layout.sparse[input.column + i]!
    const is = after.encoder.layout.sparse[now.column + i]!
    return is.offset > was.offset || is.offset + is.ids < was.offset + was.ids
      ? [`${is.offset} to ${is.offset + is.ids - 1}`]
      : []
  }).flat()
  return narrowed.length === 0 ? [] : [`the input ${name} must now hold ids from ${listNames([...new Set(narrowed)])}`]
}

/** Whether a model was loaded from files of the same content: their checksums are in the manifest. */
export function hasFilesOf({ manifest, manifestless }: LoadedModel, bundle: Bundle): boolean {
  return !manifestless && bundle.manifestless === undefined && isDeepStrictEqual(manifest, bundle.manifest)
}
