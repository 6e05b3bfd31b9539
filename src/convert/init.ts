import { ModelError } from '../model/base/errors.ts'
import { holdsIds, type SavedSignature, type SavedTensor, widthOf } from '../model/contracts/saved-signature.ts'
import { idsOf } from '../model/features/field.ts'
import { layOut } from '../model/features/layout.ts'
import { taskNames } from '../model/version/manifestless.ts'
import type { Field, Side } from '../schemas/features.ts'
import type { Graph, Manifest } from '../schemas/manifest.ts'
import { unknownField } from './fields.ts'

/** What somebody said, where the graph doesn't tell. */
export interface ScaffoldChoice {
  name: string
  version: string
  /** In the order of the output's columns. */
  tasks: string[] | undefined
  /** Which output has the probabilities, where there are several; or one a task. */
  outputs: string[] | undefined
  /** The fields, in order, in place of plain ones. */
  features: Field[] | undefined
  sides: { context: string[]; cross: string[] }
  /** Rows of an embedding table may belong to no field. */
  allowUnused: boolean
}

export interface Scaffold {
  manifest: Omit<Manifest, 'files'>
  /** What the graph told. */
  found: string[]
  /** What is left to fill in, and where. */
  left: string[]
}

/** Ids of a column that is looked up in no table: any that a field can have. */
const anyIds = 2 ** 31 - 2

/**
 * A manifest with what a graph tells: a plain field for each column of its inputs, and its outputs as tasks. It can be served
 * as it is; what a person has to add is in `left`.
 *
 * Throws UNSUPPORTED_GRAPH where the graph can't have a manifest, INVALID_REQUEST where what was said doesn't fit it.
 */
export function scaffold(
  graph: Pick<Graph, 'format' | 'file'>,
  saved: SavedSignature,
  choice: ScaffoldChoice,
): Scaffold {
  const sparse = saved.inputs.filter(holdsIds)
  const dense = saved.inputs.filter((input) => !holdsIds(input))
  const wide = sparse.find((input) => sparse.length > 1 && widthOf(input) > 1)
  if (wide)
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `${graph.file}: it has ${sparse.length} inputs of ids, and ${wide.name} has ${widthOf(wide)} columns: there may be one such input, or one a field; without a manifest it can be served`,
    )
  const found: string[] = []
  const left: string[] = []
  const features = choice.features ?? plainFields([...sparse, ...dense], choice.sides)
  expectFields(features, sparse, dense)
  if (choice.features !== undefined && !choice.allowUnused) expectSizes(features, sparse)
  if (choice.features === undefined) tellFields(features, sparse, found, left)
  const outputs = chooseOutputs(saved.outputs, choice.outputs, graph.file)
  const tasks = nameTasks(outputs, choice.tasks)
  const one = <T>(list: T[]) => (list.length === 1 ? list[0]! : list)
  found.push(`${outputs.map(({ name }) => name).join(', ')} → ${tasks.join(', ')}`)
  if (choice.tasks === undefined)
    left.push('/tasks: what the columns of the output mean, by name: ctr, cvr, …; products of them as /derived')
  const [ids] = sparse
  const wideIds = sparse.length === 1 && widthOf(ids!) > 1
  const tablePerColumn = wideIds && !ids!.shared && ids!.ids.some((rows) => rows !== undefined)
  // Plain fields give ids as the graph takes them, each column all of them.
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
      outputs: { probabilities: one(outputs.map(({ name }) => name)) },
    },
    precision: 'float32',
  }
  return { manifest, found, left }
}

function plainFields(inputs: SavedTensor[], sides: ScaffoldChoice['sides']): Field[] {
  // A tensor's name is not a field's too: requests may name either.
  const names = new Set(['id', 'bid', ...inputs.filter((input) => widthOf(input) > 1).map((input) => input.name)])
  const free = (wanted: string) => {
    let name = wanted
    for (let n = 1; names.has(name); n++) name = `${wanted}_${n}`
    names.add(name)
    return name
  }
  const fields = inputs.flatMap((input): Field[] => {
    const width = widthOf(input)
    return Array.from({ length: width }, (_, column): Field => {
      const name = free(width === 1 ? input.name : `${input.name}_${column}`)
      const common = { name, side: sideOf(name, sides), missing: 'error' as const }
      return holdsIds(input)
        ? { ...common, kind: 'integer', size: input.ids[column] ?? anyIds, out_of_vocabulary: 'error' }
        : { ...common, kind: 'numeric', scaling: { method: 'none' } }
    })
  })
  const known = fields.map(({ name }) => name)
  for (const name of [...sides.context, ...sides.cross])
    if (!known.includes(name)) throw new ModelError('INVALID_REQUEST', unknownField(name, known))
  return fields
}

function sideOf(name: string, { context, cross }: ScaffoldChoice['sides']): Side {
  if (context.includes(name)) return 'context'
  return cross.includes(name) ? 'cross' : 'candidate'
}

function expectFields(features: Field[], sparse: SavedTensor[], dense: SavedTensor[]): void {
  const columns = (tensors: SavedTensor[]) => tensors.reduce((sum, tensor) => sum + widthOf(tensor), 0)
  const ids = features.filter(({ kind }) => kind !== 'numeric').length
  for (const [kind, said, wanted] of [
    ['sparse', ids, columns(sparse)],
    ['numeric', features.length - ids, columns(dense)],
  ] as const)
    if (said !== wanted)
      throw new ModelError('INVALID_REQUEST', `the features have ${said} ${kind} fields, but the graph takes ${wanted}`)
}

/** Ids of fields with sizes other than the table's rows mean other rows than the model was trained with: one table for all. */
function expectSizes(features: Field[], sparse: SavedTensor[]): void {
  const [only] = sparse
  if (only === undefined || sparse.length > 1 || widthOf(only) === 1 || !only.shared) return
  const fields = features.filter((field) => field.kind !== 'numeric')
  const ids = fields.reduce((sum, field) => sum + idsOf(field), 0)
  const [rows] = only.ids
  if (rows === undefined || ids === rows) return
  const said = `the features, ${fields[0]!.name} to ${fields.at(-1)!.name}, have ${ids} ids`
  throw new ModelError('INVALID_REQUEST', `${said}, but the table has ${rows} rows: ${sizesWanted}`)
}

const sizesWanted = 'give the sizes that the model was trained with, or --allow-unused'

/** The same where each column has a table of its own; what may stay unused is left to be looked at. */
function expectTables(
  features: Field[],
  sparse: SavedTensor[],
  { file, left, allowUnused }: { file: string; left: string[]; allowUnused: boolean },
): void {
  const tables = sparse.flatMap(({ ids }) => ids)
  const places = features.flatMap(({ kind }, i) => (kind === 'numeric' ? [] : [i]))
  for (const [column, { ids }] of layOut(features, undefined, true).sparse.entries()) {
    const rows = tables[column]
    const place = places[column]!
    if (rows === undefined || ids === rows) continue
    const said = `/features/${place}: ${features[place]!.name} has ${ids} ids, but its table in ${file} has ${rows} rows`
    if (ids > rows) throw new ModelError('INVALID_REQUEST', said)
    if (!allowUnused) throw new ModelError('INVALID_REQUEST', `${said}: ${sizesWanted}`)
    left.push(`${said}: is a value missing, or the id of unknown values (out_of_vocabulary)?`)
  }
}

function tellFields(features: Field[], sparse: SavedTensor[], found: string[], left: string[]): void {
  const sizes = features.flatMap((field) => (field.kind === 'integer' ? [field] : []))
  const numbers = features.length - sizes.length
  if (sizes.length > 0) found.push(`${count(sizes.length, 'sparse field')}, ids as the graph takes them`)
  if (numbers > 0) found.push(`${count(numbers, 'numeric field')}, as the graph takes them`)
  left.push('/features/*/name: the names that requests use; ids and numbers are in the order of the graph’s columns')
  left.push(
    '/features/*/side: context (the user, the page) or candidate (the ad): what is the context’s is computed once a request',
  )
  if (sizes.length > 0)
    left.push('/features/*/kind: vocabulary with its values, or hash with its buckets, to send strings instead of ids')
  const [shared] = sparse
  if (sparse.length === 1 && widthOf(shared!) > 1 && shared!.shared)
    left.push(
      `/graph/inputs/ids: all columns are looked up in one table of ${shared!.ids[0]} rows; where each field has a range of its own, leave this out, and the fields' sizes add up to that`,
    )
  const unknown = sizes.filter(({ size }) => size === anyIds)
  if (unknown.length > 0)
    left.push(
      `/features/*/size: how many ids ${unknown.map(({ name }) => name).join(', ')} can have, which the graph doesn't tell`,
    )
  if (numbers > 0) left.push('/features/*/scaling: how numbers were scaled for training: standard, min_max, log1p')
}

function chooseOutputs(outputs: SavedTensor[], said: string[] | undefined, file: string): SavedTensor[] {
  const floats = outputs.filter(({ dtype }) => dtype === 'float32')
  const names = floats.map((output) => `${output.name} [${['rows', ...output.dims].join(', ')}]`).join(', ')
  if (floats.length === 0)
    throw new ModelError('UNSUPPORTED_GRAPH', `${file}: it has no float32 output of a fixed width`)
  if (said !== undefined)
    return said.map((name) => {
      const output = floats.find((candidate) => candidate.name === name)
      if (output === undefined)
        throw new ModelError('INVALID_REQUEST', `${file}: there is no output ${name}, but ${names}`)
      return output
    })
  // One a task, or one for all.
  if (floats.length > 1 && floats.some((output) => widthOf(output) > 1))
    throw new ModelError(
      'INVALID_REQUEST',
      `${file}: which of its outputs are the probabilities? --output names one or several of ${names}`,
    )
  return floats
}

function nameTasks(outputs: SavedTensor[], said: string[] | undefined): string[] {
  const tasks = said ?? taskNames(outputs)
  const columns = outputs.reduce((sum, output) => sum + widthOf(output), 0)
  if (tasks.length !== columns)
    throw new ModelError(
      'INVALID_REQUEST',
      `${count(tasks.length, 'task name')} given, but the outputs have ${count(columns, 'column')}`,
    )
  return tasks
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
