import type { Violation } from '../../../base/errors.ts'
import { suggestNames } from '../../../base/names.ts'
import { pointer } from '../../../schemas/json.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { Signature } from '../../contracts/engine.ts'
import { holdsIds, type SavedSignature, type SavedTensor, tensorWidth } from '../../contracts/saved-signature.ts'
import type { Encoder, TensorColumn } from '../features/encoder.ts'
import { type EncodedRequest, type EncodeOptions, givenColumns, type Layout } from '../features/layout.ts'
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
    let column = 0
    for (const part of ports.joined?.inputs[name]?.tensors ?? [name]) {
      // Tensors of crossed fields come last, and are computed.
      if (role === 'sparse' && layout.crossed.length > 0 && column === columns) break
      const tensor = saved?.inputs.find((input) => input.name === part) ?? whole
      const width = tensorWidth(tensor)
      inputs.push({ ...inputTensorOf(tensor, dtype), width, role, column })
      column += width
    }
  }
  if (manifestless && saved !== undefined) return { inputs, outputs: savedOutputs(manifest, saved) }
  const perTask = [...manifest.tasks, ...manifest.derived].map(({ name }) => ({ name, dims: [1], tasks: [name] }))
  return { inputs, outputs: perTask }
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

function inputTensorOf({ name, dtype, dims }: SavedTensor, otherwise: InputTensor['dtype']) {
  const known = dtype === 'int32' || dtype === 'int64' || dtype === 'float32'
  return { name, dtype: known ? dtype : otherwise, dims }
}

/** The encoded tensors of a request, numbers as they came; undefined for those that it has no columns for. */
export interface GatheredTensors {
  sparse: NumberMatrix | unknown[] | undefined
  dense: NumberMatrix | unknown[] | undefined
}

/**
 * Puts a request's tensors together: each nested arrays of numbers, [rows, …dims], or a NumberMatrix [rows, width].
 * Throws INVALID_REQUEST, with places below `/inputs`, for what is missing, unknown, ragged, or no number.
 */
export function gatherTensors(
  inputs: readonly InputTensor[],
  given: Record<string, unknown>,
  problems = new Violations(),
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
    if (value === undefined) problems.add(path, `is required: [${['rows', ...input.dims].join(', ')}]`)
    else {
      const matrix = value instanceof NumberMatrix ? value : flattenRows(value, input.dims, path, problems)
      if (matrix !== undefined) matrices.set(input, matrix)
    }
  }
  problems.throwIfMore(before)
  const [first] = matrices.values()
  const rows = first?.rows ?? 0
  for (const [{ name }, matrix] of matrices)
    if (matrix.rows !== rows)
      problems.add(placeOf(name), `has ${matrix.rows} rows where ${inputs[0]!.name} has ${rows}`)
  problems.throwIfMore(before)
  return { sparse: join(inputs, 'sparse', matrices, rows), dense: join(inputs, 'dense', matrices, rows) }
}

function join(
  inputs: readonly InputTensor[],
  role: InputTensor['role'],
  matrices: Map<InputTensor, NumberMatrix>,
  rows: number,
): NumberMatrix | undefined {
  const parts = inputs.filter((input) => input.role === role)
  if (parts.length <= 1) return parts[0] && matrices.get(parts[0])
  const total = parts.reduce((sum, { width }) => sum + width, 0)
  const values = new Float64Array(rows * total)
  for (const part of parts) {
    const { width } = part
    const from = matrices.get(part)!.values
    for (let row = 0, read = 0; row < rows; row++)
      for (let i = 0, write = row * total + part.column; i < width; i++) values[write++] = from[read++]!
  }
  return new NumberMatrix(rows, total, values)
}

/** Problems of encoded tensors, `/sparse/3/7`, in terms of the tensors that the request has: `/inputs/country/3`. */
function inTensors(inputs: readonly InputTensor[]): (problem: Violation) => Violation {
  return ({ path, message }) => {
    const [, role, row, column] = path.split('/')
    const parts = inputs.filter((input) => input.role === role)
    if (parts.length === 0) return { path, message }
    if (column === undefined) {
      const whole = parts.length === 1 ? placeOf(parts[0]!.name) : '/inputs'
      return { path: row === undefined ? whole : `${whole}/${row}`, message }
    }
    const part = parts.findLast((input) => input.column <= Number(column))!
    const inside = part.dims.length === 0 ? '' : `/${placeInside(Number(column) - part.column, part.dims).join('/')}`
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
  const { sparse, dense } = gatherTensors(inputs, given, options.problems)
  const inTermsOf = inTensors(inputs)
  const encoded = inTerms(inTermsOf, () => encoder.tensors(sparse, dense, options))
  const placeOf: EncodedRequest['placeOf'] = (row, field) =>
    inTermsOf({ path: encoded.placeOf(row, field), message: '' }).path
  return { ...encoded, placeOf, problems: encoded.problems.map(inTermsOf) }
}
