import { ModelError } from '../../base/errors.ts'
import {
  type SavedOutput,
  type SavedSignature,
  type SavedTensor,
  tensorWidth,
  unusableInput,
} from '../../model/contracts/saved-signature.ts'
import { tableProblems } from '../../model/serving/features/table.ts'
import { taskNames } from '../../model/serving/version/manifestless.ts'
import { count } from '../../schemas/check.ts'
import type { Field } from '../../schemas/features.ts'
import type { Graph, Manifest } from '../../schemas/manifest.ts'
import { describeFields } from './describe-fields.ts'
import { expectSizes, expectTables, fitFields, graphInputs } from './fit-fields.ts'
import { listsOfAnyLength, needFields, rolesOf } from './input-roles.ts'
import { type ChosenSides, plainFields } from './plain-fields.ts'

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
  sides: ChosenSides
  /** Most values of lists whose length the graph leaves free, by input; default: 50. */
  longest?: ReadonlyMap<string, number> | undefined
  /** Accept rows of an embedding table that belong to no field. */
  allowUnused: boolean
}

export interface Scaffold {
  manifest: Omit<Manifest, 'files'>
  /** Derived from the graph, for people. */
  found: string[]
  /** Left to fill in, with its place in the manifest. */
  left: string[]
  /** Inputs whose lists may be of any length, those of a sequence together; none where the fields were given. */
  anyLength: string[][]
  /** The sizes that the graph does not contain, in words; undefined where it contains all. */
  unsized: string | undefined
  /** Whether the graph shows that its outputs are probabilities. */
  isCertain: boolean
}

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
  const roles = rolesOf(saved.inputs, choice.features)
  const unusable = unusableInput(roles.flatMap(({ input, of }) => (of === undefined ? [input] : [])))
  if (unusable !== undefined) throw new ModelError('UNSUPPORTED_GRAPH', `${graph.file}: ${unusable}`)
  const found: string[] = []
  const left: string[] = []
  for (const role of roles) if (role.is === 'columns') role.input = withRanges(role.input, found)
  const features = choice.features ?? plainFields(roles, choice.sides, choice.longest)
  const problems = tableProblems(features)
  if (problems.length > 0)
    throw new ModelError('INVALID_REQUEST', problems.map((problem) => `/features${problem}`).join('; '))
  const fitted = { ids: fitFields(features, roles, true), numbers: fitFields(features, roles, false) }
  const [ids] = fitted.ids
  const oneTable = fitted.ids.length === 1 && tensorWidth(ids!.role.input) > 1 && ids!.role.is === 'columns'
  if (oneTable && ids!.role.input.shared && choice.features !== undefined && !choice.allowUnused)
    expectSizes(features, fitted.ids)
  const unsized = choice.features === undefined ? describeFields(features, roles, found, left) : undefined
  const outputs = chooseOutputs(saved.outputs, choice.outputs, graph.file)
  const tasks = nameTasks(outputs, choice.tasks)
  const one = <T>(list: T[]) => (list.length === 1 ? list[0]! : list)
  found.push(`${outputs.map(({ name }) => name).join(', ')} → ${tasks.join(', ')}`)
  const areLogits = outputs.every(({ values }) => values === 'logits')
  if (choice.tasks === undefined)
    left.push('/tasks: names for the columns of the output (ctr, cvr, …); products of tasks as /derived')
  const ofTables = oneTable && !ids!.role.input.shared && ids!.role.input.ids.some((rows) => rows !== undefined)
  // A plain field takes every id of its column.
  const perField = needFields(roles, true) || (oneTable && (choice.features === undefined || ofTables))
  if (choice.features && (perField || fitted.ids.length > 1))
    expectTables(features, fitted.ids, { file: graph.file, left, allowUnused: choice.allowUnused })
  const manifest: Scaffold['manifest'] = {
    manifest: 1,
    name: choice.name,
    version: choice.version,
    features,
    tasks: tasks.map((name) => ({ name })),
    derived: [],
    graph: {
      ...graph,
      inputs: graphInputs(roles, fitted, { file: graph.file, perField }),
      outputs: {
        probabilities: one(outputs.map(({ name }) => name)),
        ...(areLogits && { activation: 'sigmoid' as const }),
      },
    },
    precision: 'float32',
  }
  const anyLength = choice.features === undefined ? listsOfAnyLength(roles) : []
  return {
    manifest,
    found,
    left,
    anyLength,
    unsized,
    isCertain: outputs.every(({ values }) => values === 'probabilities'),
  }
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
