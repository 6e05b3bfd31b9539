import { ModelError } from '../../base/errors.ts'
import {
  holdsIds,
  type SavedOutput,
  type SavedSignature,
  type SavedTensor,
  tensorWidth,
  unusableInput,
} from '../../model/contracts/saved-signature.ts'
import { createLayout } from '../../model/serving/features/layout.ts'
import { idsOf, inputFields, type OwnedField } from '../../model/serving/features/table.ts'
import { taskNames } from '../../model/serving/version/manifestless.ts'
import { count } from '../../schemas/check.ts'
import { type Field, isDense, type Side } from '../../schemas/features.ts'
import type { Graph, Manifest } from '../../schemas/manifest.ts'
import { unknownField } from './fields.ts'

/** Choices that the graph does not determine. */
export interface ScaffoldChoice {
  name: string
  version: string
  /** In the order of the output's columns. */
  tasks: string[] | undefined
  /** The output with the probabilities, or one output per task. */
  outputs: string[] | undefined
  /** The fields, in order; default: plain ones. */
  features: Field[] | undefined
  sides: { context: string[]; cross: string[] }
  /** Accept rows of an embedding table that belong to no field. */
  allowUnused: boolean
}

export interface Scaffold {
  manifest: Omit<Manifest, 'files'>
  /** Derived from the graph, for people. */
  found: string[]
  /** Left to fill in, with its place in the manifest. */
  left: string[]
  /** The sizes that the graph does not contain, in words; undefined where it contains all. */
  unsized: string | undefined
  /** Whether the graph shows that its outputs are probabilities. */
  isCertain: boolean
}

/** Ids of all fields together: as many as an int32 can tell apart. */
const mostIds = 2 ** 31 - 2

/**
 * Derives a manifest from a graph: one plain field per input column, one task per output. It can be served; `left`
 * lists what a person should add.
 *
 * Throws UNSUPPORTED_GRAPH if no manifest can describe the graph, INVALID_REQUEST if a choice does not fit it.
 */
export function scaffold(
  graph: Pick<Graph, 'format' | 'file'>,
  saved: SavedSignature,
  choice: ScaffoldChoice,
): Scaffold {
  const unusable = unusableInput(saved.inputs)
  if (unusable !== undefined) throw new ModelError('UNSUPPORTED_GRAPH', `${graph.file}: ${unusable}`)
  let sparse = saved.inputs.filter(holdsIds)
  let dense = saved.inputs.filter((input) => !holdsIds(input))
  const wide = sparse.find((input) => sparse.length > 1 && tensorWidth(input) > 1)
  if (wide)
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `${graph.file} has ${sparse.length} inputs of ids, and ${wide.name} has ${tensorWidth(wide)} columns: a manifest supports one input of ids, or one per field; the graph can be served without a manifest`,
    )
  const found: string[] = []
  const left: string[] = []
  sparse = sparse.map((input) => withRanges(input, found))
  const features = choice.features ?? plainFields([...sparse, ...dense], choice.sides)
  expectFields(features, sparse, dense)
  sparse = inOrderOf(features, sparse, ({ kind }) => kind !== 'numeric')
  dense = inOrderOf(features, dense, ({ kind }) => kind === 'numeric')
  if (choice.features !== undefined && !choice.allowUnused) expectSizes(features, sparse)
  const unsized = choice.features === undefined ? describeFields(features, sparse, found, left) : undefined
  const outputs = chooseOutputs(saved.outputs, choice.outputs, graph.file)
  const tasks = nameTasks(outputs, choice.tasks)
  const one = <T>(list: T[]) => (list.length === 1 ? list[0]! : list)
  found.push(`${outputs.map(({ name }) => name).join(', ')} → ${tasks.join(', ')}`)
  const areLogits = outputs.every(({ values }) => values === 'logits')
  if (choice.tasks === undefined)
    left.push('/tasks: names for the columns of the output (ctr, cvr, …); products of tasks as /derived')
  const [ids] = sparse
  const wideIds = sparse.length === 1 && tensorWidth(ids!) > 1
  const tablePerColumn = wideIds && !ids!.shared && ids!.ids.some((rows) => rows !== undefined)
  // A plain field takes every id of its column.
  const own = wideIds && (choice.features === undefined || tablePerColumn)
  if (choice.features && (own || sparse.length > 1))
    expectTables(features, sparse, { file: graph.file, left, allowUnused: choice.allowUnused })
  const manifest: Scaffold['manifest'] = {
    manifest: 1,
    name: choice.name,
    version: choice.version,
    features,
    tasks: tasks.map((name) => ({ name })),
    derived: [],
    graph: {
      ...graph,
      inputs: {
        ...(sparse.length > 0 && { sparse: one(sparse.map(({ name }) => name)) }),
        ...(own && { ids: 'per_field' as const }),
        ...(dense.length > 0 && { dense: one(dense.map(({ name }) => name)) }),
      },
      outputs: {
        probabilities: one(outputs.map(({ name }) => name)),
        ...(areLogits && { activation: 'sigmoid' as const }),
      },
    },
    precision: 'float32',
  }
  return { manifest, found, left, unsized, isCertain: outputs.every(({ values }) => values === 'probabilities') }
}

/**
 * A tensor of ids to which the graph adds offsets within one table, with the ids of each column: its columns may go so
 * far as the rest of the table reaches. Any other tensor is unchanged.
 */
function withRanges(input: SavedTensor, found: string[]): SavedTensor {
  const { ids, shared, name } = input
  const bounds = ids.filter((bound) => bound !== undefined)
  if (!shared || bounds.length < ids.length || new Set(bounds).size !== bounds.length || bounds.length < 2) return input
  const ascending = bounds.toSorted((a, b) => a - b)
  const sizes = bounds.map((bound) => bound - (ascending[ascending.indexOf(bound) - 1] ?? 0))
  found.push(`the graph adds offsets to the columns of ${name}: the ids of each begin at 0`)
  return { ...input, ids: sizes, shared: false }
}

function plainFields(inputs: SavedTensor[], sides: ScaffoldChoice['sides']): Field[] {
  // A field must not have a tensor's name: requests may use either.
  const names = new Set(['id', 'bid', ...inputs.filter((input) => tensorWidth(input) > 1).map((input) => input.name)])
  const free = (wanted: string) => {
    let name = wanted
    for (let n = 1; names.has(name); n++) name = `${wanted}_${n}`
    names.add(name)
    return name
  }
  const any = anyIds(inputs)
  const fields = inputs.flatMap((input): Field[] => {
    const width = tensorWidth(input)
    return Array.from({ length: width }, (_, column): Field => {
      const name = free(width === 1 ? input.name : `${input.name}_${column}`)
      const common = { name, side: sideOf(name, sides), missing: 'error' as const }
      return holdsIds(input)
        ? { ...common, kind: 'integer', size: input.ids[column] ?? any, out_of_vocabulary: 'error' }
        : { ...common, kind: 'numeric', scaling: { method: 'none' } }
    })
  })
  const known = fields.map(({ name }) => name)
  for (const name of [...sides.context, ...sides.cross])
    if (!known.includes(name)) throw new ModelError('INVALID_REQUEST', unknownField(name, known))
  return fields
}

/** Rows of the table of each column of ids; undefined for no table. */
function tablesOf(inputs: SavedTensor[]): (number | undefined)[] {
  return inputs.flatMap(({ ids, ...input }) => Array.from({ length: tensorWidth(input) }, (_, column) => ids[column]))
}

/** The size of a field without a table: what the others leave, in equal parts. */
function anyIds(inputs: SavedTensor[]): number {
  const sizes = tablesOf(inputs.filter(holdsIds))
  const known = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  return Math.floor((mostIds - known) / sizes.filter((size) => size === undefined).length)
}

function sideOf(name: string, { context, cross }: ScaffoldChoice['sides']): Side {
  if (context.includes(name)) return 'context'
  return cross.includes(name) ? 'cross' : 'candidate'
}

function expectFields(features: Field[], sparse: SavedTensor[], dense: SavedTensor[]): void {
  const columns = (tensors: SavedTensor[]) => tensors.reduce((sum, tensor) => sum + tensorWidth(tensor), 0)
  const ids = features.filter(({ kind }) => kind !== 'numeric').length
  for (const [kind, given, expected] of [
    ['sparse', ids, columns(sparse)],
    ['numeric', features.length - ids, columns(dense)],
  ] as const)
    if (given !== expected)
      throw new ModelError(
        'INVALID_REQUEST',
        `the features have ${given} ${kind} fields, but the graph takes ${expected}`,
      )
}

/**
 * Inputs in the order of their fields: by name where every field has the name of an input, else unchanged. Throws
 * INVALID_REQUEST for a field with the name of an input in another place.
 */
function inOrderOf(features: Field[], inputs: SavedTensor[], isTheirs: (field: Field) => boolean): SavedTensor[] {
  const fields = features.filter(isTheirs)
  const named = fields.flatMap(
    ({ name }) => inputs.find((input) => input.name === name && tensorWidth(input) === 1) ?? [],
  )
  if (named.length === fields.length) return named
  const columns = inputs.flatMap((input) => Array.from({ length: tensorWidth(input) }, () => input))
  const crossed = fields.findIndex(
    ({ name }, i) => name !== columns[i]!.name && named.some((input) => input.name === name),
  )
  if (crossed < 0) return inputs
  const { name } = fields[crossed]!
  throw new ModelError(
    'INVALID_REQUEST',
    `/features/${features.indexOf(fields[crossed]!)}: ${name} stands in the place of the graph's input ${columns[crossed]!.name}; give the fields the order of the inputs, or all their names: ${inputs.map((input) => input.name).join(', ')}`,
  )
}

/** With one table for all fields, sizes that do not add up to its rows would shift ids to other rows. */
function expectSizes(features: Field[], sparse: SavedTensor[]): void {
  const [only] = sparse
  if (only === undefined || sparse.length > 1 || tensorWidth(only) === 1 || !only.shared) return
  const fields = inputFields(features).flatMap((field) => (isDense(field) ? [] : [field as OwnedField]))
  const ids = fields.reduce((sum, field) => sum + idsOf(field), 0)
  const [rows] = only.ids
  if (rows === undefined || ids === rows) return
  throw new ModelError(
    'INVALID_REQUEST',
    `the features, ${fields[0]!.name} to ${fields.at(-1)!.name}, have ${ids} ids, but the table has ${rows} rows: ${sizesWanted}`,
  )
}

const sizesWanted = 'give the sizes that the model was trained with, or use --allow-unused'

/** The same check where each column has its own table. With `allowUnused`, unused rows are listed in `left`. */
function expectTables(
  features: Field[],
  sparse: SavedTensor[],
  { file, left, allowUnused }: { file: string; left: string[]; allowUnused: boolean },
): void {
  const tables = sparse.flatMap(({ ids }) => ids)
  const places = features.flatMap(({ kind }, i) => (kind === 'numeric' ? [] : [i]))
  for (const [column, { ids }] of createLayout(features, { ownIds: true }).sparse.entries()) {
    const rows = tables[column]
    const place = places[column]!
    if (rows === undefined || ids === rows) continue
    const difference = `/features/${place}: ${features[place]!.name} has ${ids} ids, but its table in ${file} has ${rows} rows`
    if (ids > rows) throw new ModelError('INVALID_REQUEST', difference)
    if (!allowUnused) throw new ModelError('INVALID_REQUEST', `${difference}: ${sizesWanted}`)
    left.push(`${difference}: is a value missing, or the id of unknown values (out_of_vocabulary)?`)
  }
}

/** Describes plain fields; returns the sizes that the graph does not contain, in words. */
function describeFields(features: Field[], sparse: SavedTensor[], found: string[], left: string[]): string | undefined {
  const sizes = features.flatMap((field) => (field.kind === 'integer' ? [field] : []))
  const numbers = features.length - sizes.length
  if (sizes.length > 0) found.push(`${count(sizes.length, 'sparse field')}, with the ids that the graph takes`)
  if (numbers > 0) found.push(`${count(numbers, 'numeric field')}, unscaled`)
  left.push("/features/*/name: the names that requests use; keep the order of the graph's columns")
  left.push('/features/*/side: context (user, page) or candidate (ad); context features are computed once per request')
  if (sizes.length > 0)
    left.push(
      '/features/*/kind: vocabulary with its values, or hash with its buckets, if requests send strings instead of ids',
    )
  const [shared] = sparse
  if (sparse.length === 1 && tensorWidth(shared!) > 1 && shared!.shared)
    left.push(
      `/graph/inputs/ids: all columns share one table of ${shared!.ids[0]} rows; remove this property if each field has its own range of rows, with sizes that add up to the table`,
    )
  const tables = tablesOf(sparse)
  const unknown = sizes.filter((_, column) => tables[column] === undefined)
  const unsized =
    unknown.length === 0
      ? undefined
      : `the number of ids of ${unknown.map(({ name }) => name).join(', ')}, which the graph does not contain`
  if (unsized !== undefined) left.push(`/features/*/size: ${unsized}`)
  if (numbers > 0) left.push('/features/*/scaling: the scaling used in training (standard, min_max, log1p)')
  return unsized
}

function chooseOutputs(outputs: SavedOutput[], chosen: string[] | undefined, file: string): SavedOutput[] {
  const floats = outputs.filter(({ dtype }) => dtype === 'float32')
  const names = floats.map((output) => `${output.name} [${['rows', ...output.dims].join(', ')}]`).join(', ')
  if (floats.length === 0) throw new ModelError('UNSUPPORTED_GRAPH', `${file} has no float32 output of fixed width`)
  if (chosen !== undefined)
    return chosen.map((name) => {
      const output = floats.find((candidate) => candidate.name === name)
      if (output === undefined)
        throw new ModelError('INVALID_REQUEST', `${file} has no output ${name}; its outputs are ${names}`)
      return output
    })
  // One output per task, or one for all.
  if (floats.length > 1 && floats.some((output) => tensorWidth(output) > 1))
    throw new ModelError('INVALID_REQUEST', `${file} has several outputs; --output chooses the probabilities: ${names}`)
  return floats
}

function nameTasks(outputs: SavedTensor[], names: string[] | undefined): string[] {
  const tasks = names ?? taskNames(outputs)
  const columns = outputs.reduce((sum, output) => sum + tensorWidth(output), 0)
  if (tasks.length !== columns)
    throw new ModelError(
      'INVALID_REQUEST',
      `${count(tasks.length, 'task name')} given, but the outputs have ${count(columns, 'column')}${classifierHint(outputs, tasks)}`,
    )
  return tasks
}

/** A binary classifier answers with the probabilities of both classes. */
function classifierHint(outputs: SavedTensor[], [task, ...others]: string[]): string {
  if (others.length > 0 || outputs.length > 1 || tensorWidth(outputs[0]!) !== 2) return ''
  return `; if they are a classifier's P(0) and P(1), name both: --tasks no_${task},${task}`
}
