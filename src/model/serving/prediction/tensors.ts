import type { Manifest } from '../../../schemas/manifest.ts'
import type { Signature } from '../../contracts/engine.ts'
import {
  hasFreeLength,
  holdsIds,
  type SavedSignature,
  type SavedTensor,
  tensorWidth,
} from '../../contracts/saved-signature.ts'
import { type InputPart, partsOfInput } from '../../graph/lower/concatenate.ts'
import type { TensorColumn } from '../features/encoder.ts'
import { givenColumns, type Layout } from '../features/layout.ts'
import { bindingsOf } from './bindings.ts'

/** A tensor that requests may send by its name: [rows, …dims]. */
export interface InputTensor {
  name: string
  /** The type that the saved graph takes; requests may send the tensor as any numbers that fit. */
  dtype: 'int32' | 'int64' | 'float32' | 'bool'
  /** After the rows: [31], or [] for one number per row. */
  dims: number[]
  /** Numbers of a row. */
  width: number
  /** Which of the encoded tensors it is a part of: integers are sparse, all others dense. */
  role: 'sparse' | 'dense'
  /** Its first column there. */
  column: number
  /** Its columns there, where they don't follow each other. */
  columns?: readonly number[]
  /** One row of it holds for all rows: all of its columns belong to the context. */
  context?: boolean
  /** It follows from the columns, in which padding stands for no value: requests may leave it out. */
  derived?: { is: 'mask' | 'lengths'; padding: number; first: number; width: number }
}

/** A tensor of probabilities, float32 [rows, …dims], its columns these tasks. */
export interface OutputTensor {
  name: string
  dims: number[]
  tasks: string[]
}

/** A model as those see it that ask it with tensors. */
export interface ModelTensors {
  inputs: InputTensor[]
  /** With a manifest: one per task, derived ones included, [rows, 1]; otherwise the graph's outputs. */
  outputs: OutputTensor[]
}

/**
 * `saved` says what the graph has: needed where a role has several tensors, or there is no manifest (`manifestless`);
 * `signature`, what the loaded graph takes.
 */
export function tensorsOf(
  manifest: Manifest,
  layout: Layout,
  saved: SavedSignature | undefined,
  manifestless: boolean,
  signature?: Signature,
): ModelTensors {
  const ports = bindingsOf(manifest)
  const inputs: InputTensor[] = []
  for (const role of ['sparse', 'dense'] as const) {
    const name = ports[role]
    if (name === undefined) continue
    const taken = signature?.inputs.find((input) => input.name === name)?.dtype
    // Ids may be floats: Keras 3 exports them so.
    const dtype = role === 'sparse' ? (taken ?? 'int32') : 'float32'
    const columns = role === 'sparse' ? givenColumns(layout).length : layout.dense.length
    const whole: SavedTensor = { name, dtype, dims: [columns], ids: [], shared: true }
    const tensorOf = (part: string) => saved?.inputs.find((input) => input.name === part) ?? whole
    const join = ports.joined?.inputs[name] ?? { tensors: [name] }
    for (const part of partsOfInput({ dtype: 'float32', ...join }, (part) => tensorWidth(tensorOf(part))).parts) {
      const input = inputOf(part, tensorOf(part.tensor), role, dtype)
      // Tensors of crossed fields come last, and are computed.
      if (role === 'sparse' && layout.crossed.length > 0 && input.column >= columns) continue
      inputs.push(isOfContext(input, layout) ? { ...input, context: true } : input)
    }
  }
  if (manifestless && saved !== undefined) return { inputs, outputs: savedOutputs(manifest, saved) }
  const perTask = [...manifest.tasks, ...manifest.derived].map(({ name }) => ({ name, dims: [1], tasks: [name] }))
  return { inputs, outputs: perTask }
}

/** A tensor of the graph as a part of an encoded one. */
function inputOf(
  { columns, width, is, padding = 0 }: InputPart,
  saved: SavedTensor,
  role: InputTensor['role'],
  dtype: InputTensor['dtype'],
): InputTensor {
  const first = typeof columns === 'number' ? columns : columns[0]!
  if (is !== 'values')
    return {
      ...inputTensorOf(saved, 'float32', width),
      width: is === 'mask' ? width : 1,
      role,
      column: first,
      derived: { is, padding, first, width },
    }
  const tensor = { ...inputTensorOf(saved, dtype, width), width, role, column: first }
  const follow = typeof columns === 'number' || columns.every((column, i) => column === first + i)
  return follow ? tensor : { ...tensor, columns: columns as readonly number[] }
}

function isOfContext({ role, column, columns, derived, width }: InputTensor, layout: Layout): boolean {
  const all = columns ?? Array.from({ length: derived?.width ?? width }, (_, i) => column + i)
  return all.every((i) => layout[role][i]?.field.side === 'context')
}

/** The columns that a graph without a manifest takes, in the order of its inputs. */
export function tensorColumns({ inputs }: SavedSignature): TensorColumn[] {
  return inputs.flatMap((input) => {
    const integer = holdsIds(input)
    return input.ids.map((ids) => ({ name: input.name, integer, ids }))
  })
}

/** The graph's own outputs, whose columns are the tasks in order. */
function savedOutputs({ tasks, graph }: Manifest, saved: SavedSignature): OutputTensor[] {
  let next = 0
  return [graph.outputs.probabilities].flat().map((name) => {
    const dims = saved.outputs.find((output) => output.name === name)?.dims ?? []
    const width = tensorWidth({ dims })
    const own = tasks.slice(next, next + width).map((task) => task.name)
    next += width
    return { name, dims, tasks: own }
  })
}

function inputTensorOf(saved: SavedTensor, otherwise: InputTensor['dtype'], width: number) {
  const { name, dtype, dims } = saved
  const known = dtype === 'int32' || dtype === 'int64' || dtype === 'float32' || dtype === 'bool'
  return { name, dtype: known ? dtype : otherwise, dims: hasFreeLength(saved) ? [width] : dims }
}
