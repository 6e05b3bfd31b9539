import type { Violation } from '../../../base/errors.ts'
import { suggestNames } from '../../../base/names.ts'
import { pointer } from '../../../schemas/json.ts'
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
import { checkRowCount } from '../features/context.ts'
import type { Encoder, TensorColumn } from '../features/encoder.ts'
import { checkColumns, type EncodedRequest, type EncodeOptions, givenColumns, type Layout } from '../features/layout.ts'
import { inTerms, Violations } from '../features/problems.ts'
import { flattenRows, NumberMatrix } from '../features/tensors.ts'
import { bindingsOf } from './bindings.ts'

/** A tensor that requests may send by its name: [rows, …dims]. */
export interface InputTensor {
  name: string
  /** The type that the saved graph takes; requests may send the tensor as any numbers that fit. */
  dtype: 'int32' | 'int64' | 'float32'
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
  const known = dtype === 'int32' || dtype === 'int64' || dtype === 'float32'
  return { name, dtype: known ? dtype : otherwise, dims: hasFreeLength(saved) ? [width] : dims }
}

/** The encoded tensors of a request, numbers as they came; undefined for those that it has no columns for. */
export interface GatheredTensors {
  sparse: NumberMatrix | unknown[] | undefined
  dense: NumberMatrix | unknown[] | undefined
}

/**
 * Puts a request's tensors together: each nested arrays of numbers, [rows, …dims], or a NumberMatrix [rows, width].
 * Throws INVALID_REQUEST, with places below `/inputs`, for what is missing, unknown, ragged, or no number. `checkRows`
 * throws where they are too many, before rows of the context are repeated for each.
 */
export function gatherTensors(
  inputs: readonly InputTensor[],
  given: Record<string, unknown>,
  problems = new Violations(),
  checkRows: (rows: number) => void = () => {},
): GatheredTensors {
  const before = problems.list.length
  const names = new Set(inputs.map(({ name }) => name))
  // Not Object.keys, which takes seconds for a million of them.
  for (const name in given) {
    if (!names.has(name))
      problems.add(placeOf(name), () => `is no input of this model${suggestNames(name, [...names])}`)
  }
  const matrices = new Map<InputTensor, NumberMatrix>()
  for (const input of inputs) {
    const value = Object.hasOwn(given, input.name) ? given[input.name] : undefined
    const path = placeOf(input.name)
    if (value === undefined) {
      if (input.derived === undefined) problems.add(path, `is required: [${['rows', ...input.dims].join(', ')}]`)
      continue
    }
    const matrix =
      value instanceof NumberMatrix
        ? value
        : flattenRows(value, input.dims, path, problems, input.derived?.is === 'mask')
    if (matrix !== undefined) matrices.set(input, matrix)
  }
  problems.throwIfMore(before)
  const [first] = [...matrices.keys()].toSorted((a, b) => Number(a.context ?? false) - Number(b.context ?? false))
  const rows = first === undefined ? 0 : matrices.get(first)!.rows
  for (const [{ name, context }, matrix] of matrices)
    if (matrix.rows !== rows && !(context && matrix.rows === 1))
      problems.add(placeOf(name), `has ${matrix.rows} rows where ${first!.name} has ${rows}`)
  problems.throwIfMore(before)
  checkRows(rows)
  const sparse = join(inputs, 'sparse', matrices, rows)
  checkDerived(matrices, sparse, problems)
  problems.throwIfMore(before)
  return { sparse, dense: join(inputs, 'dense', matrices, rows) }
}

/** Columns that are faster to copy as one block than one by one. */
const blockWidth = 32

function join(
  inputs: readonly InputTensor[],
  role: InputTensor['role'],
  matrices: Map<InputTensor, NumberMatrix>,
  rows: number,
): NumberMatrix | undefined {
  const parts = inputs.filter((input) => input.role === role && input.derived === undefined)
  const [only] = parts
  if (only === undefined) return undefined
  if (parts.length === 1 && matrices.get(only)!.rows === rows) return matrices.get(only)
  const total = parts.reduce((sum, { width }) => sum + width, 0)
  const values = new Float64Array(rows * total)
  for (const part of parts) {
    const { width, column, columns } = part
    const { values: from, rows: given } = matrices.get(part)!
    const follow = columns === undefined && width >= blockWidth
    for (let row = 0; row < rows; row++) {
      let read = given === rows ? row * width : 0
      if (follow) values.set(from.subarray(read, read + width), row * total + column)
      else
        for (let i = 0; i < width; i++)
          values[row * total + (columns === undefined ? column + i : columns[i]!)] = from[read++]!
    }
  }
  return new NumberMatrix(rows, total, values)
}

/** Adds a problem for each mask and number of values that contradicts the ids. */
function checkDerived(
  matrices: ReadonlyMap<InputTensor, NumberMatrix>,
  ids: NumberMatrix | undefined,
  problems: Violations,
): void {
  for (const [{ name, derived }, { rows, width, values }] of matrices) {
    if (derived === undefined || ids === undefined) continue
    const isValue = (row: number, i: number) =>
      Number(ids.values[row * ids.width + derived.first + i] !== derived.padding)
    const before = problems.list.length
    // One row of the context holds for all, whose ids may be given for each: its problem is listed once.
    for (let at = 0; at < ids.rows && !problems.full; at++) {
      if (rows === 1 && problems.list.length > before) break
      const row = rows === 1 ? 0 : at
      let length = 0
      for (let i = 0; i < derived.width; i++) {
        const expected = isValue(at, i)
        length += expected
        if (derived.is === 'lengths' || values[row * width + i] === expected) continue
        const there = expected ? 'a value' : `padding (${derived.padding})`
        problems.add(`${placeOf(name)}/${row}/${i}`, `is ${values[row * width + i]}, but the ids have ${there} there`)
      }
      if (derived.is === 'lengths' && values[row] !== length)
        problems.add(`${placeOf(name)}/${row}`, `is ${values[row]}, but the ids have ${length} values`)
    }
  }
}

/** Problems of encoded tensors, `/sparse/3/7`, in terms of the tensors that the request has: `/inputs/country/3`. */
function inTensors(inputs: readonly InputTensor[]): (problem: Violation) => Violation {
  return ({ path, message }) => {
    const [, role, row, column] = path.split('/')
    const parts = inputs.filter((input) => input.role === role && input.derived === undefined)
    if (parts.length === 0) return { path, message }
    if (column === undefined) {
      const whole = parts.length === 1 ? placeOf(parts[0]!.name) : '/inputs'
      return { path: row === undefined ? whole : `${whole}/${row}`, message }
    }
    const place = (input: InputTensor) =>
      input.columns === undefined ? Number(column) - input.column : input.columns.indexOf(Number(column))
    const part = parts.find((input) => place(input) >= 0 && place(input) < input.width)!
    const inside = part.dims.length === 0 ? '' : `/${placeInside(place(part), part.dims).join('/')}`
    return { path: `${placeOf(part.name)}/${row}${inside}`, message }
  }
}

/** Indices of a row-major place. */
function placeInside(place: number, dims: readonly number[]): number[] {
  const indices: number[] = []
  let rest = place
  for (const side of [...dims].reverse()) {
    indices.unshift(rest % side)
    rest = Math.floor(rest / side)
  }
  return indices
}

function placeOf(name: string): string {
  return `/inputs${pointer(name)}`
}

/** Encodes tensors by name; throws INVALID_REQUEST with places below `/inputs`, and TOO_MANY_ROWS. */
export function encodeInputs(
  encoder: Encoder,
  inputs: readonly InputTensor[],
  given: Record<string, unknown>,
  options: EncodeOptions,
): EncodedRequest {
  const { sparse, dense } = gatherTensors(inputs, given, options.problems, (rows) => {
    checkRowCount(rows, options)
    checkColumns(encoder.layout, rows, options)
  })
  const inTermsOf = inTensors(inputs)
  const encoded = inTerms(inTermsOf, () => encoder.tensors(sparse, dense, options))
  const placeOf: EncodedRequest['placeOf'] = (row, field) =>
    inTermsOf({ path: encoded.placeOf(row, field), message: '' }).path
  return { ...encoded, placeOf, problems: encoded.problems.map(inTermsOf) }
}
